/* Who gets what: waiting runs to workers with room. */
#ifndef GANTRY_SCHEDULER_DISPATCH_H
#define GANTRY_SCHEDULER_DISPATCH_H

#include "scheduler/core_state.h"

void dispatch_settle(struct core *core);

/* A run that its farm has just made (farm_make) joins, and is given to this worker, in one batch; one with a session is sent its ASSIGN.
 * room: what the caller appends behind it. -1 with fault: nothing has changed, and the run is still the caller's. */
struct dispatch_room {
    size_t bytes, answer;
    uint32_t ops;
};
int dispatch_made(struct core *core, struct worker *worker, struct run *run, const struct dispatch_room *room,
                  struct fault *fault);

/* The assignment of a run that has a lease, as it was given out; borrows from the run and the core's arena. -1 when out of memory. */
int dispatch_row(struct core *core, const struct run *run, struct rec_assignment *row);
size_t dispatch_bytes(const struct run *run); /* a bound on it, encoded */

#endif
