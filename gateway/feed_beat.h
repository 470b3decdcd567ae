/* Heartbeats of workers: no events of the log, but asked of the scheduler, softly, while somebody wants them. */
#ifndef GANTRY_GATEWAY_FEED_BEAT_H
#define GANTRY_GATEWAY_FEED_BEAT_H

#include "gateway/gateway.h"
#include "proto/messages.h"

struct feed_beat {
    struct gateway *gateway;
    void (*tell)(void *self, const struct rec_worker *worker, struct str json);
    void *self;
    uint32_t readers; /* who want them */
    int timer;
    uint64_t corr;
    bool asking;
    uint64_t seen; /* those up to this time have been told */
};

/* A zeroed one: tell is called with each that is heard, once. -1: no memory. */
int feed_beat_init(struct feed_beat *beat, struct gateway *gateway,
                   void (*tell)(void *self, const struct rec_worker *worker, struct str json), void *self);
void feed_beat_close(struct feed_beat *beat);

void feed_beat_add(struct feed_beat *beat);
void feed_beat_remove(struct feed_beat *beat);

#endif
