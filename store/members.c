#include "store/members.h"

#include <stdlib.h>

int members_add(struct members *members, uint64_t id)
{
    if (members->count == members->size) {
        size_t size = members->size ? members->size * 2 : 4096;
        uint64_t *marks = realloc(members->marks, size * sizeof *marks);
        if (!marks)
            return -1;
        members->marks = marks;
        members->size = size;
    }
    members->marks[members->count++] = id << 1;
    return 0;
}

bool members_meet(struct members *members, uint64_t id)
{
    size_t low = 0, high = members->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (members->marks[middle] >> 1 < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == members->count || members->marks[low] >> 1 != id)
        return false;
    members->marks[low] |= 1;
    return true;
}

bool members_met(const struct members *members, size_t i)
{
    return members->marks[i] & 1;
}

uint64_t members_id(const struct members *members, size_t i)
{
    return members->marks[i] >> 1;
}

void members_free(struct members *members)
{
    free(members->marks);
    *members = (struct members){0};
}
