#include "gateway/feed_ring.h"

static struct feed_event **slot(struct feed_ring *ring, uint64_t id)
{
    return &ring->events[id % FEED_RING_EVENTS];
}

static void shift(struct feed_ring *ring)
{
    struct feed_event **oldest = slot(ring, ring->first++);

    if (*oldest)
        ring->bytes -= feed_event_size(*oldest);
    feed_event_free(*oldest);
    *oldest = NULL;
}

void feed_ring_begin(struct feed_ring *ring, uint64_t head)
{
    while (ring->first <= ring->head)
        shift(ring);
    ring->head = head;
    ring->first = head + 1;
}

bool feed_ring_add(struct feed_ring *ring, const struct rec_event *record)
{
    struct feed_event *event = feed_event_new(record);

    if (!event)
        return false;
    if (record->id - ring->head > FEED_RING_EVENTS)
        feed_ring_begin(ring, record->id - 1);
    for (uint64_t id = ring->head + 1; id <= record->id; id++) {
        if (id - ring->first >= FEED_RING_EVENTS)
            shift(ring);
    }
    ring->head = record->id;
    *slot(ring, record->id) = event;
    ring->bytes += feed_event_size(event);
    while (ring->bytes > FEED_RING_BYTES && ring->first < ring->head)
        shift(ring);
    return true;
}

enum feed_next feed_ring_next(const struct feed_ring *ring, uint64_t position, struct feed_event **event)
{
    if (position >= ring->head)
        return FEED_END;
    if (position + 1 < ring->first)
        return FEED_BEHIND;
    for (uint64_t id = position + 1; id <= ring->head; id++) {
        *event = ring->events[id % FEED_RING_EVENTS];
        if (*event)
            return FEED_EVENT;
    }
    return FEED_END;
}
