/* The newest events, by their ids without a gap: those that are missing in between were dropped, or never were. Bounded in number and bytes;
 * the oldest go. */
#ifndef GANTRY_GATEWAY_FEED_RING_H
#define GANTRY_GATEWAY_FEED_RING_H

#include "gateway/feed_event.h"

#define FEED_RING_EVENTS 8192u
#define FEED_RING_BYTES ((size_t)16 << 20)

enum feed_next { FEED_EVENT, FEED_END, FEED_BEHIND };

struct feed_ring {
    struct feed_event *events[FEED_RING_EVENTS]; /* by id % FEED_RING_EVENTS */
    uint64_t first, head;                        /* ids first..head are in it; head: the newest that was read */
    size_t bytes;
};

/* Empties it: what is added next comes behind head. Also the first thing that is done to a zeroed one. */
void feed_ring_begin(struct feed_ring *ring, uint64_t head);
/* The next event, of an id above head. False when out of memory; nothing has changed then. */
bool feed_ring_add(struct feed_ring *ring, const struct rec_event *record);
/* The event behind position. FEED_BEHIND: it is not here any more. */
enum feed_next feed_ring_next(const struct feed_ring *ring, uint64_t position, struct feed_event **event);

#endif
