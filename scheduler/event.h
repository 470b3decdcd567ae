/* What happened, as records with growing ids: what webhooks and live streams read. The newest events_max are kept. */
#ifndef GANTRY_SCHEDULER_EVENT_H
#define GANTRY_SCHEDULER_EVENT_H

#include "scheduler/journal.h"

struct events;

#define EVENT_OPS 4 /* records one event_append puts or deletes at most; reserve EVENT_BYTES for them */
#define EVENT_BYTES 8192

struct events *events_new(uint64_t max); /* NULL when out of memory */
void events_free(struct events *events); /* takes NULL */
/* A new limit; what is over it goes with the next appends, a few each. */
void events_limit(struct events *events, uint64_t max);

/* After a start: the oldest event kept and the next free id. oldest 0: not known, next - max is taken. */
void events_begin(struct events *events, uint64_t oldest, uint64_t next);

uint64_t events_last(const struct events *events); /* id of the newest; 0: there was none yet */

/* Appends (the id in event is ignored, the rest borrowed for the call): journal_put of TYPE_EVENT, journal_note_event, and
 * journal_delete of the oldest while over the limit (at most EVENT_OPS - 1 a call). Room has been reserved, so it cannot
 * fail. Answers the event's id. */
uint64_t event_append(struct events *events, struct journal *journal, const struct rec_event *event);

#endif
