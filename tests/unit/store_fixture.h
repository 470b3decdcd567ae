/* A database in a temporary folder, and short words for what the tests of the store do with it. */
#ifndef GANTRY_TESTS_STORE_FIXTURE_H
#define GANTRY_TESTS_STORE_FIXTURE_H

#include "unit.h"

#include "store/group.h"
#include "store/query.h"
#include "store/schema.h"

#define FIXTURE_OPS 4096

struct fixture {
    char folder[UNIT_FOLDER_SIZE];
    struct kv *kv;
    struct group group;
    struct arena *arena;
    uint64_t epoch, seq;
    uint64_t map_bytes, ballast_bytes;
    struct store_limits limits;
    struct rec_op ops[FIXTURE_OPS]; /* of the batch being made; values are allocated */
    uint32_t op_count;
};

static inline void fixture_start(struct fixture *fx)
{
    struct err err = {0};
    struct kv_options options = {.folder = fx->folder,
                                 .tables = record_tables,
                                 .table_count = TABLE_ALL,
                                 .map_bytes = fx->map_bytes,
                                 .ballast_bytes = fx->ballast_bytes};
    fx->kv = kv_open(&options, &err);
    if (!fx->kv)
        fail_msg("%s", err.text);
    assert_int_equal(schema_open(fx->kv, schema_migrations, SCHEMA_VERSION, &err), 0);
    assert_int_equal(group_init(&fx->group, fx->kv, &fx->limits, &err), 0);
    fx->epoch = fx->group.state.epoch;
    fx->seq = fx->group.state.applied;
}

static inline void fixture_stop(struct fixture *fx)
{
    group_free(&fx->group);
    kv_close(fx->kv);
}

static inline enum kv_result fixture_job(struct fixture *fx, struct job *job)
{
    struct err err = {0};
    return group_commit(&fx->group, job, false, &err);
}

static inline void fixture_claim(struct fixture *fx)
{
    struct job job = {.kind = JOB_CLAIM};
    assert_int_equal(fixture_job(fx, &job), KV_OK);
    assert_int_equal(job.outcome, JOB_GRANT);
    fx->epoch = job.answer_epoch;
    fx->seq = job.answer_seq;
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *fx = calloc(1, sizeof *fx);
    struct err err = {0};
    assert_non_null(fx);
    unit_folder(fx->folder);
    fx->map_bytes = (uint64_t)1 << 30;
    fx->limits = (struct store_limits){.log_lines = 10000, .log_bytes = 4 << 20};
    fx->arena = arena_new((size_t)64 << 20);
    assert_non_null(fx->arena);
    assert_int_equal(record_init(&err), 0);
    fixture_start(fx);
    fixture_claim(fx);
    return fx;
}

static inline void fixture_drop_ops(struct fixture *fx)
{
    for (uint32_t i = 0; i < fx->op_count; i++)
        free((void *)(uintptr_t)fx->ops[i].value.ptr);
    fx->op_count = 0;
}

static inline void fixture_free(struct fixture *fx)
{
    fixture_drop_ops(fx);
    fixture_stop(fx);
    arena_free(fx->arena);
    unit_remove(fx->folder);
    free(fx);
}

/* As after a crash: nothing is kept but the files. */
static inline void fixture_restart(struct fixture *fx)
{
    fixture_stop(fx);
    fixture_start(fx);
}

/* ---- changes ---- */

static inline void fixture_op(struct fixture *fx, uint64_t op, uint64_t type, uint64_t id, const struct shape *shape,
                              const void *record)
{
    struct buf buf = {0};
    struct err err = {0};
    assert_true(fx->op_count < FIXTURE_OPS);
    if (shape && codec_encode_record(&buf, shape, record, &err) != 0)
        fail_msg("%s", err.text);
    fx->ops[fx->op_count++] = (struct rec_op){.op = op, .type = type, .id = id, .value = buf_str(&buf)};
}

static inline void fixture_run(struct fixture *fx, const struct rec_run *run)
{
    fixture_op(fx, OP_PUT, TYPE_RUN, run->id, &shape_rec_run, run);
}

static inline void fixture_task(struct fixture *fx, const struct rec_task *task)
{
    fixture_op(fx, OP_PUT, TYPE_TASK, task->id, &shape_rec_task, task);
}

static inline void fixture_delete(struct fixture *fx, uint64_t type, uint64_t id)
{
    fixture_op(fx, OP_DELETE, type, id, NULL, NULL);
}

/* Commits the changes gathered as the next batch; answers how that went and forgets them. */
static inline struct job fixture_try(struct fixture *fx, enum kv_result *result)
{
    struct job job = {.kind = JOB_BATCH, .epoch = fx->epoch, .seq = fx->seq + 1, .ops = fx->ops, .op_count = fx->op_count};
    enum kv_result got = fixture_job(fx, &job);
    if (result)
        *result = got;
    fixture_drop_ops(fx);
    if (got == KV_OK && job.outcome == JOB_ACK)
        fx->seq = job.answer_seq;
    return job;
}

static inline void fixture_commit(struct fixture *fx)
{
    enum kv_result result;
    struct job job = fixture_try(fx, &result);
    if (result != KV_OK || job.outcome != JOB_ACK)
        fail_msg("result %d outcome %d: %s", (int)result, (int)job.outcome, job.text);
}

/* Purges until nothing is left to. */
static inline void fixture_purge(struct fixture *fx)
{
    struct err err = {0};
    for (int i = 0; i < 10000 && fx->group.purging; i++)
        assert_int_equal(group_commit(&fx->group, NULL, true, &err), KV_OK);
    assert_false(fx->group.purging);
}

/* ---- reading ---- */

/* A query's answer; rows point into the snapshot, which the caller ends. */
static inline struct kv_txn *fixture_query(struct fixture *fx, const struct msg_query *query, uint64_t max_rows,
                                           struct msg_query_rows *rows)
{
    struct msg_error error = {0};
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    assert_non_null(txn);
    arena_reset(fx->arena);
    if (query_page(txn, fx->arena, max_rows, query, rows, &error) != 0)
        fail_msg("query refused: %.*s", (int)error.text.len, error.text.ptr);
    return txn;
}

static inline uint64_t fixture_total(struct fixture *fx, uint64_t type, const char *field, int64_t number, const char *text)
{
    struct rec_filter filter = {.field = str_of(field), .op = FILTER_EQ, .number = number, .text = str_of(text)};
    struct msg_query query = {.type = type, .filters = {&filter, field ? 1 : 0}, .page = 1, .size = 1};
    struct msg_query_rows rows;
    kv_end(fixture_query(fx, &query, 100000, &rows));
    assert_false(rows.total_is_lower_bound);
    return rows.total;
}

#endif
