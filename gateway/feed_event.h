/* An event in memory: what the feed has read, and what webhooks keep. */
#ifndef GANTRY_GATEWAY_FEED_EVENT_H
#define GANTRY_GATEWAY_FEED_EVENT_H

#include "proto/messages.h"

struct feed_event { /* in the ring, or while a reader is told of it */
    uint64_t id, task_id, run_id;
    uint64_t type;           /* its bit; see event_type.h */
    struct rec_event record; /* what it borrows is behind it */
    char *json;              /* what event_write makes of it; use feed_json */
    uint32_t json_len;
};

/* An event of one's own, with copies of what the record borrows; NULL when out of memory. */
struct feed_event *feed_event_new(const struct rec_event *record);
void feed_event_free(struct feed_event *event);         /* takes NULL */
size_t feed_event_size(const struct feed_event *event); /* about what it takes, with its JSON */

/* The event as JSON, made once; empty when memory is short. */
struct str feed_json(struct feed_event *event);

#endif
