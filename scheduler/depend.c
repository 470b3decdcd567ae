/* Tasks that wait for tasks.
 *
 * A run waits until the newest run of every dependency has completed. Nothing is decided at the moment a run ends: the tasks
 * that wait for it are put on a list, and depend_work goes through the list with its own room in the journal, some runs a call.
 * After a start everything is on the list, so that a crash between an end and what follows from it changes nothing.
 * A dependency that was deleted holds nobody.
 */
#include "scheduler/depend.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/command.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/task.h"

#define DEPEND_BATCH 1000 /* runs released or failed in one call */

static enum depend_state dependency_state(const struct task *on, uint8_t on_failure)
{
    const struct rec_task_stat *stat = &on->stat;
    if (!stat->last_run_id || stat->last_final_id != stat->last_run_id)
        return DEPEND_WAITS;
    if (stat->last_status == RUN_COMPLETED || on_failure == ON_FAILURE_IGNORE)
        return DEPEND_MET;
    return on_failure == ON_FAILURE_WAIT ? DEPEND_WAITS : DEPEND_FAILED;
}

enum depend_state depend_state(const struct core *core, const struct task *task, const struct task **on)
{
    enum depend_state worst = DEPEND_MET;
    for (uint32_t i = 0; i < task->rules.dep_count; i++) {
        const struct task *dependency = task_find(core, task->rules.deps[i]);
        enum depend_state state = dependency ? dependency_state(dependency, task->rules.on_failure) : DEPEND_MET;
        if (state > worst) {
            worst = state;
            if (on)
                *on = dependency;
        }
    }
    return worst;
}

void depend_recheck(struct core *core, struct task *task)
{
    if (task->recheck)
        return;
    task->recheck = true;
    task->next_recheck = NULL;
    if (core->recheck)
        core->last_recheck->next_recheck = task;
    else
        core->recheck = task;
    core->last_recheck = task;
}

void depend_changed(struct core *core, struct task *task)
{
    for (uint32_t i = 0; i < task->dependent_count; i++)
        depend_recheck(core, task->dependents[i]);
}

void depend_forget(struct core *core, struct task *task)
{
    struct task **at = &core->recheck, *before = NULL;
    if (!task->recheck)
        return;
    while (*at != task) {
        before = *at;
        at = &before->next_recheck;
    }
    *at = task->next_recheck;
    if (core->last_recheck == task)
        core->last_recheck = before;
    task->recheck = false;
}

/* Whether `on` has completed since the task's newest run was made or started. By the numbers of events: a clock may be set back, or
 * stand still between two of them. Only what an earlier version wrote has nothing but times. */
static bool completed_since(const struct rec_task_stat *on, const struct rec_task_stat *stat)
{
    uint64_t since = stat->last_run_at > stat->last_created_at ? stat->last_run_at : stat->last_created_at;
    if (on->completed_event || stat->begun_event)
        return on->completed_event > stat->begun_event;
    return on->last_completed_at > since;
}

/* All its dependencies have completed since its own newest run was made or started, and no run of it waits already. */
static bool triggers_itself(const struct core *core, const struct task *task)
{
    if (task->rules.cron || !task->rules.dep_count || task->waiting || task->oneshot || task->status == TASK_PAUSED)
        return false;
    if (task->rules.overlap == OVERLAP_FORBID && task->live)
        return false;
    for (uint32_t i = 0; i < task->rules.dep_count; i++) {
        const struct task *dependency = task_find(core, task->rules.deps[i]);
        if (!dependency || !completed_since(&dependency->stat, &task->stat))
            return false;
    }
    return true;
}

struct work { /* of one call of depend_work */
    uint32_t budget;
    bool stuck;           /* the journal has no room: nothing can be done for anybody */
    struct task *refused; /* it found the queue full: nobody else makes a run in this call, and it is the last to try again */
};

/* Moves its blocked runs on; false when some are left because the budget is used up, or the journal's room. */
static bool release_blocked(struct core *core, struct task *task, struct work *work)
{
    const struct task *on = NULL;
    enum depend_state state = depend_state(core, task, &on);
    char why[300];
    struct fault fault;
    if (state == DEPEND_WAITS)
        return true;
    if (on)
        snprintf(why, sizeof why, "task %llu (%s), which it waits for, has failed", (unsigned long long)task_id(on),
                 on->rules.name->data);
    struct ending ending = {.outcome = OUTCOME_FAILED, .final = true};
    for (struct run *run = task->runs, *next; run && task->blocked; run = next) {
        next = run->next;
        if (run->state != STATE_BLOCKED)
            continue;
        if (work->budget == 0)
            return false;
        work->budget--;
        if (state == DEPEND_MET) {
            run_move(core, run, CHANGE_PLACE);
            continue;
        }
        ending.error = str_of(why);
        if (retry_end(core, run, &ending, &fault)) {
            work->stuck = true;
            return false;
        }
    }
    return true;
}

/* Makes its next run if that is due. False when it has to be tried again: the queue is full, or the journal. */
static bool trigger_itself(struct core *core, struct task *task, struct work *work)
{
    struct rec_trigger trigger = {0};
    struct fault fault;
    if (work->refused)
        return false;
    if (depend_state(core, task, NULL) != DEPEND_MET || !triggers_itself(core, task) ||
        command_trigger(core, task, &trigger, 0, &fault))
        return true;
    if (command_refused(&fault)) {
        log_warn("GTY-DEPEND-REFUSED", "task=%llu %s", (unsigned long long)task_id(task), fault.text);
        return true;
    }
    if (fault.code == ERR_LIMIT)
        work->refused = task;
    else
        work->stuck = true;
    return false;
}

/* What cannot be done now goes behind the others. A queue that is full keeps no run from being released: it may be those that fill
 * it. Only without room in the journal can nothing be done for anybody. */
bool depend_work(struct core *core)
{
    struct work work = {.budget = DEPEND_BATCH};
    struct task *first_left = NULL;
    while (core->recheck && core->recheck != first_left && work.budget && !work.stuck) {
        struct task *task = core->recheck;
        uint64_t id = task_id(task);
        core->recheck = task->next_recheck;
        task->recheck = false;
        bool done = !task->blocked || release_blocked(core, task, &work);
        if (task_find(core, id) != task)
            continue; /* a one-shot task, gone with its last run */
        done = done && trigger_itself(core, task, &work);
        if (!done && task != work.refused) {
            depend_recheck(core, task);
            first_left = first_left ? first_left : task;
        }
        work.budget -= work.budget > 0;
        arena_reset(core->arena);
    }
    if (work.refused)
        depend_recheck(core, work.refused);
    return core->recheck != NULL;
}

/* ---- names to ids ---- */

static uint64_t text_number(struct str text)
{
    uint64_t number = 0;
    if (!text.len || text.len > 18)
        return 0;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return number;
}

static struct task *dependency_find(const struct core *core, struct str text)
{
    uint64_t id = text_number(text);
    struct task *task = id ? task_find(core, id) : NULL;
    if (!task)
        task = task_find_name(core, text);
    return task && !task->oneshot ? task : NULL; /* ended one-shot tasks are not kept, so nothing can wait for them */
}

struct step { /* on the way from a dependency back to the task that would depend on it */
    const struct task *task;
    uint32_t next;
};

/* Depth first from `from`; true with the path in steps[0..*depth] when it comes back to self. */
static bool cycle_find(const struct core *core, const struct task *from, const struct task *self, struct index *seen,
                       struct step *steps, size_t size, size_t *depth)
{
    *depth = 0;
    steps[0] = (struct step){from, 0};
    for (;;) {
        struct step *step = &steps[*depth];
        if (step->task == self)
            return true;
        if (step->next < step->task->rules.dep_count) {
            struct task *next = task_find(core, step->task->rules.deps[step->next++]);
            if (next && *depth + 1 < size && (next == self || !index_id(seen, task_id(next)))) {
                if (next != self)
                    index_add(seen, next);
                steps[++*depth] = (struct step){next, 0};
            }
        } else if ((*depth)-- == 0) {
            return false;
        }
    }
}

static void cycle_say(struct fault *fault, const struct step *steps, size_t depth, struct str self_name, struct str value)
{
    char path[256];
    size_t at = (size_t)snprintf(path, sizeof path, "%.*s", (int)self_name.len, self_name.ptr);
    for (size_t i = 0; i <= depth && at < sizeof path; i++)
        at += (size_t)snprintf(path + at, sizeof path - at, " -> %s", steps[i].task->rules.name->data);
    fault_set(fault, ERR_INVALID, "dependencies", "cycle", value, "no circle of tasks that wait for each other",
              "the dependencies go round in a circle: %s", path);
}

/* Whether waiting for `deps` would make self wait for itself. -1 with fault. */
static int cycle_check(const struct core *core, const struct task *self, const uint64_t *deps, uint32_t count,
                       const struct str_list *names, struct fault *fault)
{
    struct index seen;
    size_t size = core->tasks.count + 2, depth = 0;
    struct step *steps = calloc(size, sizeof *steps);
    int result = -1;
    index_init(&seen, offsetof(struct task, due) + offsetof(struct heap_node, id), false, 0);
    if (!steps || index_reserve(&seen, core->tasks.count + 1)) {
        fault_memory(fault);
        goto error;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct task *from = task_find(core, deps[i]);
        if (!index_id(&seen, deps[i]) && cycle_find(core, from, self, &seen, steps, size, &depth)) {
            cycle_say(fault, steps, depth, self->rules.name->str, names->items[i]);
            goto error;
        }
    }
    result = 0;
error:
    free(steps);
    index_free(&seen);
    return result;
}

int depend_resolve(struct core *core, const struct str_list *names, const struct task *self, struct str self_name,
                   uint64_t **deps, uint32_t *count, struct fault *fault)
{
    *deps = NULL;
    *count = 0;
    if (!names->count)
        return 0;
    uint64_t *ids = calloc(names->count, sizeof *ids);
    if (!ids)
        return fault_memory(fault);
    for (uint32_t i = 0; i < names->count; i++) {
        struct str name = names->items[i];
        struct task *task = dependency_find(core, name);
        if (!task && str_eq(name, self_name))
            fault_set(fault, ERR_INVALID, "dependencies", "cycle", name, "no circle of tasks that wait for each other",
                      "the task waits for itself: %.*s -> %.*s", (int)name.len, name.ptr, (int)name.len, name.ptr);
        else if (!task)
            fault_set(fault, ERR_INVALID, "dependencies", "unknown_dependency", name, "ids or names of tasks that exist",
                      "there is no task \"%.*s\" to wait for", (int)name.len, name.ptr);
        if (!task)
            goto error;
        ids[i] = task_id(task);
    }
    if (self && cycle_check(core, self, ids, names->count, names, fault))
        goto error;
    *deps = ids;
    *count = names->count;
    return 0;
error:
    free(ids);
    return -1;
}
