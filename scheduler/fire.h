/* The ledger of schedules: what came of each due time, as records (rec_fire) that go into the batch of what they tell of (rule 3). Due times
 * that are skipped one after the other for one reason are one record, which grows, so that an outage of years is a line. */
#ifndef GANTRY_SCHEDULER_FIRE_H
#define GANTRY_SCHEDULER_FIRE_H

#include "scheduler/core_state.h"

struct fire_skip; /* the newest record of a task, while it can grow */

struct fire_range { /* due times, one after the other */
    uint64_t due_at, last_due_at, count;
    bool at_least;
};

/* What the two calls below append at most, once each. Reserve it with what they tell of. */
#define FIRE_BYTES 1024
#define FIRE_OPS 2

/* late_for: FIRE_IN_TIME for one that is not late. */
void fire_ran(struct core *core, struct task *task, uint64_t due_at, enum fire_reason late_for, uint64_t run_id);
void fire_skipped(struct core *core, struct task *task, const struct fire_range *range, enum fire_reason reason,
                  const char *detail);

#endif
