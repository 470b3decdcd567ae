/* Memory runs out at every place of the store in turn, LMDB's own left out (tests/scenario/test_no_memory.py has those): a batch is
 * refused and nothing of it is there, or it is on disk; a query answers that memory is short, or right; and the next try succeeds. */
#include "store_fixture.h"

#include "memory_fault.h"

#include "proto/log.h"
#include "store/key.h"

static struct fixture *fx;
static uint64_t next_id = 1000;

static uint64_t total(uint64_t type)
{
    uint64_t countdown = memory_countdown;
    memory_countdown = 0;
    uint64_t found = fixture_total(fx, type, NULL, 0, "");
    memory_countdown = countdown;
    return found;
}

/* What a step puts into its batch, made while memory is there. */
static void (*fill)(void);

/* The batch as a whole; when it was refused, once more. */
static void step_commit(void)
{
    uint64_t countdown = memory_countdown, before = total(TYPE_RUN), tasks = total(TYPE_TASK);
    struct job job = {.kind = JOB_BATCH, .epoch = fx->epoch, .seq = fx->seq + 1};
    memory_countdown = 0;
    fill();
    job.ops = fx->ops;
    job.op_count = fx->op_count;
    memory_countdown = countdown;
    enum kv_result result = fixture_job(fx, &job);
    memory_countdown = 0;
    if (result != KV_OK) {
        assert_true(memory_short());
        assert_int_equal(result, KV_MEMORY);
        assert_int_equal(job.outcome, JOB_REFUSED);
        assert_true(job.text[0]);
        assert_int_equal(total(TYPE_RUN), before);
        assert_int_equal(total(TYPE_TASK), tasks);
        assert_int_equal(fixture_job(fx, &job), KV_OK);
    }
    assert_int_equal(job.outcome, JOB_ACK);
    fx->seq = job.answer_seq;
    fixture_drop_ops(fx);
    fixture_purge(fx);
}

static uint64_t put_run(uint64_t task)
{
    struct rec_attempt attempts[3] = {
        {.number = 1, .worker_name = STR_LIT("w"), .error = STR_LIT("e")}, {.number = 2}, {.number = 3}};
    struct rec_run run = {
        .id = ++next_id, .task_id = task, .created_at = 5, .worker_name = STR_LIT("worker"), .attempts = {attempts, 3}};
    fixture_run(fx, &run);
    return run.id;
}

static uint64_t put_task(void)
{
    struct str tags[3] = {STR_LIT("a"), STR_LIT("b"), STR_LIT("c d")};
    struct rec_task task = {.id = ++next_id, .created_at = 5};
    task.spec.name = STR_LIT("name of many words");
    task.spec.description = STR_LIT("and more of them than that, to be found by");
    task.spec.tags = (struct str_list){tags, 3};
    SET_HAS(&task.spec, rec_task_spec, name);
    SET_HAS(&task.spec, rec_task_spec, description);
    SET_HAS(&task.spec, rec_task_spec, tags);
    fixture_task(fx, &task);
    return task.id;
}

static void put_log(uint64_t run)
{
    struct rec_log_line lines[20];
    for (uint64_t i = 0; i < 20; i++)
        lines[i] = (struct rec_log_line){.seq = i + 1, .at = 1, .text = STR_LIT("a line")};
    struct rec_log_chunk chunk = {.run_id = run, .attempt = 1, .lines = {lines, 20}};
    fixture_op(fx, OP_LOG, 0, 0, &shape_rec_log_chunk, &chunk);
}

static void put_fires(uint64_t task)
{
    for (uint64_t i = 0; i < 6; i++) {
        struct rec_fire fire = {.id = ++next_id,
                                .task_id = task,
                                .due_at = i,
                                .last_due_at = i,
                                .count = 1,
                                .outcome = FIRE_SKIPPED,
                                .decided_at = i};
        fixture_op(fx, OP_PUT, TYPE_FIRE, fire.id, &shape_rec_fire, &fire);
    }
}

static uint64_t last_task, last_run;

static void fill_puts(void)
{
    last_task = put_task();
    last_run = put_run(last_task);
    put_log(last_run);
    put_fires(last_task);
    struct rec_event event = {.id = ++next_id, .at = 1, .type = STR_LIT("t")};
    fixture_op(fx, OP_PUT, TYPE_EVENT, event.id, &shape_rec_event, &event);
}

/* A task of one run and its run, which go together; then its restart, which was under way. */
static void put_oneshot(void)
{
    struct rec_task task = {.id = ++next_id, .status = TASK_FAILED, .created_at = 5, .oneshot = true};
    struct rec_run run = {.id = ++next_id, .task_id = task.id, .status = RUN_FAILED, .created_at = 5, .completed_at = 6};
    struct rec_task_stat stat = {.id = task.id, .total = 1, .failed = 1};
    struct rec_run_purge purge = {.before = 7, .task_id = task.id};
    for (int i = 0; i < 2; i++) {
        fixture_run(fx, &run);
        fixture_op(fx, OP_PUT, TYPE_TASK_STAT, stat.id, &shape_rec_task_stat, &stat);
        fixture_task(fx, &task);
        fixture_op(fx, OP_PURGE_RUNS, TYPE_RUN, 0, &shape_rec_run_purge, &purge);
        task.status = TASK_ACTIVE;
        run = (struct rec_run){.id = ++next_id, .task_id = task.id, .created_at = 5};
        stat.total++;
    }
}

/* Updates with longer texts, deletes, and the purge of a task with runs and logs. */
static void fill_changes(void)
{
    struct rec_run run = {.id = last_run, .task_id = last_task, .status = RUN_COMPLETED, .created_at = 5, .completed_at = 9};
    fixture_run(fx, &run);
    fixture_delete(fx, TYPE_RUN, last_run);
    last_run = put_run(last_task);
    put_log(last_run);
    fixture_delete(fx, TYPE_TASK, last_task);
    fixture_op(fx, OP_PURGE_TASK, TYPE_TASK, last_task, NULL, NULL);
    last_task = put_task();
    last_run = put_run(last_task);
    put_oneshot();
}

static void test_batches(void **state)
{
    (void)state;
    fx->group.limits.fires = 3;
    fill = fill_puts;
    memory_hard(step_commit);
    fill = fill_changes;
    memory_hard(step_commit);
}

/* ---- reading ---- */

static struct msg_query query;

static void step_query(void)
{
    struct msg_query_rows rows = {0};
    struct msg_error error = {0};
    struct arena *arena = arena_new((size_t)64 << 20);
    struct kv_txn *txn = arena ? kv_snapshot(fx->kv, NULL) : NULL;

    if (!txn) {
        assert_true(memory_short());
        arena_free(arena);
        return;
    }
    int rc = query_page(txn, arena, 100000, &query, &rows, &error);
    if (rc != 0) {
        assert_true(memory_short());
        assert_int_equal(error.code, ERR_NO_MEMORY);
        arena_reset(arena);
        error = (struct msg_error){0};
        rc = query_page(txn, arena, 100000, &query, &rows, &error);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(rows.total, 40);
    assert_int_equal(rows.rows.count, 10);
    kv_end(txn);
    arena_free(arena);
}

static void test_queries(void **state)
{
    (void)state;
    struct rec_filter filters[2] = {{.field = STR_LIT("status"), .op = FILTER_EQ, .number = RUN_FAILED},
                                    {.field = STR_LIT("worker_name"), .op = FILTER_EQ, .text = STR_LIT("some")}};
    for (uint64_t i = 0; i < 80; i++) {
        struct rec_run run = {.id = ++next_id,
                              .task_id = 77,
                              .status = i % 2 ? RUN_FAILED : RUN_COMPLETED,
                              .created_at = i + 1,
                              .worker_name = STR_LIT("some"),
                              .completed_at = 200 - i};
        fixture_run(fx, &run);
    }
    fixture_commit(fx);
    static const char *const sorts[] = {"", "created_at", "completed_at"};
    for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++)
        for (uint32_t count = 1; count <= 2; count++) {
            query = (struct msg_query){
                .type = TYPE_RUN, .filters = {filters, count}, .sort = str_of(sorts[i]), .page = 2, .size = 10};
            memory_hard(step_query);
        }
    for (uint64_t i = 0; i < 40; i++) {
        struct rec_task task = {.id = ++next_id, .created_at = 5};
        task.spec.name = STR_LIT("rarely found");
        SET_HAS(&task.spec, rec_task_spec, name);
        fixture_task(fx, &task);
    }
    fixture_commit(fx);
    query = (struct msg_query){.type = TYPE_TASK, .search = STR_LIT("rarely found"), .page = 1, .size = 10};
    memory_hard(step_query);
}

static uint64_t waits;

/* A task that waits for others, as it is shown. */
static void step_get(void)
{
    struct msg_get get = {.type = TYPE_TASK, .ids = {&waits, 1}};
    struct msg_query_rows rows = {0};
    struct msg_error error = {0};
    struct rec_task task;
    struct arena *arena = arena_new((size_t)64 << 20);
    struct kv_txn *txn = arena ? kv_snapshot(fx->kv, NULL) : NULL;
    if (txn && query_get(txn, arena, &get, &rows, &error) != 0) {
        assert_true(memory_short());
        assert_int_equal(error.code, ERR_NO_MEMORY);
    } else if (txn && rec_decode_task(arena, rows.rows.items[0].value, &task, NULL) == 0) {
        assert_int_equal(task.spec.dependencies.count, 2);
        assert_true(str_is(task.spec.dependencies.items[0], "name of many words"));
        assert_true(map_valid(task.spec.dependency_conditions));
    }
    assert_true(txn || memory_short());
    kv_end(txn);
    arena_free(arena);
}

static void test_shown(void **state)
{
    (void)state;
    uint64_t ids[] = {put_task(), next_id + 1000}, whens[] = {0, 2};
    struct str typed[] = {STR_LIT("before"), STR_LIT("gone")};
    struct rec_task task = {.id = ++next_id, .created_at = 5, .dependency_ids = {ids, 2}, .dependency_whens = {whens, 2}};
    task.spec.dependencies = (struct str_list){typed, 2};
    SET_HAS(&task.spec, rec_task_spec, dependencies);
    fixture_task(fx, &task);
    fixture_commit(fx);
    waits = task.id;
    memory_hard(step_get);
}

static void step_logs(void)
{
    struct msg_log_read read = {.run_id = last_run, .limit = 100};
    struct msg_log_rows rows = {0};
    struct err err = {0};
    struct arena *arena = arena_new((size_t)64 << 20);
    struct kv_txn *txn = arena ? kv_snapshot(fx->kv, NULL) : NULL;
    if (txn && logs_read(txn, arena, &read, &rows, &err) != 0) {
        assert_true(memory_short());
        assert_int_equal(err.code, ERR_NO_MEMORY);
    } else if (txn) {
        assert_int_equal(rows.lines.count, 20);
    }
    assert_true(txn || memory_short());
    kv_end(txn);
    arena_free(arena);
}

static void test_logs(void **state)
{
    (void)state;
    fill_puts();
    fixture_commit(fx);
    memory_hard(step_logs);
}

/* ---- lines of processes' logs ---- */

static struct str lines_frame;

/* A claim goes along: it is granted, or refused for its own want of memory, and never for theirs. */
static void step_lines(void)
{
    struct syslog_lines *lines = syslog_lines_new(lines_frame, 3);
    struct job job = {.kind = JOB_CLAIM};
    bool before = memory_short();

    fx->group.syslog_limits = (struct syslog_limits){1 << 20, UINT64_C(86400000)};
    fx->group.lines = lines;
    enum kv_result result = fixture_job(fx, &job);
    assert_true(lines || before);
    assert_true(result == KV_OK || (result == KV_MEMORY && memory_short()));
    assert_int_equal(job.outcome, result == KV_OK ? JOB_GRANT : JOB_ERROR);
    assert_true(fx->group.lines == lines || memory_short()); /* they went along, or were forgotten */
    fx->group.lines = NULL;
    free(lines);
}

static void test_lines(void **state)
{
    struct rec_log_entry entries[3];
    const struct msg_log_lines message = {.entries = {entries, 3}};
    struct buf frame = {0};
    (void)state;

    for (int i = 0; i < 3; i++)
        entries[i] = (struct rec_log_entry){.at = 1700000000000,
                                            .level = LOG_ERROR,
                                            .service = STR_LIT("store"),
                                            .code = STR_LIT("GTY-A"),
                                            .text = STR_LIT("a=1")};
    assert_int_equal(msg_encode_log_lines(&frame, &message, 0, (struct str){0}, NULL), 0);
    lines_frame = buf_str(&frame);
    memory_hard(step_lines);
    buf_free(&frame);
}

/* ---- opening ---- */

static void step_open(void)
{
    struct err err = {0};
    struct kv_options options = {.folder = fx->folder,
                                 .tables = record_tables,
                                 .table_count = TABLE_ALL,
                                 .map_bytes = fx->map_bytes,
                                 .ballast_bytes = fx->ballast_bytes};
    struct kv *kv = kv_open(&options, &err);
    struct group group = {0};
    if (!kv || schema_open(kv, schema_migrations, SCHEMA_VERSION, &err) != 0 || group_init(&group, kv, &fx->limits, &err) != 0) {
        assert_true(memory_short());
        assert_true(err.text[0]);
        assert_true(err.code == ERR_NO_MEMORY || err.code == ERR_IO);
    }
    group_free(&group);
    kv_close(kv);
}

static void test_open(void **state)
{
    (void)state;
    fixture_stop(fx);
    memory_hard(step_open);
    fixture_start(fx);
}

static int set_up(void **state)
{
    (void)state;
    fx = fixture_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_free(fx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
