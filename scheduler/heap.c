/* A binary heap whose members know their place. */
#include "scheduler/heap.h"

#include <stdlib.h>

void heap_free(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}

int heap_reserve(struct heap *heap, size_t count)
{
    if (count <= heap->size)
        return 0;
    if (count > UINT32_MAX / 2)
        return -1;
    size_t size = heap->size ? heap->size : 8;
    while (size < count)
        size *= 2;
    struct heap_node **nodes = realloc(heap->nodes, size * sizeof *nodes);
    if (!nodes)
        return -1;
    heap->nodes = nodes;
    heap->size = (uint32_t)size;
    return 0;
}

static void heap_set(struct heap *heap, uint32_t at, struct heap_node *node)
{
    heap->nodes[at] = node;
    node->place = at + 1;
}

static void heap_rise(struct heap *heap, uint32_t at, struct heap_node *node)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!heap_before(node, heap->nodes[parent]))
            break;
        heap_set(heap, at, heap->nodes[parent]);
        at = parent;
    }
    heap_set(heap, at, node);
}

static void heap_sink(struct heap *heap, uint32_t at, struct heap_node *node)
{
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= heap->count)
            break;
        for (uint32_t next = child * 2 + 1, i = 0; i < 4 && next + i < heap->count; i++)
            __builtin_prefetch(heap->nodes[next + i]);
        if (child + 1 < heap->count && heap_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!heap_before(heap->nodes[child], node))
            break;
        heap_set(heap, at, heap->nodes[child]);
        at = child;
    }
    heap_set(heap, at, node);
}

void heap_push(struct heap *heap, struct heap_node *node)
{
    heap_rise(heap, heap->count++, node);
}

void heap_moved(struct heap *heap, struct heap_node *node)
{
    uint32_t at = node->place - 1;
    if (at > 0 && heap_before(node, heap->nodes[(at - 1) / 2]))
        heap_rise(heap, at, node);
    else
        heap_sink(heap, at, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->place == 0)
        return;
    uint32_t at = node->place - 1;
    struct heap_node *last = heap->nodes[--heap->count];
    node->place = 0;
    if (last == node)
        return;
    heap_set(heap, at, last);
    heap_moved(heap, last);
}

/* Those before it are the top of the heap: only they, and what stands directly below them, are looked at. */
uint32_t heap_count_before(const struct heap *heap, const struct heap_node *node, uint32_t most)
{
    uint32_t count = 0;
    uint64_t at = 1; /* as places: the children of n are 2n and 2n + 1 */
    while (count < most) {
        if (at <= heap->count && heap_before(heap->nodes[at - 1], node)) {
            count++;
            at *= 2;
            continue;
        }
        while (at % 2 && at > 1)
            at /= 2;
        if (at == 1)
            break;
        at++;
    }
    return count;
}
