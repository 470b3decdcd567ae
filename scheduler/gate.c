/* A gate: how often attempts of a task may start. */
#include "scheduler/gate.h"

#include <stdlib.h>

#include "scheduler/queue.h"
#include "scheduler/run.h"

#define MINUTE_US UINT64_C(60000000)
#define SECONDS 60 /* of a minute */

static uint32_t burst_of(uint32_t rate)
{
    return rate > SECONDS ? rate / SECONDS : 1;
}

int gate_reserve(struct core *core, struct gate **gate, uint32_t rate, uint32_t runs)
{
    struct gate *made = *gate;
    uint32_t burst = burst_of(rate);
    if (!made && (heap_reserve(&core->gates, core->gate_total + 1) || !(made = calloc(1, sizeof *made))))
        return -1;
    core->gate_total += !*gate;
    *gate = made;
    if (heap_reserve(&made->waiting, runs))
        return -1;
    if (burst <= made->let_size)
        return 0;
    struct run **let = realloc(made->let, burst * sizeof(struct run *));
    if (!let)
        return -1;
    made->let = let;
    made->let_size = burst;
    return 0;
}

void gate_free(struct core *core, struct gate *gate)
{
    if (!gate)
        return;
    heap_remove(&core->gates, &gate->node);
    core->gate_total--;
    heap_free(&gate->waiting);
    free(gate->let);
    free(gate);
}

static uint64_t now_us(const struct core *core)
{
    return core->mono_ms * 1000;
}

void gate_set(struct core *core, struct gate *gate, uint32_t rate, uint64_t last_ms)
{
    uint64_t since_us = core->wall_ms > last_ms ? (core->wall_ms - last_ms) * 1000 : 0;
    heap_remove(&core->gates, &gate->node);
    gate->rate = rate;
    gate->burst = burst_of(rate);
    gate->interval_us = rate ? MINUTE_US / rate + (MINUTE_US % rate != 0) : 0; /* rather too rarely than too often */
    uint64_t fills_us = gate->burst * gate->interval_us;
    gate->full_us = last_ms && fills_us > since_us ? now_us(core) + fills_us - since_us : 0;
}

/* When the bucket has so many tokens. */
static uint64_t tokens_at_us(const struct gate *gate, uint32_t tokens)
{
    uint64_t missing_us = (gate->burst - tokens) * gate->interval_us;
    return gate->full_us > missing_us ? gate->full_us - missing_us : 0;
}

static bool token_is_free(const struct core *core, const struct gate *gate)
{
    return gate->let_count < gate->burst && tokens_at_us(gate, gate->let_count + 1) <= now_us(core);
}

bool gate_holds(const struct gate *gate, const struct run *run)
{
    uint32_t place = run->node.place;
    return place && place <= gate->waiting.count && gate->waiting.nodes[place - 1] == &run->node;
}

/* The worst of those let through that no worker is about to get; let_size: there is none. */
static uint32_t worst_let(const struct gate *gate)
{
    uint32_t worst = gate->let_size;
    for (uint32_t i = 0; i < gate->let_count; i++) {
        const struct heap_node *node = &gate->let[i]->node;
        if (node->place && (worst == gate->let_size || heap_before(&gate->let[worst]->node, node)))
            worst = i;
    }
    return worst;
}

static void let_best(struct core *core, struct gate *gate)
{
    struct run *run = heap_of(heap_top(&gate->waiting), struct run, node);
    heap_remove(&gate->waiting, &run->node);
    gate->let[gate->let_count++] = run;
    queue_enter(core, run);
}

/* One that waits and is better than one that was let through takes its place. */
static void let_better(struct core *core, struct gate *gate)
{
    uint32_t worst = gate->waiting.count && gate->let_count ? worst_let(gate) : gate->let_size;
    if (worst == gate->let_size || !heap_before(heap_top(&gate->waiting), &gate->let[worst]->node))
        return;
    struct run *run = gate->let[worst];
    gate->let[worst] = gate->let[--gate->let_count];
    queue_leave(core, run);
    let_best(core, gate);
    heap_push(&gate->waiting, &run->node);
}

static void gate_open(struct core *core, struct gate *gate)
{
    heap_remove(&core->gates, &gate->node);
    while (gate->waiting.count && token_is_free(core, gate))
        let_best(core, gate);
    if (!gate->waiting.count || gate->let_count == gate->burst)
        return; /* the next start or end of one let through opens it */
    gate->node.key = (int64_t)((tokens_at_us(gate, gate->let_count + 1) + 999) / 1000);
    heap_push(&core->gates, &gate->node);
}

void gate_add(struct core *core, struct gate *gate, struct run *run)
{
    heap_push(&gate->waiting, &run->node);
    gate_open(core, gate);
    let_better(core, gate);
}

static bool let_forget(struct gate *gate, const struct run *run)
{
    for (uint32_t i = 0; i < gate->let_count; i++)
        if (gate->let[i] == run) {
            gate->let[i] = gate->let[--gate->let_count];
            return true;
        }
    return false;
}

void gate_remove(struct core *core, struct gate *gate, struct run *run)
{
    bool held = gate_holds(gate, run);
    if (held)
        heap_remove(&gate->waiting, &run->node);
    else
        queue_leave(core, run);
    if (held || let_forget(gate, run))
        gate_open(core, gate);
}

void gate_start(struct core *core, struct gate *gate, const struct run *run)
{
    if (!let_forget(gate, run))
        return;
    uint64_t now = now_us(core);
    gate->full_us = (gate->full_us > now ? gate->full_us : now) + gate->interval_us;
    gate_open(core, gate);
}

void gates_open(struct core *core)
{
    struct heap_node *top;
    while ((top = heap_top(&core->gates)) && (uint64_t)top->key <= core->mono_ms)
        gate_open(core, heap_of(top, struct gate, node));
}
