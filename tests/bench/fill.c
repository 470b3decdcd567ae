/* A database with many rows in it, made by the store's own code: its groups, its indexes, its commits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/clock.h"
#include "store/group.h"
#include "store/schema.h"
#include "tests/bench/bench.h"

#define ROWS_A_COMMIT 5000
#define TASKS 100
#define RUN_MS 250 /* between one run and the next */

struct fill {
    struct bench *bench;
    struct group group;
    uint64_t epoch, seq;
    uint64_t now_ms;
    struct buf bytes; /* of the records in ops */
    struct rec_op ops[ROWS_A_COMMIT];
    size_t at[ROWS_A_COMMIT + 1]; /* where each begins in bytes */
    uint32_t count;
};

static int fill_commit(struct fill *fill, enum job_kind kind)
{
    struct job job = {.kind = kind,
                      .epoch = fill->epoch,
                      .seq = fill->seq + 1,
                      .ops = fill->ops,
                      .op_count = kind == JOB_BATCH ? fill->count : 0};
    struct err err = {0};

    for (uint32_t i = 0; i < fill->count; i++)
        fill->ops[i].value = (struct str){fill->bytes.data + fill->at[i], (uint32_t)(fill->at[i + 1] - fill->at[i])};
    enum kv_result result = group_commit(&fill->group, &job, false, &err);
    if (result != KV_OK || (job.outcome != JOB_ACK && job.outcome != JOB_GRANT))
        return bench_fail("the database", result != KV_OK ? kv_result_text(result) : job.text);
    fill->epoch = job.answer_epoch;
    fill->seq = job.answer_seq;
    fill->count = 0;
    buf_reset(&fill->bytes);
    return 0;
}

static int fill_put(struct fill *fill, enum record_type type, uint64_t id, const struct shape *shape, const void *record)
{
    struct err err = {0};

    fill->at[fill->count] = fill->bytes.len;
    if (codec_encode_record(&fill->bytes, shape, record, &err) != 0)
        return bench_fail(shape->name, err.text);
    fill->ops[fill->count++] = (struct rec_op){.op = OP_PUT, .type = type, .id = id};
    fill->at[fill->count] = fill->bytes.len;
    return fill->count < ROWS_A_COMMIT ? 0 : fill_commit(fill, JOB_BATCH);
}

static const char *task_name(uint64_t id, char out[32])
{
    snprintf(out, 32, "task-%03u", (unsigned)id);
    return out;
}

static int tasks_put(struct fill *fill)
{
    char name[32];

    for (uint64_t id = 1; id <= TASKS; id++) {
        struct rec_task task = {.id = id,
                                .spec = {.name = str_of(task_name(id, name)),
                                         .task_type = STR_LIT("bench"),
                                         .executor = STR_LIT("shell"),
                                         .command = STR_LIT("true"),
                                         .priority = PRIORITY_NORMAL,
                                         .timeout_seconds = 3600},
                                .created_at = fill->now_ms,
                                .updated_at = fill->now_ms};
        struct rec_task_stat stat = {.id = id, .total = fill->bench->rows / TASKS, .last_run_id = fill->bench->rows};
        for (size_t i = 0; i < shape_rec_task_spec.count; i++)
            task.spec.has |= UINT64_C(1) << shape_rec_task_spec.fields[i].key;
        if (fill_put(fill, TYPE_TASK, id, &shape_rec_task, &task) != 0 ||
            fill_put(fill, TYPE_TASK_STAT, id, &shape_rec_task_stat, &stat) != 0)
            return -1;
    }
    return fill_commit(fill, JOB_BATCH);
}

/* "odd" and "even" share every 2000th; a group has a thousand; all are nightly. */
static int words_put(struct fill *fill, uint64_t number)
{
    char name[32], text[128];
    uint64_t id = TASKS + number;

    snprintf(name, sizeof name, "searched-%llu", (unsigned long long)number);
    snprintf(text, sizeof text, "nightly group%llu %s%s", (unsigned long long)(number / 1000), number % 2 ? "odd" : "even",
             number % 2000 == 0 ? " odd" : "");
    struct rec_task task = {.id = id,
                            .spec = {.name = str_of(name),
                                     .description = str_of(text),
                                     .task_type = STR_LIT("bench"),
                                     .executor = STR_LIT("shell"),
                                     .command = STR_LIT("true"),
                                     .priority = PRIORITY_NORMAL,
                                     .timeout_seconds = 3600},
                            .status = TASK_COMPLETED,
                            .oneshot = true,
                            .created_at = fill->now_ms,
                            .updated_at = fill->now_ms};
    for (size_t i = 0; i < shape_rec_task_spec.count; i++)
        task.spec.has |= UINT64_C(1) << shape_rec_task_spec.fields[i].key;
    return fill_put(fill, TYPE_TASK, id, &shape_rec_task, &task);
}

/* Nine of ten completed, the others failed. */
static int run_put(struct fill *fill, uint64_t id)
{
    char name[32];
    char worker[32];
    char payload[PAYLOAD_BYTES];
    uint64_t at = fill->now_ms + id * RUN_MS;
    bool failed = id % 10 == 0;

    payload_map(payload, id);
    snprintf(worker, sizeof worker, "worker-%03u", (unsigned)(1 + id % 8));
    struct rec_attempt attempt = {.number = 1,
                                  .worker_id = 1 + id % 8,
                                  .worker_name = str_of(worker),
                                  .assigned_at = at + 1,
                                  .started_at = at + 2,
                                  .ended_at = at + 200,
                                  .outcome = failed ? OUTCOME_FAILED : OUTCOME_COMPLETED,
                                  .exit_code = failed};
    struct rec_run run = {.id = id,
                          .task_id = 1 + id % TASKS,
                          .task_name = str_of(task_name(1 + id % TASKS, name)),
                          .priority = PRIORITY_NORMAL,
                          .created_at = at,
                          .timeout_seconds = 3600,
                          .parameters = {payload, sizeof payload}};
    SET_HAS(&attempt, rec_attempt, exit_code);
    if (!fill->bench->pending) {
        run.status = failed ? RUN_FAILED : RUN_COMPLETED;
        run.started_at = at + 2;
        run.completed_at = at + 200;
        run.attempt = 1;
        run.worker_id = attempt.worker_id;
        run.worker_name = attempt.worker_name;
        run.worker_hostname = STR_LIT("bench");
        run.attempts = (struct rec_attempt_list){&attempt, 1};
    }
    return fill_put(fill, TYPE_RUN, id, &shape_rec_run, &run);
}

static int key_put(struct fill *fill, uint64_t id)
{
    char scope[16] = {0};
    char answer[400];

    memcpy(scope, &id, sizeof id);
    memset(answer, 7, sizeof answer);
    struct rec_key key = {.id = id,
                          .scope = {scope, sizeof scope},
                          .body = {scope, sizeof scope},
                          .answer = {answer, sizeof answer},
                          .created_at = clock_wall_ms()};
    return fill_put(fill, TYPE_KEY, id, &shape_rec_key, &key);
}

static int fill_run(struct fill *fill)
{
    uint64_t began = clock_mono_us();

    fill->now_ms = clock_wall_ms() - fill->bench->rows * RUN_MS;
    if (fill_commit(fill, JOB_CLAIM) != 0 || tasks_put(fill) != 0)
        return -1;
    for (uint64_t id = 1; id <= fill->bench->rows; id++)
        if (run_put(fill, id) != 0)
            return -1;
    for (uint64_t number = 1; number <= fill->bench->tasks; number++)
        if (words_put(fill, number) != 0)
            return -1;
    for (uint64_t id = 1; id <= fill->bench->keys; id++)
        if (key_put(fill, id) != 0)
            return -1;
    if (fill_commit(fill, JOB_BATCH) != 0)
        return -1;
    double seconds = (double)(clock_mono_us() - began) / 1e6;
    bench_put(fill->bench, "seconds", seconds);
    bench_put(fill->bench, "rate", (double)(fill->bench->rows + fill->bench->keys) / seconds);
    return 0;
}

int fill_measure(struct bench *bench)
{
    static const struct store_limits limits = {.log_lines = 10000, .log_bytes = 4 << 20};
    struct fill *fill = calloc(1, sizeof *fill);
    char folder[4200];
    struct err err = {0};
    int rc = -1;

    snprintf(folder, sizeof folder, "%s/store", settings_text(bench->settings, SET_DATA));
    struct kv_options options = {.folder = folder,
                                 .tables = record_tables,
                                 .table_count = TABLE_ALL,
                                 .map_bytes = (uint64_t)settings_count_of(bench->settings, SET_STORE_MAP_GB) << 30};
    struct kv *kv = fill && record_init(&err) == 0 ? kv_open(&options, &err) : NULL;
    if (kv && schema_open(kv, schema_migrations, SCHEMA_VERSION, &err) == 0 && group_init(&fill->group, kv, &limits, &err) == 0) {
        fill->bench = bench;
        rc = fill_run(fill);
        group_free(&fill->group);
    } else {
        bench_fail("the database", err.text);
    }
    kv_close(kv);
    if (fill)
        buf_free(&fill->bytes);
    free(fill);
    return rc;
}
