#include "gateway/traffic.h"

#include <stdlib.h>

#define SLOTS 1024 /* a power of two above TRAFFIC_MOST */

struct traffic {
    struct traffic_entry entries[TRAFFIC_MOST + 1]; /* the last for what finds no room */
    uint16_t slots[SLOTS];                          /* place in entries + 1; 0: free */
    uint32_t count;
};

struct traffic *traffic_new(void)
{
    return calloc(1, sizeof(struct traffic)); /* zero pages: memory comes with routes */
}

void traffic_free(struct traffic *traffic)
{
    free(traffic);
}

static uint32_t slot_of(const struct route *route, unsigned status)
{
    uint64_t key = ((uint64_t)(uintptr_t)route >> 3) * 1024 + status;
    return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 54) & (SLOTS - 1);
}

static struct traffic_entry *entry_of(struct traffic *traffic, const struct surface *surface, const struct route *route,
                                      unsigned status)
{
    uint32_t slot = slot_of(route, status);

    for (; traffic->slots[slot] != 0; slot = (slot + 1) & (SLOTS - 1)) {
        struct traffic_entry *entry = &traffic->entries[traffic->slots[slot] - 1];
        if (entry->route == route && entry->status == status)
            return entry;
    }
    bool room = traffic->count < TRAFFIC_MOST;
    struct traffic_entry *entry = &traffic->entries[room ? traffic->count : TRAFFIC_MOST];
    if (!entry->times.scale)
        *entry = (struct traffic_entry){.surface = room ? surface : NULL,
                                        .route = room ? route : NULL,
                                        .status = room ? status : 0,
                                        .times = HISTOGRAM(histogram_latency)};
    if (room)
        traffic->slots[slot] = (uint16_t)++traffic->count;
    return entry;
}

void traffic_add(struct traffic *traffic, const struct surface *surface, const struct route *route, unsigned status, uint64_t us)
{
    histogram_add(&entry_of(traffic, surface, route, status)->times, us);
}

uint32_t traffic_count(const struct traffic *traffic)
{
    return traffic->count + (traffic->entries[TRAFFIC_MOST].times.scale ? 1 : 0);
}

const struct traffic_entry *traffic_entry(const struct traffic *traffic, uint32_t index)
{
    return &traffic->entries[index < traffic->count ? index : TRAFFIC_MOST];
}
