#include "store/purge.h"

#include "store/fires.h"
#include "store/gone.h"
#include "store/key.h"
#include "store/logs.h"
#include "store/retain.h"

#define RUNS_BY_TASK 2 /* the index of runs by task_id in records.def */

/* The newest run of a task; 0 when it has none. */
static enum kv_result newest_run(struct kv_txn *txn, uint64_t task_id, uint64_t *run_id)
{
    struct key prefix;
    *run_id = 0;
    key_begin(&prefix, TYPE_RUN, RUNS_BY_TASK);
    key_number(&prefix, task_id);
    struct key behind = prefix;
    key_id(&behind, UINT64_MAX);
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_INDEX);
    if (!cursor)
        return KV_MEMORY;
    struct kv_pair pair;
    enum kv_result result = kv_seek_before(cursor, key_str(&behind), &pair);
    if (result == KV_OK && key_starts(pair.key, key_str(&prefix)))
        *run_id = key_id_at_end(pair.key);
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_OK : result;
}

/* Removes runs of a task while the budget lasts. */
static enum kv_result runs_delete(struct writer *writer, uint64_t task_id, uint32_t *budget, bool *more)
{
    for (;;) {
        uint64_t run_id;
        bool lines_left = false;
        enum kv_result result = newest_run(writer->txn, task_id, &run_id);
        *more = run_id != 0;
        if (result != KV_OK || run_id == 0 || *budget == 0)
            return result;
        --*budget;
        result = logs_delete(writer, run_id, budget, &lines_left);
        if (result != KV_OK || lines_left)
            return result;
        result = index_delete(writer, record_of(TYPE_RUN), run_id);
        if (result != KV_OK)
            return result == KV_NONE ? KV_CORRUPT : result;
    }
}

/* Its runs, then its ledger. */
static enum kv_result task_chunk(struct writer *writer, uint64_t task_id, uint32_t *budget, bool *more)
{
    enum kv_result result = runs_delete(writer, task_id, budget, more);
    return result == KV_OK && !*more ? fires_delete(writer, task_id, budget, more) : result;
}

static enum kv_result note(struct writer *writer, enum purge_kind kind, uint64_t id)
{
    writer->purges = true;
    return purge_note(writer->txn, kind, id);
}

enum kv_result purge_task(struct writer *writer, uint64_t task_id, uint32_t *budget)
{
    bool more;
    enum kv_result result = gone_forget(writer->txn, task_id);
    if (result == KV_OK)
        result = index_delete(writer, record_of(TYPE_TASK_STAT), task_id);
    if (result == KV_OK || result == KV_NONE)
        result = task_chunk(writer, task_id, budget, &more);
    return result == KV_OK && more ? note(writer, PURGE_TASK, task_id) : result;
}

enum kv_result purge_run(struct writer *writer, uint64_t run_id, uint32_t *budget)
{
    bool more;
    enum kv_result result = index_delete(writer, record_of(TYPE_RUN), run_id);
    if (result == KV_OK)
        result = logs_delete(writer, run_id, budget, &more);
    return result == KV_OK && more ? note(writer, PURGE_LOG, run_id) : result;
}

static bool purge_first(struct kv_txn *txn, enum purge_kind *kind, uint64_t *id)
{
    for (*kind = PURGE_TASK; *kind <= PURGE_KEEP; ++*kind)
        if (purge_next(txn, *kind, 0, id))
            return true;
    return false;
}

static enum kv_result kind_chunk(struct writer *writer, enum purge_kind kind, uint64_t id, uint32_t *budget, bool *left)
{
    if (kind == PURGE_TASK)
        return task_chunk(writer, id, budget, left);
    if (kind == PURGE_LOG)
        return logs_delete(writer, id, budget, left);
    return retain_chunk(writer, kind, id, budget, left);
}

enum kv_result purge_chunk(struct writer *writer, uint32_t *budget, bool *changed)
{
    enum kv_result result = KV_OK;
    while (result == KV_OK && *budget > 0) {
        uint64_t id;
        bool left;
        enum purge_kind kind;
        if (!purge_first(writer->txn, &kind, &id)) {
            writer->purges = false;
            break;
        }
        *changed = true;
        result = kind_chunk(writer, kind, id, budget, &left);
        if (result == KV_OK && !left)
            result = purge_forget(writer->txn, kind, id);
    }
    return result;
}
