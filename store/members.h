/* The ids of a group, in their order, and which of them have been met on the way through another order. */
#ifndef GANTRY_STORE_MEMBERS_H
#define GANTRY_STORE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct members {
    uint64_t *marks; /* the id, and in the lowest bit whether it was met */
    size_t count, size;
};

int members_add(struct members *members, uint64_t id);   /* ids come in order; -1 when out of memory */
bool members_meet(struct members *members, uint64_t id); /* whether it is one of them, which is met now */
bool members_met(const struct members *members, size_t i);
uint64_t members_id(const struct members *members, size_t i);
void members_free(struct members *members);

#endif
