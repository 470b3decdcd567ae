/* What comes of due times.
 *
 * A due time is looked at when its time has come, or as soon as there is a scheduler and room. One decision is made about all due times
 * of a task up to now: at most one of them gets a run, the earlier ones are skipped (metadata.catchup, concurrency_policy). Only
 * catchup "all" takes them one by one. The run, the ledger's records (fire.h) and the next due time go into one batch: whenever the
 * scheduler dies, a due time is either decided, told and left behind, or still the next one.
 *
 * With concurrency_policy "replace" the runs that are under way are ended first, each in a batch of its own; dying between leaves the
 * due time as it was, and the next scheduler goes on.
 */
#include "scheduler/schedule.h"

#include <stdio.h>

#include "proto/log.h"
#include "scheduler/command.h"
#include "scheduler/cron.h"
#include "scheduler/fire.h"
#include "scheduler/retry.h"
#include "scheduler/room.h"
#include "scheduler/run.h"
#include "scheduler/task.h"

struct decision {
    uint64_t run;              /* the due time that gets a run; 0: none does */
    enum fire_reason late_for; /* of that */
    struct fire_range skipped; /* count 0: none */
    enum fire_reason why;      /* they are skipped */
    const char *detail;        /* in words */
    uint64_t next, made_up;    /* for stat */
};

static uint64_t next_behind(const struct task *task, uint64_t after)
{
    return cron_next(task->rules.cron, after, task->created_at);
}

/* The due times from the one that is next to `last`. */
static struct fire_range range_to(const struct task *task, uint64_t from, uint64_t last)
{
    struct fire_range range = {.due_at = from, .last_due_at = last, .count = 1};
    if (last > from)
        range.count = cron_count(task->rules.cron, from, last, &range.at_least);
    return range;
}

/* Those up to the newest one go without a run, but for the newest if it is to have one. */
static void decide_newest(const struct task *task, uint64_t newest, bool run, enum fire_reason why, struct decision *decision)
{
    uint64_t due = task->stat.next_run_at, last = newest;
    decision->why = why;
    decision->run = run ? newest : 0;
    if (run && newest == due)
        return;
    if (run)
        last = cron_newest(task->rules.cron, due, newest - 1, task->created_at);
    decision->skipped = range_to(task, due, last);
}

/* One by one, as long as not too many have been made up. */
static void decide_all(const struct task *task, uint64_t newest, struct decision *decision)
{
    uint64_t due = task->stat.next_run_at;
    if (task->stat.made_up >= SCHEDULE_CATCHUP_MAX) {
        decide_newest(task, newest, false, FIRE_CATCHUP_LIMIT, decision);
        return;
    }
    decision->run = due;
    if (due < newest) {
        decision->next = next_behind(task, due);
        decision->made_up = task->stat.made_up + 1;
    }
}

/* Why something that is due now is so late, or was missed. */
static enum fire_reason late_for(const struct core *core, uint64_t due)
{
    if (core->wall_ms <= due + SCHEDULE_MISSED_MS)
        return FIRE_IN_TIME;
    return core->hindered ? (enum fire_reason)core->hindered : FIRE_MISSED;
}

static void decide(const struct core *core, const struct task *task, struct decision *decision)
{
    uint64_t due = task->stat.next_run_at, newest = due;
    bool replaces = task->rules.overlap == OVERLAP_REPLACE;
    *decision = (struct decision){.next = next_behind(task, due), .detail = ""};
    if (decision->next && decision->next <= core->wall_ms) {
        newest = cron_newest(task->rules.cron, decision->next, core->wall_ms, task->created_at);
        decision->next = next_behind(task, core->wall_ms);
    }
    enum fire_reason late = late_for(core, newest);
    if (task->rules.overlap == OVERLAP_FORBID && task->live)
        decide_newest(task, newest, false, FIRE_OVERLAP, decision);
    else if (task->rules.catchup == CATCHUP_ALL && !replaces)
        decide_all(task, newest, decision);
    else if (task->rules.catchup == CATCHUP_ALL)
        decide_newest(task, newest, true, FIRE_REPLACED, decision);
    else if (task->rules.catchup == CATCHUP_ONE)
        decide_newest(task, newest, true, FIRE_CATCHUP_ONE, decision);
    else
        decide_newest(task, newest, !late, late > FIRE_MISSED ? late : FIRE_CATCHUP_NONE, decision);
    decision->late_for = decision->run ? late_for(core, decision->run) : FIRE_IN_TIME;
}

/* Ends what runs already of a task whose new run replaces it; a run that is publishing ends by itself. -1: later. Nothing is ended for
 * a run that has no room, unless it makes that room. */
static int schedule_replace(struct core *core, struct task *task, struct fault *fault)
{
    struct ending ending = {
        .outcome = OUTCOME_ABORTED, .cancel = true, .error = STR_LIT("replaced by the next run of its schedule")};
    if (!task->waiting && room_runs(core, 1, 0, fault))
        return -1;
    for (struct run *run = task->runs, *next; run; run = next) {
        next = run->next;
        ending.cancel = run->lease != NULL;
        if (run->state != STATE_PUBLISHING && retry_end(core, run, &ending, fault))
            return -1;
    }
    return 0;
}

/* Nothing can be made of it, however often it is tried: then it is as skipped as those before it. */
static void decide_refused(const struct task *task, uint64_t due, const struct fault *fault, struct decision *decision)
{
    log_warn("GTY-SCHEDULE-REFUSED", "task=%llu %s", (unsigned long long)task_id(task), fault->text);
    decision->skipped = range_to(task, due, decision->run);
    decision->run = 0;
    decision->why = FIRE_REFUSED;
    decision->detail = fault->text;
}

/* What keeps a due time waiting, and those behind it, is remembered: it is told once they have been decided. */
static void hinder(struct core *core, const struct fault *fault)
{
    if (fault->code == ERR_LIMIT)
        core->hindered = FIRE_FULL;
    else if (fault->code == ERR_UNAVAILABLE)
        core->hindered = FIRE_STORE_AWAY;
}

/* The run of a decision, if there is to be one; room for all it comes to is reserved. -1: no room now, it stays due. */
static int schedule_make(struct core *core, struct task *task, struct decision *decision, struct run **run)
{
    struct rec_trigger trigger = {0};
    struct fault fault;
    *run = NULL;
    if (decision->run && task->rules.overlap == OVERLAP_REPLACE && task->live && schedule_replace(core, task, &fault))
        goto later;
    if (decision->run) {
        *run = command_trigger(core, task, &trigger, TASK_STAT_BYTES + FIRE_BYTES, &fault);
        if (*run)
            return 0;
        if (!command_refused(&fault))
            goto later;
        decide_refused(task, task->stat.next_run_at, &fault, decision);
    }
    if (core_reserve(core, TASK_STAT_BYTES + FIRE_BYTES, 0, 2 + FIRE_OPS, &fault))
        goto later;
    return 0;
later:
    hinder(core, &fault);
    return -1;
}

static int schedule_fire(struct core *core, struct task *task)
{
    struct decision decision;
    struct run *run;
    decide(core, task, &decision);
    if (schedule_make(core, task, &decision, &run))
        return -1;
    if (decision.skipped.count) {
        if (decision.why == FIRE_OVERLAP)
            log_info("GTY-SCHEDULE-SKIP", "task=%llu its last run has not ended", (unsigned long long)task_id(task));
        fire_skipped(core, task, &decision.skipped, decision.why, decision.detail);
    }
    if (run)
        fire_ran(core, task, decision.run, decision.late_for, run->node.id);
    task->stat.next_run_at = decision.next;
    task->stat.made_up = decision.made_up;
    task_stat_put(core, task);
    task_arm(core, task);
    return 0;
}

bool schedules_fire(struct core *core)
{
    struct heap_node *top;
    uint32_t fired = 0;
    while ((top = heap_top(&core->schedules)) && (uint64_t)top->key <= core->wall_ms && fired < SCHEDULE_FIRED_MAX) {
        if (schedule_fire(core, heap_of(top, struct task, due)))
            return false;
        fired++;
        arena_reset(core->arena);
    }
    if (!top || (uint64_t)top->key > core->wall_ms)
        core->hindered = 0;
    return true;
}

int schedules_follow(struct core *core)
{
    struct fault fault;
    for (struct task *task = core->first_task; task; task = task->next) {
        uint64_t next = task->due.place ? next_behind(task, core->wall_ms) : 0;
        if (!next || next >= task->stat.next_run_at)
            continue;
        if (core_reserve(core, TASK_STAT_BYTES, 0, 2, &fault))
            return -1;
        task->stat.next_run_at = next;
        task_stat_put(core, task);
        task_arm(core, task);
    }
    return 0;
}

/* ---- around commands ---- */

/* Tells of what has been due since `due` and not decided. */
static void schedule_tell(struct core *core, struct task *task, uint64_t due, enum fire_reason why)
{
    if (!task->rules.cron || !due || due > core->wall_ms)
        return;
    uint64_t newest = cron_newest(task->rules.cron, due, core->wall_ms, task->created_at);
    struct fire_range range = range_to(task, due, newest);
    fire_skipped(core, task, &range, why, "");
}

void schedule_pause(struct task *task)
{
    task->stat.paused_due_at = task->stat.next_run_at;
    task->stat.next_run_at = 0;
}

static void begin(struct core *core, struct task *task, bool paused)
{
    uint64_t next = task->rules.cron ? next_behind(task, core->wall_ms) : 0;
    task->stat.next_run_at = paused ? 0 : next;
    task->stat.paused_due_at = paused ? next : 0;
    task->stat.made_up = 0;
}

void schedule_resume(struct core *core, struct task *task)
{
    schedule_tell(core, task, task->stat.paused_due_at, FIRE_PAUSED);
    begin(core, task, false);
}

void schedule_begin(struct core *core, struct task *task)
{
    begin(core, task, task->status == TASK_PAUSED);
}

void schedule_end(struct core *core, struct task *task)
{
    if (task->status == TASK_PAUSED)
        schedule_tell(core, task, task->stat.paused_due_at, FIRE_PAUSED);
    else
        schedule_tell(core, task, task->stat.next_run_at, FIRE_CHANGED);
}

/* ---- refusals ---- */

int schedule_refuse(struct fault *fault, int code, struct str schedule, const struct err *err)
{
    char expected[200] = "cron, @every or @at";
    const char *part = strstr(err->text, "schedule: "), *colon = strstr(err->text, ": \""),
               *list = strstr(err->text, "expected ");
    if (err->code == ERR_NO_MEMORY)
        return fault_memory(fault);
    if (list && part && colon && colon > part)
        snprintf(expected, sizeof expected, "%.*s %.160s", (int)(colon - part - 10), part + 10, list + 9);
    else if (list)
        snprintf(expected, sizeof expected, "%.190s", list + 9);
    return fault_set(fault, code, "schedule", "schedule", schedule, expected, "%.200s", err->text);
}
