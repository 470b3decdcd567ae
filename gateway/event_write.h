/* An event as clients and webhooks read it: {event, timestamp, data}. */
#ifndef GANTRY_GATEWAY_EVENT_WRITE_H
#define GANTRY_GATEWAY_EVENT_WRITE_H

#include "gateway/writer.h"
#include "proto/messages.h"

/* The members of that, without the braces around them. */
void event_write_members(struct writer *w, const struct rec_event *event);
void event_write(struct writer *w, const struct rec_event *event);
/* What a worker's heartbeat looks like: it is no record and has no id. */
void event_write_beat(struct writer *w, const struct rec_worker *worker);

#endif
