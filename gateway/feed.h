/* The events of the farm, read once for everybody.
 *
 * A ring holds the newest events, read from the store while somebody is interested: by the doorbell when the farm is quiet, so that an
 * event is there at once, and every so many milliseconds while they keep coming, so that neither bells nor reads cost more the more
 * happens. Nothing is read while nobody at the head can take more. Whoever is at the head takes events out of the ring (feed_ring.h); whoever
 * is further behind asks the store for himself, and a few of those are served at a time (feed_back.h). Heartbeats are in neither
 * (feed_beat.h).
 */
#ifndef GANTRY_GATEWAY_FEED_H
#define GANTRY_GATEWAY_FEED_H

#include "gateway/feed_ring.h"
#include "gateway/gateway.h"

struct feed_reader {   /* owned by who reads */
    uint64_t position; /* he has had all up to this one, or had no use for them */
    /* There may be something behind his position. */
    void (*news)(void *self);
    /* The next events behind his position, from the store: those up to `oldest` - 1 are not kept any more. count 0: there is none, or the
     * store is away, which failed says. May not call feed_remove. */
    void (*events)(void *self, struct feed_event *const *events, uint32_t count, uint64_t oldest, bool failed);
    /* A worker has been heard; only readers with beats set. */
    void (*beat)(void *self, const struct rec_worker *worker, struct str json);
    bool beats;
    bool sated; /* he can take nothing more for now; his own, looked at behind news */
    void *self;
    bool waits, reading; /* the feed's own */
    struct feed_reader *prev, *next, *next_waiting;
};

struct feed;

struct feed *feed_new(struct gateway *gateway, struct err *err);
void feed_free(struct feed *feed); /* takes NULL */

/* Begins and ends a reader's interest, behind the position he has. Neither is called from within a callback, but feed_remove of himself
 * from news. */
void feed_add(struct feed *feed, struct feed_reader *reader);
void feed_remove(struct feed *feed, struct feed_reader *reader);

/* The event behind the position. FEED_BEHIND: the ring does not have it: ask with feed_read. */
enum feed_next feed_next(const struct feed *feed, uint64_t position, struct feed_event **event);
/* Asks the store; events is called, later. Nothing while that is under way. */
void feed_read(struct feed *feed, struct feed_reader *reader);

/* Bytes that may still go out to streams in this pass; takes them. False: the reader goes on in the next pass, which begins with whoever was
 * the first to hear so. */
bool feed_spend(struct feed *feed, struct feed_reader *reader, size_t bytes);

#endif
