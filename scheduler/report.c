/* What workers report of their runs: results, outputs, progress, log lines.
 *
 * Every one names (run, attempt). What is not this worker's lease is refused, changes nothing, and its sender is told to stop;
 * only the repeat of a result that was accepted is acknowledged again (rule 5).
 */
#include "scheduler/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "scheduler/draft.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/publish.h"
#include "scheduler/queue.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

/* Sends rows as a message of that shape, if there are any; room has been reserved. shape's struct is has + the list. */
static void send_rows(struct core *core, const struct core_call *call, const struct shape *shape, const struct lease_rows *rows)
{
    struct msg_refused message = {.leases = rows->list}; /* REFUSED and RESULT_ACK have the same members */
    if (rows->list.count)
        journal_send(core->journal, &call->from, shape, &message);
}

_Static_assert(sizeof(struct msg_refused) == sizeof(struct msg_result_ack), "send_rows sends both");

void report_refuse(struct core *core, const struct core_call *call, uint64_t run_id, uint64_t attempt, const char *why)
{
    struct lease_rows rows = {0};
    struct fault fault;
    if (lease_rows_reserve(core, &rows, 1) || core_reserve(core, LEASE_ROW_BYTES, 0, 1, &fault))
        return; /* it says so again */
    lease_rows_add(core, &rows, run_id, attempt, why);
    send_rows(core, call, &shape_msg_refused, &rows);
}

/* Whether this attempt was ended by this very report before. */
static bool result_repeats(const struct core *core, const struct rec_outcome *item)
{
    uint64_t outcome;
    const struct run *run = run_find(core, item->run_id);
    const struct rec_attempt *attempt = run ? run_attempt(run, item->attempt) : NULL;
    if (attempt)
        return attempt->outcome == item->outcome && item->outcome <= OUTCOME_ABORTED;
    return recent_has(core, item->run_id, item->attempt, &outcome) && outcome == item->outcome;
}

enum verdict { VERDICT_ACK, VERDICT_REFUSE, VERDICT_LATER };

#define LOG_GAP_MS 15000 /* that a result waits for lines which have to come again */

/* With the lease its lines would end: they are let in first. */
static bool result_waits(const struct core *core, const struct lease *lease)
{
    return lease->log_due && core->mono_ms < lease->log_due_since + LOG_GAP_MS;
}

static enum verdict result_item(struct core *core, struct worker *worker, const struct rec_outcome *item, size_t extra)
{
    struct lease *lease = lease_claim(core, worker, item->run_id, item->attempt);
    struct fault fault;
    if (item->outcome > OUTCOME_ABORTED)
        return VERDICT_REFUSE;
    if (!lease || lease->state == LEASE_CANCELLED) {
        bool known = result_repeats(core, item) || (lease && item->outcome == OUTCOME_ABORTED);
        if (core_reserve(core, extra, 0, 2, &fault))
            return VERDICT_LATER;
        if (lease)
            lease_end(core, lease);
        return known ? VERDICT_ACK : VERDICT_REFUSE;
    }
    if (result_waits(core, lease))
        return VERDICT_LATER;
    struct ending ending = {
        .outcome = item->outcome == OUTCOME_ABORTED ? OUTCOME_RETURNED : (enum outcome)item->outcome,
        .error = item->error,
        .has_exit = HAS(item, rec_outcome, exit_code),
        .exit_code = item->exit_code,
        .signal = item->signal,
        .has_result = HAS(item, rec_outcome, result),
        .result = item->result,
        .started_at = item->started_at,
        .ended_at = item->ended_at,
        .duration_ms = item->duration_ms,
        .extra = extra,
    };
    return retry_end(core, lease->run, &ending, &fault) ? VERDICT_LATER : VERDICT_ACK;
}

void report_on_result(struct core *core, const struct core_call *call)
{
    const struct msg_result *result = &call->msg->u.result;
    struct worker *worker = worker_of_call(core, call);
    struct lease_rows acks = {0}, refusals = {0};
    if (!worker || lease_rows_reserve(core, &acks, result->items.count) ||
        lease_rows_reserve(core, &refusals, result->items.count))
        return;
    for (uint32_t i = 0; i < result->items.count; i++) {
        const struct rec_outcome *item = &result->items.items[i];
        size_t extra = (size_t)LEASE_ROW_BYTES * (i + 2);
        enum verdict verdict = result_item(core, worker, item, extra);
        if (verdict == VERDICT_LATER)
            continue; /* it comes again */
        if (verdict == VERDICT_ACK)
            lease_rows_add(core, &acks, item->run_id, item->attempt, NULL);
        else
            lease_rows_add(core, &refusals, item->run_id, item->attempt, LEASE_WHY_STALE);
    }
    send_rows(core, call, &shape_msg_result_ack, &acks);
    send_rows(core, call, &shape_msg_refused, &refusals);
}

void report_on_publish(struct core *core, const struct core_call *call)
{
    const struct msg_publish *publish = &call->msg->u.publish;
    const struct rec_published *output = &publish->output;
    struct worker *worker = worker_of_call(core, call);
    struct fault fault;
    if (!worker)
        return;
    struct lease *lease = lease_claim(core, worker, publish->run_id, output->attempt);
    if (!lease || lease->state == LEASE_CANCELLED) {
        report_refuse(core, call, publish->run_id, output->attempt, LEASE_WHY_STALE);
        return;
    }
    lease_started(core, lease);
    struct msg_publish_grant grant = {.run_id = publish->run_id, .attempt = output->attempt};
    if (publish_grant(core, lease, output, 0, &fault) == 0)
        journal_send(core->journal, &call->from, &shape_msg_publish_grant, &grant);
    else if (publish_refuses(&fault))
        report_refuse(core, call, publish->run_id, output->attempt, fault.text);
    /* else it asks again */
}

void report_on_progress(struct core *core, const struct core_call *call)
{
    const struct msg_progress *progress = &call->msg->u.progress;
    struct worker *worker = worker_of_call(core, call);
    struct lease_rows refusals = {0};
    struct fault fault;
    if (!worker || lease_rows_reserve(core, &refusals, progress->items.count))
        return;
    for (uint32_t i = 0; i < progress->items.count; i++) {
        const struct rec_progress *item = &progress->items.items[i];
        struct lease *lease = lease_claim(core, worker, item->run_id, item->attempt);
        if (!lease) {
            lease_rows_add(core, &refusals, item->run_id, item->attempt, LEASE_WHY_STALE);
            continue;
        }
        lease_started(core, lease);
        lease->progress = HAS(item, rec_progress, percent) && item->percent >= 0 && item->percent <= 100 ? item->percent : -1;
        if (item->note.len) {
            char *note = realloc(lease->note, (size_t)item->note.len + 1);
            if (note) {
                str_copy(note, (size_t)item->note.len + 1, item->note);
                lease->note = note;
            }
        }
    }
    if (refusals.list.count && core_reserve(core, (size_t)LEASE_ROW_BYTES * refusals.list.count, 0, 1, &fault) == 0)
        send_rows(core, call, &shape_msg_refused, &refusals);
}

/* Lines are taken in order, as an acknowledgement of later ones is one of all before them. A chunk that found no room leaves a gap;
 * what is behind it waits until it has come again. */
static bool log_behind_gap(const struct lease *lease, const struct rec_log_chunk *chunk)
{
    uint64_t first = chunk->lines.count ? chunk->lines.items[0].seq : UINT64_MAX;
    return lease->log_due && (first < chunk->dropped || first - chunk->dropped > lease->log_due);
}

static void log_gap(const struct core *core, struct lease *lease, const struct rec_log_chunk *chunk)
{
    uint64_t first = chunk->lines.count ? chunk->lines.items[0].seq : 1;
    first = first > chunk->dropped ? first - chunk->dropped : 1;
    if (lease->log_due && lease->log_due <= first)
        return;
    lease->log_due = first;
    lease->log_due_since = core->mono_ms;
}

/* Lines may come behind the result they belong to: an attempt that ended by its worker's word, not one that was taken away. */
static bool log_may_follow(const struct core *core, const struct worker *worker, const struct rec_log_chunk *chunk)
{
    uint64_t outcome = OUTCOME_OPEN;
    const struct run *run = run_find(core, chunk->run_id);
    const struct rec_attempt *attempt = run ? run_attempt(run, chunk->attempt) : NULL;
    if (attempt)
        outcome = attempt->worker_id == worker->id ? attempt->outcome : OUTCOME_OPEN;
    else if (!run)
        recent_has(core, chunk->run_id, chunk->attempt, &outcome);
    return outcome != OUTCOME_OPEN && outcome <= OUTCOME_ABORTED;
}

/* Its own log. Soft: there is no more to say than that it came. */
void report_on_lines(struct core *core, const struct core_call *call)
{
    const struct worker *worker = worker_of_call(core, call);
    struct msg_log_taken taken = {0};
    if (!worker)
        return;
    if (core->lines)
        core->lines(core->lines_self, worker->name->str, &call->msg->u.log_lines);
    journal_send_now(core->journal, &call->from, &shape_msg_log_taken, &taken);
}

static void log_refuse(struct core *core, const struct core_call *call)
{
    struct fault fault;
    char value[24];
    snprintf(value, sizeof value, "%u", call->frame.len);
    fault_set(&fault, ERR_INVALID, "chunk", "size", str_of(value), "a LOG of at most 1048576 bytes",
              "a LOG of %u bytes is more than one record takes: send its lines in several", call->frame.len);
    core_refuse(core, call, &fault);
}

/* A chunk whose acknowledgement was lost comes again: its farm was told of those lines. */
static void log_mirror(struct core *core, struct lease *lease, const struct rec_log_chunk *chunk, uint64_t newest)
{
    struct rec_log_chunk fresh = *chunk;
    for (; fresh.lines.count && fresh.lines.items->seq <= lease->log_told; fresh.lines.count--)
        fresh.lines.items++;
    if (fresh.lines.count)
        farm_logged(core, lease->run, &fresh);
    if (newest > lease->log_told)
        lease->log_told = newest;
}

void report_on_log(struct core *core, const struct core_call *call)
{
    const struct rec_log_chunk *chunk = &call->msg->u.log.chunk;
    struct worker *worker = worker_of_call(core, call);
    struct fault fault;
    if (!worker)
        return;
    if (call->frame.len > DRAFT_VALUE) { /* one record takes the chunk: encoded again it is no longer than it came */
        log_refuse(core, call);
        return;
    }
    struct lease *lease = lease_claim(core, worker, chunk->run_id, chunk->attempt);
    bool current = lease && lease->state != LEASE_CANCELLED;
    if (!current && !log_may_follow(core, worker, chunk)) {
        report_refuse(core, call, chunk->run_id, chunk->attempt, LEASE_WHY_STALE);
        return;
    }
    if (current)
        lease_started(core, lease);
    if (current && log_behind_gap(lease, chunk))
        return; /* it comes again */
    struct msg_log_ack ack = {.run_id = chunk->run_id, .attempt = chunk->attempt};
    for (uint32_t i = 0; i < chunk->lines.count; i++)
        if (chunk->lines.items[i].seq > ack.seq)
            ack.seq = chunk->lines.items[i].seq;
    bool mirrored = current && lease->run->class->farm && lease->run->class->farm->logged;
    uint32_t mirror = mirrored ? chunk->lines.count : 0;
    size_t bytes = (mirror ? 2 : 1) * (size_t)call->frame.len + mirror * (size_t)FARM_LOGGED_BYTES;
    if (core_reserve(core, bytes + 256, 0, 3 + mirror * FARM_LOGGED_OPS, &fault)) {
        if (current)
            log_gap(core, lease, chunk);
        return;
    }
    if (current)
        lease->log_due = 0;
    journal_log(core->journal, chunk);
    if (mirrored)
        log_mirror(core, lease, chunk, ack.seq);
    journal_note_run(core->journal, chunk->run_id);
    journal_send(core->journal, &call->from, &shape_msg_log_ack, &ack);
}
