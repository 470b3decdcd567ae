/* Commands about many runs at once: RUN_BULK, RUN_PURGE. */
#ifndef GANTRY_SCHEDULER_BULK_H
#define GANTRY_SCHEDULER_BULK_H

#include "scheduler/core_state.h"

core_handler bulk_on_ask, bulk_on_purge;

#endif
