/* First what is there is removed, then each record's entries are put, and at last the counts are what the entries come to: they
 * stand in order, group behind group. Putting an entry twice changes nothing, so only the removal has to come first. */
#include "store/reindex.h"

#include "proto/log.h"
#include "store/index.h"
#include "store/key.h"
#include "store/walk.h"

#define STEP 20000 /* entries put, deleted or counted in one transaction */

static const struct str pending_key = {"reindex", 7};

struct rebuild {
    struct kv *kv;
    unsigned type, number;
    struct entries entries;
    struct kv_txn *batch;
    uint32_t left; /* of the step */
    uint64_t put;
};

static int failed(struct rebuild *rebuild, enum kv_result result, struct err *err)
{
    kv_end(rebuild->batch);
    rebuild->batch = NULL;
    return err_set(err, result == KV_MEMORY ? ERR_NO_MEMORY : ERR_IO, "cannot make the indexes anew: %s",
                   result == KV_FULL ? kv_trouble(rebuild->kv) : kv_result_text(result));
}

static int step_begin(struct rebuild *rebuild, struct err *err)
{
    rebuild->batch = kv_batch(rebuild->kv, err);
    rebuild->left = STEP;
    return rebuild->batch ? 0 : -1;
}

static int step_end(struct rebuild *rebuild, struct err *err)
{
    struct kv_txn *batch = rebuild->batch;
    rebuild->batch = NULL;
    return kv_commit(batch, err) == KV_OK ? 0 : -1;
}

/* Removes what begins with type and number from a table; *more when the step was used up. */
static enum kv_result range_clear(struct rebuild *rebuild, unsigned table, bool *more)
{
    struct key prefix;
    struct kv_pair pair;
    key_begin(&prefix, rebuild->type, rebuild->number);
    struct kv_cursor *cursor = kv_cursor_new(rebuild->batch, table);
    if (!cursor)
        return KV_MEMORY;
    enum kv_result result = kv_seek(cursor, key_str(&prefix), &pair);
    while (result == KV_OK && key_starts(pair.key, key_str(&prefix)) && rebuild->left > 0) {
        rebuild->left--;
        result = kv_cursor_delete(cursor);
        if (result == KV_OK)
            result = kv_next(cursor, &pair);
    }
    *more = *more || (result == KV_OK && rebuild->left == 0);
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_OK : result;
}

static int clear(struct rebuild *rebuild, struct err *err)
{
    bool more = true;
    while (more) {
        enum kv_result result;
        more = false;
        if (step_begin(rebuild, err) != 0)
            return -1;
        if (rebuild->number == 0) {
            result = kv_put(rebuild->batch, TABLE_META, pending_key, STR_LIT("all"), false);
            if (result == KV_OK)
                result = kv_clear(rebuild->batch, TABLE_INDEX);
            if (result == KV_OK)
                result = kv_clear(rebuild->batch, TABLE_COUNT);
        } else {
            result = range_clear(rebuild, TABLE_INDEX, &more);
            if (result == KV_OK)
                result = range_clear(rebuild, TABLE_COUNT, &more);
        }
        if (result != KV_OK)
            return failed(rebuild, result, err);
        if (step_end(rebuild, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- entries ---- */

static bool wanted(const struct rebuild *rebuild, struct str key)
{
    return rebuild->number == 0 || (unsigned char)key.ptr[1] == rebuild->number;
}

/* Puts the entries of records behind `after` until the step is used up; *count is how many records that were. What is no record
 * of its type has none. */
static enum kv_result fill_step(struct rebuild *rebuild, const struct record *record, uint64_t *after, uint64_t *count,
                                bool *more)
{
    struct kv_cursor *cursor = kv_cursor_new(rebuild->batch, TABLE_RECORDS + record->type);
    struct key from = key_of_id(*after + 1);
    struct kv_pair pair;
    if (!cursor)
        return KV_MEMORY;
    enum kv_result result = kv_seek(cursor, key_str(&from), &pair);
    while (result == KV_OK && rebuild->left > 0) {
        uint64_t id = key_id_at_end(pair.key);
        enum kv_result made = entries_of(record, id, pair.value, &rebuild->entries);
        if (made == KV_MEMORY) {
            result = made;
            break;
        }
        for (uint32_t i = 0; made == KV_OK && result == KV_OK && i < rebuild->entries.count; i++) {
            struct str key = entry_key(&rebuild->entries, i);
            if (!wanted(rebuild, key))
                continue;
            result = kv_put(rebuild->batch, TABLE_INDEX, key, (struct str){"", 0}, false);
            rebuild->put++;
        }
        rebuild->left -= rebuild->entries.count + 1 < rebuild->left ? rebuild->entries.count + 1 : rebuild->left;
        *after = id;
        ++*count;
        if (result == KV_OK) { /* the batch was written to, the cursor is of another table */
            result = kv_next(cursor, &pair);
        }
    }
    *more = result == KV_OK;
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_OK : result;
}

static enum kv_result total_put(struct rebuild *rebuild, const struct record *record, uint64_t count)
{
    struct key key;
    unsigned char bytes[8];
    key_begin(&key, record->type, 0);
    key_write_u64(bytes, count);
    return count == 0 ? KV_OK
                      : kv_put(rebuild->batch, TABLE_COUNT, key_str(&key), (struct str){(char *)bytes, sizeof bytes}, false);
}

static int fill(struct rebuild *rebuild, const struct record *record, struct err *err)
{
    uint64_t after = 0, count = 0;
    bool more = true;
    while (more) {
        if (step_begin(rebuild, err) != 0)
            return -1;
        enum kv_result result = fill_step(rebuild, record, &after, &count, &more);
        if (result == KV_OK && !more && rebuild->number == 0)
            result = total_put(rebuild, record, count);
        if (result != KV_OK)
            return failed(rebuild, result, err);
        if (step_end(rebuild, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- counts ---- */

/* How many entries a group has; the cursor stands on its first. */
static enum kv_result group_count(struct kv_cursor *cursor, struct kv_pair *pair, const struct key *group, uint64_t *count)
{
    enum kv_result result = KV_OK;
    for (*count = 0; result == KV_OK && key_starts(pair->key, key_str(group)); result = kv_next(cursor, pair))
        ++*count;
    return result == KV_NONE ? KV_OK : result;
}

/* Counts groups of an index from the key on where *from stands; it then stands behind the last. Each is looked for anew: what a cursor
 * has shown does not outlive the writing of a count. */
static enum kv_result count_step(struct rebuild *rebuild, const struct key *prefix, bool text, struct key *from, bool *more)
{
    struct kv_cursor *cursor = kv_cursor_new(rebuild->batch, TABLE_INDEX);
    struct kv_pair pair;
    enum kv_result result = cursor ? KV_OK : KV_MEMORY;
    *more = true;
    while (result == KV_OK && *more && rebuild->left > 0) {
        uint64_t count;
        unsigned char bytes[8];
        struct key group = {0};
        result = kv_seek(cursor, key_str(from), &pair);
        if (result != KV_OK || !key_starts(pair.key, key_str(prefix))) {
            *more = false;
            break;
        }
        group.len = key_group(pair.key, text);
        if (group.len == 0) {
            result = KV_CORRUPT;
            break;
        }
        memcpy(group.bytes, pair.key.ptr, group.len);
        result = group_count(cursor, &pair, &group, &count);
        key_write_u64(bytes, count);
        if (result == KV_OK)
            result = kv_put(rebuild->batch, TABLE_COUNT, key_str(&group), (struct str){(char *)bytes, sizeof bytes}, false);
        *from = group;
        *more = key_step_over(from);
        rebuild->left--;
    }
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_OK : result;
}

static int count_index(struct rebuild *rebuild, const struct record *record, const struct index *index, struct err *err)
{
    struct key prefix, from;
    bool more = true;
    bool text = index->flags & INDEX_WORDS || column_is_text(&record->columns[index->filter]);
    key_begin(&prefix, record->type, index->number);
    from = prefix;
    while (more) {
        if (step_begin(rebuild, err) != 0)
            return -1;
        enum kv_result result = count_step(rebuild, &prefix, text, &from, &more);
        if (result != KV_OK)
            return failed(rebuild, result, err);
        if (step_end(rebuild, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- all of it ---- */

static int record_rebuild(struct rebuild *rebuild, const struct record *record, struct err *err)
{
    if (fill(rebuild, record, err) != 0)
        return -1;
    for (uint8_t i = 0; i < record->index_count; i++) {
        const struct index *index = &record->indexes[i];
        bool chosen = rebuild->number == 0 || rebuild->number == index->number;
        if (chosen && (index->flags & INDEX_COUNTED) && count_index(rebuild, record, index, err) != 0)
            return -1;
    }
    return 0;
}

static int finish(struct rebuild *rebuild, struct err *err)
{
    if (rebuild->number != 0)
        return 0;
    if (step_begin(rebuild, err) != 0)
        return -1;
    enum kv_result result = kv_delete(rebuild->batch, TABLE_META, pending_key);
    if (result != KV_OK && result != KV_NONE)
        return failed(rebuild, result, err);
    return step_end(rebuild, err);
}

int reindex(struct kv *kv, unsigned type, unsigned number, struct err *err)
{
    struct rebuild rebuild = {.kv = kv, .type = type, .number = number};
    int rc = kv_prepare(kv, err); /* of an earlier version it lacks tables */
    if (rc == 0)
        rc = clear(&rebuild, err);
    for (unsigned at = 0; rc == 0 && at < TYPE_MAX; at++) {
        const struct record *record = record_of(at);
        if (record && (number == 0 || at == type))
            rc = record_rebuild(&rebuild, record, err);
    }
    if (rc == 0)
        rc = finish(&rebuild, err);
    entries_free(&rebuild.entries);
    if (rc == 0)
        log_info("GTY-STORE-REINDEX", "entries=%lu", (unsigned long)rebuild.put);
    return rc;
}

bool reindex_pending(struct kv *kv)
{
    struct str value;
    struct kv_txn *txn = kv_snapshot(kv, NULL);
    bool pending = txn && kv_get(txn, TABLE_META, pending_key, &value) == KV_OK;
    kv_end(txn);
    return pending;
}
