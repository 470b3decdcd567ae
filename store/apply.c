#include "store/apply.h"

#include <stdlib.h>

#include "store/audit.h"
#include "store/fires.h"
#include "store/oneshot.h"
#include "store/purge.h"
#include "store/retain.h"

#define APPLY_ARENA ((size_t)32 << 20)

struct apply {
    struct arena *arena; /* of one record at a time */
    void *record;        /* room for the largest one */
};

struct apply *apply_new(void)
{
    size_t size = shape_rec_log_chunk.size;
    for (uint64_t type = 0; type < TYPE_MAX; type++) {
        const struct record *record = record_of(type);
        if (record && record->shape->size > size)
            size = record->shape->size;
    }
    struct apply *apply = calloc(1, sizeof *apply);
    if (!apply)
        return NULL;
    apply->arena = arena_new(APPLY_ARENA);
    apply->record = malloc(size);
    if (!apply->arena || !apply->record) {
        apply_free(apply);
        return NULL;
    }
    return apply;
}

void apply_free(struct apply *apply)
{
    if (!apply)
        return;
    arena_free(apply->arena);
    free(apply->record);
    free(apply);
}

static int put_check(struct apply *apply, const struct rec_op *op, struct err *err)
{
    const struct record *record = record_of(op->type);
    if (!record)
        return err_set(err, ERR_INVALID, "no record type %lu", (unsigned long)op->type);
    if (codec_decode_record(apply->arena, record->shape, op->value, apply->record, err) != 0)
        return -1;
    const struct field *id = shape_field(record->shape, STR_LIT("id"));
    uint64_t own = 0;
    if (id)
        memcpy(&own, (const char *)apply->record + id->offset, sizeof own);
    if (own != op->id || own == 0)
        return err_set(err, ERR_INVALID, "%s %lu is put as %lu", record->name, (unsigned long)own, (unsigned long)op->id);
    return 0;
}

static int op_check(struct apply *apply, const struct rec_op *op, struct err *err)
{
    arena_reset(apply->arena);
    switch (op->op) {
    case OP_PUT:
        return put_check(apply, op, err);
    case OP_DELETE:
        if (!record_of(op->type) || op->id == 0)
            return err_set(err, ERR_INVALID, "no record type %lu with id %lu", (unsigned long)op->type, (unsigned long)op->id);
        return 0;
    case OP_LOG:
        return rec_decode_log_chunk(apply->arena, op->value, apply->record, err);
    case OP_PURGE_RUNS:
        return rec_decode_run_purge(apply->arena, op->value, apply->record, err);
    case OP_PURGE_TASK:
        return op->id ? 0 : err_set(err, ERR_INVALID, "no task id to purge");
    default:
        return err_set(err, ERR_INVALID, "no operation %lu", (unsigned long)op->op);
    }
}

int apply_check(struct apply *apply, const struct rec_op *ops, uint32_t count, struct err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        struct err why = {0};
        if (op_check(apply, &ops[i], &why) != 0)
            return err_set(err, why.code == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_INVALID, "operation %u: %s", i, why.text);
    }
    return 0;
}

static enum kv_result op_apply(struct apply *apply, struct writer *writer, const struct store_limits *limits,
                               const struct rec_op *op, uint32_t *removals)
{
    enum kv_result result;
    switch (op->op) {
    case OP_PUT:
        result = index_put(writer, record_of(op->type), op->id, op->value);
        if (result == KV_OK && op->type == TYPE_FIRE)
            result = fires_trim(writer, limits, op->value);
        if (result == KV_OK && op->type == TYPE_AUDIT)
            result = audit_trim(writer, limits, op->id, op->value);
        writer->oneshots = writer->oneshots || (writer->again && op->type == TYPE_TASK_STAT);
        return result;
    case OP_DELETE:
        if (op->type == TYPE_RUN)
            result = purge_run(writer, op->id, removals);
        else
            result = index_delete(writer, record_of(op->type), op->id);
        return result == KV_NONE ? KV_OK : result; /* what is gone is deleted */
    case OP_LOG:
        arena_reset(apply->arena);
        if (rec_decode_log_chunk(apply->arena, op->value, apply->record, NULL) != 0)
            return KV_MEMORY;
        return logs_append(writer, limits, apply->record);
    case OP_PURGE_RUNS:
        if (rec_decode_run_purge(apply->arena, op->value, apply->record, NULL) != 0)
            return KV_MEMORY;
        return retain_ask(writer, apply->record, removals);
    default:
        return purge_task(writer, op->id, removals);
    }
}

/* With all of the batch in place: tasks of one run whose statistics came back, and those that have ended and have no run. */
static enum kv_result oneshots_apply(struct writer *writer, const struct rec_op *ops, uint32_t count, uint32_t *removals)
{
    enum kv_result result = KV_OK;
    bool went;
    for (uint32_t i = 0; result == KV_OK && i < count; i++) {
        if (ops[i].op == OP_PUT && ops[i].type == TYPE_TASK_STAT)
            result = oneshot_back(writer, ops[i].id);
    }
    for (uint32_t i = 0; result == KV_OK && i < count; i++) {
        if (ops[i].op == OP_PUT && ops[i].type == TYPE_TASK)
            result = oneshot_run_gone(writer, ops[i].id, removals, &went);
    }
    writer->oneshots = false;
    return result;
}

enum kv_result apply_ops(struct apply *apply, struct writer *writer, const struct store_limits *limits, const struct rec_op *ops,
                         uint32_t count, uint32_t *removals)
{
    enum kv_result result = KV_OK;
    for (uint32_t i = 0; result == KV_OK && i < count; i++)
        result = op_apply(apply, writer, limits, &ops[i], removals);
    return result == KV_OK && writer->oneshots ? oneshots_apply(writer, ops, count, removals) : result;
}
