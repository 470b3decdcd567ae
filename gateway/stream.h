/* The farm's events as server-sent events. */
#ifndef GANTRY_GATEWAY_STREAM_H
#define GANTRY_GATEWAY_STREAM_H

#include "gateway/request.h"

struct stream_filter {
    uint64_t types;           /* see event_type.h */
    uint64_t task_id, run_id; /* 0: of any */
};

/* Answers the request with a stream of the events behind after: `id` is the event's, `event` its
 * type, `data` what event_write says; where events are not kept any more an event `cut` says how many are missing. */
void stream_start(struct request *request, const struct stream_filter *filter, uint64_t after);

#endif
