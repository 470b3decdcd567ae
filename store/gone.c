#include "store/gone.h"

#include "store/key.h"
#include "store/state.h"

int gone_read(struct str value, struct gone_run *run)
{
    static struct column columns[3];
    struct value values[3];
    const struct shape *shape = record_of(TYPE_RUN)->shape;
    if (columns[0].depth == 0 && (column_resolve(shape, STR_LIT("task_id"), &columns[0]) != 0 ||
                                  column_resolve(shape, STR_LIT("status"), &columns[1]) != 0 ||
                                  column_resolve(shape, STR_LIT("completed_at"), &columns[2]) != 0))
        return -1;
    if (record_read(columns, 3, value, values) != 0)
        return -1;
    *run = (struct gone_run){values[0].number, values[1].number, values[2].number};
    return 0;
}

/* "gone", the id */
static struct key gone_key(uint64_t task_id)
{
    struct key key = {.len = 4, .bytes = "gone"};
    key_id(&key, task_id);
    return key;
}

bool gone_is_key(struct str key)
{
    return key.len == GONE_KEY && memcmp(key.ptr, "gone", 4) == 0;
}

struct gone gone_get(struct kv_txn *txn, uint64_t task_id)
{
    struct key key = gone_key(task_id);
    struct str value;
    if (kv_get(txn, TABLE_META, key_str(&key), &value) != KV_OK || value.len < 24)
        return (struct gone){0};
    return (struct gone){key_read_u64(value.ptr), key_read_u64(value.ptr + 8), key_read_u64(value.ptr + 16)};
}

void gone_count(struct gone *gone, uint64_t status)
{
    gone->completed += status == RUN_COMPLETED;
    gone->failed += status == RUN_FAILED;
    gone->aborted += status == RUN_ABORTED;
}

enum kv_result gone_set(struct kv_txn *batch, uint64_t task_id, const struct gone *gone)
{
    struct key key = gone_key(task_id);
    unsigned char bytes[24];
    key_write_u64(bytes, gone->completed);
    key_write_u64(bytes + 8, gone->failed);
    key_write_u64(bytes + 16, gone->aborted);
    return kv_put(batch, TABLE_META, key_str(&key), (struct str){(char *)bytes, sizeof bytes}, false);
}

enum kv_result gone_add(struct kv_txn *batch, const struct gone_run *run)
{
    if (!run->task_id || purge_under_way(batch, PURGE_TASK, run->task_id)) /* whose statistics are gone already */
        return KV_OK;
    struct gone gone = gone_get(batch, run->task_id);
    gone_count(&gone, run->status);
    return gone_set(batch, run->task_id, &gone);
}

enum kv_result gone_forget(struct kv_txn *batch, uint64_t task_id)
{
    struct key key = gone_key(task_id);
    enum kv_result result = kv_delete(batch, TABLE_META, key_str(&key));
    return result == KV_NONE ? KV_OK : result;
}
