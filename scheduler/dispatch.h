/* Who gets what: waiting runs to workers with room. */
#ifndef GANTRY_SCHEDULER_DISPATCH_H
#define GANTRY_SCHEDULER_DISPATCH_H

#include "scheduler/core_state.h"

void dispatch_settle(struct core *core);

#endif
