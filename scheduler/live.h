/* What is true of a run this second. */
#ifndef GANTRY_SCHEDULER_LIVE_H
#define GANTRY_SCHEDULER_LIVE_H

#include "scheduler/core_state.h"

/* Borrows from the run and the core's arena; -1 when out of memory. */
int live_fill(struct core *core, const struct run *run, struct rec_live_run *row);

core_handler live_on_runs; /* RUN_LIVE */

#endif
