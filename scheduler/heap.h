/* A binary heap whose members know their place, so that any of them can be taken out. */
#ifndef GANTRY_SCHEDULER_HEAP_H
#define GANTRY_SCHEDULER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {  /* lives in what is ordered */
    int64_t key;    /* the smallest is on top */
    uint64_t id;    /* orders equal keys */
    uint32_t place; /* 1-based; 0: in no heap */
};

struct heap { /* zeroed: an empty one */
    struct heap_node **nodes;
    uint32_t count, size;
};

#define heap_of(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

void heap_free(struct heap *heap);
/* Room for `count` members in all; -1 when out of memory. heap_push within it cannot fail. */
int heap_reserve(struct heap *heap, size_t count);
void heap_push(struct heap *heap, struct heap_node *node);
void heap_remove(struct heap *heap, struct heap_node *node); /* one that is in no heap is left alone */
void heap_moved(struct heap *heap, struct heap_node *node);  /* after its key changed */
/* How many members stand before this node, which need not be one; at most `most` are counted. */
uint32_t heap_count_before(const struct heap *heap, const struct heap_node *node, uint32_t most);

/* The order of members. */
static inline bool heap_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->id < b->id;
}

static inline struct heap_node *heap_top(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

#endif
