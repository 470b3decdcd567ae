/* What workers report of their runs: results, outputs, progress, log lines. */
#ifndef GANTRY_SCHEDULER_REPORT_H
#define GANTRY_SCHEDULER_REPORT_H

#include "scheduler/core_state.h"

/* What was said of that attempt changes nothing, and its sender is told to stop. Reserves for itself; without room it is asked again. */
void report_refuse(struct core *core, const struct core_call *call, uint64_t run_id, uint64_t attempt, const char *why);

core_handler report_on_result, report_on_publish, report_on_progress, report_on_log, report_on_lines;

#endif
