#include "worker/video/known.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define TEXTS_MAX ((size_t)8 << 30)

void known_clear(struct known_table *table)
{
    free(table->items);
    free(table->by_path);
    free(table->by_hash);
    free(table->empty);
    arena_free(table->texts);
    *table = (struct known_table){0};
}

static const char *text_keep(struct known_table *table, struct str text)
{
    if (!table->texts)
        table->texts = arena_new(TEXTS_MAX);
    return table->texts ? arena_str(table->texts, text).ptr : NULL;
}

int known_add(struct known_table *table, const struct known *known, struct str path)
{
    if (table->count == table->size) {
        uint32_t size = table->size ? table->size * 2 : 1024;
        struct known *items = table->count < KNOWN_MAX ? realloc(table->items, size * sizeof(*items)) : NULL;
        if (!items)
            return -1;
        table->items = items;
        table->size = size;
    }
    struct known *item = &table->items[table->count];
    *item = *known;
    item->path = text_keep(table, path);
    if (!item->path)
        return -1;
    table->count++;
    return 0;
}

static uint32_t path_bucket(const struct known_table *table, const char *path, size_t len)
{
    return (uint32_t)(XXH3_64bits(path, len) & (table->buckets - 1));
}

static uint32_t hash_bucket(const struct known_table *table, uint64_t size, const unsigned char hash[PROBE_HASH])
{
    uint64_t word;
    memcpy(&word, hash, sizeof(word));
    return (uint32_t)((word ^ size) & (table->buckets - 1));
}

int known_index(struct known_table *table)
{
    table->buckets = 1024;
    while (table->buckets < table->count)
        table->buckets *= 2;
    table->by_path = calloc(table->buckets, sizeof(*table->by_path));
    table->by_hash = calloc(table->buckets, sizeof(*table->by_hash));
    if (!table->by_path || !table->by_hash)
        return -1;
    for (uint32_t i = 0; i < table->count; i++) {
        struct known *item = &table->items[i];
        uint32_t *path = &table->by_path[path_bucket(table, item->path, strlen(item->path))];
        uint32_t *hash = &table->by_hash[hash_bucket(table, item->size, item->hash)];
        item->next_path = *path;
        item->next_hash = *hash;
        *path = *hash = i + 1;
    }
    return 0;
}

struct known *known_at(const struct known_table *table, const char *path)
{
    for (uint32_t at = table->by_path[path_bucket(table, path, strlen(path))]; at; at = table->items[at - 1].next_path)
        if (strcmp(table->items[at - 1].path, path) == 0)
            return &table->items[at - 1];
    return NULL;
}

struct known *known_missing(const struct known_table *table, uint64_t size, const unsigned char hash[PROBE_HASH])
{
    for (uint32_t at = table->by_hash[hash_bucket(table, size, hash)]; at; at = table->items[at - 1].next_hash) {
        struct known *item = &table->items[at - 1];
        if (!item->met && !item->moved && item->size == size && memcmp(item->hash, hash, PROBE_HASH) == 0)
            return item;
    }
    return NULL;
}

/* ---- folders without entries ---- */

int known_empty(struct known_table *table, const char *folder)
{
    if (table->empty_count == table->empty_size) {
        uint32_t size = table->empty_size ? table->empty_size * 2 : 64;
        const char **empty = realloc(table->empty, size * sizeof(*empty));
        if (!empty)
            return -1;
        table->empty = empty;
        table->empty_size = size;
    }
    const char *text = text_keep(table, str_of(folder));
    if (!text)
        return -1;
    table->empty[table->empty_count++] = text;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Which of the empty folders it stood below, by number; empty_count: none. */
static uint32_t folder_of(const struct known_table *table, const struct known *item)
{
    char path[4096];
    size_t len = strlen(item->path);
    const char *key = path;
    if (len >= sizeof(path))
        return table->empty_count;
    memcpy(path, item->path, len + 1);
    for (char *slash; (slash = strrchr(path, '/'));) {
        *slash = '\0';
        const char **found = bsearch(&key, table->empty, table->empty_count, sizeof(*table->empty), by_text);
        if (found)
            return (uint32_t)(found - table->empty);
    }
    return table->empty_count;
}

uint32_t known_hold(struct known_table *table)
{
    uint32_t held = 0;
    uint32_t *counts = calloc((size_t)table->empty_count + 1, sizeof(*counts));
    if (!counts) {
        for (uint32_t i = 0; i < table->count; i++)
            table->items[i].held = true; /* when in doubt nothing is gone */
        return table->count;
    }
    if (table->empty_count)
        qsort(table->empty, table->empty_count, sizeof(*table->empty), by_text);
    for (int pass = 0; pass < 2 && table->empty_count; pass++)
        for (uint32_t i = 0; i < table->count; i++) {
            struct known *item = &table->items[i];
            uint32_t folder = item->met || item->moved ? table->empty_count : folder_of(table, item);
            if (folder == table->empty_count)
                continue;
            if (pass == 0)
                counts[folder]++;
            else if (counts[folder] >= KNOWN_HELD) {
                item->held = true;
                held++;
            }
        }
    free(counts);
    return held;
}
