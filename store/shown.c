#include "store/shown.h"

#include "proto/depends.h"
#include "store/key.h"

enum { COLUMN_NAME, COLUMN_DEPENDS, COLUMNS };

struct names {
    struct kv_txn *snapshot;
    enum kv_result result; /* what went wrong */
};

static const struct column *column_of(int which)
{
    static struct column columns[COLUMNS];
    const struct shape *shape = record_of(TYPE_TASK)->shape;
    if (columns[0].depth == 0 && (column_resolve(shape, STR_LIT("dependency_ids"), &columns[COLUMN_DEPENDS]) != 0 ||
                                  column_resolve(shape, STR_LIT("spec.name"), &columns[COLUMN_NAME]) != 0))
        return NULL;
    return &columns[which];
}

static bool name_of(void *self, uint64_t id, struct str *name)
{
    struct names *names = self;
    struct key key = key_of_id(id);
    struct value read;
    struct str value;
    enum kv_result result = kv_get(names->snapshot, TABLE_RECORDS + TYPE_TASK, key_str(&key), &value);
    if (result == KV_OK && record_read(column_of(COLUMN_NAME), 1, value, &read) != 0)
        result = KV_CORRUPT;
    if (result != KV_OK && result != KV_NONE)
        names->result = result;
    if (result == KV_OK)
        *name = read.text;
    return result == KV_OK;
}

static enum kv_result encode(struct arena *arena, const struct rec_task *task, struct str *value)
{
    struct buf buf = {0};
    struct err err;
    enum kv_result result = KV_MEMORY;
    if (rec_encode_task(&buf, task, &err) == 0) {
        struct str copy = arena_str(arena, buf_str(&buf));
        result = copy.ptr ? KV_OK : KV_MEMORY;
        *value = copy.ptr ? copy : *value;
    } else if (err.code != ERR_NO_MEMORY) {
        result = KV_OK; /* with the names of now it would be too large for a record: as it was typed, then */
    }
    buf_free(&buf);
    return result;
}

enum kv_result shown_task(struct kv_txn *snapshot, struct arena *arena, struct str *value)
{
    struct names names = {.snapshot = snapshot, .result = KV_OK};
    const struct depends_names lookup = {name_of, &names};
    const struct column *depends = column_of(COLUMN_DEPENDS);
    struct rec_task task;
    struct value read;
    bool changed;
    if (!depends || record_read(depends, 1, *value, &read) != 0)
        return KV_CORRUPT;
    if (read.count == 0)
        return KV_OK;
    if (rec_decode_task(arena, *value, &task, NULL) != 0 ||
        depends_show(arena, &task.spec, &task.dependency_ids, &task.dependency_whens, &lookup, &changed) != 0)
        return KV_MEMORY;
    if (names.result != KV_OK || !changed)
        return names.result;
    return encode(arena, &task, value);
}
