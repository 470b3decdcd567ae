#include "gateway/still_cache.h"

#include <stdlib.h>

struct entry {
    struct still_key key;
    char *bytes; /* NULL: it is free */
    uint32_t len;
    uint64_t used; /* the higher the later */
};

struct still_cache {
    struct entry entries[STILL_CACHE_ENTRIES];
    size_t bytes;
    uint64_t uses;
};

struct still_cache *still_cache_new(void)
{
    return calloc(1, sizeof(struct still_cache));
}

static void entry_clear(struct still_cache *cache, struct entry *entry)
{
    cache->bytes -= entry->len;
    free(entry->bytes);
    *entry = (struct entry){0};
}

void still_cache_free(struct still_cache *cache)
{
    for (size_t i = 0; cache && i < STILL_CACHE_ENTRIES; i++)
        free(cache->entries[i].bytes);
    free(cache);
}

static struct entry *entry_find(struct still_cache *cache, const struct still_key *key)
{
    for (size_t i = 0; i < STILL_CACHE_ENTRIES; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->bytes && entry->key.inode == key->inode && entry->key.device == key->device && entry->key.size == key->size &&
            entry->key.changed_ns == key->changed_ns)
            return entry;
    }
    return NULL;
}

struct str still_cache_find(struct still_cache *cache, const struct still_key *key)
{
    struct entry *entry = entry_find(cache, key);
    if (!entry)
        return (struct str){0};
    entry->used = ++cache->uses;
    return (struct str){entry->bytes, entry->len};
}

/* A free entry, when there is room for so many bytes more; else the one that was used least lately, which is cleared. */
static struct entry *entry_make(struct still_cache *cache, uint32_t len)
{
    for (;;) {
        struct entry *none = NULL, *oldest = NULL;
        for (size_t i = 0; i < STILL_CACHE_ENTRIES; i++) {
            struct entry *entry = &cache->entries[i];
            if (!entry->bytes)
                none = entry;
            else if (!oldest || entry->used < oldest->used)
                oldest = entry;
        }
        if (none && cache->bytes + len <= STILL_CACHE_BYTES)
            return none;
        entry_clear(cache, oldest);
    }
}

void still_cache_put(struct still_cache *cache, const struct still_key *key, struct str jpeg)
{
    char *copy = jpeg.len && jpeg.len <= STILL_CACHE_BYTES && !entry_find(cache, key) ? malloc(jpeg.len) : NULL;
    if (!copy)
        return;
    memcpy(copy, jpeg.ptr, jpeg.len);
    struct entry *entry = entry_make(cache, jpeg.len);
    *entry = (struct entry){.key = *key, .bytes = copy, .len = jpeg.len, .used = ++cache->uses};
    cache->bytes += jpeg.len;
}
