/* Events by time: a ring of one list a millisecond for what is near, a heap for what is far. Both keep the order in which things of
 * the same millisecond were planned: what is far moves into the ring at the moment it becomes near, before anything new can. */
#include <stdlib.h>

#include "tests/sim/sim.h"

#define NEAR 65536u /* ms */

static struct list {
    struct event *first, *last;
} ring[NEAR];
static uint64_t bits[NEAR / 64];
static struct event **heap;
static size_t far_count, far_size;
static uint64_t order, moved; /* everything before `moved` is in the ring */
static struct event *spare;

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void far_push(struct event *event)
{
    if (far_count == far_size) {
        far_size = far_size ? far_size * 2 : 1024;
        heap = realloc(heap, far_size * sizeof *heap);
    }
    size_t at = far_count++;
    while (at > 0 && sooner(event, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = event;
}

static struct event *far_pop(void)
{
    struct event *top = heap[0], *last = heap[--far_count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= far_count)
            break;
        if (child + 1 < far_count && sooner(heap[child + 1], heap[child]))
            child++;
        if (!sooner(heap[child], last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    if (far_count)
        heap[at] = last;
    return top;
}

static void ring_add(struct event *event)
{
    struct list *list = &ring[event->at % NEAR];
    event->next = NULL;
    if (list->last)
        list->last->next = event;
    else
        list->first = event;
    list->last = event;
    bits[event->at % NEAR / 64] |= UINT64_C(1) << event->at % 64;
}

static void far_move(void)
{
    moved = sim.now + NEAR;
    while (far_count && heap[0]->at < moved)
        ring_add(far_pop());
}

void wheel_add(uint64_t at, enum event_kind kind, uint32_t who, struct packet *packet, uint64_t number)
{
    struct event *event = spare;
    if (event)
        spare = event->next;
    else
        event = malloc(sizeof *event);
    *event = (struct event){.at = at < sim.now ? sim.now : at, .order = order++, .kind = kind, .who = who};
    if (packet)
        event->arg.packet = packet;
    else
        event->arg.number = number;
    if (event->at < moved)
        ring_add(event);
    else
        far_push(event);
}

void wheel_done(struct event *event)
{
    event->next = spare;
    spare = event;
}

/* The next ms with something in the ring, at or behind now; NEVER: none. */
static uint64_t ring_next(void)
{
    uint64_t at = sim.now % NEAR, word = at / 64;
    uint64_t some = bits[word] & (~UINT64_C(0) << at % 64);
    for (uint64_t i = 0; i <= NEAR / 64; i++) {
        if (some) {
            uint64_t found = word * 64 + (uint64_t)__builtin_ctzll(some);
            return sim.now + (found + NEAR - at) % NEAR;
        }
        word = (word + 1) % (NEAR / 64);
        some = bits[word];
    }
    return NEVER;
}

struct event *wheel_take(uint64_t until)
{
    for (;;) {
        uint64_t next = ring_next();
        if (next == NEVER && far_count)
            next = heap[0]->at; /* nothing is near */
        if (next > until)
            return NULL;
        if (next != sim.now) {
            sim.now = next;
            far_move();
        }
        struct list *list = &ring[next % NEAR];
        struct event *event = list->first;
        if (!event)
            continue;
        list->first = event->next;
        if (!list->first) {
            list->last = NULL;
            bits[next % NEAR / 64] &= ~(UINT64_C(1) << next % 64);
        }
        sim.events++;
        return event;
    }
}

static void event_drop(struct event *event)
{
    if (event->kind == EVENT_UP || event->kind == EVENT_DOWN || event->kind == EVENT_STORE || event->kind == EVENT_REPLY)
        free(event->arg.packet);
    free(event);
}

void wheel_reset(void)
{
    for (size_t i = 0; i < NEAR; i++)
        for (struct event *event = ring[i].first, *next; event; event = next) {
            next = event->next;
            event_drop(event);
        }
    memset(ring, 0, sizeof ring);
    memset(bits, 0, sizeof bits);
    for (size_t i = 0; i < far_count; i++)
        event_drop(heap[i]);
    for (struct event *event = spare, *next; event; event = next) {
        next = event->next;
        free(event);
    }
    free(heap);
    heap = NULL;
    spare = NULL;
    far_count = far_size = 0;
    order = 0;
    sim.now = 0;
    moved = NEAR;
}
