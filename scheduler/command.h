/* Commands about runs, and what is true of them this second. */
#ifndef GANTRY_SCHEDULER_COMMAND_H
#define GANTRY_SCHEDULER_COMMAND_H

#include "scheduler/core_state.h"

core_handler command_on_trigger, command_on_trigger_batch, command_on_submit, command_on_restart, command_on_abort;

/* Makes the runs a trigger asks for: one, or what the task's farm makes of it. Reserves for itself. NULL with fault. */
struct run *command_trigger(struct core *core, struct task *task, const struct rec_trigger *trigger, size_t extra,
                            struct fault *fault);
/* True when what command_trigger refused stays refused; else it may succeed later, with more room or memory. */
bool command_refused(const struct fault *fault);

#endif
