/* One webhook's deliveries: new events in their order, and those whose time to be tried again has come. */
#ifndef GANTRY_GATEWAY_HOOK_LANE_H
#define GANTRY_GATEWAY_HOOK_LANE_H

#include "gateway/courier.h"
#include "gateway/feed.h"

#define LANE_WINDOW 32     /* new events held at a time */
#define LANE_AGAIN 8       /* deliveries tried again at a time */
#define LANE_SHARE 4       /* under way at a time, while there are few in all */
#define LANES_CALM 128     /* that is fewer than this; else it is one a webhook */
#define LANE_IDLE_MS 10000 /* a cursor that moves over events of others is reported so often */
#define LANE_IDLE_EVENTS 10000

enum job_state { JOB_WAITS, JOB_SENT, JOB_DONE };

struct job { /* a delivery to make */
    struct lane *lane;
    struct job *next;
    struct feed_event *event;
    struct rec_delivery delivery; /* the stored one, when it is tried again: id > 0. Its event is `event` */
    enum job_state state;
    bool reported; /* in the report under way */
    struct parcel *parcel;
    bool arrived;
    unsigned code;
    uint64_t ms;
    char error[257];
};

struct lane_port { /* what a lane needs of who has it */
    struct gateway *gateway;
    struct courier *courier;
    void *self;
    bool (*may_send)(void *self);
    void (*done)(void *self); /* something can be reported */
};

struct lane {
    const struct lane_port *port;
    struct lane *next;
    uint64_t id, types, task_id;
    char ident[65];
    char *url, *secret;
    bool active, kept;         /* kept: of the newest list */
    struct feed_reader reader; /* its position: events up to there are in `fresh`, or of no use */
    bool reads;
    uint64_t cursor;           /* as the scheduler has it */
    uint64_t missed;           /* events dropped before they were read, not reported yet */
    struct job *fresh, *again; /* new ones in their order; tried again */
    struct job *beating;       /* heartbeats under way */
    unsigned fresh_count, again_count, sending;
    uint64_t pending; /* deliveries that the scheduler has to be tried again */
    uint64_t due_ms;  /* wall: when to ask for them */
    bool asking;
    uint64_t corr;
    uint64_t reported_ms;
    bool in_report; /* the rest is of the report under way */
    uint64_t report_to, report_missed;
    uint32_t report_at; /* its place among the webhooks in it */
};

/* NULL when out of memory. */
struct lane *lane_new(const struct lane_port *port, const struct rec_webhook *webhook);
void lane_free(struct lane *lane); /* takes NULL; what is under way is forgotten */
/* What a newer list says of it. -1 when out of memory: it is as before. */
int lane_update(struct lane *lane, const struct rec_webhook *webhook);

/* Takes new events, asks for what is due, sends what may be sent. */
void lane_go(struct lane *lane);
void lane_send(struct lane *lane);
bool lane_busy(const struct lane *lane);

/* Fills what there is to report, at most `most` results (in *most: how many are left), from an arena. False: nothing. */
bool lane_report(struct lane *lane, struct arena *arena, uint32_t *most, struct rec_webhook_report *out);
/* It was refused, and nothing has changed: it is reported again. */
void lane_unreported(struct lane *lane);
/* It is on disk; so many are to be tried again now. */
void lane_reported(struct lane *lane, uint64_t pending);

#endif
