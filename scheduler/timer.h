/* What becomes due: delayed runs, schedules, leases, silent workers, runs over their timeout. */
#ifndef GANTRY_SCHEDULER_TIMER_H
#define GANTRY_SCHEDULER_TIMER_H

#include "scheduler/core_state.h"

#define TIMER_IDLE_MS 1000 /* the longest it may go without a look */
#define TIMER_BACK_MS 5000 /* a wall clock this far behind was set back */
/* By so much it was wrong, and schedules follow the new time; by less their due times stay, so that none comes twice. */
#define TIMER_WRONG_MS 10800000

/* Does what is due; answers the ms until the next, at most TIMER_IDLE_MS. */
uint64_t timer_tick(struct core *core);

#endif
