#include "proto/arena.h"

#include <stdlib.h>

#define BLOCK_FIRST ((size_t)8 << 10)
#define BLOCK_GROWTH_MAX ((size_t)1 << 20) /* blocks double up to here; what reset keeps is no larger */
#define ALIGN ((size_t)16)

/* Blocks form a list, newest first; only the newest has room. */
struct block {
    struct block *next;
    size_t size; /* of the bytes behind this head */
    size_t used;
    _Alignas(16) unsigned char bytes[];
};

struct arena {
    struct block *newest;
    size_t limit;
    size_t used; /* handed out, rounded to ALIGN */
    bool starved;
};

struct arena *arena_new(size_t limit)
{
    struct arena *arena = calloc(1, sizeof *arena);

    if (arena != NULL) {
        arena->limit = limit;
    }
    return arena;
}

static void blocks_free(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_free(struct arena *arena)
{
    if (arena != NULL) {
        blocks_free(arena->newest);
        free(arena);
    }
}

void arena_reset(struct arena *arena)
{
    struct block *kept = arena->newest;

    /* Blocks grow, so that an arena in steady use comes down to the one block that fits. */
    if (kept != NULL && kept->size > BLOCK_GROWTH_MAX) {
        blocks_free(kept);
        kept = NULL;
    } else if (kept != NULL) {
        blocks_free(kept->next);
        kept->next = NULL;
        kept->used = 0;
    }
    arena->newest = kept;
    arena->used = 0;
    arena->starved = false;
}

bool arena_starved(const struct arena *arena)
{
    return arena->starved;
}

static struct block *block_add(struct arena *arena, size_t need)
{
    size_t size = BLOCK_FIRST;

    if (arena->newest != NULL) {
        size = arena->newest->size < BLOCK_GROWTH_MAX / 2 ? arena->newest->size * 2 : BLOCK_GROWTH_MAX;
    }
    if (size < need) {
        size = need;
    }
    struct block *block = malloc(sizeof *block + size);
    if (block != NULL) {
        *block = (struct block){.next = arena->newest, .size = size};
        arena->newest = block;
    }
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t left = arena->limit - arena->used;

    if (size > left) {
        return NULL;
    }
    size_t need = size == 0 ? ALIGN : (size + ALIGN - 1) & ~(ALIGN - 1);
    struct block *block = arena->newest;
    if (block == NULL || block->size - block->used < need) {
        block = block_add(arena, need);
        if (block == NULL) {
            arena->starved = true;
            return NULL;
        }
    }
    void *at = block->bytes + block->used;
    block->used += need;
    arena->used += need < left ? need : left; /* rounding up does not cost what the limit still allows */
    return memset(at, 0, need);
}

struct str arena_str(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, (size_t)text.len + 1);

    if (copy == NULL) {
        return (struct str){NULL, 0};
    }
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    return (struct str){copy, text.len};
}
