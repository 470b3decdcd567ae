/* Ids of what has ended and is kept for a while, the oldest first: a ring, so that the oldest goes at no cost. */
#ifndef GANTRY_SCHEDULER_FARMS_KEPT_H
#define GANTRY_SCHEDULER_FARMS_KEPT_H

#include <stddef.h>
#include <stdint.h>

struct kept_ids {
    uint64_t *ids; /* its own: free(ids) */
    size_t first, count, size;
};

/* Room for so many in all. -1: no memory, and nothing has changed. */
int kept_reserve(struct kept_ids *kept, size_t count);
void kept_add(struct kept_ids *kept, uint64_t id);    /* within the room */
uint64_t kept_oldest(const struct kept_ids *kept);    /* 0: there is none */
void kept_drop(struct kept_ids *kept);                /* the oldest; there is one */
void kept_remove(struct kept_ids *kept, uint64_t id); /* wherever it is, if it is there */

#endif
