/* The invariants of the core's memory, checked from outside by the tests. */
#ifndef GANTRY_TESTS_CORE_CHECK_H
#define GANTRY_TESTS_CORE_CHECK_H

#include "scheduler/core.h"

void core_check(const struct core *core);

#endif
