/* News from the scheduler's doorbell, for those who follow a run. The bell is soft, so everybody is also woken now and then. */
#ifndef GANTRY_GATEWAY_EVENTS_H
#define GANTRY_GATEWAY_EVENTS_H

#include "gateway/gateway.h"
#include "proto/messages.h"

struct events;

struct follower { /* owned by who follows */
    uint64_t run_id;
    /* Its state or log may have changed. */
    void (*changed)(void *self);
    /* What is true of it this second; asked for twice a second while there are followers. */
    void (*live)(void *self, const struct rec_live_run *live);
    void *self;
    struct follower *prev, *next;
};

struct events *events_new(struct gateway *gateway, struct err *err);
void events_free(struct events *events); /* takes NULL */

/* Neither callback may add or remove another follower; removing itself is fine. */
void events_follow(struct events *events, struct follower *follower);
void events_unfollow(struct events *events, struct follower *follower);

#endif
