/* What must hold. Of what leaves the scheduler: its cause is on disk. Of what it says in its log: no lease is taken before its time. Of
 * its memory, whenever nothing is under way: it is what the records say, and what a scheduler rebuilt from them would have. */
#include <stdlib.h>

#include "scheduler/depend.h"
#include "scheduler/lease.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"
#include "tests/sim/sim.h"

#define SEQUENCES 4096

static struct {
    uint64_t epoch, seq, hash;
} sequences[SEQUENCES];
static uint32_t tries; /* of finding the world with nothing under way */

void check_reset(void)
{
    memset(sequences, 0, sizeof sequences);
    tries = 0;
}

static uint64_t hash_of(struct str bytes)
{
    uint64_t hash = bytes.len, word;
    uint32_t at = 0;
    for (; at + 8 <= bytes.len; at += 8) {
        memcpy(&word, bytes.ptr + at, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    for (word = 0; at < bytes.len; at++)
        word = word << 8 | (unsigned char)bytes.ptr[at];
    hash = (hash ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ hash >> 32;
}

void history_add(uint64_t tag, struct str bytes)
{
    sim.history = (sim.history ^ hash_of(bytes) ^ sim.now << 20 ^ tag) * UINT64_C(0x94d049bb133111eb);
    sim.history ^= sim.history >> 31;
}

/* ---- what leaves ---- */

static void check_assigned(uint32_t place, const struct connection *to, const struct rec_assignment *row)
{
    struct srun *run = run_of(row->run_id);
    if (!run->there && !run->gone)
        broken(row->run_id, "it is assigned and not on disk");
    if (run->gone)
        return; /* deleted by a batch behind the one it left with */
    if (run->attempt < row->attempt)
        broken(row->run_id, "attempt %lu is assigned, and on disk the newest is %u", (unsigned long)row->attempt, run->attempt);
    if (scheds[place].granted != store_epoch())
        return; /* superseded, which it does not know yet: what it sends is older than it thinks, and is refused later */
    if (row->attempt <= run->assigned)
        broken(row->run_id, "attempt %lu is assigned behind attempt %u", (unsigned long)row->attempt, run->assigned);
    run->assigned = (uint32_t)row->attempt;
    run->holder = to->who;
    sim.newest_given = row->run_id;
}

static void check_acknowledged(const struct rec_lease *row)
{
    struct srun *run = run_of(row->run_id);
    if (!run->gone && (!run->there || run->attempt < row->attempt || outcome_of(run, row->attempt) == OUTCOME_OPEN))
        broken(row->run_id, "the result of attempt %lu is acknowledged before it is on disk", (unsigned long)row->attempt);
}

static void check_answered(uint64_t id)
{
    struct srun *run = run_of(id);
    if (!run->there && !run->gone)
        broken(id, "a client is told of it before it is on disk");
    run->acked = true;
}

static void check_task_answered(const struct msg_task_answer *answer)
{
    if (!disk_get(TYPE_TASK, answer->task.id) && answer->task.id >= disk_top(TYPE_TASK))
        broken(0, "a client is told of task %lu before it is on disk", (unsigned long)answer->task.id);
}

static void check_grant(const struct msg_publish_grant *grant)
{
    const struct srun *run = run_of(grant->run_id);
    sim.newest_grant = grant->run_id;
    if (!run->gone && run->granted < grant->attempt)
        broken(grant->run_id, "attempt %lu is granted before that is on disk", (unsigned long)grant->attempt);
}

static void check_lines(const struct msg_log_ack *ack)
{
    const struct srun *run = run_of(ack->run_id);
    if (run->log_attempt < ack->attempt || (run->log_attempt == ack->attempt && run->log_seq < ack->seq))
        broken(ack->run_id, "line %lu of attempt %lu is acknowledged before it is on disk", (unsigned long)ack->seq,
               (unsigned long)ack->attempt);
}

static void check_cancelled(const struct rec_lease *row)
{
    const struct srun *run = run_of(row->run_id);
    if (run->there && run->attempt == row->attempt && run->newest == OUTCOME_OPEN)
        broken(row->run_id, "attempt %lu is cancelled, and on disk it goes on", (unsigned long)row->attempt);
}

static void check_welcome(const struct msg_welcome *welcome)
{
    if (!disk_get(TYPE_WORKER, welcome->worker_id))
        broken(0, "worker %lu is welcomed before it is on disk", (unsigned long)welcome->worker_id);
}

void check_letter(uint32_t place, struct connection *to, const struct msg *msg)
{
    switch (msg->shape->id) {
    case MSG_ASSIGN:
        for (uint32_t i = 0; i < msg->u.assign.runs.count; i++)
            check_assigned(place, to, &msg->u.assign.runs.items[i]);
        break;
    case MSG_RESULT_ACK:
        for (uint32_t i = 0; i < msg->u.result_ack.leases.count; i++)
            check_acknowledged(&msg->u.result_ack.leases.items[i]);
        break;
    case MSG_CANCEL:
        for (uint32_t i = 0; i < msg->u.cancel.leases.count; i++)
            check_cancelled(&msg->u.cancel.leases.items[i]);
        break;
    case MSG_RUN_ANSWER:
        check_answered(msg->u.run_answer.run.id);
        break;
    case MSG_RUN_BATCH_ANSWER:
        for (uint32_t i = 0; i < msg->u.run_batch_answer.run_ids.count; i++)
            check_answered(msg->u.run_batch_answer.run_ids.items[i]);
        break;
    case MSG_TASK_ANSWER:
        check_task_answered(&msg->u.task_answer);
        break;
    case MSG_PUBLISH_GRANT:
        check_grant(&msg->u.publish_grant);
        break;
    case MSG_LOG_ACK:
        check_lines(&msg->u.log_ack);
        break;
    case MSG_WELCOME:
        check_welcome(&msg->u.welcome);
        to->greeted = true;
        break;
    case MSG_TRANSCODE_WORKER:
        if (!disk_get(TYPE_TRANSCODE_WORKER, msg->u.transcode_worker.worker.id))
            broken(0, "a worker of the API is told that it is registered before that is on disk");
        break;
    case MSG_TRANSCODE_PULLED:
        if (HAS(&msg->u.transcode_pulled, msg_transcode_pulled, task))
            shelf_given(msg->u.transcode_pulled.task.id, to->who);
        break;
    default:
        break;
    }
}

/* A batch that is sent again is the same batch. */
void check_frame(uint64_t epoch, uint64_t seq, struct str frame)
{
    uint64_t hash = hash_of(frame);
    if (sequences[seq % SEQUENCES].epoch == epoch && sequences[seq % SEQUENCES].seq == seq &&
        sequences[seq % SEQUENCES].hash != hash)
        broken(0, "epoch %lu has two batches with sequence %lu", (unsigned long)epoch, (unsigned long)seq);
    sequences[seq % SEQUENCES].epoch = epoch;
    sequences[seq % SEQUENCES].seq = seq;
    sequences[seq % SEQUENCES].hash = hash;
}

/* ---- leases and their terms ---- */

static void heard(const struct connection *from, uint64_t id, uint64_t attempt)
{
    struct srun *run = run_of(id);
    if (attempt < run->heard_attempt || attempt != run->assigned || run->holder != from->who)
        return;
    run->heard_attempt = (uint32_t)attempt;
    run->heard = sim.now;
}

static void check_api(uint32_t place, const struct connection *from, const struct msg *msg)
{
    if (scheds[place].granted != store_epoch())
        return;
    api_handled(from->who, msg);
    if (msg->shape->id == MSG_TRANSCODE_REPORT)
        shelf_heard(msg->u.transcode_report.task_id, from->who);
}

void check_handled(uint32_t place, const struct connection *from, const struct msg *msg)
{
    if (from->kind == PEER_API)
        check_api(place, from, msg);
    if (!from->greeted || scheds[place].granted != store_epoch())
        return; /* no session, or with a scheduler that is superseded */
    switch (msg->shape->id) {
    case MSG_HEARTBEAT:
        for (uint32_t i = 0; i < msg->u.heartbeat.running.count; i++)
            heard(from, msg->u.heartbeat.running.items[i].run_id, msg->u.heartbeat.running.items[i].attempt);
        break;
    case MSG_ACCEPT:
        for (uint32_t i = 0; i < msg->u.accept.leases.count; i++)
            heard(from, msg->u.accept.leases.items[i].run_id, msg->u.accept.leases.items[i].attempt);
        break;
    case MSG_PROGRESS:
        for (uint32_t i = 0; i < msg->u.progress.items.count; i++)
            heard(from, msg->u.progress.items.items[i].run_id, msg->u.progress.items.items[i].attempt);
        break;
    case MSG_LOG:
        heard(from, msg->u.log.chunk.run_id, msg->u.log.chunk.attempt);
        break;
    case MSG_LIBRARY_KNOWN:
        heard(from, msg->u.library_known.run_id, msg->u.library_known.attempt);
        break;
    case MSG_LIBRARY_FOUND:
        heard(from, msg->u.library_found.run_id, msg->u.library_found.attempt);
        break;
    case MSG_PUBLISH:
        heard(from, msg->u.publish.run_id, msg->u.publish.output.attempt);
        break;
    case MSG_RESULT:
        for (uint32_t i = 0; i < msg->u.result.items.count; i++)
            heard(from, msg->u.result.items.items[i].run_id, msg->u.result.items.items[i].attempt);
        break;
    default:
        break;
    }
}

static void check_lost(uint32_t place, uint64_t id, uint64_t attempt, const char *why)
{
    struct srun *run = run_of(id);
    uint64_t since = scheds[place].calm_since;
    if (run->told_lost == attempt && run->told_by == scheds[place].start)
        broken(id, "attempt %lu is told to be lost twice", (unsigned long)attempt);
    run->told_lost = (uint32_t)attempt;
    run->told_by = scheds[place].start;
    if (!strstr(why, "whole lease") && !strstr(why, "fell silent"))
        return;
    if (sim.now < since + sim.config.lease_ms)
        broken(id, "the lease of attempt %lu is over %lu ms after a start or a gap", (unsigned long)attempt,
               (unsigned long)(sim.now - since));
    if (run->heard_attempt == attempt && sim.now < run->heard + sim.config.lease_ms)
        broken(id, "the lease of attempt %lu is over %lu ms after its worker named it", (unsigned long)attempt,
               (unsigned long)(sim.now - run->heard));
}

static void check_returned(uint32_t place, uint64_t id, uint64_t attempt, const char *why)
{
    uint64_t since = scheds[place].calm_since > scheds[place].away_until ? scheds[place].calm_since : scheds[place].away_until;
    if (strstr(why, "accept it in time") && run_of(id)->heard_attempt == attempt)
        broken(id, "attempt %lu was not accepted in time, and its worker has named it", (unsigned long)attempt);
    if (strstr(why, "accept it in time") && sim.now < since + sim.config.accept_ms)
        broken(id, "attempt %lu had %lu ms to be accepted behind a start, a gap, or the store's return", (unsigned long)attempt,
               (unsigned long)(sim.now - since));
}

/* What it must never have to say. */
static bool is_never(const char *id)
{
    static const char *const never[] = {"GTY-RUN-ILLEGAL", "GTY-RUN-ORPHAN", "GTY-JOURNAL-FAILED", "GTY-RECOVER-FAILED"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strcmp(id, never[i]) == 0)
            return true;
    return false;
}

bool check_wants(const char *id)
{
    return sim.trace || strcmp(id, "GTY-LEASE-LOST") == 0 || strcmp(id, "GTY-LEASE-RETURNED") == 0 || is_never(id);
}

void check_log(uint32_t place, const char *id, const char *text)
{
    unsigned long long run = 0, attempt = 0;
    if (is_never(id)) {
        (void)sscanf(text, "run=%llu", &run);
        broken(run, "the scheduler says %s %s", id, text);
    }
    if (sscanf(text, "run=%llu attempt=%llu", &run, &attempt) >= 1)
        tell(run, "%s %s", id, text);
    if (strcmp(id, "GTY-LEASE-LOST") == 0)
        check_lost(place, run, attempt, text);
    if (strcmp(id, "GTY-LEASE-RETURNED") == 0)
        check_returned(place, run, attempt, text);
}

/* ---- memory against records ---- */

void check_same(enum record_type type, uint64_t id, const struct shape *shape, const void *value, const char *whose)
{
    static struct buf bytes;
    struct err err = {0};
    const struct kept *record = disk_get(type, id);
    uint64_t run = type == TYPE_RUN ? id : 0;
    buf_reset(&bytes);
    if (codec_encode_record(&bytes, shape, value, &err))
        broken(run, "record %lu of type %d cannot be encoded: %s", (unsigned long)id, (int)type, err.text);
    if (!record)
        broken(run, "%s has %s %lu, the disk has not", whose, shape->name, (unsigned long)id);
    if (record->len != bytes.len || memcmp(record->bytes, bytes.data, bytes.len) != 0) {
        struct buf text = {0};
        void *stored = arena_alloc(sim.arena, shape->size);
        codec_decode_record(sim.arena, shape, (struct str){record->bytes, record->len}, stored, &err);
        buf_text(&text, "in memory ");
        codec_print(&text, shape, value);
        buf_text(&text, "\n on disk   ");
        codec_print(&text, shape, stored);
        broken(run, "%s and the disk disagree about %s %lu:\n %.*s", whose, shape->name, (unsigned long)id, (int)text.len,
               text.data);
    }
    sim.compared++;
}

static void same_worker(const struct worker *worker, const char *whose)
{
    struct rec_worker stored;
    arena_reset(sim.arena);
    if (!disk_read(TYPE_WORKER, worker->id, &stored))
        broken(0, "%s has worker %lu, the disk has not", whose, (unsigned long)worker->id);
    if (stored.total != worker->total || stored.completed != worker->completed || stored.failed != worker->failed ||
        stored.status != worker->status || !str_eq(stored.boot, text_str(worker->boot)) || stored.slots != worker->slots)
        broken(0, "%s and the disk disagree about worker %lu", whose, (unsigned long)worker->id);
    sim.compared++;
}

/* The backoff of a retry follows a clock that is set back, in memory alone (scheduler/timer.c). */
static void backoff_forgiven(struct rec_run *record)
{
    struct rec_run stored;
    arena_reset(sim.arena);
    if (record->retries && disk_read(TYPE_RUN, record->id, &stored) && record->due_at < stored.due_at)
        record->due_at = stored.due_at;
}

/* As scheduler/depend.c says: all it waits for have completed behind its own newest run, so a run of it must have been made. */
static bool should_run(const struct core *core, const struct task *task)
{
    if (task->rules.cron || !task->rules.dep_count || task->waiting || task->oneshot || task->status == TASK_PAUSED ||
        (task->rules.overlap == OVERLAP_FORBID && task->live) || depend_state(task, NULL) != DEPEND_MET)
        return false;
    for (uint32_t i = 0; i < task->rules.dep_count; i++) {
        const struct task *on = task_find(core, task->rules.deps[i]);
        if (!on || on->stat.completed_event <= task->stat.begun_event)
            return false;
    }
    return true;
}

/* A pool and its record; each run that runs takes a place. */
static void same_pool(const struct core *core, const struct pool *pool, const char *whose)
{
    struct rec_pool record;
    uint64_t running = 0;
    pool_record(pool, &record);
    check_same(TYPE_POOL, pool->id, &shape_rec_pool, &record, whose);
    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        running += run && run->class->pool == pool && run->lease;
    }
    if (pool->running < running || pool->planned)
        broken(0, "%s counts %lu places taken of %.*s, and %lu of its runs run", whose, (unsigned long)pool->running,
               (int)pool->key.len, pool->key.ptr, (unsigned long)running);
}

/* Everything that is on disk and not final is in memory, and the same. */
static void check_memory(struct core *core, const char *whose)
{
    uint64_t waiting = 0, running = 0;
    for (size_t i = 0; i < core->runs.size; i++) {
        struct run *run = core->runs.slots[i];
        struct rec_task_spec *spec = NULL;
        struct rec_run record;
        if (!run)
            continue;
        arena_reset(core->arena);
        if (run_own_spec(core, run, &spec))
            broken(run->node.id, "its spec cannot be read");
        run_record(run, spec, &record);
        backoff_forgiven(&record);
        check_same(TYPE_RUN, run->node.id, &shape_rec_run, &record, whose);
        if ((run->lease != NULL) != !run_waits(run))
            broken(run->node.id, "%s: it is %s, and has %s lease", whose, run_state_name(run->state), run->lease ? "a" : "no");
        waiting += run_waits(run);
        running += !run_waits(run);
    }
    if (core->runs.count != runs_open())
        broken(0, "%s has %zu runs, the disk has %lu that are not final", whose, core->runs.count, (unsigned long)runs_open());
    if (core->priorities[0] + core->priorities[1] + core->priorities[2] + core->priorities[3] != waiting ||
        core->states[STATE_ASSIGNED] + core->states[STATE_ACCEPTED] + core->states[STATE_PUBLISHING] != running)
        broken(0, "%s counts its runs wrongly", whose);
    for (struct task *task = core->first_task; task; task = task->next) {
        struct rec_task record;
        if (!task->recheck && should_run(core, task))
            broken(0, "%s: everything that task %lu waits for has completed, and nothing looks at it", whose,
                   (unsigned long)task_id(task));
        arena_reset(core->arena);
        if (task_record(core, task, &record))
            broken(0, "task %lu has no record", (unsigned long)task_id(task));
        check_same(TYPE_TASK, task_id(task), &shape_rec_task, &record, whose);
        if (disk_get(TYPE_TASK_STAT, task_id(task)) || task->stat.total)
            check_same(TYPE_TASK_STAT, task_id(task), &shape_rec_task_stat, &task->stat, whose);
    }
    for (struct worker *worker = core->first_worker; worker; worker = worker->next)
        same_worker(worker, whose);
    for (size_t i = 0; i < core->pools.size; i++)
        if (core->pools.slots[i])
            same_pool(core, core->pools.slots[i], whose);
    check_films(core, whose);
    check_recorder(core, whose);
    arena_reset(core->arena);
    arena_reset(sim.arena);
}

static int no_batch(void *self, struct str frame)
{
    (void)self, (void)frame;
    return 0;
}

static void no_letter(void *self, const struct address *to, struct str frame)
{
    (void)self, (void)to, (void)frame;
}

static void no_bell(void *self, uint64_t event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)event, (void)runs, (void)count;
}

static void load_all(struct core *core)
{
    static const enum record_type order[] = {TYPE_POOL,
                                             TYPE_TASK,
                                             TYPE_TASK_STAT,
                                             TYPE_RUN,
                                             TYPE_WORKER,
                                             TYPE_KEY,
                                             TYPE_EVENT,
                                             TYPE_VIDEO,
                                             TYPE_TRANSCODE_WORKER,
                                             TYPE_TRANSCODE_TASK,
                                             TYPE_TRANSCODE_LOG,
                                             TYPE_RECORDER_CONFIG,
                                             TYPE_RECORDER_STATE,
                                             TYPE_RECORDER_CYCLE,
                                             TYPE_RECORDING,
                                             TYPE_RECORDER_DAY};
    struct err err = {0};
    uint64_t next[TYPE_MAX] = {0};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        next[order[i]] = disk_top(order[i]);
        for (uint64_t id = disk_first(order[i]); id < disk_top(order[i]); id++) {
            const struct kept *record = disk_get(order[i], id);
            if (!record || (order[i] == TYPE_RUN && run_status_final(run_of(id)->status)))
                continue;
            if (core_load(core, order[i], (struct str){record->bytes, record->len}, &err))
                broken(order[i] == TYPE_RUN ? id : 0, "record %lu of type %d cannot be loaded: %s", (unsigned long)id,
                       (int)order[i], err.text);
            if (order[i] == TYPE_TRANSCODE_LOG) /* the oldest tells where they begin */
                break;
        }
    }
    if (core_loaded(core, next, TYPE_MAX, &err))
        broken(0, "a rebuild from the disk fails: %s", err.text);
}

static void check_rebuilt(const struct core *living)
{
    const struct journal_port port = {NULL, no_batch, no_letter, no_bell};
    struct journal *journal = journal_new(&port);
    struct core *core = core_made(&sim.config, journal);
    journal_begin(journal, 1);
    load_all(core);
    check_memory(core, "the rebuilt scheduler");
    check_films_rebuilt(core, living);
    for (int type = TYPE_TASK; type < TYPE_MAX; type++)
        if ((type == TYPE_TASK || type == TYPE_RUN || type == TYPE_WORKER) && core->next_id[type] != living->next_id[type])
            broken(0, "the next id of type %d is %lu, and rebuilt %lu", type, (unsigned long)living->next_id[type],
                   (unsigned long)core->next_id[type]);
    if (core->tasks.count != living->tasks.count || core->workers.count != living->workers.count ||
        core->runs.count != living->runs.count || keys_count(core->keys) != keys_count(living->keys))
        broken(0, "rebuilt: %zu tasks, %zu workers, %zu runs, %lu keys; living: %zu, %zu, %zu, %lu", core->tasks.count,
               core->workers.count, core->runs.count, (unsigned long)keys_count(core->keys), living->tasks.count,
               living->workers.count, living->runs.count, (unsigned long)keys_count(living->keys));
    core_unmade(core);
    journal_free(journal);
}

/* False: something is under way, or nobody serves. */
static bool check_all(void)
{
    int place = sched_serving();
    if (place < 0 || scheds[place].dying || scheds[place].frozen_until > sim.now || !store_idle() || scheds[1 - place].alive ||
        !journal_idle(scheds[place].journal) || scheds[place].granted != store_epoch()) /* superseded: it is about to hear so */
        return false;
    check_memory(scheds[place].core, "the scheduler");
    check_rebuilt(scheds[place].core);
    return true;
}

void check_now(void)
{
    if (check_all() || ++tries % 500 == 0)
        wheel_add(sim.now + sim.world->length_ms / 7, EVENT_CHECK, 0, NULL, 0);
    else
        wheel_add(sim.now + 7, EVENT_CHECK, 0, NULL, 0);
}

/* Statistics of a task say what its runs say. */
static void check_statistics(void)
{
    uint64_t top = disk_top(TYPE_TASK_STAT);
    struct tally {
        uint32_t all, by[5];
    } *tally = calloc(top, sizeof *tally);
    for (uint64_t id = 1; id < runs_top(); id++) {
        const struct srun *run = run_of(id);
        if (run->there && run->task < top) {
            tally[run->task].all++;
            tally[run->task].by[run->status]++;
        }
    }
    for (uint64_t id = 1; id < top; id++) {
        struct rec_task_stat stat;
        arena_reset(sim.arena);
        if (!disk_read(TYPE_TASK_STAT, id, &stat))
            continue;
        if (stat.total != tally[id].all || stat.completed != tally[id].by[RUN_COMPLETED] ||
            stat.failed != tally[id].by[RUN_FAILED] || stat.aborted != tally[id].by[RUN_ABORTED])
            broken(0, "task %lu counts %lu runs, %lu completed, %lu failed, %lu aborted; its runs: %u, %u, %u, %u",
                   (unsigned long)id, (unsigned long)stat.total, (unsigned long)stat.completed, (unsigned long)stat.failed,
                   (unsigned long)stat.aborted, tally[id].all, tally[id].by[RUN_COMPLETED], tally[id].by[RUN_FAILED],
                   tally[id].by[RUN_ABORTED]);
    }
    free(tally);
}

void check_end(void)
{
    uint64_t unseen = sim.events_unseen;
    for (uint64_t id = 1; id < runs_top(); id++) {
        const struct srun *run = run_of(id);
        if (run->acked && !run->there && !run->gone)
            broken(id, "a client was told of it, and it is lost");
        if (run->there && !run_status_final(run->status))
            broken(id, "it never ended");
        if (run->there && !run->end_events && !unseen--)
            broken(id, "no event tells of its end");
        if (!run->there && !run->gone && id < disk_top(TYPE_RUN) && (run->begun || run->assigned))
            broken(id, "it was assigned, and is lost");
        for (uint32_t i = 1; i < 64 && run->there; i++)
            if (run->ended >> i & 1 && i < run->attempt && outcome_of(run, i) != OUTCOME_LOST &&
                outcome_of(run, i) != OUTCOME_RETURNED && outcome_of(run, i) != OUTCOME_TIMEOUT)
                broken(id, "attempt %u of %u ran to its end, and is on disk as %s", i, run->attempt,
                       outcome_name(outcome_of(run, i)));
        if (run->there && run->newest == OUTCOME_ABORTED && run->renamed == run->attempt)
            broken(id, "it is aborted, and its output is published");
    }
    check_statistics();
    if (!check_all())
        broken(0, "something is still under way at the end");
}
