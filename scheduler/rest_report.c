/* What workers over REST say of what they hold: heartbeats, and reports of runs.
 *
 * A report names (run, attempt). What is not the lease of a worker over REST is refused and changes nothing; only the repeat of a report that
 * ended the attempt is confirmed again (rule 5). All that a report says is on disk before its answer leaves, progress and log lines too;
 * so the attempt's record has its progress, and how many lines were taken, by which the next are numbered.
 */
#include <stdio.h>
#include <stdlib.h>

#include "scheduler/draft.h"
#include "scheduler/lease.h"
#include "scheduler/rest.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"

/* As lease_claim. It begins when it is heard of first; one from before this scheduler's start, as far as is known, when it was given. */
static void claim(struct core *core, struct lease *lease)
{
    const struct rec_attempt *attempt = lease->run ? run_attempt(lease->run, lease->run->attempt) : NULL;
    bool rebuilt = lease->state == LEASE_REBUILT;
    lease_claim(core, lease->worker, lease->key >> 20, lease->key & (RUN_ATTEMPTS_MAX - 1));
    if (!lease->started_at)
        lease->started_at = rebuilt && attempt ? attempt->assigned_at : core->wall_ms;
}

/* ---- POST /workers/{id}/heartbeat ---- */

struct named { /* a run that a heartbeat names */
    uint64_t run, attempt;
    bool held;
};

static int named_order(const void *left, const void *right)
{
    const struct named *a = left, *b = right;
    return (a->run > b->run) - (a->run < b->run);
}

static struct named *named_runs(struct core *core, const struct msg_worker_beat *beat)
{
    struct named *rows = arena_alloc(core->arena, beat->runs.count * sizeof *rows + 1);
    if (!rows)
        return NULL;
    for (uint32_t i = 0; i < beat->runs.count; i++)
        rows[i] = (struct named){.run = beat->runs.items[i], .attempt = i < beat->attempts.count ? beat->attempts.items[i] : 0};
    qsort(rows, beat->runs.count, sizeof *rows, named_order);
    return rows;
}

/* Whether the row means this lease. */
static bool named_is(const struct core *core, const struct named *row, const struct lease *lease)
{
    if (row->attempt)
        return row->attempt == (lease->key & (RUN_ATTEMPTS_MAX - 1));
    if (lease->run)
        return true;
    const struct run *run =
        run_find(core, row->run); /* an earlier attempt of a run that it was given anew is not what it means */
    return !run || !run->lease || run->lease->worker != lease->worker;
}

/* The first row of a run, among rows in order; NULL if it is not named. */
static struct named *named_first(struct named *rows, uint32_t count, uint64_t run)
{
    struct named wanted = {.run = run}, *row = bsearch(&wanted, rows, count, sizeof *rows, named_order);
    while (row && row > rows && row[-1].run == run)
        row--;
    return row;
}

/* Renews what it names and holds. What it holds no more by its own word, and was to stop, is over; what it names and does not hold, or is
 * to stop, goes to cancel. */
static void beat_leases(struct core *core, struct worker *worker, struct named *rows, uint32_t count, struct uint_list *cancel)
{
    for (struct lease *lease = worker->leases, *next; lease; lease = next) {
        bool stops = lease->state == LEASE_CANCELLED, named = false;
        uint64_t run = lease->key >> 20;
        next = lease->next;
        for (struct named *row = named_first(rows, count, run); row && row < rows + count && row->run == run; row++)
            if (named_is(core, row, lease)) {
                named = true;
                row->held = !stops;
            }
        if (named)
            claim(core, lease);
        else if (stops)
            lease_end(core, lease);
    }
    for (uint32_t i = 0; i < count; i++)
        if (!rows[i].held && (cancel->count == 0 || cancel->items[cancel->count - 1] != rows[i].run))
            cancel->items[cancel->count++] = rows[i].run;
}

static int beat_cancels(struct core *core, struct worker *worker, const struct msg_worker_beat *beat, struct uint_list *cancel)
{
    if (!HAS(beat, msg_worker_beat, runs))
        return rest_cancels(core, worker, cancel);
    struct named *rows = named_runs(core, beat);
    cancel->items = arena_alloc(core->arena, beat->runs.count * sizeof *cancel->items + 1);
    if (!rows || !cancel->items)
        return -1;
    beat_leases(core, worker, rows, beat->runs.count, cancel);
    return 0;
}

/* Its metadata, which is kept when it has changed. -1 with fault. */
static int beat_metadata(struct core *core, struct worker *worker, const struct msg_worker_beat *beat, struct fault *fault)
{
    if (!HAS(beat, msg_worker_beat, metadata) || str_eq(beat->metadata, text_str(worker->metadata)))
        return 0;
    struct text *metadata = text_new(beat->metadata);
    if (!metadata)
        return fault_memory(fault);
    if (core_reserve(core, worker_bytes(worker) + beat->metadata.len, 0, 1, fault)) {
        text_drop(metadata);
        return -1;
    }
    text_drop(worker->metadata);
    worker->metadata = metadata;
    worker_put(core, worker);
    return 0;
}

static bool beat_writes(const struct worker *worker, const struct msg_worker_beat *beat)
{
    return !worker->present || (HAS(beat, msg_worker_beat, metadata) && !str_eq(beat->metadata, text_str(worker->metadata)));
}

void rest_on_beat(struct core *core, const struct core_call *call)
{
    const struct msg_worker_beat *beat = &call->msg->u.worker_beat;
    struct msg_worker_beat_answer answer = {0};
    struct fault fault;
    struct worker *worker = rest_worker(core, beat->id, beat->whose, &fault);
    if (!worker)
        goto error;
    bool writes = beat_writes(worker, beat);
    if (rest_attend(core, worker, &fault) || beat_metadata(core, worker, beat, &fault))
        goto error;
    worker->load_average = beat->load_average;
    worker->memory_mb = beat->memory_usage;
    worker->cpu_percent = beat->cpu_usage;
    rest_forget(core, worker);
    if (beat_cancels(core, worker, beat, &answer.cancel)) {
        fault_memory(&fault);
        goto error;
    }
    answer.id = worker->name->str;
    answer.status = worker->status;
    answer.last_heartbeat = worker->last_heartbeat;
    answer.heartbeat_ms = core->config.heartbeat_ms;
    if (!writes && !answer.cancel.count) { /* true this second only */
        journal_send_now(core->journal, &call->from, &shape_msg_worker_beat_answer, &answer);
        return;
    }
    if (core_reserve(core, REST_CANCEL_BYTES((size_t)answer.cancel.count) + 128, 0, 1, &fault))
        goto error;
    journal_send(core->journal, &call->from, &shape_msg_worker_beat_answer, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}

/* ---- POST /runs/{id}/report ---- */

static int refuse_stale(const struct msg_run_report *report, struct fault *fault)
{
    char value[24];
    snprintf(value, sizeof value, "%llu", (unsigned long long)report->attempt);
    return fault_set(fault, ERR_CONFLICT, "attempt", "stale", str_of(value), NULL,
                     "attempt %s of run %llu is over, or not this worker's: stop it", value, (unsigned long long)report->run_id);
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
    claim(core, lease);
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
    claim(core, lease);
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
        claim(core, lease);
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
    if (!lease)
        return 0;
    if (!lease->worker->asks || (report->worker_id.len && !str_eq(report->worker_id, lease->worker->name->str)))
        return refuse_stale(report, fault);
    if (!rest_owns(lease->worker, report->whose))
        return fault_set(fault, ERR_FORBIDDEN, "id", "owner", lease->worker->name->str, NULL,
                         "worker %s was registered by somebody else", lease->worker->name->data);
    return 0;
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
