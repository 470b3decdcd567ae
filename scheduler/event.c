/* Events: appended with growing ids, the oldest deleted beyond the limit. Only the bounds are in memory. */
#include "scheduler/event.h"

#include <stdlib.h>

struct events {
    uint64_t max;
    uint64_t oldest; /* id of the oldest kept; equal to next when there are none */
    uint64_t next;   /* id of the next */
};

struct events *events_new(uint64_t max)
{
    struct events *events = calloc(1, sizeof *events);

    if (events != NULL) {
        *events = (struct events){.max = max, .oldest = 1, .next = 1};
    }
    return events;
}

void events_free(struct events *events)
{
    free(events);
}

void events_limit(struct events *events, uint64_t max)
{
    events->max = max;
}

void events_begin(struct events *events, uint64_t oldest, uint64_t next)
{
    uint64_t first = next > events->max ? next - events->max : 1;

    events->next = next > 0 ? next : 1;
    events->oldest = oldest != 0 && oldest <= events->next ? oldest : first;
}

uint64_t events_last(const struct events *events)
{
    return events->next - 1;
}

uint64_t event_append(struct events *events, struct journal *journal, const struct rec_event *event)
{
    struct rec_event record = *event;

    record.id = events->next++;
    journal_put(journal, TYPE_EVENT, record.id, &record);
    journal_note_event(journal, record.id);
    for (int i = 0; i < EVENT_OPS - 1 && events->next - events->oldest > events->max; i++) {
        journal_delete(journal, TYPE_EVENT, events->oldest++);
    }
    return record.id;
}
