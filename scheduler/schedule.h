/* Schedules: what comes of a due time, and of those that a pause, a change or an outage has skipped. */
#ifndef GANTRY_SCHEDULER_SCHEDULE_H
#define GANTRY_SCHEDULER_SCHEDULE_H

#include "scheduler/core_state.h"

#define SCHEDULE_MISSED_MS 10000  /* a due time this long ago was missed, not just late */
#define SCHEDULE_CATCHUP_MAX 1000 /* runs of one task made up by metadata.catchup "all" */
#define SCHEDULE_FIRED_MAX 1000   /* decisions about all tasks in one tick */

/* What cron_parse said of a schedule, as a refusal that says which part of it is wrong and what belongs there. Answers -1. */
int schedule_refuse(struct fault *fault, int code, struct str schedule, const struct err *err);

/* Does what is due. False: some stay due, as there is no room for their runs (a full queue may stay so for hours). */
bool schedules_fire(struct core *core);
/* The next times of all schedules from the wall clock's new time on. -1: no room for all of them now. */
int schedules_follow(struct core *core);

/* Around commands about a task; room for SCHEDULE_BYTES and SCHEDULE_OPS has been reserved. They set stat, not the timers (task_arm). */
#define SCHEDULE_BYTES 1024
#define SCHEDULE_OPS 2
/* It is paused: its due times are skipped from the one that was next. */
void schedule_pause(struct task *task);
/* It goes on: what the pause skipped is told, and the next due time is behind now. */
void schedule_resume(struct core *core, struct task *task);
/* Its schedule is about to be another: what was due by the old one and is not yet decided is told. */
void schedule_end(struct core *core, struct task *task);
/* Its schedule is new: the next due time from now on. */
void schedule_begin(struct core *core, struct task *task);

#endif
