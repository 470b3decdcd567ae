/* Commands about runs, and what is true of them this second. */
#ifndef GANTRY_SCHEDULER_COMMAND_H
#define GANTRY_SCHEDULER_COMMAND_H

#include "scheduler/core_state.h"

core_handler command_on_trigger, command_on_trigger_batch, command_on_submit, command_on_restart, command_on_abort;

/* Makes the runs a trigger asks for: one, or what the task's farm makes of it. Reserves for itself. NULL with fault. */
struct run *command_trigger(struct core *core, struct task *task, const struct rec_trigger *trigger, size_t extra,
                            struct fault *fault);
/* A run like an ended one of this record. extra: bytes the caller appends behind it. Reserves for itself. NULL with fault; rule fetch:
 * its task is not kept, and known_task was not given. */
struct run *command_repeat(struct core *core, const struct rec_run *known, const struct rec_task *known_task,
                           const struct rec_task_stat *known_stat, size_t extra, struct fault *fault);
/* What the key of a part of a command answers from now on: the run alone. Room has been reserved. */
void command_remember(struct core *core, const struct rec_idem *idem, const struct run *run);
/* The run that such an answer tells of; 0 when it tells of none. */
uint64_t command_answered(struct core *core, struct str answer);
/* True when what command_trigger refused stays refused; else it may succeed later, with more room or memory. */
bool command_refused(const struct fault *fault);

#endif
