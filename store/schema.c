#include "store/schema.h"

#include "proto/log.h"
#include "store/key.h"
#include "store/reindex.h"

static const struct str schema_key = {"schema", 6};

/* Tables are made when they are missing, so that new kinds of records need none: only that an older program leaves them alone. */
static int nothing_moves(struct kv_txn *batch, struct err *err)
{
    (void)batch, (void)err;
    return 0;
}

const struct migration schema_migrations[] = {
    {1, nothing_moves, "due times, log lines, webhooks and deliveries, pools, the audit log", {0}},
    {2, nothing_moves, "videos, and the transcode farm's workers, tasks and log lines", {0}},
    {3, NULL, "videos by their health", {TYPE_VIDEO, 13}},
    {0},
};

int schema_read(struct kv *kv, uint32_t *version, struct err *err)
{
    struct kv_txn *txn = kv_snapshot(kv, err);
    if (!txn)
        return -1;
    struct str value;
    enum kv_result result = kv_get(txn, TABLE_META, schema_key, &value);
    *version = result == KV_OK && value.len == 8 ? (uint32_t)key_read_u64(value.ptr) : 0;
    kv_end(txn);
    if (result != KV_OK && result != KV_NONE)
        return err_set(err, ERR_IO, "cannot read the database: %s", kv_result_text(result));
    return 0;
}

/* One transaction: the step, if there is one, and the version it leads to. */
static int schema_step(struct kv *kv, const struct migration *migration, uint32_t version, struct err *err)
{
    struct kv_txn *batch = kv_batch(kv, err);
    if (!batch)
        return -1;
    unsigned char bytes[8];
    key_write_u64(bytes, version);
    if (migration && migration->run && migration->run(batch, err) != 0) {
        kv_end(batch);
        return -1;
    }
    enum kv_result result = kv_put(batch, TABLE_META, schema_key, (struct str){(char *)bytes, sizeof bytes}, false);
    if (result != KV_OK) {
        kv_end(batch);
        return err_set(err, ERR_IO, "cannot write the schema version: %s", kv_result_text(result));
    }
    return kv_commit(batch, err) == KV_OK ? 0 : -1;
}

int schema_open(struct kv *kv, const struct migration *migrations, uint32_t version, struct err *err)
{
    uint32_t now;
    if (schema_read(kv, &now, err) != 0)
        return -1;
    if (now > version)
        return err_set(
            err, ERR_PROTOCOL,
            "the database was written by a newer Gantry (schema %u; this one knows %u): start that version, data is as it was",
            now, version);
    if (kv_prepare(kv, err) != 0)
        return -1;
    if (now == 0)
        return schema_step(kv, NULL, version, err);
    if (reindex_pending(kv) && reindex(kv, 0, 0, err) != 0)
        return -1;
    for (const struct migration *step = migrations; now < version; step++) {
        if (!step->run && step->index.number == 0)
            return err_set(err, ERR_INTERNAL, "no way from schema %u to %u", now, version);
        if (step->from != now)
            continue;
        log_info("GTY-STORE-MIGRATE", "from=%u to=%u %s", now, now + 1, step->doc);
        if (step->index.number != 0 && reindex(kv, step->index.type, step->index.number, err) != 0)
            return -1;
        if (schema_step(kv, step, now + 1, err) != 0)
            return -1;
        now++;
    }
    return 0;
}
