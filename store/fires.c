#include "store/fires.h"

#include "store/key.h"
#include "store/walk.h"

#define FIRES_BY_TASK 1 /* the index of fires by task_id in records.def */

static struct key fires_of(uint64_t task_id)
{
    struct key prefix;
    key_begin(&prefix, TYPE_FIRE, FIRES_BY_TASK);
    key_number(&prefix, task_id);
    return prefix;
}

/* A task's oldest entry; 0 when it has none. */
static enum kv_result oldest_fire(struct kv_txn *txn, uint64_t task_id, uint64_t *id)
{
    struct walk walk;
    struct key prefix = fires_of(task_id);
    *id = 0;
    if (walk_index(&walk, txn, &prefix, true) != 0)
        return KV_MEMORY;
    enum kv_result result = walk_first(&walk);
    if (result == KV_OK)
        *id = walk.id;
    walk_end(&walk);
    return result == KV_NONE ? KV_OK : result;
}

/* What is asked of an entry: whose it is, and when it was made. */
static int fire_read(struct str bytes, uint64_t *task_id, uint64_t *decided_at)
{
    struct column columns[2];
    struct value values[2];
    const struct shape *shape = record_of(TYPE_FIRE)->shape;
    if (column_resolve(shape, STR_LIT("task_id"), &columns[0]) != 0 ||
        column_resolve(shape, STR_LIT("decided_at"), &columns[1]) != 0 || record_read(columns, 2, bytes, values) != 0)
        return -1;
    *task_id = values[0].number;
    *decided_at = values[1].number;
    return 0;
}

static enum kv_result fire_expired(struct kv_txn *txn, uint64_t id, uint64_t before, bool *expired)
{
    struct key key = key_of_id(id);
    struct str value;
    uint64_t task_id, decided_at;
    enum kv_result result = kv_get(txn, TABLE_RECORDS + TYPE_FIRE, key_str(&key), &value);
    if (result != KV_OK || fire_read(value, &task_id, &decided_at) != 0)
        return result == KV_OK || result == KV_NONE ? KV_CORRUPT : result;
    *expired = decided_at < before;
    return KV_OK;
}

static enum kv_result fire_drop(struct writer *writer, uint64_t id)
{
    enum kv_result result = index_delete(writer, record_of(TYPE_FIRE), id);
    return result == KV_NONE ? KV_CORRUPT : result; /* the index names it */
}

enum kv_result fires_trim(struct writer *writer, const struct store_limits *limits, struct str fire)
{
    uint64_t task_id, decided_at, oldest;
    enum kv_result result = KV_OK;
    if (fire_read(fire, &task_id, &decided_at) != 0)
        return KV_CORRUPT;
    struct key prefix = fires_of(task_id);
    uint64_t before = limits->fires_ms && decided_at > limits->fires_ms ? decided_at - limits->fires_ms : 0;
    for (int i = 0; i < FIRES_TRIM; i++) {
        uint64_t count = count_now(writer->counts, writer->txn, key_str(&prefix));
        bool drop = limits->fires && count > limits->fires;
        if (count <= 1 || (!drop && !before))
            return KV_OK;
        result = oldest_fire(writer->txn, task_id, &oldest);
        if (result == KV_OK && !drop)
            result = fire_expired(writer->txn, oldest, before, &drop);
        if (result != KV_OK || !drop)
            return result;
        result = fire_drop(writer, oldest);
        if (result != KV_OK)
            return result;
    }
    return result;
}

enum kv_result fires_delete(struct writer *writer, uint64_t task_id, uint32_t *budget, bool *more)
{
    for (;;) {
        uint64_t id;
        enum kv_result result = oldest_fire(writer->txn, task_id, &id);
        *more = id != 0;
        if (result != KV_OK || id == 0 || *budget == 0)
            return result;
        --*budget;
        result = fire_drop(writer, id);
        if (result != KV_OK)
            return result;
    }
}
