/* A run that is not final, and what may happen to it.
 *
 * The table below is the whole life of a run. Rows are states, columns are changes; a hole is something that cannot happen, and
 * an attempt at it changes nothing. WAITING stands for whichever of the four waiting states is true at that moment.
 *
 * The notable hole is PUBLISHING x ABORT: once the grant is committed the worker may give the output its name at any moment, so
 * an abort would leave a run that is "aborted" with its output published. It is refused; the run ends within moments anyway.
 * When its worker is lost instead, the run waits again and can be aborted: its record then keeps the grant, and says so.
 *
 * Invariants: a run has a lease exactly in ASSIGNED, ACCEPTED and PUBLISHING; it is in its class's queue exactly in QUEUED (but
 * for the moment dispatch holds it), among the delays exactly in DELAYED; FINAL runs are in no table.
 */
#include "scheduler/run.h"

#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/depend.h"
#include "scheduler/gate.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/task.h"
#include "scheduler/timer.h"

#define WAIT STATE_WAITING
#define ENDS STATE_FINAL

static const uint8_t table[STATE_COUNT][CHANGE_COUNT] = {
    [STATE_NONE] = {[CHANGE_PLACE] = WAIT},
    [STATE_BLOCKED] = {[CHANGE_PLACE] = WAIT, [CHANGE_FAIL] = ENDS, [CHANGE_ABORT] = ENDS, [CHANGE_FORGET] = ENDS},
    [STATE_HELD] = {[CHANGE_PLACE] = WAIT, [CHANGE_FAIL] = ENDS, [CHANGE_ABORT] = ENDS, [CHANGE_FORGET] = ENDS},
    [STATE_DELAYED] = {[CHANGE_PLACE] = WAIT, [CHANGE_FAIL] = ENDS, [CHANGE_ABORT] = ENDS, [CHANGE_FORGET] = ENDS},
    [STATE_QUEUED] = {[CHANGE_PLACE] = WAIT,
                      [CHANGE_ASSIGN] = STATE_ASSIGNED,
                      [CHANGE_FAIL] = ENDS,
                      [CHANGE_ABORT] = ENDS,
                      [CHANGE_FORGET] = ENDS},
    [STATE_ASSIGNED] = {[CHANGE_ACCEPT] = STATE_ACCEPTED,
                        [CHANGE_RETURN] = WAIT,
                        [CHANGE_LOSE] = WAIT,
                        [CHANGE_FAIL] = ENDS,
                        [CHANGE_ABORT] = ENDS,
                        [CHANGE_FORGET] = ENDS},
    [STATE_ACCEPTED] = {[CHANGE_GRANT] = STATE_PUBLISHING,
                        [CHANGE_RETURN] = WAIT,
                        [CHANGE_LOSE] = WAIT,
                        [CHANGE_RETRY] = WAIT,
                        [CHANGE_COMPLETE] = ENDS,
                        [CHANGE_FAIL] = ENDS,
                        [CHANGE_ABORT] = ENDS,
                        [CHANGE_FORGET] = ENDS},
    [STATE_PUBLISHING] = {[CHANGE_GRANT] = STATE_PUBLISHING,
                          [CHANGE_RETURN] = WAIT,
                          [CHANGE_LOSE] = WAIT,
                          [CHANGE_RETRY] = WAIT,
                          [CHANGE_COMPLETE] = ENDS,
                          [CHANGE_FAIL] = ENDS,
                          [CHANGE_FORGET] = ENDS},
    [STATE_FINAL] = {0},
};

enum run_state run_next(enum run_state state, enum run_change change)
{
    if (state >= STATE_COUNT || change >= CHANGE_COUNT)
        return STATE_NONE;
    return (enum run_state)table[state][change];
}

const char *run_state_name(unsigned state)
{
    static const char *const names[] = {"none",     "blocked",  "held",       "delayed", "queued",
                                        "assigned", "accepted", "publishing", "final",   "waiting"};
    return state < sizeof names / sizeof *names ? names[state] : "?";
}

const char *run_change_name(unsigned change)
{
    static const char *const names[] = {"place", "assign",   "accept", "grant", "return", "lose",
                                        "retry", "complete", "fail",   "abort", "forget"};
    return change < CHANGE_COUNT ? names[change] : "?";
}

/* Why a waiting run would wait now. */
static enum run_state run_wait_state(const struct core *core, const struct run *run)
{
    const struct task *task = run->task;
    if (task && task->status == TASK_PAUSED)
        return STATE_HELD;
    bool tried = run->more && run->more->attempt_count > 0; /* its number of attempts may be ahead: `gantry restore` raises it */
    if (task && !tried && task->rules.dep_count && depend_state(task, NULL) != DEPEND_MET)
        return STATE_BLOCKED;
    return run->due_at > core->wall_ms ? STATE_DELAYED : STATE_QUEUED;
}

static void run_exit_state(struct core *core, struct run *run)
{
    if (run->state == STATE_QUEUED)
        queue_remove(core, run);
    else if (run->state == STATE_DELAYED)
        heap_remove(&core->delays, &run->node);
    else if (run->state == STATE_BLOCKED)
        run->task->blocked--;
    if (run->state == STATE_NONE || run->state == STATE_FINAL)
        return;
    core->states[run->state]--;
    if (run_waits(run)) {
        core->priorities[run->priority]--;
        if (run->task)
            run->task->waiting--;
    }
}

static void run_enter_state(struct core *core, struct run *run, enum run_state state)
{
    run->state = (uint8_t)state;
    if (state == STATE_FINAL)
        return;
    core->states[state]++;
    if (run_waits(run)) {
        core->priorities[run->priority]++;
        if (run->task)
            run->task->waiting++;
    }
    if (state == STATE_QUEUED) {
        queue_add(core, run);
    } else if (state == STATE_DELAYED) {
        run->node.key = (int64_t)run->due_at;
        heap_push(&core->delays, &run->node);
    } else if (state == STATE_BLOCKED) {
        run->task->blocked++;
        depend_recheck(core, run->task);
    }
}

bool run_move(struct core *core, struct run *run, enum run_change change)
{
    enum run_state next = run_next((enum run_state)run->state, change);
    if (next == STATE_NONE) {
        log_error("GTY-RUN-ILLEGAL", "run=%llu state=%s change=%s refused", (unsigned long long)run->node.id,
                  run_state_name(run->state), run_change_name(change));
        return false;
    }
    run_exit_state(core, run);
    run_enter_state(core, run, next == STATE_WAITING ? run_wait_state(core, run) : next);
    return true;
}

struct run *run_find(const struct core *core, uint64_t id)
{
    return index_id(&core->runs, id);
}

/* ---- made and unmade ---- */

int run_more_reserve(struct run *run)
{
    if (!run->more)
        run->more = calloc(1, sizeof *run->more);
    return run->more ? 0 : -1;
}

void run_plan_trigger(const struct core *core, struct run_plan *plan, const struct rec_trigger *trigger)
{
    plan->parameters = trigger->parameters;
    if (HAS(trigger, rec_trigger, priority))
        plan->priority = (uint8_t)trigger->priority;
    if (HAS(trigger, rec_trigger, timeout_seconds))
        plan->timeout_seconds = (uint32_t)trigger->timeout_seconds;
    if (HAS(trigger, rec_trigger, run_at) && trigger->run_at)
        plan->due_at = trigger->run_at;
    else if (HAS(trigger, rec_trigger, delay_ms) && trigger->delay_ms)
        plan->due_at = trigger->delay_ms < INT64_MAX - core->wall_ms ? core->wall_ms + trigger->delay_ms : INT64_MAX;
}

static int run_plan_more(struct run *run, const struct run_plan *plan)
{
    if (!plan->farm_data.len && !plan->spec.len && !plan->restart_of)
        return 0;
    if (run_more_reserve(run) || text_set(&run->more->farm_data, plan->farm_data) || text_set(&run->more->spec, plan->spec))
        return -1;
    run->more->restart_of = plan->restart_of;
    return 0;
}

/* Room in every table for one more. */
static int run_reserve(struct core *core, const struct run_plan *plan)
{
    struct gate *gate = plan->task ? plan->task->gate : NULL;
    if (gate && heap_reserve(&gate->waiting, (size_t)gate->runs + 1))
        return -1;
    return queue_reserve(plan->class, 1) || heap_reserve(&core->delays, core->run_total + 1) ||
                   index_reserve(&core->runs, core->run_total + 1 - core->runs.count)
               ? -1
               : 0;
}

/* What it carries; stays as it is while it lives. */
static size_t run_carries(const struct run *run)
{
    size_t bytes = text_str(run->parameters).len;
    return run->more ? bytes + text_str(run->more->farm_data).len + text_str(run->more->spec).len : bytes;
}

struct run *run_new(struct core *core, const struct run_plan *plan)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    if (run_reserve(core, plan)) {
        free(run);
        return NULL;
    }
    core->run_total++;
    run->class = plan->class;
    queue_class_keep(run->class);
    run->class->runs++;
    run->task = plan->task;
    if (run->task && run->task->gate)
        run->task->gate->runs++;
    run->name = text_keep(plan->name);
    run->created_at = core->wall_ms;
    run->due_at = plan->due_at;
    run->timeout_seconds = plan->timeout_seconds;
    run->retry_count = plan->retry_count;
    run->priority = plan->priority;
    if (text_set(&run->parameters, plan->parameters) || run_plan_more(run, plan)) {
        core->carried += run_carries(run); /* as much of it as there is */
        run_free(core, run);
        return NULL;
    }
    core->carried += run_carries(run);
    return run;
}

static void attempt_clear(struct rec_attempt *attempt)
{
    free((char *)(uintptr_t)attempt->worker_name.ptr);
    free((char *)(uintptr_t)attempt->error.ptr);
    *attempt = (struct rec_attempt){0};
}

static void run_more_free(struct run_more *more)
{
    if (!more)
        return;
    for (uint32_t i = 0; i < more->attempt_size; i++)
        attempt_clear(&more->attempts[i]);
    free(more->attempts);
    text_drop(more->farm_data);
    text_drop(more->spec);
    text_drop(more->error);
    text_drop(more->hostname);
    text_drop(more->path);
    text_drop(more->temporary);
    free(more);
}

void run_free(struct core *core, struct run *run)
{
    if (!run)
        return;
    core->run_total--;
    core->carried -= run_carries(run);
    run->class->runs--;
    if (run->task && run->task->gate)
        run->task->gate->runs--;
    queue_class_drop(core, run->class);
    text_drop(run->name);
    text_drop(run->parameters);
    run_more_free(run->more);
    free(run);
}

void run_link(struct core *core, struct run *run)
{
    index_add(&core->runs, run);
    struct task *task = run->task;
    if (!task)
        return;
    run->next = task->runs;
    if (task->runs)
        task->runs->prev = run;
    task->runs = run;
    task->live++;
}

void run_join(struct core *core, struct run *run)
{
    if (!run->node.id)
        run->node.id = core_new_id(core, TYPE_RUN);
    run_link(core, run);
    run_move(core, run, CHANGE_PLACE);
}

void run_leave(struct core *core, struct run *run)
{
    run_exit_state(core, run);
    index_remove(&core->runs, run);
    struct task *task = run->task;
    if (task) {
        if (run->prev)
            run->prev->next = run->next;
        else
            task->runs = run->next;
        if (run->next)
            run->next->prev = run->prev;
        task->live--;
    }
    run_free(core, run);
}

void run_rehome(struct core *core, struct run *run, struct queue_class *class)
{
    bool waits = run_waits(run);
    if (waits) {
        run_exit_state(core, run);
        run->state = STATE_NONE;
    }
    queue_class_keep(class);
    class->runs++;
    run->class->runs--;
    if (run->lease)
        lease_repool(core, run->lease, class->pool);
    queue_class_drop(core, run->class);
    run->class = class;
    if (waits)
        run_move(core, run, CHANGE_PLACE);
}

/* ---- history ---- */

int run_attempt_reserve(struct run *run, struct str worker_name)
{
    if (run_more_reserve(run))
        return -1;
    struct run_more *more = run->more;
    if (more->attempt_count == more->attempt_size) {
        uint32_t size = more->attempt_size ? more->attempt_size * 2 : 1;
        struct rec_attempt *attempts = realloc(more->attempts, size * sizeof *attempts);
        if (!attempts)
            return -1;
        memset(attempts + more->attempt_size, 0, (size - more->attempt_size) * sizeof *attempts);
        more->attempts = attempts;
        more->attempt_size = size;
    }
    struct rec_attempt *spare = &more->attempts[more->attempt_count];
    char *name = malloc((size_t)worker_name.len + 1);
    if (!name)
        return -1;
    str_copy(name, (size_t)worker_name.len + 1, worker_name);
    attempt_clear(spare);
    spare->worker_name = (struct str){name, worker_name.len};
    return 0;
}

/* Which attempt goes when there are too many: the oldest that came back unstarted, else the oldest. */
static uint32_t attempt_victim(const struct run_more *more)
{
    for (uint32_t i = 0; i < more->attempt_count; i++)
        if (more->attempts[i].outcome == OUTCOME_RETURNED)
            return i;
    return 0;
}

struct rec_attempt *run_attempt_add(struct run *run)
{
    struct run_more *more = run->more;
    struct rec_attempt *added = &more->attempts[more->attempt_count];
    if (more->attempt_count == RUN_HISTORY_MAX) {
        uint32_t at = attempt_victim(more);
        attempt_clear(&more->attempts[at]);
        memmove(&more->attempts[at], &more->attempts[at + 1], (RUN_HISTORY_MAX - at) * sizeof *added);
        more->attempts[RUN_HISTORY_MAX] = (struct rec_attempt){0};
        return &more->attempts[RUN_HISTORY_MAX - 1];
    }
    more->attempt_count++;
    return added;
}

struct rec_attempt *run_attempt(const struct run *run, uint64_t number)
{
    if (!run->more)
        return NULL;
    for (uint32_t i = run->more->attempt_count; i-- > 0;)
        if (run->more->attempts[i].number == number)
            return &run->more->attempts[i];
    return NULL;
}
