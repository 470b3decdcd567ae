/* What becomes of a run when an attempt, or the run itself, has ended.
 *
 *   outcome     uses up          and then
 *   COMPLETED   -                final
 *   FAILED      a retry          waits for its backoff, or is failed when no retry is left
 *   TIMEOUT     a retry          the same
 *   LOST        a loss           waits again at once, or is failed at max_losses
 *   RETURNED    nothing          waits again at once
 *   ABORTED     -                final
 *
 * retry_end first decides and prepares everything that can fail, then changes memory and appends records, in one batch: the run,
 * its task's statistics and status, the worker's counts, an event, what the run's farm makes of it, and the caller's answer.
 */
#include "scheduler/retry.h"

#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/depend.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

#define ATTEMPT_ERROR_MAX 512 /* kept with each attempt; the run keeps the newest in full */

uint64_t retry_backoff(const struct core *core, uint32_t retries)
{
    uint64_t bound = core->config.retry_base_ms;
    for (uint32_t i = 1; i < retries && bound < core->config.retry_cap_ms; i++)
        bound *= 2;
    if (bound > core->config.retry_cap_ms)
        bound = core->config.retry_cap_ms;
    return bound ? core->clock.random(core->clock.self) % (bound + 1) : 0;
}

struct decision { /* what retry_end is going to do, with all it needs */
    enum run_change change;
    const struct ending *ending;
    struct text *error; /* for the run */
    char *attempt_error;
    struct rec_task_spec *spec; /* the run's own */
    struct rec_task *task;      /* its record when its status is going to change */
    uint64_t status;            /* of the final run */
};

static enum run_change change_of(const struct core *core, const struct run *run, const struct ending *ending)
{
    bool taken = ending->outcome == OUTCOME_LOST || ending->outcome == OUTCOME_RETURNED;
    bool spent = run->attempt + 1 >= RUN_ATTEMPTS_MAX || ending->final || (taken && !farm_again(core, run));
    switch (ending->outcome) {
    case OUTCOME_COMPLETED:
        return CHANGE_COMPLETE;
    case OUTCOME_ABORTED:
        return CHANGE_ABORT;
    case OUTCOME_LOST:
        return spent || run->losses + 1 >= core->config.max_losses ? CHANGE_FAIL : CHANGE_LOSE;
    case OUTCOME_RETURNED:
        return spent ? CHANGE_FAIL : CHANGE_RETURN;
    case OUTCOME_OPEN:
    case OUTCOME_FAILED:
    case OUTCOME_TIMEOUT:
        break;
    }
    return !run->lease || spent || run->retries >= run->retry_count ? CHANGE_FAIL : CHANGE_RETRY;
}

static uint64_t status_of(enum run_change change)
{
    return change == CHANGE_COMPLETE ? RUN_COMPLETED : change == CHANGE_ABORT ? RUN_ABORTED : RUN_FAILED;
}

static bool change_ends(enum run_change change)
{
    return change == CHANGE_COMPLETE || change == CHANGE_FAIL || change == CHANGE_ABORT;
}

static void decision_clear(struct decision *decision)
{
    text_drop(decision->error);
    free(decision->attempt_error);
}

static int decision_memory(struct core *core, const struct run *run, struct decision *decision)
{
    struct str error = decision->ending->error;
    if (error.len) {
        uint32_t kept = error.len < ATTEMPT_ERROR_MAX ? error.len : ATTEMPT_ERROR_MAX;
        while (kept && kept < error.len && ((unsigned char)error.ptr[kept] & 0xc0) == 0x80)
            kept--; /* not in the middle of a character */
        decision->error = text_new(error);
        decision->attempt_error = malloc((size_t)kept + 1);
        if (!decision->error || !decision->attempt_error)
            return -1;
        str_copy(decision->attempt_error, (size_t)kept + 1, (struct str){error.ptr, kept});
    }
    if (run_own_spec(core, run, &decision->spec))
        return -1;
    if (change_ends(decision->change) && run->task && task_status_after(run->task, run, decision->status) != run->task->status) {
        decision->task = arena_alloc(core->arena, sizeof *decision->task);
        if (!decision->task || task_record(core, run->task, decision->task))
            return -1;
    }
    return 0;
}

/* Decides, and makes sure that nothing can fail afterwards. */
static int retry_prepare(struct core *core, struct run *run, const struct ending *ending, struct decision *decision,
                         struct fault *fault)
{
    *decision = (struct decision){.ending = ending, .change = change_of(core, run, ending)};
    decision->status = status_of(decision->change);
    if (run_next((enum run_state)run->state, decision->change) == STATE_NONE) {
        fault_set(fault, ERR_CONFLICT, "id", run->state == STATE_PUBLISHING ? "publishing" : "state", (struct str){0}, NULL,
                  "run %llu is %s: that cannot be done now", (unsigned long long)run->node.id, run_state_name(run->state));
        return -1;
    }
    if (run_more_reserve(run) || decision_memory(core, run, decision)) {
        fault_memory(fault);
        return -1;
    }
    size_t bytes = run_change_bytes(run) + 4 * (size_t)ending->error.len + ending->result.len + ending->extra + 256;
    uint32_t ops = RUN_CHANGE_OPS;
    if (run->lease)
        bytes += worker_bytes(run->lease->worker) + 128;
    const struct farm *farm = run->class->farm;
    if (farm && farm->ended && change_ends(decision->change)) {
        bytes += farm->ended_bytes ? farm->ended_bytes : FARM_BYTES_MAX;
        ops += farm->ended_ops ? farm->ended_ops : FARM_ADD_OPS;
    }
    size_t answer = ending->call ? RUN_BRIEF_BYTES + (size_t)ending->error.len : 0;
    return core_reserve(core, bytes, answer, ops, fault);
}

/* A worker may say any length: a sum stays at what its record can hold. */
static void sum_add(uint64_t *sum, uint64_t more)
{
    *sum = more > INT64_MAX - *sum ? INT64_MAX : *sum + more;
}

static void count_worker(struct core *core, struct worker *worker, const struct ending *ending)
{
    if (ending->outcome != OUTCOME_COMPLETED && ending->outcome != OUTCOME_FAILED && ending->outcome != OUTCOME_TIMEOUT)
        return;
    worker->total++;
    if (ending->outcome == OUTCOME_COMPLETED)
        worker->completed++;
    else
        worker->failed++;
    sum_add(&worker->duration_ms, ending->duration_ms);
    measure_attempt(&core->measure, ending->duration_ms);
    worker_put(core, worker);
}

/* Closes the attempt in the history and takes the lease from its worker. */
static void close_attempt(struct core *core, struct run *run, struct decision *decision)
{
    const struct ending *ending = decision->ending;
    struct rec_attempt *attempt = run_attempt(run, run->attempt);
    struct lease *lease = run->lease;
    /* Of one that was lost or cut nobody reports any more: its worker's heartbeats have said when it began. */
    uint64_t started_at = ending->started_at ? ending->started_at : lease->started_at;
    if (attempt) {
        attempt->outcome = ending->outcome;
        attempt->ended_at = ending->ended_at ? ending->ended_at : core->wall_ms;
        attempt->started_at = started_at;
        attempt->signal = ending->signal;
        if (ending->has_exit) {
            attempt->exit_code = ending->exit_code;
            SET_HAS(attempt, rec_attempt, exit_code);
        }
        attempt->error = str_of(decision->attempt_error);
        decision->attempt_error = NULL;
    }
    if (started_at)
        run->more->started_at = started_at;
    count_worker(core, lease->worker, ending);
    if (ending->cancel) {
        struct address to = worker_address(lease->worker);
        struct rec_lease row = {.run_id = run->node.id, .attempt = run->attempt, .reason = ending->error};
        struct msg_cancel cancel = {.leases = {&row, 1}};
        if (row.reason.len > 256)
            row.reason.len = 0;
        lease_cancel(core, lease);
        if (to.peer.len)
            journal_send(core->journal, &to, &shape_msg_cancel, &cancel);
    } else {
        lease_end(core, lease);
    }
}

static void put_statistics(struct core *core, struct run *run, const struct decision *decision, uint64_t event)
{
    struct task *task = run->task;
    struct rec_task_stat *stat = &task->stat;
    if (decision->status == RUN_COMPLETED) {
        stat->completed++;
        sum_add(&stat->duration_ms, decision->ending->duration_ms);
        stat->last_completed_at = core->wall_ms;
        stat->completed_event = event;
    } else if (decision->status == RUN_FAILED) {
        stat->failed++;
        stat->failed_event = event;
    } else {
        stat->aborted++;
        stat->failed_event = event;
    }
    uint8_t status = task_status_after(task, run, decision->status);
    if (run->node.id > stat->last_final_id) {
        stat->last_final_id = run->node.id;
        stat->last_status = decision->status;
    }
    task_stat_put(core, task);
    if (!decision->task)
        return;
    task->status = status;
    task->updated_at = core->wall_ms;
    decision->task->status = status;
    decision->task->updated_at = core->wall_ms;
    journal_put(core->journal, TYPE_TASK, task_id(task), decision->task);
}

/* The webhooks that the task itself names. */
static struct uint_list notify_of(const struct task *task, uint64_t status)
{
    const struct task_rules *rules = &task->rules;
    if (status == RUN_FAILED)
        return (struct uint_list){rules->notify, rules->notify_failed};
    if (status == RUN_COMPLETED)
        return (struct uint_list){rules->notify + rules->notify_failed, rules->notify_completed};
    return (struct uint_list){0};
}

static uint64_t announce_end(struct core *core, const struct task *task, const struct rec_run *record,
                             const struct ending *ending, bool had_attempt)
{
    struct rec_event event = {.task_id = record->task_id,
                              .task_name = record->task_name,
                              .run_id = record->id,
                              .attempt = had_attempt ? record->attempt : 0,
                              .worker_name = record->worker_name,
                              .detail = ending->error};
    event.type = record->status == RUN_COMPLETED ? STR_LIT("task.completed")
                 : record->status == RUN_ABORTED ? STR_LIT("run.aborted")
                                                 : STR_LIT("task.failed");
    event.status = str_of(outcome_name(ending->outcome));
    if (task && task->rules.notify)
        event.notify = notify_of(task, record->status);
    return core_event(core, &event);
}

/* The run is final: everything that follows from it, then it leaves memory. */
static void finish(struct core *core, struct run *run, const struct decision *decision, bool had_attempt, double progress)
{
    const struct ending *ending = decision->ending;
    struct task *task = run->task;
    struct rec_run record;
    run_record(run, decision->spec, &record);
    record.status = decision->status;
    record.completed_at = core->wall_ms;
    record.progress = decision->status == RUN_COMPLETED ? 100.0 : progress;
    if (ending->has_result) {
        record.result = ending->result;
        SET_HAS(&record, rec_run, result);
    }
    run_put(core, &record);
    measure_end(&core->measure, (enum run_status)decision->status, core->wall_ms, true);
    uint64_t event = announce_end(core, task, &record, ending, had_attempt);
    if (task)
        put_statistics(core, run, decision, event);
    if (had_attempt)
        recent_add(core, record.id, record.attempt, ending->outcome);
    if (run->class->farm && run->class->farm->ended) {
        farm_ended(core, run->class->farm, &record);
        farm_commit(core);
    }
    if (ending->call) {
        struct msg_run_answer answer = {.run = record};
        run_brief(&answer.run);
        core_answer(core, ending->call, &shape_msg_run_answer, &answer);
    }
    log_info("GTY-RUN-END", "run=%llu attempt=%u status=%s", (unsigned long long)record.id, run->attempt,
             run_status_name(record.status));
    run_leave(core, run);
    if (task) {
        task_keep_runs(core, task); /* one more has ended */
        depend_ended(core, task);
        if (task->rules.dep_count)
            depend_recheck(core, task); /* this run may have kept the next one from being made */
        task_let_go(core, task);
    }
}

static void go_on(struct core *core, struct run *run, const struct decision *decision)
{
    struct rec_run record;
    run_record(run, decision->spec, &record);
    run_put(core, &record);
    if (decision->change == CHANGE_RETURN)
        return;
    struct rec_event event = {.type = STR_LIT("run.retry"),
                              .task_id = record.task_id,
                              .task_name = record.task_name,
                              .run_id = record.id,
                              .attempt = record.attempt,
                              .worker_name = record.worker_name,
                              .status = str_of(outcome_name(decision->ending->outcome)),
                              .detail = decision->ending->error};
    core_event(core, &event);
}

int retry_end(struct core *core, struct run *run, const struct ending *ending, struct fault *fault)
{
    struct decision decision;
    if (retry_prepare(core, run, ending, &decision, fault)) {
        decision_clear(&decision);
        return -1;
    }
    bool had_attempt = run->lease != NULL;
    double progress = had_attempt && run->lease->progress > 0 ? run->lease->progress : 0;
    if (had_attempt)
        close_attempt(core, run, &decision);
    if (decision.error || decision.change == CHANGE_COMPLETE) { /* a success leaves none: failed attempts keep their own */
        text_drop(run->more->error);
        run->more->error = decision.error;
        decision.error = NULL;
    }
    if (ending->outcome == OUTCOME_LOST)
        run->losses++;
    if (decision.change == CHANGE_RETRY) {
        run->retries++;
        run->due_at = core->wall_ms + retry_backoff(core, run->retries);
    }
    run_move(core, run, decision.change);
    if (change_ends(decision.change))
        finish(core, run, &decision, had_attempt, progress);
    else
        go_on(core, run, &decision);
    decision_clear(&decision);
    return 0;
}
