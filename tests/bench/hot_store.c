/* The store, on 5,000 finished runs: a page of twenty of them, answered; a batch of ten runs' lives, committed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/group.h"
#include "store/query.h"
#include "store/schema.h"
#include "tests/bench/bench.h"
#include "tests/bench/hot.h"

#define ROWS 5000
#define LIVES 10 /* of a batch */
#define OPS_A_LIFE 6

static char folder[64];
static struct kv *kv;
static struct group group;
static struct arena *arena;
static struct buf out;
static uint64_t epoch, seq, next_run = 1, next_event = 1;
static struct rec_op ops[LIVES * OPS_A_LIFE];
static struct buf values[LIVES * OPS_A_LIFE];

static void clean(void)
{
    char path[400];
    DIR *open = opendir(folder);

    for (const struct dirent *entry; open && (entry = readdir(open)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path); /* folders stay: there are none but . and .. */
    }
    if (open)
        closedir(open);
    rmdir(folder);
}

static void commit(enum job_kind kind, uint32_t count)
{
    struct job job = {.kind = kind, .epoch = epoch, .seq = seq + 1, .ops = ops, .op_count = count};
    struct err err = {0};

    hot_check(group_commit(&group, &job, false, &err) == KV_OK, err.text);
    hot_check(job.outcome == JOB_ACK || job.outcome == JOB_GRANT, job.text);
    epoch = job.answer_epoch;
    seq = job.answer_seq;
}

static void put(unsigned at, enum record_type type, uint64_t id, const struct shape *shape, const void *record)
{
    struct err err = {0};

    buf_reset(&values[at]);
    hot_check(codec_encode_record(&values[at], shape, record, &err) == 0, err.text);
    ops[at] = (struct rec_op){.op = OP_PUT, .type = type, .id = id, .value = buf_str(&values[at])};
}

/* What a run of an idle farm leaves in one batch and the next: the run, its key, events, its task's statistics, a line of the audit log. */
static void life(unsigned at)
{
    static char parameters[PAYLOAD_BYTES];
    uint64_t id = next_run++;
    struct rec_attempt attempt = {.number = 1,
                                  .worker_id = 1,
                                  .worker_name = STR_LIT("worker-001"),
                                  .assigned_at = id,
                                  .ended_at = id + 9,
                                  .outcome = OUTCOME_COMPLETED};
    struct rec_run run = {.id = id,
                          .task_id = 1 + id % 10,
                          .task_name = STR_LIT("task"),
                          .status = id % 10 ? RUN_COMPLETED : RUN_FAILED,
                          .created_at = UINT64_C(1700000000000) + id,
                          .started_at = UINT64_C(1700000000000) + id,
                          .completed_at = UINT64_C(1700000000000) + id + 9,
                          .attempt = 1,
                          .worker_name = STR_LIT("worker-001"),
                          .parameters = {parameters, sizeof parameters},
                          .attempts = {&attempt, 1}};
    struct rec_key key = {.id = id,
                          .scope = STR_LIT("0123456789abcdef"),
                          .body = STR_LIT("0123456789abcdef"),
                          .answer = {parameters, sizeof parameters},
                          .created_at = UINT64_C(1700000000000)};
    struct rec_event event = {.type = STR_LIT("run.completed"), .at = UINT64_C(1700000000000), .run_id = id};
    struct rec_task_stat stat = {.id = 1 + id % 10, .total = id, .completed = id, .last_run_id = id};

    struct rec_audit line = {.id = id,
                             .at = UINT64_C(1700000000000),
                             .who = STR_LIT("local"),
                             .address = STR_LIT("127.0.0.1"),
                             .method = STR_LIT("POST"),
                             .path = STR_LIT("/api/tasks/1/trigger"),
                             .target = id};

    payload_map(parameters, id);
    put(at, TYPE_RUN, id, &shape_rec_run, &run);
    put(at + 1, TYPE_KEY, id, &shape_rec_key, &key);
    for (unsigned i = 2; i < 4; i++) {
        event.id = next_event++;
        put(at + i, TYPE_EVENT, event.id, &shape_rec_event, &event);
    }
    put(at + 4, TYPE_TASK_STAT, stat.id, &shape_rec_task_stat, &stat);
    put(at + 5, TYPE_AUDIT, id, &shape_rec_audit, &line);
}

static void step_apply(unsigned number)
{
    (void)number;
    for (unsigned i = 0; i < LIVES; i++)
        life(i * OPS_A_LIFE);
    commit(JOB_BATCH, LIVES * OPS_A_LIFE);
}

static void prepare(void)
{
    static const struct store_limits limits = {.log_lines = 10000, .log_bytes = 4 << 20};
    struct err err = {0};

    snprintf(folder, sizeof folder, "/tmp/gantry-hot-XXXXXX");
    hot_check(mkdtemp(folder) != NULL, "a folder");
    atexit(clean);
    struct kv_options options = {
        .folder = folder, .tables = record_tables, .table_count = TABLE_ALL, .map_bytes = UINT64_C(1) << 30};
    arena = arena_new((size_t)16 << 20);
    kv = record_init(&err) == 0 ? kv_open(&options, &err) : NULL;
    hot_check(kv && schema_open(kv, schema_migrations, SCHEMA_VERSION, &err) == 0 && group_init(&group, kv, &limits, &err) == 0,
              err.text);
    commit(JOB_CLAIM, 0);
    while (next_run <= ROWS)
        step_apply(0);
}

static void step_query(unsigned number)
{
    struct rec_filter filter = {.field = STR_LIT("status"), .op = FILTER_EQ, .number = RUN_COMPLETED};
    struct msg_query query = {
        .type = TYPE_RUN, .filters = {&filter, 1}, .sort = STR_LIT("completed_at"), .descending = true, .page = 1, .size = 20};
    struct msg_query_rows rows;
    struct msg_error error;
    struct err err = {0};
    struct kv_txn *txn = kv_snapshot(kv, &err);

    arena_reset(arena);
    buf_reset(&out);
    hot_check(txn && query_page(txn, arena, 100000, &query, &rows, &error) == 0 && rows.rows.count == 20, "a page");
    hot_check(msg_encode_query_rows(&out, &rows, number + 1, (struct str){0}, &err) == 0, err.text);
    kv_end(txn);
}

const struct hot hot_table[] = {{"query", prepare, step_query}, {"apply", prepare, step_apply}, {NULL, NULL, NULL}};
