/* What workers over REST report of runs.
 *
 * A report names (run, attempt). What is not the lease of a worker over REST is refused and changes nothing; only the repeat of a report that
 * ended the attempt is confirmed again (rule 5). All that a report says is on disk before its answer leaves, progress and log lines too;
 * so the attempt's record has its progress, and how many lines were taken, by which the next are numbered.
 */
#include <stdio.h>

#include "scheduler/draft.h"
#include "scheduler/lease.h"
#include "scheduler/rest.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"

void rest_claim(struct core *core, struct lease *lease)
{
    const struct rec_attempt *attempt = lease->run ? run_attempt(lease->run, lease->run->attempt) : NULL;
    bool rebuilt = lease->state == LEASE_REBUILT;
    lease_claim(core, lease->worker, lease->key >> 20, lease->key & (RUN_ATTEMPTS_MAX - 1));
    if (!lease->started_at)
        lease->started_at = rebuilt && attempt ? attempt->assigned_at : core->wall_ms;
}

/* ---- POST /runs/{id}/report ---- */

int rest_refuse_stale(uint64_t run_id, uint64_t attempt, struct fault *fault)
{
    char value[24];
    snprintf(value, sizeof value, "%llu", (unsigned long long)attempt);
    return fault_set(fault, ERR_CONFLICT, "attempt", "stale", str_of(value), NULL,
                     "attempt %s of run %llu is over, or not this worker's: stop it", value, (unsigned long long)run_id);
}

int rest_check_lease(const struct lease *lease, struct str worker_id, struct str whose, struct fault *fault)
{
    const struct worker *worker = lease->worker;
    if (!worker->asks || (worker_id.len && !str_eq(worker_id, worker->name->str)))
        return rest_refuse_stale(lease->key >> 20, lease->key & (RUN_ATTEMPTS_MAX - 1), fault);
    if (!rest_owns(worker, whose))
        return fault_set(fault, ERR_FORBIDDEN, "id", "owner", worker->name->str, NULL,
                         "worker %s was registered by somebody else", worker->name->data);
    return 0;
}

static int refuse_stale(const struct msg_run_report *report, struct fault *fault)
{
    return rest_refuse_stale(report->run_id, report->attempt, fault);
}

/* A worker may give a run up by itself: then it goes back. */
static bool outcome_repeats(uint64_t status, uint64_t outcome)
{
    switch (status) {
    case RUN_COMPLETED:
        return outcome == OUTCOME_COMPLETED;
    case RUN_FAILED:
        return outcome == OUTCOME_FAILED;
    case RUN_ABORTED:
        return outcome == OUTCOME_ABORTED || outcome == OUTCOME_RETURNED;
    default:
        return false;
    }
}

/* The attempt of a stored run that the report is about; NULL: none. */
static const struct rec_attempt *known_attempt(const struct msg_run_report *report)
{
    const struct rec_attempt_list *list = &report->known.attempts;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].number == report->attempt)
            return &list->items[i];
    return NULL;
}

/* There is no such lease (any more): 0 when this very report ended it before; -1 with fault. *status: of the run. */
static int report_late(const struct core *core, const struct msg_run_report *report, uint64_t *status, struct fault *fault)
{
    const struct run *run = run_find(core, report->run_id);
    const struct rec_attempt *attempt = run ? run_attempt(run, report->attempt) : NULL;
    uint64_t outcome = OUTCOME_OPEN;
    char value[24];
    snprintf(value, sizeof value, "%llu", (unsigned long long)report->run_id);
    *status = run ? (run_waits(run) ? RUN_PENDING : RUN_RUNNING) : report->status;
    if (run) {
        outcome = attempt ? attempt->outcome : OUTCOME_OPEN;
    } else if (recent_has(core, report->run_id, report->attempt, &outcome)) {
        ;
    } else if (report->run_id >= core->next_id[TYPE_RUN]) {
        return fault_set(fault, ERR_NOT_FOUND, "id", "not_found", str_of(value), "the id of a run", "there is no run %s", value);
    } else if (!HAS(report, msg_run_report, known) || report->known.id != report->run_id) {
        return fault_set(fault, ERR_NOT_FOUND, "id", FAULT_FETCH, str_of(value), "the id of a run",
                         "run %s is not kept in memory: ask again with its record", value);
    } else if ((attempt = known_attempt(report))) {
        outcome = attempt->outcome;
        *status = report->known.status;
    }
    return outcome_repeats(report->status, outcome) ? 0 : refuse_stale(report, fault);
}

/* Its lines, numbered in the message behind those that the attempt has; false when there are none. */
static bool report_lines(const struct msg_run_report *report, uint64_t before, uint64_t wall_ms, struct rec_log_chunk *chunk)
{
    *chunk = (struct rec_log_chunk){.run_id = report->run_id, .attempt = report->attempt, .lines = report->logs};
    for (uint32_t i = 0; i < chunk->lines.count; i++) {
        chunk->lines.items[i].seq = before + i + 1;
        if (!chunk->lines.items[i].at)
            chunk->lines.items[i].at = wall_ms;
    }
    return chunk->lines.count > 0;
}

static size_t lines_bytes(const struct msg_run_report *report)
{
    size_t bytes = 64;
    for (uint32_t i = 0; i < report->logs.count; i++)
        bytes += report->logs.items[i].text.len + 48;
    return bytes;
}

/* Lines in the journal; room has been reserved. */
static void put_lines(struct core *core, const struct rec_log_chunk *chunk)
{
    journal_log(core->journal, chunk);
    journal_note_run(core->journal, chunk->run_id);
}

/* It goes on. -1 with fault. */
static int report_running(struct core *core, const struct msg_run_report *report, struct lease *lease, struct fault *fault)
{
    struct run *run = lease->run;
    struct rec_attempt *attempt = run_attempt(run, run->attempt);
    struct rec_task_spec *spec;
    struct rec_log_chunk chunk;
    struct rec_run record;
    bool told = HAS(report, msg_run_report, progress);
    if (run_own_spec(core, run, &spec))
        return fault_memory(fault);
    size_t answer = REST_CANCEL_BYTES((size_t)lease->worker->held);
    if (core_reserve(core, run_bytes(run) + lines_bytes(report) + 128, answer, 6, fault))
        return -1;
    rest_claim(core, lease);
    if (told)
        lease->progress = attempt->progress = report->progress;
    if (report_lines(report, attempt->lines, core->wall_ms, &chunk)) {
        attempt->lines += chunk.lines.count;
        put_lines(core, &chunk);
    }
    if (told || chunk.lines.count) { /* what the attempt has of both */
        run_record(run, spec, &record);
        run_put(core, &record);
    }
    return 0;
}

static struct str failure_text(const struct msg_run_report *report, char *room, size_t size)
{
    if (report->error_message.len)
        return report->error_message;
    if (HAS(report, msg_run_report, exit_code))
        snprintf(room, size, "exit code %lld", (long long)report->exit_code);
    else
        snprintf(room, size, "its worker reported a failure");
    return str_of(room);
}

/* It has ended. -1 with fault. */
static int report_ended(struct core *core, const struct msg_run_report *report, struct lease *lease, struct fault *fault)
{
    struct rec_log_chunk chunk;
    char room[64];
    const struct rec_attempt *attempt = run_attempt(lease->run, lease->run->attempt);
    uint64_t lines = attempt->lines;
    rest_claim(core, lease);
    struct ending ending = {
        .outcome = report->status == RUN_COMPLETED ? OUTCOME_COMPLETED
                   : report->status == RUN_FAILED  ? OUTCOME_FAILED
                                                   : OUTCOME_RETURNED,
        .error = report->error_message,
        .has_exit = HAS(report, msg_run_report, exit_code),
        .exit_code = report->exit_code,
        .has_result = HAS(report, msg_run_report, result),
        .result = report->result,
        .started_at = lease->started_at,
        .duration_ms = core->wall_ms > lease->started_at ? core->wall_ms - lease->started_at : 0,
        .extra = lines_bytes(report) + 2 * REST_CANCEL_BYTES((size_t)lease->worker->held) + 256,
    };
    if (report->status == RUN_FAILED)
        ending.error = failure_text(report, room, sizeof room);
    else if (report->status == RUN_ABORTED && !ending.error.len)
        ending.error = STR_LIT("its worker gave it up");
    else if (report->status == RUN_COMPLETED)
        ending.error = (struct str){0};
    if (retry_end(core, lease->run, &ending, fault))
        return -1;
    if (report_lines(report, lines, core->wall_ms, &chunk))
        put_lines(core, &chunk);
    return 0;
}

/* The run was ended by somebody, and its worker may not know yet. -1 with fault. */
static int report_cancelled(struct core *core, const struct msg_run_report *report, struct lease *lease, struct fault *fault)
{
    if (core_reserve(core, 64, REST_CANCEL_BYTES((size_t)lease->worker->held), 3, fault))
        return -1;
    if (report->status == RUN_RUNNING) {
        rest_claim(core, lease);
        return 0;
    }
    lease_end(core, lease);
    return report->status == RUN_ABORTED ? 0 : refuse_stale(report, fault);
}

static int report_check(const struct core_call *call, const struct lease *lease, struct fault *fault)
{
    const struct msg_run_report *report = &call->msg->u.run_report;
    char value[24];
    if (call->frame.len > DRAFT_VALUE) {
        snprintf(value, sizeof value, "%u", call->frame.len);
        return fault_set(fault, ERR_INVALID, "logs", "size", str_of(value), "at most 1024 KiB in all",
                         "a report of %s bytes is more than one record takes: send its lines in several", value);
    }
    if (HAS(report, msg_run_report, progress) && !(report->progress >= 0 && report->progress <= 100))
        return fault_set(fault, ERR_INVALID, "progress", "range", (struct str){0}, "0..100", "progress is 0 to 100");
    return lease ? rest_check_lease(lease, report->worker_id, report->whose, fault) : 0;
}

static void answer_report(struct core *core, const struct core_call *call, const struct worker *worker, uint64_t status)
{
    const struct msg_run_report *report = &call->msg->u.run_report;
    struct msg_run_reported answer = {.run_id = report->run_id, .attempt = report->attempt, .status = status};
    if (worker && rest_cancels(core, worker, &answer.cancel))
        answer.cancel.count = 0; /* told with its next heartbeat */
    core_answer(core, call, &shape_msg_run_reported, &answer);
}

static uint64_t status_now(const struct core *core, const struct msg_run_report *report)
{
    const struct run *run = run_find(core, report->run_id);
    uint64_t outcome = OUTCOME_OPEN;
    if (run)
        return run_waits(run) ? RUN_PENDING : RUN_RUNNING;
    recent_has(core, report->run_id, report->attempt, &outcome);
    return outcome == OUTCOME_COMPLETED ? RUN_COMPLETED : outcome == OUTCOME_ABORTED ? RUN_ABORTED : RUN_FAILED;
}

void rest_on_report(struct core *core, const struct core_call *call)
{
    const struct msg_run_report *report = &call->msg->u.run_report;
    struct lease *lease = index_id(&core->leases, lease_key(report->run_id, report->attempt));
    struct worker *worker = lease ? lease->worker : NULL; /* the lease may end here */
    uint64_t status = RUN_RUNNING;
    struct fault fault;
    if (report_check(call, lease, &fault) || (lease && rest_attend(core, worker, &fault)))
        goto error;
    if (!lease) {
        if (report_late(core, report, &status, &fault) || core_reserve(core, 64, REST_CANCEL_BYTES((size_t)0), 2, &fault))
            goto error;
    } else if (lease->state == LEASE_CANCELLED) {
        if (report_cancelled(core, report, lease, &fault))
            goto error;
    } else if (report->status == RUN_RUNNING) {
        if (report_running(core, report, lease, &fault))
            goto error;
    } else if (report_ended(core, report, lease, &fault)) {
        goto error;
    }
    answer_report(core, call, worker, worker ? status_now(core, report) : status);
    return;
error:
    core_refuse(core, call, &fault);
}
