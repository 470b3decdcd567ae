/* Tasks that wait for tasks.
 *
 * A run waits until the newest run of every dependency has ended as its condition asks (edge.h). Nothing is decided at the moment a run ends: the tasks
 * that wait for it are put on a list, and depend_work goes through the list with its own room in the journal, some runs a call.
 * After a start everything is on the list, so that a crash between an end and what follows from it changes nothing.
 * A dependency that was deleted holds nobody.
 */
#include "scheduler/depend.h"

#include <stdio.h>

#include "proto/log.h"
#include "scheduler/command.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/task.h"

#define DEPEND_BATCH 1000 /* runs released or failed in one call */

enum depend_state depend_state(const struct task *task, const struct task **on)
{
    enum depend_state state = task->edge_states[DEPEND_FAILED]  ? DEPEND_FAILED
                              : task->edge_states[DEPEND_WAITS] ? DEPEND_WAITS
                                                                : DEPEND_MET;
    const struct edge *edge = on && state != DEPEND_MET ? edge_first(task, state) : NULL;
    if (on)
        *on = edge ? edge->on : NULL;
    return state;
}

void depend_recheck(struct core *core, struct task *task)
{
    if (task->recheck)
        return;
    task->recheck = true;
    task->next_recheck = NULL;
    task->prev_recheck = core->last_recheck;
    if (core->recheck)
        core->last_recheck->next_recheck = task;
    else
        core->recheck = task;
    core->last_recheck = task;
}

void depend_began(struct task *task)
{
    edge_tell(task);
}

void depend_ended(struct core *core, struct task *task)
{
    edge_tell(task);
    for (uint32_t i = 0; i < task->dependent_count; i++)
        depend_recheck(core, task->dependents[i].task);
}

void depend_forget(struct core *core, struct task *task)
{
    for (uint32_t i = 0; i < task->dependent_count; i++)
        depend_recheck(core, task->dependents[i].task);
    edge_orphan(task);
    edge_leave(task);
    if (!task->recheck)
        return;
    *(task->prev_recheck ? &task->prev_recheck->next_recheck : &core->recheck) = task->next_recheck;
    *(task->next_recheck ? &task->next_recheck->prev_recheck : &core->last_recheck) = task->prev_recheck;
    task->recheck = false;
}

/* All its dependencies have ended as they must since its own newest run was made or started, and no run of it waits already. */
static bool triggers_itself(struct task *task)
{
    if (task->rules.cron || !task->rules.dep_count || task->waiting || task->oneshot || task->status == TASK_PAUSED)
        return false;
    if (task->rules.overlap == OVERLAP_FORBID && task->live)
        return false;
    return depend_state(task, NULL) == DEPEND_MET && edge_ended_all(task);
}

struct work { /* of one call of depend_work */
    uint32_t budget;
    bool stuck;           /* the journal has no room: nothing can be done for anybody */
    struct task *refused; /* it found the queue full: nobody else makes a run in this call, and it is the last to try again */
};

static void failed_why(const struct task *task, char *why, size_t size)
{
    const struct edge *edge = edge_first(task, DEPEND_FAILED);
    unsigned long long id = task_id(edge->on);
    const char *name = edge->on->rules.name->data;
    if (edge->on->stat.last_status == RUN_COMPLETED)
        snprintf(why, size, "task %llu (%s), whose failure it waits for, has completed", id, name);
    else
        snprintf(why, size, "task %llu (%s), which it waits for, has failed", id, name);
}

/* Moves its blocked runs on; false when some are left because the budget is used up, or the journal's room. */
static bool release_blocked(struct core *core, struct task *task, struct work *work)
{
    enum depend_state state = depend_state(task, NULL);
    char why[300];
    struct fault fault;
    if (state == DEPEND_WAITS)
        return true;
    if (state == DEPEND_FAILED)
        failed_why(task, why, sizeof why);
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
    if (!triggers_itself(task) || command_trigger(core, task, &trigger, 0, &fault))
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
        *(core->recheck ? &core->recheck->prev_recheck : &core->last_recheck) = NULL;
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
