#include "scheduler/fire.h"

#include <stdlib.h>

#include "scheduler/task.h"

struct fire_skip {
    struct fire_range range;
    uint64_t id, decided_at;
    enum fire_reason reason;
};

void fire_ran(struct core *core, struct task *task, uint64_t due_at, enum fire_reason late_for, uint64_t run_id)
{
    struct rec_fire record = {.id = core_new_id(core, TYPE_FIRE),
                              .task_id = task_id(task),
                              .due_at = due_at,
                              .last_due_at = due_at,
                              .count = 1,
                              .outcome = late_for ? FIRE_LATE : FIRE_RAN,
                              .reason = late_for,
                              .run_id = run_id,
                              .decided_at = core->wall_ms};
    free(task->skipped);
    task->skipped = NULL;
    journal_put(core->journal, TYPE_FIRE, record.id, &record);
}

/* The record that goes on with what was skipped before, or a new one. Without memory for it the next one is new too. */
static struct fire_skip *skip_of(struct core *core, struct task *task, const struct fire_range *range, enum fire_reason reason,
                                 struct fire_skip *spare)
{
    struct fire_skip *skip = task->skipped;
    if (skip && skip->reason == reason && skip->range.last_due_at < range->due_at) {
        skip->range.last_due_at = range->last_due_at;
        skip->range.count += range->count;
        skip->range.at_least |= range->at_least;
        return skip;
    }
    if (!skip)
        skip = task->skipped = malloc(sizeof *skip);
    if (!skip)
        skip = spare;
    *skip = (struct fire_skip){*range, core_new_id(core, TYPE_FIRE), core->wall_ms, reason};
    return skip;
}

void fire_skipped(struct core *core, struct task *task, const struct fire_range *range, enum fire_reason reason,
                  const char *detail)
{
    struct fire_skip spare;
    const struct fire_skip *skip = skip_of(core, task, range, reason, &spare);
    struct rec_fire record = {.id = skip->id,
                              .task_id = task_id(task),
                              .due_at = skip->range.due_at,
                              .last_due_at = skip->range.last_due_at,
                              .count = skip->range.count,
                              .at_least = skip->range.at_least,
                              .outcome = FIRE_SKIPPED,
                              .reason = reason,
                              .decided_at = skip->decided_at,
                              .detail = str_cut(str_of(detail), (uint32_t)shape_field(&shape_rec_fire, STR_LIT("detail"))->high)};
    journal_put(core->journal, TYPE_FIRE, record.id, &record);
}
