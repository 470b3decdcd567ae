/* What workers report of their runs: results, outputs, progress, log lines. */
#ifndef GANTRY_SCHEDULER_REPORT_H
#define GANTRY_SCHEDULER_REPORT_H

#include "scheduler/core_state.h"

core_handler report_on_result, report_on_publish, report_on_progress, report_on_log, report_on_lines;

#endif
