/* Idempotency keys: a first-in first-out log of answers in big blocks, and a hash of their scopes into it.
 *
 * Keys leave in the order they came (by age, by number, by bytes), so an entry costs no allocation of its own: it is written behind the
 * last one, and a block goes when its last entry has. The hash has a pointer a key, open addressing with linear probing, no tombstones.
 *
 * Invariants: every entry is in exactly one block, in the order of ids; a slot points to a live entry, and to the newest of its scope;
 * after keys_reserve_many the stores it promised allocate nothing.
 */
#include "scheduler/key.h"

#include <sodium.h>
#include <stdlib.h>

#define SCOPE 16
#define ANSWER_MAX ((size_t)512 << 10) /* rec_key.answer */
#define BLOCK_BYTES ((size_t)1 << 20)
#define FIRST_SLOTS 1024u
#define DROP_STORE 2    /* expired keys that leave with a store: more than one, so that the backlog shrinks */
#define DROP_CALL 256   /* and with a keys_expire */
#define DELETE_BYTES 32 /* of a record's deletion in a batch */

struct entry {
    uint8_t scope[SCOPE];
    uint8_t body[SCOPE];
    uint64_t id;
    uint64_t created_at;
    uint32_t len;
    char answer[];
};

struct block {
    struct block *next;
    size_t size, used;
    size_t first; /* of the oldest live entry */
    _Alignas(struct entry) char data[];
};

struct keys {
    uint64_t max, max_age_ms;
    uint64_t next_id;
    uint64_t count;
    size_t bytes;       /* of live entries */
    uint64_t newest_at; /* created_at of the newest */
    uint8_t seed[crypto_shorthash_KEYBYTES];
    struct entry **slots;
    size_t slot_count; /* a power of two */
    struct block *oldest, *newest;
    struct block *spare; /* room promised beyond the newest block */
};

static size_t entry_size(size_t answer)
{
    size_t align = _Alignof(struct entry);

    return (sizeof(struct entry) + answer + align - 1) / align * align;
}

/* ---- the hash ---- */

/* The gateway's scopes are hashes already, those of clients on the bus are what they please: with the seed in it nobody chooses where
 * they fall, and numbers one after the other do not meet either. */
static size_t slot_of(const struct keys *keys, const uint8_t *scope)
{
    uint64_t hash;

    crypto_shorthash((unsigned char *)&hash, scope, SCOPE, keys->seed);
    return (size_t)hash & (keys->slot_count - 1);
}

/* The slot that holds the scope, or the empty one where it belongs. */
static size_t slot_find(const struct keys *keys, const uint8_t *scope)
{
    size_t at = slot_of(keys, scope);

    while (keys->slots[at] != NULL && memcmp(keys->slots[at]->scope, scope, SCOPE) != 0) {
        at = (at + 1) & (keys->slot_count - 1);
    }
    return at;
}

/* Empties a slot and moves back what was pushed behind it, so that every probe still ends at an empty slot. */
static void slot_clear(struct keys *keys, size_t hole)
{
    size_t mask = keys->slot_count - 1;

    for (size_t at = (hole + 1) & mask; keys->slots[at] != NULL; at = (at + 1) & mask) {
        size_t home = slot_of(keys, keys->slots[at]->scope);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            keys->slots[hole] = keys->slots[at];
            hole = at;
        }
    }
    keys->slots[hole] = NULL;
}

/* Room for that many keys at no more than three quarters full. */
static int slots_reserve(struct keys *keys, uint64_t count)
{
    size_t size = keys->slot_count;

    while (size / 4 * 3 < count) {
        size *= 2;
    }
    if (size == keys->slot_count) {
        return 0;
    }
    struct entry **slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        return -1;
    }
    free(keys->slots);
    keys->slots = slots;
    keys->slot_count = size;
    for (struct block *block = keys->oldest; block != NULL; block = block->next) {
        for (size_t at = block->first; at < block->used;) {
            struct entry *entry = (struct entry *)(void *)(block->data + at);
            keys->slots[slot_find(keys, entry->scope)] = entry;
            at += entry_size(entry->len);
        }
    }
    return 0;
}

/* ---- the log ---- */

static int blocks_reserve(struct keys *keys, size_t bytes)
{
    if ((keys->newest != NULL && keys->newest->size - keys->newest->used >= bytes) ||
        (keys->spare != NULL && keys->spare->size >= bytes)) {
        return 0;
    }
    size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL) {
        return -1;
    }
    *block = (struct block){.size = size};
    free(keys->spare);
    keys->spare = block;
    return 0;
}

/* A place behind the last entry; NULL when there is none and no memory. */
static struct entry *entry_place(struct keys *keys, size_t bytes)
{
    if (keys->newest == NULL || keys->newest->size - keys->newest->used < bytes) {
        if (blocks_reserve(keys, bytes) != 0) {
            return NULL;
        }
        struct block *block = keys->spare;
        keys->spare = NULL;
        if (keys->newest != NULL) {
            keys->newest->next = block;
        } else {
            keys->oldest = block;
        }
        keys->newest = block;
    }
    struct entry *entry = (struct entry *)(void *)(keys->newest->data + keys->newest->used);
    keys->newest->used += bytes;
    return entry;
}

/* -1 when out of memory. */
static int entry_add(struct keys *keys, const struct rec_key *key)
{
    size_t size = entry_size(key->answer.len);

    if (slots_reserve(keys, keys->count + 1) != 0) {
        return -1;
    }
    struct entry *entry = entry_place(keys, size);
    if (entry == NULL) {
        return -1;
    }
    memcpy(entry->scope, key->scope.ptr, SCOPE);
    memcpy(entry->body, key->body.ptr, SCOPE);
    memcpy(entry->answer, key->answer.ptr, key->answer.len);
    entry->id = key->id;
    entry->created_at = key->created_at;
    entry->len = key->answer.len;
    keys->slots[slot_find(keys, entry->scope)] = entry;
    keys->count++;
    keys->bytes += size;
    keys->newest_at = key->created_at;
    return 0;
}

static struct entry *entry_oldest(const struct keys *keys)
{
    return keys->count > 0 ? (struct entry *)(void *)(keys->oldest->data + keys->oldest->first) : NULL;
}

/* Forgets the oldest; its block goes with its last entry. */
static void entry_drop(struct keys *keys, struct entry *entry)
{
    size_t slot = slot_find(keys, entry->scope);
    struct block *block = keys->oldest;

    if (keys->slots[slot] == entry) { /* else a newer one of its scope has it */
        slot_clear(keys, slot);
    }
    keys->count--;
    keys->bytes -= entry_size(entry->len);
    block->first += entry_size(entry->len);
    if (block->first == block->used && block != keys->newest) {
        keys->oldest = block->next;
        free(block);
    } else if (block->first == block->used) {
        block->first = block->used = 0;
    }
}

/* Drops at most `most` keys that are over a limit, and their records. */
static void keys_drop(struct keys *keys, struct journal *journal, uint64_t now_ms, int most)
{
    for (int i = 0; i < most && keys->count > 0; i++) {
        struct entry *entry = entry_oldest(keys);
        bool old = now_ms >= keys->max_age_ms && entry->created_at <= now_ms - keys->max_age_ms;
        if (!old && keys->count <= keys->max && keys->bytes <= KEYS_BYTES) {
            return;
        }
        journal_delete(journal, TYPE_KEY, entry->id);
        entry_drop(keys, entry);
    }
}

/* ---- the calls ---- */

struct keys *keys_new(uint64_t max, uint64_t max_age_ms)
{
    struct keys *keys = calloc(1, sizeof *keys);

    if (keys == NULL) {
        return NULL;
    }
    *keys = (struct keys){.max = max, .max_age_ms = max_age_ms, .next_id = 1, .slot_count = FIRST_SLOTS};
    randombytes_buf(keys->seed, sizeof keys->seed);
    keys->slots = calloc(keys->slot_count, sizeof(struct entry *));
    if (keys->slots == NULL) {
        keys_free(keys);
        return NULL;
    }
    return keys;
}

void keys_free(struct keys *keys)
{
    if (keys == NULL) {
        return;
    }
    while (keys->oldest != NULL) {
        struct block *block = keys->oldest;
        keys->oldest = block->next;
        free(block);
    }
    free(keys->spare);
    free(keys->slots);
    free(keys);
}

void keys_limits(struct keys *keys, uint64_t max, uint64_t max_age_ms)
{
    keys->max = max;
    keys->max_age_ms = max_age_ms;
}

enum key_verdict keys_find(const struct keys *keys, const struct rec_idem *idem, struct str *answer)
{
    const struct entry *entry = keys->slots[slot_find(keys, (const uint8_t *)idem->scope.ptr)];

    if (entry == NULL) {
        return KEY_NEW;
    }
    if (memcmp(entry->body, idem->body.ptr, SCOPE) != 0) {
        return KEY_REUSED;
    }
    *answer = (struct str){entry->answer, entry->len};
    return KEY_KNOWN;
}

int keys_reserve(struct keys *keys)
{
    return keys_reserve_many(keys, 1);
}

int keys_reserve_many(struct keys *keys, uint32_t count)
{
    /* Each entry may be rounded up, and one that does not fit behind the newest moves on to the spare, which alone has room for all. */
    size_t bytes = ANSWER_MAX + count * entry_size(_Alignof(struct entry));

    return slots_reserve(keys, keys->count + count) != 0 ? -1 : blocks_reserve(keys, bytes);
}

void keys_store(struct keys *keys, struct journal *journal, const struct rec_idem *idem, struct str answer, uint64_t now_ms)
{
    if (answer.len == 0 || answer.len > ANSWER_MAX) {
        return;
    }
    struct rec_key key = {
        .id = keys->next_id++, .scope = idem->scope, .body = idem->body, .answer = answer, .created_at = now_ms};
    /* Even a key that found no room in memory is written: then it counts from the next start on. */
    (void)entry_add(keys, &key);
    journal_put(journal, TYPE_KEY, key.id, &key);
    keys_drop(keys, journal, now_ms, DROP_STORE);
}

int keys_load(struct keys *keys, const struct rec_key *key)
{
    if (key->id >= keys->next_id) {
        keys->next_id = key->id + 1;
    }
    return entry_add(keys, key);
}

void keys_next_id(struct keys *keys, uint64_t id)
{
    keys->next_id = id > keys->next_id ? id : keys->next_id;
}

void keys_expire(struct keys *keys, struct journal *journal, uint64_t now_ms)
{
    const struct entry *entry = entry_oldest(keys);

    if (entry == NULL ||
        (keys->count <= keys->max && keys->bytes <= KEYS_BYTES && entry->created_at + keys->max_age_ms > now_ms) ||
        journal_reserve(journal, DROP_CALL * DELETE_BYTES, DROP_CALL, NULL) != 0) {
        return;
    }
    keys_drop(keys, journal, now_ms, DROP_CALL);
}

uint64_t keys_newest_at(const struct keys *keys)
{
    return keys->count > 0 ? keys->newest_at : 0;
}

uint64_t keys_count(const struct keys *keys)
{
    return keys->count;
}
