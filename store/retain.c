#include "store/retain.h"

#include "store/gone.h"
#include "store/key.h"
#include "store/oneshot.h"
#include "store/purge.h"

/* Indexes of runs in records.def. */
#define RUNS_BY_STATUS 1
#define RUNS_BY_TASK 2
#define RUNS_BY_END 5
#define RUNS_BY_STATUS_END 9
#define RUNS_BY_TASK_END 10

static struct key prefix_of(const struct rec_run_purge *purge)
{
    struct key key;
    bool by_status = HAS(purge, rec_run_purge, status);
    key_begin(&key, TYPE_RUN, purge->task_id ? RUNS_BY_TASK_END : by_status ? RUNS_BY_STATUS_END : RUNS_BY_END);
    if (purge->task_id)
        key_number(&key, purge->task_id);
    else if (by_status)
        key_number(&key, purge->status);
    return key;
}

/* The ended run whose turn it is; KV_NONE: there is no more. */
static enum kv_result run_next(struct writer *writer, const struct rec_run_purge *purge, uint64_t *id, struct gone_run *run)
{
    struct key prefix = prefix_of(purge), from = prefix;
    struct kv_pair pair;
    struct str value;
    if (purge->after_id) {
        key_number(&from, purge->after_at);
        key_id(&from, purge->after_id + 1);
    }
    struct kv_cursor *cursor = kv_cursor_new(writer->txn, TABLE_INDEX);
    if (!cursor)
        return KV_MEMORY;
    enum kv_result result = kv_seek(cursor, key_str(&from), &pair);
    if (result == KV_OK && !key_starts(pair.key, key_str(&prefix)))
        result = KV_NONE;
    *id = result == KV_OK ? key_id_at_end(pair.key) : 0;
    kv_cursor_free(cursor);
    if (result != KV_OK)
        return result;
    struct key key = key_of_id(*id);
    result = kv_get(writer->txn, TABLE_RECORDS + TYPE_RUN, key_str(&key), &value);
    return result == KV_OK && gone_read(value, run) == 0 ? KV_OK : KV_CORRUPT;
}

static enum kv_result run_remove(struct writer *writer, uint64_t id, const struct gone_run *run, uint32_t *budget)
{
    bool went = false;
    --*budget;
    enum kv_result result = purge_run(writer, id, budget);
    if (result == KV_OK)
        result = oneshot_run_gone(writer, run->task_id, budget, &went);
    if (result == KV_OK && !went)
        return gone_add(writer->txn, run);
    return result == KV_NONE ? KV_CORRUPT : result;
}

/* Removes what fits, from where it had come to; purge then says how far that was. */
static enum kv_result runs_remove(struct writer *writer, struct rec_run_purge *purge, uint32_t *budget, bool *left)
{
    *left = false;
    for (;;) {
        struct gone_run run;
        uint64_t id;
        if (HAS(purge, rec_run_purge, keep) && purge->limit == 0)
            return KV_OK;
        enum kv_result result = run_next(writer, purge, &id, &run);
        if (result != KV_OK || (purge->before && run.completed_at >= purge->before))
            return result == KV_NONE ? KV_OK : result;
        if (*budget == 0) {
            *left = true;
            return KV_OK;
        }
        if (HAS(purge, rec_run_purge, status) && run.status != purge->status) {
            --*budget; /* it was looked at */
            purge->after_at = run.completed_at;
            purge->after_id = id;
            continue;
        }
        result = run_remove(writer, id, &run, budget);
        if (result != KV_OK)
            return result;
        purge->limit -= purge->limit > 0;
    }
}

static enum kv_result note_save(struct writer *writer, enum purge_kind kind, uint64_t id, const struct rec_run_purge *purge)
{
    struct buf value = {0};
    enum kv_result result = KV_MEMORY;
    if (rec_encode_run_purge(&value, purge, NULL) == 0)
        result = purge_note_with(writer->txn, kind, id, buf_str(&value));
    buf_free(&value);
    writer->purges = true;
    return result;
}

/* How many ended runs the task has beyond those to be kept. */
static enum kv_result task_excess(struct writer *writer, const struct rec_run_purge *purge, uint64_t *excess)
{
    struct key key;
    enum kv_result result = counts_flush(writer->counts, writer->txn);
    key_begin(&key, TYPE_RUN, RUNS_BY_TASK);
    key_number(&key, purge->task_id);
    uint64_t count = count_get(writer->txn, key_str(&key)), stays = purge->keep + purge->live;
    *excess = count > stays ? count - stays : 0;
    return result;
}

enum kv_result retain_ask(struct writer *writer, const struct rec_run_purge *asked, uint32_t *budget)
{
    struct rec_run_purge purge = *asked;
    bool keeps = HAS(asked, rec_run_purge, keep), left = false;
    enum purge_kind kind = keeps ? PURGE_KEEP : PURGE_RUNS;
    uint64_t id = keeps ? purge.task_id : purge_free_id(writer->txn, PURGE_RUNS);
    enum kv_result result = keeps ? task_excess(writer, asked, &purge.limit) : KV_OK;
    if (result == KV_OK)
        result = runs_remove(writer, &purge, budget, &left);
    if (result == KV_OK && left)
        return note_save(writer, kind, id, &purge);
    return result == KV_OK && keeps ? purge_forget(writer->txn, kind, id) : result; /* what an earlier one had left */
}

enum kv_result retain_chunk(struct writer *writer, enum purge_kind kind, uint64_t id, uint32_t *budget, bool *left)
{
    struct rec_run_purge purge;
    struct str value;
    if (purge_read(writer->txn, kind, id, &value) != KV_OK || rec_decode_run_purge(NULL, value, &purge, NULL) != 0)
        return KV_CORRUPT;
    enum kv_result result = runs_remove(writer, &purge, budget, left);
    return result == KV_OK && *left ? note_save(writer, kind, id, &purge) : result;
}

/* ---- what settings say ---- */

static uint64_t ended_count(struct kv_txn *txn)
{
    uint64_t count = 0;
    for (uint64_t status = RUN_COMPLETED; status <= RUN_ABORTED; status++) {
        struct key key;
        key_begin(&key, TYPE_RUN, RUNS_BY_STATUS);
        key_number(&key, status);
        count += count_get(txn, key_str(&key));
    }
    return count;
}

enum kv_result retain_limits(struct writer *writer, const struct keep_limits *limits, uint64_t now_ms, uint32_t *budget,
                             bool *changed, bool *left)
{
    uint32_t before = *budget;
    enum kv_result result = KV_OK;
    *left = false;
    if (limits->ms && now_ms > limits->ms) {
        struct rec_run_purge old = {.before = now_ms - limits->ms};
        result = runs_remove(writer, &old, budget, left);
    }
    if (result == KV_OK && !*left && limits->runs) {
        struct rec_run_purge most = {.keep = limits->runs};
        SET_HAS(&most, rec_run_purge, keep);
        result = counts_flush(writer->counts, writer->txn);
        uint64_t count = ended_count(writer->txn);
        most.limit = count > limits->runs ? count - limits->runs : 0;
        if (result == KV_OK)
            result = runs_remove(writer, &most, budget, left);
    }
    *changed = *changed || *budget != before;
    return result;
}
