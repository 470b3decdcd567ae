/* How a domain (transcode, render, recorder, …) joins the core. The core calls these rows and knows nothing else of a farm.
 *
 * A farm decides what its runs are; queue, leases, retries, timeouts and records stay the core's.
 */
#ifndef GANTRY_SCHEDULER_FARMS_FARM_H
#define GANTRY_SCHEDULER_FARMS_FARM_H

#include "scheduler/core.h"

/* What a farm sees of a run; borrowed for the call. */
struct farm_run {
    const struct rec_run *run;
};

struct farm {
    const char *name; /* rec_run.farm of its runs; at most 32 bytes */

    /* Makes runs of a task of the farm's: calls farm_add_run for each. What the trigger says of a run (parameters, priority, time,
     * timeout) is laid over each of them. -1 with err: nothing is made. May be NULL. */
    int (*expand)(void *self, struct core *core, const struct rec_task *task, const struct rec_trigger *trigger, struct err *err);

    /* Among waiting runs of this farm, whether this worker should get this one: negative refuses it, else the higher score first.
     * NULL: queue order. Some dozen runs are offered together, fewer to thousands of workers with room, and so on behind those that
     * nobody is wanted for, up to a bound in each wake-up. What all have been refused for is offered again when a worker has room anew.
     */
    int64_t (*choose)(void *self, const struct rec_worker *worker, const struct farm_run *run);

    /* A run has become final (its record says how); called once, in the batch that makes it final. May be NULL. */
    void (*ended)(void *self, struct core *core, const struct farm_run *run);

    void *self;
};

/* Adds one run to the batch being formed, from within expand or ended. spec says what a worker is to do. Answers its id, 0 with err. */
uint64_t farm_add_run(struct core *core, const struct farm *farm, uint64_t task_id, const struct rec_task_spec *spec,
                      struct str farm_data, struct err *err);

#endif
