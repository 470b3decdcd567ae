/* Who gets what: waiting runs to workers with room. */
#ifndef GANTRY_SCHEDULER_DISPATCH_H
#define GANTRY_SCHEDULER_DISPATCH_H

#include "scheduler/core_state.h"

void dispatch_settle(struct core *core);

/* The assignment of a run that has a lease, as it was given out; borrows from the run and the core's arena. -1 when out of memory. */
int dispatch_row(struct core *core, const struct run *run, struct rec_assignment *row);
size_t dispatch_bytes(const struct run *run); /* a bound on it, encoded */

#endif
