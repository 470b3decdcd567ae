/* Why a run waits: RUN_WHY. */
#ifndef GANTRY_SCHEDULER_WHY_H
#define GANTRY_SCHEDULER_WHY_H

#include "scheduler/core_state.h"

core_handler why_on_ask;

#endif
