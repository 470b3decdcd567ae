/* Heartbeats of workers over REST: that they live, and what they hold.
 *
 * What a heartbeat says is true this second, and kept in memory only; so is its key (rule 4). The newest of a worker are remembered, and a
 * repeat is answered as before and does nothing. A scheduler that was started anew knows neither what was said nor that it was. What has to
 * be on disk, metadata that has changed, a worker that is back, runs that it is told to stop, and refusals, is so together with the key.
 */
#include <stdlib.h>

#include "scheduler/lease.h"
#include "scheduler/rest.h"
#include "scheduler/run.h"

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
            rest_claim(core, lease);
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

/* ---- keys ---- */

/* The newest heartbeat of this key; NULL: none that is remembered. */
static const struct worker_beat *beat_find(const struct worker *worker, const struct rec_idem *idem)
{
    for (uint32_t i = 0; i < WORKER_BEATS; i++) {
        const struct worker_beat *said = &worker->said[i];
        if (said->at && memcmp(said->scope, idem->scope.ptr, sizeof said->scope) == 0)
            return said;
    }
    return NULL;
}

static void beat_remember(struct worker *worker, const struct rec_idem *idem, const struct msg_worker_beat_answer *answer)
{
    struct worker_beat *said = &worker->said[worker->said_at++ % WORKER_BEATS];
    *said = (struct worker_beat){
        .at = answer->last_heartbeat, .heartbeat_ms = answer->heartbeat_ms, .status = (uint8_t)answer->status};
    memcpy(said->scope, idem->scope.ptr, sizeof said->scope);
    memcpy(said->body, idem->body.ptr, sizeof said->body);
}

/* Whether it was answered: it repeats one that is remembered, in memory or on disk, or has the key of another. */
static bool beat_repeats(struct core *core, const struct core_call *call, const struct worker *worker)
{
    const struct msg_worker_beat *beat = &call->msg->u.worker_beat;
    const struct worker_beat *said = worker ? beat_find(worker, &beat->idem) : NULL;
    if (!said)
        return !core_key_admits(core, call, &beat->idem);
    if (memcmp(said->body, beat->idem.body.ptr, sizeof said->body) != 0) {
        core_key_reused(core, call);
        return true;
    }
    struct msg_worker_beat_answer answer = {
        .id = worker->name->str, .status = said->status, .last_heartbeat = said->at, .heartbeat_ms = said->heartbeat_ms};
    journal_send_now(core->journal, &call->from, &shape_msg_worker_beat_answer, &answer);
    return true;
}

/* ---- POST /workers/{id}/heartbeat ---- */

static void beat_numbers(struct worker *worker, const struct msg_worker_beat *beat)
{
    worker->load_average = beat->load_average;
    worker->memory_mb = beat->memory_usage;
    worker->cpu_percent = beat->cpu_usage;
}

void rest_on_beat(struct core *core, const struct core_call *call)
{
    const struct msg_worker_beat *beat = &call->msg->u.worker_beat;
    const struct rec_idem *idem = HAS(beat, msg_worker_beat, idem) ? &beat->idem : NULL;
    struct msg_worker_beat_answer answer = {0};
    struct fault fault;
    struct worker *worker = rest_worker(core, beat->id, beat->whose, &fault);
    if (idem && beat_repeats(core, call, worker))
        return;
    core->idem = idem;
    if (!worker)
        goto error;
    bool writes = beat_writes(worker, beat);
    if (rest_attend(core, worker, &fault) || beat_metadata(core, worker, beat, &fault))
        goto error;
    beat_numbers(worker, beat);
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
        if (idem)
            beat_remember(worker, idem, &answer);
        journal_send_now(core->journal, &call->from, &shape_msg_worker_beat_answer, &answer);
        return;
    }
    size_t bytes = REST_CANCEL_BYTES((size_t)answer.cancel.count) + 128;
    if (core_reserve(core, bytes, idem ? bytes : 0, 1, &fault))
        goto error;
    core_answer(core, call, &shape_msg_worker_beat_answer, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}
