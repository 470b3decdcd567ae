/* When a schedule is due next, for people who look ahead: also one that belongs to no task. */
#ifndef GANTRY_SCHEDULER_FIRE_TIMES_H
#define GANTRY_SCHEDULER_FIRE_TIMES_H

#include "scheduler/core_state.h"

core_handler fire_times_on_ask;

#endif
