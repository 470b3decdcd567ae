/* Tasks that wait for tasks. */
#ifndef GANTRY_SCHEDULER_DEPEND_H
#define GANTRY_SCHEDULER_DEPEND_H

#include "scheduler/core_state.h"

enum depend_state { DEPEND_MET, DEPEND_WAITS, DEPEND_FAILED };

/* Whether the newest runs of all dependencies have completed; *on: the first that has not (may be NULL). */
enum depend_state depend_state(const struct core *core, const struct task *task, const struct task **on);

/* Something happened to this task's runs: who waits for it is looked at in depend_work. */
void depend_changed(struct core *core, struct task *task);
void depend_recheck(struct core *core, struct task *task); /* the task itself */
void depend_forget(struct core *core, struct task *task);  /* it leaves memory */
/* Releases, fails and triggers what the changes lead to, a bounded number a call. True: more is to be done now. */
bool depend_work(struct core *core);

/* Resolves ids and names to ids; *count of them in *deps (malloc). -1 with fault: unknown, or a cycle, named by its path. */
int depend_resolve(struct core *core, const struct str_list *names, const struct task *self, struct str self_name,
                   uint64_t **deps, uint32_t *count, struct fault *fault);

#endif
