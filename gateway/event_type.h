/* Types of events, and sets of them as bits: what followers and webhooks ask for. */
#ifndef GANTRY_GATEWAY_EVENT_TYPE_H
#define GANTRY_GATEWAY_EVENT_TYPE_H

#include "proto/codec.h"

#define EVENT_HEARTBEAT "worker.heartbeat"

/* Its bit; that of all others for a type that is not known here. */
uint64_t event_type_bit(struct str type);

/* All but worker.heartbeat, which is asked for by name only, and webhook.ping, which goes to the webhook that is pinged. */
uint64_t event_types_default(void);
bool event_types_beat(uint64_t types); /* heartbeats are among them */

/* Adds what a word asks for: a type, task.* or * . False when it is none. */
bool event_types_add(uint64_t *types, struct str word);
/* Of a list of words; all by default when it is empty. Words that are not known count for nothing. */
uint64_t event_types_of(const struct str_list *words);

/* The types that can be asked for, separated by "|". */
const char *event_types_known(void);
/* Its name, from 0 on; NULL behind the last. */
const char *event_type_name(unsigned number);

#endif
