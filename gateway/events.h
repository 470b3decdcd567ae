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

struct listener { /* owned by who listens */
    /* Events up to this one can be read; 0: it does not say. */
    void (*rang)(void *self, uint64_t event);
    void *self;
    struct listener *next;
};

struct events *events_new(struct gateway *gateway, struct err *err);
void events_free(struct events *events); /* takes NULL */

/* Neither callback may add or remove another follower; removing itself is fine. */
void events_follow(struct events *events, struct follower *follower);
void events_unfollow(struct events *events, struct follower *follower);

/* For news of events, whatever run they are of. Not from within rang. */
void events_listen(struct events *events, struct listener *listener);
void events_unlisten(struct events *events, struct listener *listener);

#endif
