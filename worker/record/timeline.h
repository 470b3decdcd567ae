/* One timeline out of the times that packets of a live stream carry.
 *
 * A source's clock may begin anywhere, jump (by 2^32 of its units, say), go back, or begin anew with each connection. Within a connection
 * its distances are kept, as they are smoother than the arrivals; where a distance cannot be, and at each new connection, the arrival
 * says what the time is. What comes out of a track always grows. Pure: arrivals are given. All times are microseconds.
 */
#ifndef GANTRY_WORKER_RECORD_TIMELINE_H
#define GANTRY_WORKER_RECORD_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#define TIMELINE_TRACKS 2
#define TIMELINE_NONE INT64_MIN /* a time that is not there */

struct timeline_track {
    bool placed;    /* in this connection */
    bool known;     /* in any: last is valid */
    int64_t offset; /* from the source's clock to the timeline */
    int64_t last_in, last, arrival;
    int64_t step;   /* usual distance of two packets */
    unsigned stood; /* so many packets came without its clock having gone on */
};

struct timeline {
    bool begun;
    int64_t origin; /* arrival of what stands at 0 */
    struct timeline_track tracks[TIMELINE_TRACKS];
    uint64_t repaired; /* packets whose time was not believed */
};

/* A new connection: what its clock says is not the old one's. */
void timeline_connect(struct timeline *timeline);

/* Puts a packet that arrived then on the timeline: its dts and pts (either may be TIMELINE_NONE) become the timeline's. The first packet of
 * all stands at 0. False: it lies before 0, and is to be dropped. gap: how much longer than usual the time before it is, 0 if it is not. */
bool timeline_put(struct timeline *timeline, unsigned track, int64_t arrival, int64_t *dts, int64_t *pts, int64_t *gap);

/* Where the track ends: behind its last packet, as long as usual. */
int64_t timeline_end(const struct timeline *timeline, unsigned track);

#endif
