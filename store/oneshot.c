#include "store/oneshot.h"

#include "store/gone.h"
#include "store/key.h"
#include "store/purge.h"

/* Indexes in records.def. */
#define TASKS_BY_STATUS 1
#define RUNS_BY_TASK 2

/* *ended: there is such a task, it was made for one run, and has ended. *made: the same, ended or not. */
static enum kv_result task_look(struct kv_txn *txn, uint64_t task_id, bool *made, bool *ended)
{
    static struct column columns[2];
    const struct shape *shape = record_of(TYPE_TASK)->shape;
    struct key key = key_of_id(task_id);
    struct value values[2];
    struct str value;
    *made = *ended = false;
    if (columns[0].depth == 0 && (column_resolve(shape, STR_LIT("status"), &columns[1]) != 0 ||
                                  column_resolve(shape, STR_LIT("oneshot"), &columns[0]) != 0))
        return KV_CORRUPT;
    enum kv_result result = kv_get(txn, TABLE_RECORDS + TYPE_TASK, key_str(&key), &value);
    if (result != KV_OK)
        return result == KV_NONE ? KV_OK : result;
    if (record_read(columns, 2, value, values) != 0)
        return KV_CORRUPT;
    *made = values[0].number != 0;
    *ended = *made && (values[1].number == TASK_COMPLETED || values[1].number == TASK_FAILED);
    return KV_OK;
}

static struct key runs_of(uint64_t task_id)
{
    struct key key;
    key_begin(&key, TYPE_RUN, RUNS_BY_TASK);
    key_number(&key, task_id);
    return key;
}

/* The first entry of an index behind `from` that begins with prefix: its id; 0: there is none. */
static enum kv_result entry_seek(struct kv_txn *txn, const struct key *prefix, uint64_t from, uint64_t *id)
{
    struct key key = *prefix;
    struct kv_pair pair;
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_INDEX);
    *id = 0;
    if (!cursor)
        return KV_MEMORY;
    key_id(&key, from);
    enum kv_result result = kv_seek(cursor, key_str(&key), &pair);
    if (result == KV_OK && key_starts(pair.key, key_str(prefix)))
        *id = key_id_at_end(pair.key);
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_OK : result;
}

static enum kv_result oneshot_remove(struct writer *writer, uint64_t task_id, uint32_t *budget)
{
    *budget -= *budget > 0;
    enum kv_result result = index_delete(writer, record_of(TYPE_TASK), task_id);
    return result == KV_OK ? purge_task(writer, task_id, budget) : result == KV_NONE ? KV_CORRUPT : result;
}

enum kv_result oneshot_run_gone(struct writer *writer, uint64_t task_id, uint32_t *budget, bool *went)
{
    bool made = false, ended = false;
    uint64_t run_id = 0;
    struct key runs = runs_of(task_id);
    *went = false;
    enum kv_result result = task_id ? task_look(writer->txn, task_id, &made, &ended) : KV_OK;
    if (result == KV_OK && made)
        result = entry_seek(writer->txn, &runs, 0, &run_id);
    if (result != KV_OK || !made || run_id != 0)
        return result;
    if (!ended) { /* the batch that removes its run may yet say that it has */
        writer->oneshots = true;
        return KV_OK;
    }
    *went = true;
    return oneshot_remove(writer, task_id, budget);
}

/* Of the runs that are there, as many as have ended in each way. */
static enum kv_result runs_ended(struct kv_txn *txn, uint64_t task_id, struct gone *there)
{
    struct key runs = runs_of(task_id);
    uint64_t id = 0;
    *there = (struct gone){0};
    for (;;) {
        struct gone_run run;
        struct str value;
        enum kv_result result = entry_seek(txn, &runs, id + 1, &id);
        if (result != KV_OK || id == 0)
            return result;
        struct key key = key_of_id(id);
        result = kv_get(txn, TABLE_RECORDS + TYPE_RUN, key_str(&key), &value);
        if (result != KV_OK || gone_read(value, &run) != 0)
            return KV_CORRUPT;
        gone_count(there, run.status);
    }
}

enum kv_result oneshot_back(struct writer *writer, uint64_t task_id)
{
    bool made, ended;
    struct gone there;
    struct rec_task_stat stat;
    struct str value;
    struct key key = key_of_id(task_id);
    enum kv_result result = task_look(writer->txn, task_id, &made, &ended);
    if (result != KV_OK || !made)
        return result;
    result = kv_get(writer->txn, TABLE_RECORDS + TYPE_TASK_STAT, key_str(&key), &value);
    if (result != KV_OK)
        return result == KV_NONE ? KV_OK : result;
    if (rec_decode_task_stat(NULL, value, &stat, NULL) != 0)
        return KV_CORRUPT;
    result = runs_ended(writer->txn, task_id, &there);
    if (result != KV_OK)
        return result;
    struct gone gone = {
        .completed = stat.completed > there.completed ? stat.completed - there.completed : 0,
        .failed = stat.failed > there.failed ? stat.failed - there.failed : 0,
        .aborted = stat.aborted > there.aborted ? stat.aborted - there.aborted : 0,
    };
    return gone.completed + gone.failed + gone.aborted > 0 ? gone_set(writer->txn, task_id, &gone)
                                                           : gone_forget(writer->txn, task_id);
}

/* The next one by status and id; 0: the sweep is over. */
static enum kv_result sweep_next(struct kv_txn *txn, struct oneshot_sweep *sweep, uint64_t *id)
{
    enum kv_result result = KV_OK;
    if (sweep->status == 0)
        sweep->status = TASK_COMPLETED;
    for (*id = 0; result == KV_OK && !sweep->over; sweep->status = TASK_FAILED, sweep->after = 0) {
        struct key prefix;
        key_begin(&prefix, TYPE_TASK, TASKS_BY_STATUS);
        key_number(&prefix, sweep->status);
        result = entry_seek(txn, &prefix, sweep->after + 1, id);
        if (*id != 0)
            break;
        sweep->over = result == KV_OK && sweep->status == TASK_FAILED;
    }
    sweep->after = *id;
    return result;
}

/* Its runs are gone and it has ended; that there were some its statistics say. */
static enum kv_result left_behind(struct kv_txn *txn, uint64_t task_id, bool *left)
{
    struct key runs = runs_of(task_id), id = key_of_id(task_id);
    struct str value;
    bool made;
    *left = false;
    if (count_get(txn, key_str(&runs)) > 0)
        return KV_OK;
    enum kv_result result = kv_get(txn, TABLE_RECORDS + TYPE_TASK_STAT, key_str(&id), &value);
    return result == KV_OK ? task_look(txn, task_id, &made, left) : result == KV_NONE ? KV_OK : result;
}

enum kv_result oneshot_sweep(struct writer *writer, struct oneshot_sweep *sweep, uint32_t *budget)
{
    enum kv_result result = counts_flush(writer->counts, writer->txn);
    for (uint32_t looks = ONESHOT_LOOKS; result == KV_OK && looks != 0 && *budget != 0; looks--) {
        uint64_t id;
        bool left;
        result = sweep_next(writer->txn, sweep, &id);
        if (result != KV_OK || sweep->over)
            break;
        result = left_behind(writer->txn, id, &left);
        if (result == KV_OK && left)
            result = oneshot_remove(writer, id, budget);
    }
    return result;
}
