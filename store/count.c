#include "store/count.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "store/key.h"

struct change {
    uint32_t at, len; /* of the key in bytes */
    uint32_t hash;
    int64_t by;
};

struct counts {
    struct change *changes; /* in the order of their first appearance */
    uint32_t count, size;
    uint32_t *slots; /* open addressing: place in changes + 1, 0 is free; twice as many as size */
    struct buf bytes;
};

struct counts *counts_new(void)
{
    return calloc(1, sizeof(struct counts));
}

void counts_free(struct counts *counts)
{
    if (!counts)
        return;
    free(counts->changes);
    free(counts->slots);
    buf_free(&counts->bytes);
    free(counts);
}

void counts_clear(struct counts *counts)
{
    if (counts->count > 0)
        memset(counts->slots, 0, (size_t)counts->size * 2 * sizeof *counts->slots);
    counts->count = 0;
    buf_reset(&counts->bytes);
}

static uint32_t hash_of(struct str key)
{
    uint32_t hash = 2166136261u; /* FNV-1a: keys are short, and none of them is an attacker's to choose freely */
    for (uint32_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 16777619u;
    return hash;
}

static int counts_grow(struct counts *counts)
{
    uint32_t size = counts->size ? counts->size * 2 : 64;
    struct change *changes = realloc(counts->changes, size * sizeof *changes);
    if (!changes)
        return -1;
    counts->changes = changes;
    uint32_t *slots = calloc((size_t)size * 2, sizeof *slots);
    if (!slots)
        return -1;
    free(counts->slots);
    counts->slots = slots;
    counts->size = size;
    for (uint32_t i = 0; i < counts->count; i++) {
        uint32_t slot = changes[i].hash & (size * 2 - 1);
        while (slots[slot])
            slot = (slot + 1) & (size * 2 - 1);
        slots[slot] = i + 1;
    }
    return 0;
}

/* The slot of a key, or the free one where it would be. There is one: slots are twice as many as changes. */
static uint32_t slot_of(const struct counts *counts, struct str key, uint32_t hash)
{
    uint32_t mask = counts->size * 2 - 1, slot = hash & mask;
    for (; counts->slots[slot]; slot = (slot + 1) & mask) {
        const struct change *change = &counts->changes[counts->slots[slot] - 1];
        if (change->hash == hash && change->len == key.len && memcmp(counts->bytes.data + change->at, key.ptr, key.len) == 0)
            break;
    }
    return slot;
}

int counts_add(struct counts *counts, struct str key, int64_t by)
{
    if (counts->count == counts->size && counts_grow(counts) != 0)
        return -1;
    uint32_t hash = hash_of(key), slot = slot_of(counts, key, hash);
    if (counts->slots[slot]) {
        counts->changes[counts->slots[slot] - 1].by += by;
        return 0;
    }
    uint32_t at = (uint32_t)counts->bytes.len;
    if (buf_add(&counts->bytes, key.ptr, key.len) != 0)
        return -1;
    counts->changes[counts->count] = (struct change){at, key.len, hash, by};
    counts->slots[slot] = ++counts->count;
    return 0;
}

enum kv_result counts_flush(struct counts *counts, struct kv_txn *batch)
{
    enum kv_result result = KV_OK;
    for (uint32_t i = 0; result == KV_OK && i < counts->count; i++) {
        const struct change *change = &counts->changes[i];
        if (change->by == 0)
            continue;
        struct str key = {counts->bytes.data + change->at, change->len};
        uint64_t now = count_get(batch, key) + (uint64_t)change->by;
        unsigned char bytes[8];
        key_write_u64(bytes, now);
        if (now == 0)
            result = kv_delete(batch, TABLE_COUNT, key);
        else
            result = kv_put(batch, TABLE_COUNT, key, (struct str){(char *)bytes, sizeof bytes}, false);
    }
    counts_clear(counts);
    return result;
}

uint64_t count_get(struct kv_txn *txn, struct str key)
{
    struct str value;
    if (kv_get(txn, TABLE_COUNT, key, &value) != KV_OK || value.len != 8)
        return 0;
    return key_read_u64(value.ptr);
}

uint64_t count_now(const struct counts *counts, struct kv_txn *txn, struct str key)
{
    uint64_t count = count_get(txn, key);
    uint32_t place = counts->size ? counts->slots[slot_of(counts, key, hash_of(key))] : 0;
    return place ? count + (uint64_t)counts->changes[place - 1].by : count;
}
