/* Readers who are behind the ring: each is read for from the store by himself, some at a time, within what that may cost over time. */
#ifndef GANTRY_GATEWAY_FEED_BACK_H
#define GANTRY_GATEWAY_FEED_BACK_H

#include "gateway/feed.h"

#define FEED_BACK_MOST 2 /* read for at a time */

struct feed_back {
    struct bus_client *store; /* borrowed, as the arena is */
    struct arena *arena;
    struct feed_reader *waiting, *last_waiting;
    struct feed_back_reading {
        struct feed_back *back;
        struct feed_reader *reader; /* NULL: idle, or he has left */
        uint64_t corr;
        bool asking;
    } readings[FEED_BACK_MOST];
    uint64_t until_ms; /* until then it is reckoned how much may be read */
    uint64_t left;     /* events */
};

void feed_back_init(struct feed_back *back, struct bus_client *store, struct arena *arena); /* a zeroed one */
void feed_back_close(struct feed_back *back);

/* Reads for him, now or in his turn. */
void feed_back_read(struct feed_back *back, struct feed_reader *reader);
void feed_back_serve(struct feed_back *back); /* time has passed: there may be more to be read */
void feed_back_remove(struct feed_back *back, struct feed_reader *reader);

#endif
