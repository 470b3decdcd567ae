/* The records on the simulated disk, and what must hold of every change of a run's: its history is a legal path of the state table in
 * scheduler/run.c, attempts only grow, none is changed once it has ended, and what is final stays. */
#include <stdlib.h>

#include "scheduler/run.h"
#include "tests/sim/sim.h"

static struct kept *kept[TYPE_MAX];
static uint64_t size[TYPE_MAX], top[TYPE_MAX], first[TYPE_MAX];
static struct srun *runs;
static uint64_t run_size, run_top, live_first, live;
static uint64_t recent[RUN_KEPT], recent_at;
static uint32_t *by_key; /* the run of a client's key */
static uint32_t key_size;

void disk_reset(void)
{
    for (int type = 0; type < TYPE_MAX; type++) {
        for (uint64_t id = 0; id < size[type]; id++)
            free(kept[type][id].bytes);
        free(kept[type]);
        kept[type] = NULL;
        size[type] = 0;
        top[type] = first[type] = 1;
    }
    free(runs);
    free(by_key);
    runs = NULL;
    by_key = NULL;
    key_size = 0;
    run_size = run_top = live = recent_at = 0;
    live_first = 1;
    memset(recent, 0, sizeof recent);
}

struct srun *run_of(uint64_t id)
{
    if (id >= run_size) {
        uint64_t more = run_size ? run_size : 4096;
        while (more <= id)
            more *= 2;
        runs = realloc(runs, more * sizeof *runs);
        memset(runs + run_size, 0, (more - run_size) * sizeof *runs);
        run_size = more;
    }
    if (id >= run_top)
        run_top = id + 1;
    return &runs[id];
}

uint64_t runs_top(void)
{
    return run_top;
}

uint64_t runs_open(void)
{
    return live;
}

uint32_t run_of_key(uint32_t key)
{
    return key < key_size ? by_key[key] : 0;
}

uint64_t outcome_of(const struct srun *run, uint64_t attempt)
{
    if (attempt == run->attempt)
        return run->newest;
    return attempt >= 1 && attempt <= 16 ? run->outcomes >> (4 * (attempt - 1)) & 15 : OUTCOME_RETURNED;
}

const struct kept *disk_get(enum record_type type, uint64_t id)
{
    return id < size[type] && kept[type][id].bytes ? &kept[type][id] : NULL;
}

uint64_t disk_top(enum record_type type)
{
    return top[type];
}

uint64_t disk_first(enum record_type type)
{
    while (first[type] < top[type] && !disk_get(type, first[type]))
        first[type]++;
    return first[type];
}

bool disk_run_is(uint64_t id, uint64_t status)
{
    return runs[id].there && runs[id].status == status;
}

uint64_t disk_live_first(void)
{
    while (live_first < run_top && (!runs[live_first].there || run_status_final(runs[live_first].status)))
        live_first++;
    return live_first;
}

void *disk_read(enum record_type type, uint64_t id, void *out)
{
    static const struct shape *const shapes[TYPE_MAX] = {[TYPE_TASK] = &shape_rec_task,
                                                         [TYPE_TASK_STAT] = &shape_rec_task_stat,
                                                         [TYPE_RUN] = &shape_rec_run,
                                                         [TYPE_WORKER] = &shape_rec_worker,
                                                         [TYPE_KEY] = &shape_rec_key,
                                                         [TYPE_EVENT] = &shape_rec_event,
                                                         [TYPE_FIRE] = &shape_rec_fire,
                                                         [TYPE_POOL] = &shape_rec_pool,
                                                         [TYPE_AUDIT] = &shape_rec_audit,
                                                         [TYPE_VIDEO] = &shape_rec_video,
                                                         [TYPE_TRANSCODE_WORKER] = &shape_rec_transcode_worker,
                                                         [TYPE_TRANSCODE_TASK] = &shape_rec_transcode_task,
                                                         [TYPE_TRANSCODE_LOG] = &shape_rec_transcode_log,
                                                         [TYPE_RECORDER_CYCLE] = &shape_rec_recorder_cycle,
                                                         [TYPE_RECORDING] = &shape_rec_recording,
                                                         [TYPE_RECORDER_GAPS] = &shape_rec_recorder_gaps};
    const struct kept *record = disk_get(type, id);
    struct err err = {0};
    if (!record)
        return NULL;
    if (codec_decode_record(sim.arena, shapes[type], (struct str){record->bytes, record->len}, out, &err))
        broken(type == TYPE_RUN ? id : 0, "record %lu of type %d: %s", (unsigned long)id, (int)type, err.text);
    return out;
}

static void disk_remove(uint64_t type, uint64_t id)
{
    if (id < size[type]) {
        free(kept[type][id].bytes);
        kept[type][id] = (struct kept){0};
    }
}

static void disk_put(uint64_t type, uint64_t id, struct str value)
{
    if (id >= size[type]) {
        uint64_t more = size[type] ? size[type] : 1024;
        while (more <= id)
            more *= 2;
        kept[type] = realloc(kept[type], more * sizeof **kept);
        memset(kept[type] + size[type], 0, (more - size[type]) * sizeof **kept);
        size[type] = more;
    }
    struct kept *record = &kept[type][id];
    if (record->len != value.len || !record->bytes) {
        free(record->bytes);
        record->bytes = malloc(value.len + 1u);
        record->len = value.len;
    }
    memcpy(record->bytes, value.ptr, value.len);
    if (id >= top[type])
        top[type] = id + 1;
    if (id < first[type])
        first[type] = id;
}

/* ---- what must hold of a run ---- */

static enum run_state step(uint64_t id, enum run_state state, enum run_change change)
{
    enum run_state next = run_next(state == STATE_WAITING ? STATE_QUEUED : state, change);
    if (next == STATE_NONE)
        broken(id, "its record tells of an illegal step: %s while %s", run_change_name(change), run_state_name(state));
    return next;
}

/* The path from what was stored to what is now, by the attempts: each must be a row of the table. */
static void check_path(const struct srun *run, const struct rec_run *now)
{
    bool final = run_status_final(now->status);
    enum run_state state = !run->there || !run->attempt || run->newest != OUTCOME_OPEN ? STATE_WAITING
                           : run->granted == run->attempt                              ? STATE_PUBLISHING
                                                                                       : STATE_ACCEPTED;
    for (uint32_t i = 0; i < now->attempts.count; i++) {
        const struct rec_attempt *attempt = &now->attempts.items[i];
        bool newest = attempt->number == now->attempt;
        if (attempt->number < run->attempt || (attempt->number == run->attempt && run->newest != OUTCOME_OPEN))
            continue;
        if (attempt->number > run->attempt) {
            state = step(now->id, state, CHANGE_ASSIGN);
            if (attempt->outcome != OUTCOME_OPEN && attempt->outcome != OUTCOME_RETURNED && attempt->outcome != OUTCOME_LOST &&
                attempt->outcome != OUTCOME_ABORTED)
                broken(now->id, "attempt %lu ended as %s before its assignment was on disk", (unsigned long)attempt->number,
                       outcome_name(attempt->outcome));
        }
        if (HAS(now, rec_run, published) && now->published.attempt == attempt->number && run->granted != attempt->number) {
            if (state == STATE_ASSIGNED)
                state = step(now->id, state, CHANGE_ACCEPT);
            state = step(now->id, state, CHANGE_GRANT);
        }
        switch (attempt->outcome) {
        case OUTCOME_OPEN:
            if (!newest)
                broken(now->id, "attempt %lu is open and not the newest", (unsigned long)attempt->number);
            break;
        case OUTCOME_COMPLETED:
            state = step(now->id, state, CHANGE_COMPLETE);
            break;
        case OUTCOME_FAILED:
        case OUTCOME_TIMEOUT:
            state = step(now->id, state, newest && final ? CHANGE_FAIL : CHANGE_RETRY);
            break;
        case OUTCOME_ABORTED:
            state = step(now->id, state, CHANGE_ABORT);
            break;
        case OUTCOME_LOST:
            state = step(now->id, state, newest && final && now->status == RUN_FAILED ? CHANGE_FAIL : CHANGE_LOSE);
            break;
        default:
            state = step(now->id, state, CHANGE_RETURN);
            break;
        }
    }
    if (final && state != STATE_FINAL)
        state = step(now->id, state, now->status == RUN_ABORTED ? CHANGE_ABORT : CHANGE_FAIL);
    bool held = state == STATE_ASSIGNED || state == STATE_ACCEPTED || state == STATE_PUBLISHING;
    if ((state == STATE_FINAL) != final || held != (now->status == RUN_RUNNING))
        broken(now->id, "its attempts lead to %s, its record says %s", run_state_name(state), run_status_name(now->status));
}

static void check_attempts(const struct srun *run, const struct rec_run *now)
{
    bool whole = now->attempt <= RUN_HISTORY_MAX;
    uint64_t failed = 0, lost = 0;
    if (now->attempt < run->attempt)
        broken(now->id, "its attempt went back from %u to %lu", run->attempt, (unsigned long)now->attempt);
    if (whole && now->attempts.count != now->attempt)
        broken(now->id, "it has %u attempts in its history, and the newest is number %lu", now->attempts.count,
               (unsigned long)now->attempt);
    for (uint32_t i = 0; i < now->attempts.count; i++) {
        const struct rec_attempt *attempt = &now->attempts.items[i];
        failed += attempt->outcome == OUTCOME_FAILED || attempt->outcome == OUTCOME_TIMEOUT;
        lost += attempt->outcome == OUTCOME_LOST;
        if (whole && attempt->number != i + 1)
            broken(now->id, "attempt %u of its history has number %lu", i + 1, (unsigned long)attempt->number);
        uint64_t was = run->there && attempt->number <= run->attempt ? outcome_of(run, attempt->number) : OUTCOME_OPEN;
        bool known = attempt->number == run->attempt || attempt->number <= 16;
        if (known && was != OUTCOME_OPEN && was != attempt->outcome)
            broken(now->id, "attempt %lu had ended as %s and is now %s", (unsigned long)attempt->number, outcome_name(was),
                   outcome_name(attempt->outcome));
    }
    const struct rec_attempt *newest = now->attempts.count ? &now->attempts.items[now->attempts.count - 1] : NULL;
    bool spent = newest && now->status == RUN_FAILED && (newest->outcome == OUTCOME_FAILED || newest->outcome == OUTCOME_TIMEOUT);
    if (whole && (now->losses != lost || now->retries + spent != failed))
        broken(now->id, "it counts %lu losses and %lu retries, its history says %lu and %lu", (unsigned long)now->losses,
               (unsigned long)now->retries, (unsigned long)lost, (unsigned long)failed);
    if (now->retries > now->retry_count || (spent && now->retries != now->retry_count))
        broken(now->id, "%s with %lu of %lu retries", run_status_name(now->status), (unsigned long)now->retries,
               (unsigned long)now->retry_count);
    if (now->losses >= sim.config.max_losses && now->status != RUN_FAILED)
        broken(now->id, "it goes on though its lease was lost %lu times", (unsigned long)now->losses);
    if (now->status == RUN_COMPLETED && (!newest || newest->outcome != OUTCOME_COMPLETED))
        broken(now->id, "completed, and its newest attempt is not");
}

static uint32_t key_of(const struct rec_run *now)
{
    struct token token;
    return map_find(now->parameters, "k", &token) && token.kind == TOKEN_UINT ? (uint32_t)token.u.natural : 0;
}

static void key_note(struct srun *run, const struct rec_run *now)
{
    run->key = now->restart_of ? 0 : key_of(now);
    if (!run->key)
        return;
    if (run->key >= key_size) {
        uint32_t more = key_size ? key_size : 4096;
        while (more <= run->key)
            more *= 2;
        by_key = realloc(by_key, more * sizeof *by_key);
        memset(by_key + key_size, 0, (more - key_size) * sizeof *by_key);
        key_size = more;
    }
    if (by_key[run->key])
        broken(now->id, "a client's one wish %u has made this run and run %u", run->key, by_key[run->key]);
    by_key[run->key] = (uint32_t)now->id;
}

static void run_note(struct srun *run, const struct rec_run *now)
{
    bool final = run_status_final(now->status);
    if (!run->there) {
        live++;
        key_note(run, now);
        if (now->id < live_first)
            live_first = now->id;
    }
    run->there = true;
    run->task = (uint32_t)now->task_id;
    run->status = (uint8_t)now->status;
    uint64_t known = run->attempt;
    bool open = run->newest == OUTCOME_OPEN;
    run->attempt = (uint32_t)now->attempt;
    run->newest = OUTCOME_OPEN;
    run->outcomes = 0;
    for (uint32_t i = 0; i < now->attempts.count; i++) {
        const struct rec_attempt *attempt = &now->attempts.items[i];
        if (attempt->number <= 16)
            run->outcomes |= attempt->outcome << (4 * (attempt->number - 1));
        sim.losses += attempt->outcome == OUTCOME_LOST && (attempt->number > known || (attempt->number == known && open));
        if (attempt->number == run->attempt)
            run->newest = (uint8_t)attempt->outcome;
    }
    if (HAS(now, rec_run, published))
        run->granted = (uint32_t)now->published.attempt;
    if (!final)
        return;
    live--;
    uint64_t *slot = &recent[recent_at++ % RUN_KEPT];
    disk_remove(TYPE_RUN, *slot);
    *slot = now->id;
}

static void apply_run(uint64_t id, struct str value)
{
    struct rec_run now;
    struct err err = {0};
    struct srun *run = run_of(id);
    arena_reset(sim.arena);
    if (rec_decode_run(sim.arena, value, &now, &err) || now.id != id)
        broken(id, "its record cannot be decoded: %s", err.text);
    if (tells(id)) {
        struct buf text = {0};
        codec_print(&text, &shape_rec_run, &now);
        tell(id, "on disk: %.*s", (int)text.len, text.data);
        buf_free(&text);
    }
    if (run->gone)
        broken(id, "it was deleted with its task and is written again");
    if (run->there && run_status_final(run->status))
        broken(id, "it was %s and is written again", run_status_name(run->status));
    check_attempts(run, &now);
    check_path(run, &now);
    limits_run(run, &now);
    shelf_run(&now);
    if (now.status == RUN_COMPLETED && now.attempt < 64 && !(run->ended >> now.attempt & 1) && !run->renamed)
        broken(id, "attempt %lu is completed and no worker ended it", (unsigned long)now.attempt);
    disk_put(TYPE_RUN, id, value);
    run_note(run, &now);
}

/* The audit of what happened: ids grow by one, and of each run's end there is one. Of more than are kept, which one batch may hold, the
 * oldest are written and deleted in one: their ids come as deletions, and what they told is not known. */
static void apply_event(uint64_t id, struct str value)
{
    struct rec_event now;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_event(sim.arena, value, &now, &err) || now.id != id)
        broken(0, "event %lu cannot be decoded: %s", (unsigned long)id, err.text);
    if (id != top[TYPE_EVENT])
        broken(now.run_id, "event %lu (%.*s) is written, and the newest was %lu", (unsigned long)id, (int)now.type.len,
               now.type.ptr, (unsigned long)top[TYPE_EVENT] - 1);
    disk_put(TYPE_EVENT, id, value);
    if (!str_is(now.type, "task.completed") && !str_is(now.type, "task.failed") && !str_is(now.type, "run.aborted"))
        return;
    if (run_of(now.run_id)->end_events++)
        broken(now.run_id, "event %lu (%.*s) tells of its end once more", (unsigned long)id, (int)now.type.len, now.type.ptr);
}

/* An entry of the ledger that tells of a run comes with it or behind it. */
static void apply_fire(uint64_t id, struct str value)
{
    struct rec_fire now;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_fire(sim.arena, value, &now, &err) || now.id != id)
        broken(0, "fire %lu cannot be decoded: %s", (unsigned long)id, err.text);
    bool skipped = now.outcome == FIRE_SKIPPED;
    if (skipped != (now.run_id == 0) || now.last_due_at < now.due_at || (!skipped && now.count != 1))
        broken(now.run_id, "fire %lu contradicts itself", (unsigned long)id);
    if (!skipped && (!run_of(now.run_id)->there || run_of(now.run_id)->task != now.task_id))
        broken(now.run_id, "fire %lu tells of a run that is not there, or not its task's", (unsigned long)id);
    disk_put(TYPE_FIRE, id, value);
}

static void apply_purge(uint64_t task)
{
    for (uint64_t id = 1; id < run_top; id++)
        if (runs[id].there && runs[id].task == task) {
            live -= !run_status_final(runs[id].status);
            limits_gone(&runs[id]);
            runs[id].there = false;
            runs[id].gone = true;
            disk_remove(TYPE_RUN, id);
        }
    disk_remove(TYPE_TASK_STAT, task);
}

static void apply_log(struct str value)
{
    struct rec_log_chunk chunk;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_log_chunk(sim.arena, value, &chunk, &err))
        broken(0, "a log chunk cannot be decoded: %s", err.text);
    struct srun *run = run_of(chunk.run_id);
    if (chunk.attempt < run->log_attempt)
        return;
    if (chunk.attempt > run->log_attempt)
        run->log_seq = 0;
    run->log_attempt = (uint32_t)chunk.attempt;
    for (uint32_t i = 0; i < chunk.lines.count; i++)
        if (chunk.lines.items[i].seq > run->log_seq)
            run->log_seq = (uint32_t)chunk.lines.items[i].seq;
}

void disk_apply(const struct rec_op *op)
{
    switch (op->op) {
    case OP_PUT:
        if (op->type == TYPE_RUN)
            apply_run(op->id, op->value);
        else if (op->type == TYPE_EVENT)
            apply_event(op->id, op->value);
        else if (op->type == TYPE_FIRE)
            apply_fire(op->id, op->value);
        else
            disk_put(op->type, op->id, op->value);
        if (op->type == TYPE_TASK)
            limits_task(op->id, op->value);
        if (op->type == TYPE_POOL)
            limits_pool(op->value);
        if (op->type == TYPE_VIDEO)
            shelf_video(op->id, op->value);
        if (op->type == TYPE_TRANSCODE_TASK)
            shelf_task(op->id, op->value);
        if (op->type == TYPE_RECORDING)
            ledger_recording(op->id, op->value);
        if (op->type == TYPE_RECORDER_DAY)
            ledger_day(op->id, op->value);
        if (op->type == TYPE_RECORDER_CYCLE)
            ledger_cycle(op->id, op->value);
        if (op->type == TYPE_RECORDER_STATE)
            ledger_state(op->value);
        break;
    case OP_DELETE:
        if (op->type == TYPE_EVENT && op->id == top[TYPE_EVENT]) {
            top[TYPE_EVENT]++;
            sim.events_unseen++;
        }
        disk_remove(op->type, op->id);
        shelf_gone(op->type, op->id);
        ledger_gone(op->type, op->id);
        break;
    case OP_LOG:
        apply_log(op->value);
        break;
    case OP_PURGE_RUNS:
        break;
    default:
        apply_purge(op->id);
        break;
    }
}
