#include "scheduler/farms/kept.h"

#include <stdlib.h>

static uint64_t *place(const struct kept_ids *kept, size_t at)
{
    return &kept->ids[(kept->first + at) % kept->size];
}

int kept_reserve(struct kept_ids *kept, size_t count)
{
    size_t size = kept->size ? kept->size : 256;
    if (count <= kept->size)
        return 0;
    while (size < count)
        size *= 2;
    uint64_t *ids = malloc(size * sizeof *ids);
    if (!ids)
        return -1;
    for (size_t i = 0; i < kept->count; i++)
        ids[i] = *place(kept, i);
    free(kept->ids);
    kept->ids = ids;
    kept->first = 0;
    kept->size = size;
    return 0;
}

void kept_add(struct kept_ids *kept, uint64_t id)
{
    *place(kept, kept->count++) = id;
}

uint64_t kept_oldest(const struct kept_ids *kept)
{
    return kept->count ? *place(kept, 0) : 0;
}

void kept_drop(struct kept_ids *kept)
{
    kept->first = (kept->first + 1) % kept->size;
    kept->count--;
}

void kept_remove(struct kept_ids *kept, uint64_t id)
{
    size_t to = 0;
    for (size_t i = 0; i < kept->count; i++) {
        uint64_t at = *place(kept, i);
        if (at != id)
            *place(kept, to++) = at;
    }
    kept->count = to;
}
