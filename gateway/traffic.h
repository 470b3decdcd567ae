/* How long requests took, by route and status: what the gateway measures of its own work, in bounded memory.
 *
 * A pair that finds no room is counted with all others that did not.
 */
#ifndef GANTRY_GATEWAY_TRAFFIC_H
#define GANTRY_GATEWAY_TRAFFIC_H

#include "gateway/route.h"
#include "proto/histogram.h"

#define TRAFFIC_MOST 512

struct traffic_entry {
    const struct surface *surface;
    const struct route *route; /* NULL: there was none for the path, or not with that method */
    unsigned status;           /* 0: this entry is of those that found no room */
    struct histogram times;
};

struct traffic;

struct traffic *traffic_new(void);          /* NULL when out of memory */
void traffic_free(struct traffic *traffic); /* takes NULL */
void traffic_add(struct traffic *traffic, const struct surface *surface, const struct route *route, unsigned status, uint64_t us);

uint32_t traffic_count(const struct traffic *traffic);
const struct traffic_entry *traffic_entry(const struct traffic *traffic,
                                          uint32_t index); /* in the order of their first request */

#endif
