/* Time zones: offsets from UTC over time, read from the system's TZif files (RFC 8536) with their rule for the far future.
 *
 * Seconds here are since 1970: UTC seconds for instants, and "local seconds" for wall clocks (as if the wall clock showed UTC).
 */
#ifndef GANTRY_SCHEDULER_ZONE_H
#define GANTRY_SCHEDULER_ZONE_H

#include "proto/str.h"

struct zone;

/* name: as in the IANA database; empty is UTC. Zones are shared: zone_put gives one back. NULL with err (ERR_INVALID: unknown name). */
struct zone *zone_get(struct str name, struct err *err);
void zone_put(struct zone *zone); /* takes NULL */

/* A stretch of time with one offset: [from, until). */
struct zone_span {
    int64_t from, until; /* INT64_MIN and INT64_MAX where it has no end */
    int32_t offset;      /* seconds east of UTC */
};

struct zone_span zone_span(const struct zone *zone, int64_t instant);

/* The instant a wall clock first shows these local seconds; one that it skips is the first instant behind the gap. */
int64_t zone_instant(const struct zone *zone, int64_t local);

#define ZONE_OFFSET_MAX (26 * 3600) /* no offset is larger, east or west */

/* Reads the bytes of a TZif file; for tests and the fuzzer. NULL when they are not one, or out of memory. */
struct zone *zone_read(const unsigned char *bytes, size_t size, struct err *err);

#endif
