/* A hash table of objects by a key inside them. Linear probing; a removal closes its gap, so there are no tombstones. */
#include "scheduler/index.h"

#include <sodium.h>
#include <stdlib.h>

void index_init(struct index *index, size_t offset, bool text, uint64_t seed)
{
    *index = (struct index){.offset = offset, .text = text};
    memcpy(index->seed, &seed, sizeof seed);
}

void index_free(struct index *index)
{
    free(index->slots);
    index->slots = NULL;
    index->size = index->count = 0;
}

static uint64_t hash_id(uint64_t key)
{
    key ^= key >> 32;
    key *= 0x9e3779b97f4a7c15U;
    return key ^ key >> 29;
}

static uint64_t hash_text(const struct index *index, struct str key)
{
    uint64_t hash;
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, (const unsigned char *)(key.ptr ? key.ptr : ""), key.len, index->seed);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

static uint64_t hash_of(const struct index *index, const void *object)
{
    const void *key = (const char *)object + index->offset;
    return index->text ? hash_text(index, *(const struct str *)key) : hash_id(*(const uint64_t *)key);
}

static void index_place(struct index *index, void *object)
{
    size_t mask = index->size - 1, at = (size_t)hash_of(index, object) & mask;
    while (index->slots[at])
        at = (at + 1) & mask;
    index->slots[at] = object;
}

int index_reserve(struct index *index, size_t more)
{
    size_t need = index->count + more, size = index->size ? index->size : 16;
    while (need > size / 4 * 3)
        size *= 2;
    if (size == index->size)
        return 0;
    void **old = index->slots, **slots = calloc(size, sizeof *slots);
    size_t count = index->size;
    if (!slots)
        return -1;
    index->slots = slots;
    index->size = size;
    for (size_t i = 0; i < count; i++)
        if (old[i])
            index_place(index, old[i]);
    free(old);
    return 0;
}

void index_add(struct index *index, void *object)
{
    index_place(index, object);
    index->count++;
}

void *index_id(const struct index *index, uint64_t key)
{
    if (!index->count)
        return NULL;
    size_t mask = index->size - 1;
    for (size_t at = (size_t)hash_id(key) & mask; index->slots[at]; at = (at + 1) & mask)
        if (*(const uint64_t *)(const void *)((const char *)index->slots[at] + index->offset) == key)
            return index->slots[at];
    return NULL;
}

void *index_text(const struct index *index, struct str key)
{
    if (!index->count)
        return NULL;
    size_t mask = index->size - 1;
    for (size_t at = (size_t)hash_text(index, key) & mask; index->slots[at]; at = (at + 1) & mask)
        if (str_eq(*(const struct str *)(const void *)((const char *)index->slots[at] + index->offset), key))
            return index->slots[at];
    return NULL;
}

void index_remove(struct index *index, void *object)
{
    if (!index->count)
        return;
    size_t mask = index->size - 1, at = (size_t)hash_of(index, object) & mask;
    while (index->slots[at] && index->slots[at] != object)
        at = (at + 1) & mask;
    if (!index->slots[at])
        return;
    /* Whoever was pushed past the gap moves back into it. */
    for (size_t next = (at + 1) & mask; index->slots[next]; next = (next + 1) & mask) {
        size_t home = (size_t)hash_of(index, index->slots[next]) & mask;
        if (((next - home) & mask) >= ((next - at) & mask)) {
            index->slots[at] = index->slots[next];
            at = next;
        }
    }
    index->slots[at] = NULL;
    index->count--;
}
