/* Tasks that wait for tasks. */
#ifndef GANTRY_SCHEDULER_DEPEND_H
#define GANTRY_SCHEDULER_DEPEND_H

#include "scheduler/edge.h"

/* Whether all dependencies have ended as they must; *on: the first that has not (may be NULL). */
enum depend_state depend_state(const struct task *task, const struct task **on);

void depend_began(struct task *task);                      /* it has a newer run: who waits for it waits for that one */
void depend_ended(struct core *core, struct task *task);   /* a run of it has: who waits for it is looked at in depend_work */
void depend_recheck(struct core *core, struct task *task); /* the task itself is */
void depend_forget(struct core *core, struct task *task);  /* it leaves memory */
/* Releases, fails and triggers what the changes lead to, a bounded number a call. True: more is to be done now. */
bool depend_work(struct core *core);

#endif
