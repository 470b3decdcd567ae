/* Four walks: over each table of records, asking for the entries they ask for; over the index, counting its groups beside the table of
 * counts, which is in the same order; over the lines of logs; over the statistics, with the runs of each task. Entries are right
 * when each that must be is there and there are no more of them. */
#include "store/check.h"

#include <stdlib.h>

#include "store/count.h"
#include "store/gone.h"
#include "store/index.h"
#include "store/key.h"
#include "store/reindex.h"
#include "store/schema.h"
#include "store/state.h"

#define ARENA_BYTES ((size_t)64 << 20)
#define RUNS_BY_TASK 2 /* in records.def */

struct check {
    struct kv *kv;
    struct kv_txn *txn;
    struct findings *findings;
    uint64_t derived;
    struct check_counts counts;
    struct arena *arena;
    struct entries entries;
    struct state state;
    void *record;      /* room for the largest one */
    uint64_t expected; /* entries */
    bool no_memory;
};

static void found_derived(struct check *check)
{
    check->derived++;
}

/* ---- what the store knows of itself ---- */

static void check_meta(struct check *check)
{
    uint32_t version = 0;
    struct err err = {0};
    struct kv_cursor *cursor = kv_cursor_new(check->txn, TABLE_META);
    struct kv_pair pair;
    if (schema_read(check->kv, &version, &err) != 0 || version == 0 || version > SCHEMA_VERSION)
        finding(check->findings, "meta: schema version %u is not one that this program knows (%u)", version, SCHEMA_VERSION);
    enum kv_result result = cursor ? kv_first(cursor, &pair) : KV_NONE;
    for (; result == KV_OK; result = kv_next(cursor, &pair)) {
        bool purge = pair.key.len == 14 && memcmp(pair.key.ptr, "purge", 5) == 0;
        bool gone = gone_is_key(pair.key) && pair.value.len == 24;
        bool number = pair.value.len == 8 && (str_is(pair.key, "schema") || str_is(pair.key, "log_bytes"));
        if (str_is(pair.key, "reindex")) {
            finding(check->findings, "meta: indexes were being made anew and are not whole");
            found_derived(check);
        } else if (str_is(pair.key, "state") ? pair.value.len < 16 || pair.value.len % 8 != 0 : !purge && !gone && !number) {
            finding(check->findings, "meta: %.*s (%u bytes) is nothing that belongs there", (int)str_cut(pair.key, 40).len,
                    pair.key.ptr, pair.value.len);
        }
    }
    kv_cursor_free(cursor);
    if (state_load(check->txn, &check->state) != KV_OK)
        finding(check->findings, "meta: the state cannot be read");
    if (check->state.epoch == 0 && check->state.applied > 0)
        finding(check->findings, "meta: batches were applied and no epoch was granted");
}

/* ---- records ---- */

static void check_entries(struct check *check, const struct record *record, uint64_t id, struct str value)
{
    enum kv_result result = entries_of(record, id, value, &check->entries);
    struct str found;
    if (result == KV_MEMORY)
        check->no_memory = true;
    if (result != KV_OK)
        return;
    check->expected += check->entries.count;
    for (uint32_t i = 0; i < check->entries.count; i++) {
        struct str key = entry_key(&check->entries, i);
        if (kv_get(check->txn, TABLE_INDEX, key, &found) != KV_OK) {
            finding(check->findings, "%s %lu: an entry of index %u is missing", record->name, (unsigned long)id,
                    (unsigned char)key.ptr[1]);
            found_derived(check);
        }
    }
}

static bool record_exists(struct check *check, unsigned type, uint64_t id)
{
    struct key key = key_of_id(id);
    struct str value;
    return kv_get(check->txn, TABLE_RECORDS + type, key_str(&key), &value) == KV_OK;
}

static void check_run(struct check *check, const struct rec_run *run)
{
    const char *wrong = check_history(run);
    if (wrong)
        finding(check->findings, "run %lu: %s", (unsigned long)run->id, wrong);
    if (run->status == RUN_RUNNING && !record_exists(check, TYPE_WORKER, run->worker_id))
        finding(check->findings, "run %lu: it runs at worker %lu, which is not there", (unsigned long)run->id,
                (unsigned long)run->worker_id);
    if (run->task_id && !record_exists(check, TYPE_TASK, run->task_id) && !purge_under_way(check->txn, PURGE_TASK, run->task_id))
        finding(check->findings, "run %lu: its task %lu is not there", (unsigned long)run->id, (unsigned long)run->task_id);
}

static void check_fire(struct check *check, const struct rec_fire *fire)
{
    bool ran = fire->outcome != FIRE_SKIPPED;
    if (!record_exists(check, TYPE_TASK, fire->task_id) && !purge_under_way(check->txn, PURGE_TASK, fire->task_id))
        finding(check->findings, "fire %lu: its task %lu is not there", (unsigned long)fire->id, (unsigned long)fire->task_id);
    if (fire->last_due_at < fire->due_at || ran != (fire->run_id != 0) || (ran && fire->count != 1))
        finding(check->findings, "fire %lu: it contradicts itself", (unsigned long)fire->id);
}

static void check_record(struct check *check, const struct record *record, const struct kv_pair *pair)
{
    const struct field *field = shape_field(record->shape, STR_LIT("id"));
    struct err err = {0};
    uint64_t own = 0, id = key_id_at_end(pair->key);
    check->counts.records++;
    if (pair->key.len != KEY_ID || id == 0) {
        finding(check->findings, "%s: a key of %u bytes is no id", record->name, pair->key.len);
        return;
    }
    arena_reset(check->arena);
    if (codec_decode_record(check->arena, record->shape, pair->value, check->record, &err) != 0) {
        check->no_memory = check->no_memory || err.code == ERR_NO_MEMORY;
        finding(check->findings, "%s %lu: it cannot be read: %.150s", record->name, (unsigned long)id, err.text);
        return;
    }
    memcpy(&own, (const char *)check->record + field->offset, sizeof own);
    if (own != id)
        finding(check->findings, "%s %lu: it says that it is %lu", record->name, (unsigned long)id, (unsigned long)own);
    if (id >= check->state.next[record->type])
        finding(check->findings, "%s %lu: new ones would begin at %lu", record->name, (unsigned long)id,
                (unsigned long)check->state.next[record->type]);
    if (record->type == TYPE_RUN)
        check_run(check, check->record);
    if (record->type == TYPE_FIRE)
        check_fire(check, check->record);
    check_entries(check, record, id, pair->value);
}

static void check_table(struct check *check, const struct record *record)
{
    struct kv_cursor *cursor = kv_cursor_new(check->txn, TABLE_RECORDS + record->type);
    struct kv_pair pair;
    struct key total;
    uint64_t count = 0;
    if (!cursor) { /* nothing is missing where an older version has written and knew no such records */
        key_begin(&total, record->type, 0);
        if (check->state.next[record->type] > 1 || count_get(check->txn, key_str(&total)) > 0)
            finding(check->findings, "%s: its table is not there", record->name);
        return;
    }
    enum kv_result result = kv_first(cursor, &pair);
    for (; result == KV_OK; result = kv_next(cursor, &pair)) {
        check_record(check, record, &pair);
        count++;
    }
    if (result != KV_NONE)
        finding(check->findings, "%s: its table cannot be read to the end", record->name);
    kv_cursor_free(cursor);
    key_begin(&total, record->type, 0);
    uint64_t kept = count_get(check->txn, key_str(&total));
    if (kept != count) {
        finding(check->findings, "%s: the kept count is %lu and there are %lu", record->name, (unsigned long)kept,
                (unsigned long)count);
        found_derived(check);
    }
}

/* ---- index and counts ---- */

static const struct index *index_of(struct str key, const struct record **record)
{
    *record = key.len > 2 ? record_of((unsigned char)key.ptr[0]) : NULL;
    for (uint8_t i = 0; *record && i < (*record)->index_count; i++) {
        if ((*record)->indexes[i].number == (unsigned char)key.ptr[1])
            return &(*record)->indexes[i];
    }
    return NULL;
}

static bool entry_wanted(struct check *check, const struct record *record, struct str key)
{
    struct key id = key_of_id(key_id_at_end(key));
    struct str value;
    if (kv_get(check->txn, TABLE_RECORDS + record->type, key_str(&id), &value) != KV_OK ||
        entries_of(record, key_id_at_end(key), value, &check->entries) != KV_OK)
        return false;
    for (uint32_t i = 0; i < check->entries.count; i++) {
        if (str_eq(entry_key(&check->entries, i), key))
            return true;
    }
    return false;
}

/* A group of the index that ended: the next of the kept counts must be its own. */
static void group_end(struct check *check, struct kv_cursor *counts, struct kv_pair *kept, bool *more, const struct key *group,
                      uint64_t count)
{
    while (*more) {
        bool total = kept->key.len == 2 && kept->key.ptr[1] == 0;
        uint32_t len = kept->key.len < group->len ? kept->key.len : group->len;
        int order = memcmp(kept->key.ptr, group->bytes, len);
        if (order == 0)
            order = (kept->key.len > group->len) - (kept->key.len < group->len);
        if (group->len > 0 && order > 0)
            break;
        if (group->len > 0 && order == 0) {
            uint64_t said = kept->value.len == 8 ? key_read_u64(kept->value.ptr) : UINT64_MAX;
            *more = kv_next(counts, kept) == KV_OK;
            if (said == count)
                return;
            finding(check->findings, "a kept count of index %u of type %u is %lu and there are %lu", group->bytes[1],
                    group->bytes[0], (unsigned long)said, (unsigned long)count);
            found_derived(check);
            return;
        }
        if (!total) {
            finding(check->findings, "a kept count of index %u of type %u counts nothing", (unsigned char)kept->key.ptr[1],
                    (unsigned char)kept->key.ptr[0]);
            found_derived(check);
        }
        *more = kv_next(counts, kept) == KV_OK;
    }
    if (group->len > 0) {
        finding(check->findings, "a kept count of index %u of type %u is missing", group->bytes[1], group->bytes[0]);
        found_derived(check);
    }
}

/* One entry; *group is the one that is being counted. */
static void entry_look(struct check *check, struct str key, struct key *group)
{
    const struct record *record;
    const struct index *index = index_of(key, &record);
    group->len = 0;
    if (!index) {
        finding(check->findings, "an entry belongs to no index");
        found_derived(check);
        return;
    }
    bool text = index->flags & INDEX_WORDS || column_is_text(&record->columns[index->filter]);
    uint32_t len = key_group(key, text);
    if (len == 0) {
        finding(check->findings, "an entry of index %u of %s is no key", index->number, record->name);
        found_derived(check);
    } else if (index->flags & INDEX_COUNTED) {
        group->len = len;
        memcpy(group->bytes, key.ptr, len);
    }
}

/* There are more entries than must be: which. */
static void check_unwanted(struct check *check, struct kv_cursor *entries)
{
    struct kv_pair entry;
    enum kv_result result = entries ? kv_first(entries, &entry) : KV_NONE;
    for (; result == KV_OK; result = kv_next(entries, &entry)) {
        const struct record *record;
        if (index_of(entry.key, &record) && !entry_wanted(check, record, entry.key)) {
            finding(check->findings, "index %u of %s has an entry for %lu that it should not have",
                    (unsigned char)entry.key.ptr[1], record->name, (unsigned long)key_id_at_end(entry.key));
            found_derived(check);
        }
    }
}

static void check_index(struct check *check)
{
    struct kv_cursor *entries = kv_cursor_new(check->txn, TABLE_INDEX), *counts = kv_cursor_new(check->txn, TABLE_COUNT);
    struct kv_pair entry, kept = {0};
    struct key group = {0}, none = {0};
    uint64_t count = 0;
    bool more = counts && kv_first(counts, &kept) == KV_OK;
    enum kv_result result = entries ? kv_first(entries, &entry) : KV_NONE;
    for (; result == KV_OK; result = kv_next(entries, &entry)) {
        check->counts.entries++;
        if (group.len > 0 && key_starts(entry.key, key_str(&group))) {
            count++;
            continue;
        }
        if (group.len > 0)
            group_end(check, counts, &kept, &more, &group, count);
        entry_look(check, entry.key, &group);
        count = 1;
    }
    if (group.len > 0)
        group_end(check, counts, &kept, &more, &group, count);
    group_end(check, counts, &kept, &more, &none, 0);
    if (check->counts.entries != check->expected)
        check_unwanted(check, entries);
    kv_cursor_free(entries);
    kv_cursor_free(counts);
}

/* ---- logs ---- */

struct log_tally {
    uint64_t run_id, lines, bytes, last;
};

static void check_log_info(struct check *check, const struct log_tally *tally)
{
    struct key key = key_of_id(tally->run_id);
    struct str value;
    uint64_t info[4];
    bool purged = purge_under_way(check->txn, PURGE_LOG, tally->run_id);
    if (tally->run_id == 0 || purged)
        return;
    if (!record_exists(check, TYPE_RUN, tally->run_id))
        finding(check->findings, "the log of run %lu: there is no such run", (unsigned long)tally->run_id);
    if (kv_get(check->txn, TABLE_LOG_INFO, key_str(&key), &value) != KV_OK || value.len < 32) {
        finding(check->findings, "the log of run %lu: what is kept of it is not said", (unsigned long)tally->run_id);
        return;
    }
    for (int i = 0; i < 4; i++)
        info[i] = key_read_u64(value.ptr + 8 * i);
    if (info[0] != tally->lines || info[1] != tally->bytes || info[3] < tally->last)
        finding(check->findings, "the log of run %lu: it should have %lu lines of %lu bytes and has %lu of %lu",
                (unsigned long)tally->run_id, (unsigned long)info[0], (unsigned long)info[1], (unsigned long)tally->lines,
                (unsigned long)tally->bytes);
}

static void check_logs(struct check *check)
{
    struct kv_cursor *cursor = kv_cursor_new(check->txn, TABLE_LOG);
    struct kv_pair pair;
    struct log_tally tally = {0};
    enum kv_result result = cursor ? kv_first(cursor, &pair) : KV_NONE;
    for (; result == KV_OK; result = kv_next(cursor, &pair)) {
        struct rec_log_line line;
        struct err err = {0};
        check->counts.lines++;
        if (pair.key.len != 2 * KEY_ID) {
            finding(check->findings, "a log line has a key of %u bytes", pair.key.len);
            continue;
        }
        uint64_t run_id = key_read_u64(pair.key.ptr);
        if (run_id != tally.run_id) {
            check_log_info(check, &tally);
            tally = (struct log_tally){.run_id = run_id};
        }
        tally.lines++;
        tally.bytes += pair.value.len;
        tally.last = key_id_at_end(pair.key);
        arena_reset(check->arena);
        if (rec_decode_log_line(check->arena, pair.value, &line, &err) != 0)
            finding(check->findings, "the log of run %lu: a line cannot be read: %.150s", (unsigned long)run_id, err.text);
    }
    check_log_info(check, &tally);
    kv_cursor_free(cursor);
}

/* Infos without lines are right when nothing is kept and the run is there. */
static void check_log_infos(struct check *check)
{
    struct kv_cursor *cursor = kv_cursor_new(check->txn, TABLE_LOG_INFO);
    struct kv_pair pair;
    enum kv_result result = cursor ? kv_first(cursor, &pair) : KV_NONE;
    for (; result == KV_OK; result = kv_next(cursor, &pair)) {
        uint64_t run_id = key_id_at_end(pair.key);
        if (!record_exists(check, TYPE_RUN, run_id) && !purge_under_way(check->txn, PURGE_LOG, run_id))
            finding(check->findings, "what is kept of run %lu's log: there is no such run", (unsigned long)run_id);
    }
    kv_cursor_free(cursor);
}

/* ---- statistics ---- */

/* Runs of a task by status, from the index by task. */
static void runs_count(struct check *check, uint64_t task_id, uint64_t by_status[8], uint64_t *total)
{
    static struct column status;
    struct key prefix;
    struct kv_pair pair;
    struct kv_cursor *cursor = kv_cursor_new(check->txn, TABLE_INDEX);
    if (status.depth == 0)
        column_resolve(record_of(TYPE_RUN)->shape, STR_LIT("status"), &status);
    key_begin(&prefix, TYPE_RUN, RUNS_BY_TASK);
    key_number(&prefix, task_id);
    enum kv_result result = cursor ? kv_seek(cursor, key_str(&prefix), &pair) : KV_NONE;
    for (; result == KV_OK && key_starts(pair.key, key_str(&prefix)); result = kv_next(cursor, &pair)) {
        struct key id = key_of_id(key_id_at_end(pair.key));
        struct str value;
        struct value read;
        ++*total;
        if (kv_get(check->txn, TABLE_RECORDS + TYPE_RUN, key_str(&id), &value) == KV_OK &&
            record_read(&status, 1, value, &read) == 0)
            by_status[read.number & 7]++;
    }
    kv_cursor_free(cursor);
}

static void check_stat(struct check *check, const struct rec_task_stat *stat)
{
    uint64_t by_status[8] = {0}, total = 0;
    if (!record_exists(check, TYPE_TASK, stat->id)) {
        finding(check->findings, "statistics of task %lu: there is no such task", (unsigned long)stat->id);
        return;
    }
    struct gone gone = gone_get(check->txn, stat->id); /* runs that were removed and are counted still */
    by_status[RUN_COMPLETED] = gone.completed;
    by_status[RUN_FAILED] = gone.failed;
    by_status[RUN_ABORTED] = gone.aborted;
    total = gone.completed + gone.failed + gone.aborted;
    runs_count(check, stat->id, by_status, &total);
    if (stat->total != total || stat->completed != by_status[RUN_COMPLETED] || stat->failed != by_status[RUN_FAILED] ||
        stat->aborted != by_status[RUN_ABORTED])
        finding(
            check->findings,
            "statistics of task %lu: they say %lu runs (%lu completed, %lu failed, %lu aborted), and there are %lu (%lu, %lu, "
            "%lu)",
            (unsigned long)stat->id, (unsigned long)stat->total, (unsigned long)stat->completed, (unsigned long)stat->failed,
            (unsigned long)stat->aborted, (unsigned long)total, (unsigned long)by_status[RUN_COMPLETED],
            (unsigned long)by_status[RUN_FAILED], (unsigned long)by_status[RUN_ABORTED]);
}

static void check_stats(struct check *check)
{
    struct kv_cursor *cursor = kv_cursor_new(check->txn, TABLE_RECORDS + TYPE_TASK_STAT);
    struct kv_pair pair;
    enum kv_result result = cursor ? kv_first(cursor, &pair) : KV_NONE;
    for (; result == KV_OK; result = kv_next(cursor, &pair)) {
        struct rec_task_stat stat;
        arena_reset(check->arena);
        if (rec_decode_task_stat(check->arena, pair.value, &stat, NULL) == 0)
            check_stat(check, &stat);
    }
    kv_cursor_free(cursor);
}

/* ---- all of it ---- */

static int check_open(struct check *check, struct err *err)
{
    size_t size = 0;
    for (unsigned type = 0; type < TYPE_MAX; type++) {
        const struct record *record = record_of(type);
        size = record && record->shape->size > size ? record->shape->size : size;
    }
    check->arena = arena_new(ARENA_BYTES);
    check->record = malloc(size);
    check->txn = kv_snapshot(check->kv, err);
    if (check->txn && (!check->arena || !check->record))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    return check->txn ? 0 : -1;
}

int check_all(struct kv *kv, struct findings *findings, uint64_t *derived, struct check_counts *counts, struct err *err)
{
    struct check check = {.kv = kv, .findings = findings};
    int rc = check_open(&check, err);
    if (rc == 0) {
        check_meta(&check);
        for (unsigned type = 0; type < TYPE_MAX; type++) {
            if (record_of(type))
                check_table(&check, record_of(type));
        }
        check_index(&check);
        check_logs(&check);
        check_log_infos(&check);
        check_stats(&check);
        if (check.no_memory)
            rc = err_set(err, ERR_NO_MEMORY, "out of memory: not everything was looked at");
    }
    if (derived)
        *derived = check.derived;
    *counts = check.counts;
    kv_end(check.txn);
    entries_free(&check.entries);
    arena_free(check.arena);
    free(check.record);
    return rc;
}
