/* A gate: how often attempts of a task may start (task_spec.rate).
 *
 * A token bucket of `rate` a minute that holds the tokens of one second, at least one. Runs of the task wait here, best first, and as
 * many as there are tokens for are let through to the queue; a token is used up when an attempt is given to a worker, whatever becomes of
 * it. So a task with a million runs stands in the queue with a handful. A run that is better than one let through takes its place.
 *
 * Time is the monotonic clock's. What a restart knows is when the task's newest attempt began (task_stat.last_run_at): the bucket is
 * taken to have been empty then, so that over a restart there are never more starts than the rate allows, and at most those of a second
 * fewer.
 *
 * A gate is made when its task first has a rate, and stays; with the rate 0 it is open, and nothing waits in it.
 */
#ifndef GANTRY_SCHEDULER_GATE_H
#define GANTRY_SCHEDULER_GATE_H

#include "scheduler/core_state.h"

struct gate {
    struct heap_node node; /* in core->gates by mono ms: when the next run may be let through; id: the task's */
    struct heap waiting;   /* of runs */
    struct run **let;      /* through: in the queue, or about to be given out */
    uint32_t let_count, let_size;
    uint32_t runs; /* of the task: what room is kept for */
    uint32_t rate; /* a minute; 0: any number */
    uint32_t burst;
    uint64_t interval_us; /* between two tokens */
    uint64_t full_us;     /* mono: when the bucket is full again */
};

/* A gate for this rate (and room to change to it), with room for so many runs; *gate may be NULL and is then made. -1 when out of
 * memory. */
int gate_reserve(struct core *core, struct gate **gate, uint32_t rate, uint32_t runs);
void gate_free(struct core *core, struct gate *gate); /* takes NULL */
/* Another rate, of a gate that holds nothing; reserved. last_ms: wall time of the newest start, 0 for none. */
void gate_set(struct core *core, struct gate *gate, uint32_t rate, uint64_t last_ms);

void gate_add(struct core *core, struct gate *gate, struct run *run);    /* it may start, as far as the rest is concerned */
void gate_remove(struct core *core, struct gate *gate, struct run *run); /* it is no more to start: out of here or the queue */
void gate_start(struct core *core, struct gate *gate, const struct run *run); /* one that was let through is given to a worker */
bool gate_holds(const struct gate *gate, const struct run *run);

void gates_open(struct core *core); /* those whose time has come */

#endif
