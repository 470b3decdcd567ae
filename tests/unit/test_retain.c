/* Ended runs that are kept no longer: by age, by number, by request; in chunks, over restarts, with their logs. */
#include "sound_fixture.h"

#include "proto/clock.h"
#include "store/commit.h"
#include "store/gone.h"
#include "store/retain.h"

#define TASKS 4

/* Runs 1..count, spread over tasks and statuses; run n has ended at 1000 n, each with a log; every fifth has not ended. */
static uint64_t status_of(uint64_t id)
{
    return id % 5 == 0 ? (id % 2 ? RUN_PENDING : RUN_RUNNING) : RUN_COMPLETED + id % 3;
}

static void fill(struct fixture *fx, uint64_t count)
{
    uint64_t totals[TASKS + 1][5] = {0};
    struct rec_worker worker = {.id = 1, .name = STR_LIT("worker-001"), .ident = STR_LIT("x")};
    fixture_op(fx, OP_PUT, TYPE_WORKER, 1, &shape_rec_worker, &worker);
    for (uint64_t id = 1; id <= count; id++) {
        uint64_t task = 1 + id % TASKS, status = status_of(id);
        struct rec_attempt attempt = {.number = 1,
                                      .worker_id = 1,
                                      .worker_name = worker.name,
                                      .assigned_at = 1,
                                      .outcome = status == RUN_COMPLETED ? OUTCOME_COMPLETED
                                                 : status == RUN_FAILED  ? OUTCOME_FAILED
                                                 : status == RUN_ABORTED ? OUTCOME_ABORTED
                                                                         : OUTCOME_OPEN};
        struct rec_run run = {.id = id,
                              .task_id = task,
                              .task_name = STR_LIT("t"),
                              .status = status,
                              .created_at = id,
                              .completed_at = run_status_final(status) ? 1000 * id : 0};
        if (status != RUN_PENDING) {
            run.attempts = (struct rec_attempt_list){&attempt, 1};
            run.attempt = run.worker_id = 1;
            run.worker_name = worker.name;
            run.started_at = id;
        }
        totals[task][status]++;
        fixture_run(fx, &run);
        sound_log(fx, id);
        if (fx->op_count > FIXTURE_OPS - 100)
            fixture_commit(fx);
    }
    for (uint64_t id = 1; id <= TASKS; id++) {
        const uint64_t *own = totals[id];
        struct rec_task_stat stat = {.id = id,
                                     .total = own[0] + own[1] + own[2] + own[3] + own[4],
                                     .completed = own[RUN_COMPLETED],
                                     .failed = own[RUN_FAILED],
                                     .aborted = own[RUN_ABORTED]};
        sound_task(fx, id, "t", "x", 0, 0);
        fixture_op(fx, OP_PUT, TYPE_TASK_STAT, id, &shape_rec_task_stat, &stat);
    }
    fixture_commit(fx);
}

static void expect_sound(struct fixture *fx)
{
    struct findings findings = {0};
    struct check_counts counts;
    struct err err;
    assert_int_equal(check_all(fx->kv, &findings, NULL, &counts, &err), 0);
    if (findings.count)
        fail_msg("%lu findings: %s", (unsigned long)findings.count, findings.first);
}

static bool there(struct fixture *fx, uint64_t id)
{
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    bool result = query_run_visible(txn, id);
    kv_end(txn);
    return result;
}

static bool log_there(struct fixture *fx, uint64_t id)
{
    struct msg_log_read read = {.run_id = id, .limit = 10};
    struct msg_log_rows rows;
    struct err err = {0};
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    arena_reset(fx->arena);
    assert_int_equal(logs_read(txn, fx->arena, &read, &rows, &err), 0);
    kv_end(txn);
    return rows.lines.count > 0;
}

static void ask(struct fixture *fx, const struct rec_run_purge *purge)
{
    fixture_op(fx, OP_PURGE_RUNS, TYPE_RUN, 0, &shape_rec_run_purge, purge);
    fixture_commit(fx);
}

/* Whatever is asked for goes, with its log, and nothing else. */
static void check_asked(uint64_t count, uint64_t before, uint64_t task, uint64_t status)
{
    struct fixture *fx = fixture_new();
    struct rec_run_purge purge = {.before = before, .task_id = task, .status = status};
    if (status)
        SET_HAS(&purge, rec_run_purge, status);
    fill(fx, count);
    expect_sound(fx);
    ask(fx, &purge);
    ask(fx, &purge); /* once more: nothing more */
    fixture_restart(fx);
    expect_sound(fx);
    fixture_purge(fx);
    for (uint64_t id = 1; id <= count; id++) {
        bool goes = run_status_final(status_of(id)) && 1000 * id < before && (!task || 1 + id % TASKS == task) &&
                    (!status || status_of(id) == status);
        assert_int_equal(there(fx, id), !goes);
        assert_int_equal(log_there(fx, id), !goes);
    }
    expect_sound(fx);
    fixture_free(fx);
}

static void test_asked(void **unused)
{
    (void)unused;
    check_asked(60, 30000, 0, 0);
    check_asked(60, 30000, 2, 0);
    check_asked(60, 30000, 0, RUN_FAILED);
    check_asked(60, 30000, 2, RUN_FAILED);
    check_asked(60, UINT64_C(1) << 60, 3, RUN_ABORTED);
    check_asked(60, 1, 0, 0);
}

/* More than goes in one transaction: in chunks, each of which leaves a sound database, a restart behind each. */
static void test_chunks(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct rec_run_purge all = {.before = UINT64_C(1) << 60}, failed = {.before = UINT64_C(1) << 60, .task_id = 1};
    struct err err = {0};
    unsigned chunks = 0;
    failed.status = RUN_FAILED;
    SET_HAS(&failed, rec_run_purge, status);
    fill(fx, 6000);
    ask(fx, &failed);
    ask(fx, &all);
    while (fx->group.purging) {
        assert_int_equal(group_commit(&fx->group, NULL, true, &err), KV_OK);
        if (chunks++ % 4 == 0)
            fixture_restart(fx);
        if (chunks % 8 == 0)
            expect_sound(fx);
    }
    assert_true(chunks > 5);
    assert_int_equal(fixture_total(fx, TYPE_RUN, NULL, 0, ""), 1200);
    expect_sound(fx);
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    struct gone gone = gone_get(txn, 1);
    assert_true(gone.completed > 0 && gone.failed > 0 && gone.aborted > 0);
    kv_end(txn);
    /* With its task, what was counted for it goes too. */
    fixture_delete(fx, TYPE_TASK, 1);
    fixture_op(fx, OP_PURGE_TASK, 0, 1, NULL, NULL);
    fixture_commit(fx);
    fixture_purge(fx);
    txn = kv_snapshot(fx->kv, NULL);
    gone = gone_get(txn, 1);
    assert_int_equal(gone.completed + gone.failed + gone.aborted, 0);
    kv_end(txn);
    expect_sound(fx);
    fixture_free(fx);
}

/* The newest of a task stay; asked again and again, as at each end, never more goes than is too many. */
static void test_keep_of_a_task(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct rec_run_purge keep = {.task_id = 2, .keep = 4};
    uint64_t live = 0, ended = 0;
    SET_HAS(&keep, rec_run_purge, keep);
    fill(fx, 6000);
    for (uint64_t id = 1; id <= 6000; id++) {
        live += 1 + id % TASKS == 2 && !run_status_final(status_of(id));
        ended += 1 + id % TASKS == 2 && run_status_final(status_of(id));
    }
    keep.live = live;
    for (int i = 0; i < 5; i++) {
        struct err err = {0};
        ask(fx, &keep);
        if (i % 2)
            assert_int_equal(group_commit(&fx->group, NULL, true, &err), KV_OK);
    }
    fixture_purge(fx);
    for (uint64_t id = 6000, kept = 0; id > 0; id--) {
        bool mine = 1 + id % TASKS == 2 && run_status_final(status_of(id));
        assert_int_equal(there(fx, id), !mine || kept < 4);
        kept += mine;
    }
    assert_true(ended > 1000);
    expect_sound(fx);
    fixture_free(fx);
}

static uint64_t ended(struct fixture *fx)
{
    return fixture_total(fx, TYPE_RUN, "status", RUN_COMPLETED, "") + fixture_total(fx, TYPE_RUN, "status", RUN_FAILED, "") +
           fixture_total(fx, TYPE_RUN, "status", RUN_ABORTED, "");
}

static void look(struct fixture *fx)
{
    fx->group.purging = true;
    fixture_purge(fx);
    expect_sound(fx);
}

/* As settings say: a number, an age. */
static void test_limits(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    fill(fx, 3000);
    look(fx);
    assert_int_equal(ended(fx), 2400);
    fx->group.keep.runs = 100;
    look(fx);
    assert_int_equal(ended(fx), 100);
    assert_true(there(fx, 2999) && !there(fx, 1));
    assert_true(there(fx, 5)); /* it has not ended */
    fx->group.keep = (struct keep_limits){.ms = clock_wall_ms() - 2990 * 1000};
    look(fx);
    assert_false(there(fx, 2989));
    assert_int_equal(ended(fx), 8);
    fx->group.keep.ms = UINT64_MAX; /* longer than there was time */
    look(fx);
    assert_int_equal(ended(fx), 8);
    fixture_free(fx);
}

/* A look that finds nothing to remove is no commit, and is not counted as one. */
static void test_a_look_is_no_commit(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct err err = {0};
    fill(fx, 10);
    fx->group.keep.runs = ended(fx);
    for (int i = 0; i < 2; i++) {
        fx->group.committed = false;
        assert_int_equal(group_commit(&fx->group, NULL, true, &err), KV_OK);
    }
    assert_false(fx->group.committed);
    fx->group.keep.runs--;
    assert_int_equal(group_commit(&fx->group, NULL, true, &err), KV_OK);
    assert_true(fx->group.committed);
    fixture_free(fx);
}

/* The committer looks by itself, and at once when the limits change; writes go on meanwhile. */
static void test_committer(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct store_limits limits = fx->limits;
    struct keep_limits keep = {.runs = 10};
    struct err err = {0};
    fill(fx, 3000);
    group_free(&fx->group);
    struct committer *committer = committer_new(fx->kv, &limits, &err);
    assert_non_null(committer);
    committer_keep(committer, &keep);
    for (int i = 0; i < 12000 && ended(fx) != 10; i++)
        usleep(10000);
    assert_int_equal(ended(fx), 10);
    keep.runs = 3;
    committer_keep(committer, &keep);
    for (int i = 0; i < 12000 && ended(fx) != 3; i++)
        usleep(10000);
    assert_int_equal(ended(fx), 3);
    committer_free(committer);
    assert_int_equal(group_init(&fx->group, fx->kv, &limits, &err), 0);
    expect_sound(fx);
    fixture_free(fx);
}

/* ---- tasks that were made for one run ---- */

static void oneshot_task(struct fixture *fx, uint64_t id, uint64_t status)
{
    struct rec_task task = {.id = id, .status = status, .created_at = id, .updated_at = id, .oneshot = true};
    task.spec.name = task.spec.task_type = task.spec.executor = task.spec.command = STR_LIT("once");
    SET_HAS(&task.spec, rec_task_spec, name);
    SET_HAS(&task.spec, rec_task_spec, task_type);
    SET_HAS(&task.spec, rec_task_spec, executor);
    SET_HAS(&task.spec, rec_task_spec, command);
    fixture_task(fx, &task);
}

static void oneshot_run(struct fixture *fx, uint64_t id, uint64_t task_id, uint64_t status)
{
    struct rec_run run = {.id = id, .task_id = task_id, .task_name = STR_LIT("once"), .status = status, .created_at = id};
    if (run_status_final(status))
        run.completed_at = 1000 * id;
    fixture_run(fx, &run);
}

static void oneshot_stat(struct fixture *fx, uint64_t id, uint64_t total, uint64_t failed, uint64_t aborted)
{
    struct rec_task_stat stat = {.id = id, .total = total, .failed = failed, .aborted = aborted};
    fixture_op(fx, OP_PUT, TYPE_TASK_STAT, id, &shape_rec_task_stat, &stat);
}

/* Tasks 1..count with run n of task n; the tasks, in turn: completed, paused (its run has ended), active (it has not), failed. */
static void fill_oneshots(struct fixture *fx, uint64_t count)
{
    static const uint64_t statuses[] = {TASK_FAILED, TASK_COMPLETED, TASK_PAUSED, TASK_ACTIVE};
    for (uint64_t id = 1; id <= count; id++) {
        bool open = statuses[id % 4] == TASK_ACTIVE, failed = statuses[id % 4] == TASK_FAILED;
        oneshot_run(fx, id, id, open ? RUN_PENDING : failed ? RUN_FAILED : RUN_ABORTED);
        sound_log(fx, id);
        oneshot_task(fx, id, statuses[id % 4]);
        oneshot_stat(fx, id, 1, failed, !open && !failed);
        if (fx->op_count > FIXTURE_OPS - 10)
            fixture_commit(fx);
    }
    fixture_commit(fx);
}

/* What is kept beside the records: nothing of tasks that are not there. */
static uint64_t gone_count_all(struct fixture *fx)
{
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_META);
    struct kv_pair pair;
    uint64_t count = 0;
    for (enum kv_result result = kv_first(cursor, &pair); result == KV_OK; result = kv_next(cursor, &pair))
        count += gone_is_key(pair.key);
    kv_cursor_free(cursor);
    kv_end(txn);
    return count;
}

static void expect_oneshots(struct fixture *fx, uint64_t tasks, uint64_t runs, uint64_t gone)
{
    expect_sound(fx);
    assert_int_equal(fixture_total(fx, TYPE_TASK, NULL, 0, ""), tasks);
    assert_int_equal(fixture_total(fx, TYPE_TASK_STAT, NULL, 0, ""), tasks);
    assert_int_equal(fixture_total(fx, TYPE_RUN, NULL, 0, ""), runs);
    assert_int_equal(gone_count_all(fx), gone);
}

/* With the last run the task goes, in the same transaction, whatever removes it; one that has not ended stays. */
static void test_oneshots(void **unused)
{
    (void)unused;
    struct rec_run_purge all = {.before = UINT64_C(1) << 60}, keep = {.task_id = 1};
    for (int way = 0; way < 4; way++) {
        struct fixture *fx = fixture_new();
        fill_oneshots(fx, 400);
        expect_oneshots(fx, 400, 400, 0);
        if (way == 0) {
            ask(fx, &all);
        } else if (way == 1) {
            fx->group.keep.ms = 1;
            look(fx);
        } else if (way == 2) {
            fx->group.keep.runs = 1; /* the one that ended last: of task 400 */
            look(fx);
        } else {
            SET_HAS(&keep, rec_run_purge, keep);
            for (keep.task_id = 1; keep.task_id <= 400; keep.task_id++)
                ask(fx, &keep);
            fixture_purge(fx);
        }
        expect_oneshots(fx, way == 2 ? 201 : 200, way == 2 ? 101 : 100, 100);
        fixture_free(fx);
    }
}

/* In chunks, restarts between: no chunk leaves a task without its run. */
static void test_oneshots_in_chunks(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct rec_run_purge all = {.before = UINT64_C(1) << 60};
    struct err err = {0};
    fill_oneshots(fx, 8000);
    ask(fx, &all);
    for (unsigned chunks = 0; fx->group.purging; chunks++) {
        assert_int_equal(group_commit(&fx->group, NULL, true, &err), KV_OK);
        uint64_t ended_tasks =
            fixture_total(fx, TYPE_TASK, "status", TASK_COMPLETED, "") + fixture_total(fx, TYPE_TASK, "status", TASK_FAILED, "");
        uint64_t held = fixture_total(fx, TYPE_TASK, "status", TASK_PAUSED, "") - gone_count_all(fx);
        assert_int_equal(ended(fx), ended_tasks + held);
        if (chunks % 3 == 0 && fx->group.purging)
            fixture_restart(fx);
    }
    expect_oneshots(fx, 4000, 2000, 2000);
    fixture_free(fx);
}

/* One that ran again stays until the run that is left goes, too. */
static void test_oneshot_ran_again(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct rec_run_purge first = {.before = 2000}, all = {.before = UINT64_C(1) << 60};
    oneshot_task(fx, 1, TASK_FAILED);
    oneshot_run(fx, 1, 1, RUN_ABORTED);
    oneshot_run(fx, 2, 1, RUN_FAILED);
    oneshot_stat(fx, 1, 2, 1, 1);
    fixture_commit(fx);
    ask(fx, &first);
    expect_oneshots(fx, 1, 1, 1);
    ask(fx, &all);
    expect_oneshots(fx, 0, 0, 0);
    fixture_free(fx);
}

/* It was run again, or changed, while it went: what the command says of it comes after. */
static void test_oneshot_comes_back(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct rec_run_purge all = {.before = UINT64_C(1) << 60};
    fill_oneshots(fx, 8);
    ask(fx, &all);
    expect_oneshots(fx, 4, 2, 2);
    oneshot_run(fx, 9, 4, RUN_PENDING); /* a restart of run 4, in the order of the scheduler's records */
    oneshot_stat(fx, 4, 2, 1, 0);
    oneshot_task(fx, 4, TASK_ACTIVE);
    oneshot_task(fx, 9, TASK_ACTIVE); /* and one that was never away, in the same batch */
    oneshot_run(fx, 10, 9, RUN_PENDING);
    oneshot_stat(fx, 9, 1, 0, 0);
    fixture_commit(fx);
    expect_oneshots(fx, 6, 4, 3);
    oneshot_stat(fx, 1, 1, 0, 1); /* another description of task 1, which has no run */
    oneshot_task(fx, 1, TASK_COMPLETED);
    fixture_commit(fx);
    expect_oneshots(fx, 6, 4, 3);
    oneshot_run(fx, 9, 4, RUN_FAILED);
    oneshot_stat(fx, 4, 2, 2, 0);
    oneshot_task(fx, 4, TASK_FAILED);
    fixture_commit(fx);
    ask(fx, &all);
    expect_oneshots(fx, 5, 3, 2);
    fixture_free(fx);
}

/* A run whose end and whose removal are of one batch. */
static void test_oneshot_ends_and_goes(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct rec_run_purge all = {.before = UINT64_C(1) << 60};
    oneshot_task(fx, 1, TASK_ACTIVE);
    oneshot_run(fx, 1, 1, RUN_PENDING);
    oneshot_stat(fx, 1, 1, 0, 0);
    fixture_commit(fx);
    oneshot_run(fx, 1, 1, RUN_FAILED);
    fixture_op(fx, OP_PURGE_RUNS, TYPE_RUN, 0, &shape_rec_run_purge, &all);
    oneshot_stat(fx, 1, 1, 1, 0);
    oneshot_task(fx, 1, TASK_FAILED);
    fixture_commit(fx);
    expect_oneshots(fx, 0, 0, 0);
    fixture_free(fx);
}

/* What an earlier version left behind is found, a bounded number at a look, once at each start. */
static void test_oneshots_left_behind(void **unused)
{
    (void)unused;
    struct fixture *fx = fixture_new();
    struct err err = {0};
    fill_oneshots(fx, 6000);
    fixture_purge(fx);
    assert_true(fx->group.sweep.over);
    for (uint64_t id = 1; id <= 6000; id++) {
        if (id % 8 > 3) /* their runs went, as that was done before */
            fixture_delete(fx, TYPE_RUN, id);
        if (fx->op_count > FIXTURE_OPS - 10)
            fixture_commit(fx);
    }
    fixture_commit(fx);
    oneshot_task(fx, 6001, TASK_COMPLETED); /* of which nothing says that it ever ran */
    fixture_commit(fx);
    assert_int_equal(fixture_total(fx, TYPE_TASK, NULL, 0, ""), 6001);
    fixture_restart(fx);
    for (uint64_t before = 6001, after; fx->group.purging; before = after) {
        assert_int_equal(group_commit(&fx->group, NULL, true, &err), KV_OK);
        after = fixture_total(fx, TYPE_TASK, NULL, 0, "");
        assert_true(before - after <= ONESHOT_LOOKS);
    }
    assert_true(fx->group.sweep.over);
    assert_int_equal(fixture_total(fx, TYPE_TASK, NULL, 0, ""), 6001 - 1500); /* completed and failed ones among them */
    assert_int_equal(fixture_total(fx, TYPE_TASK_STAT, NULL, 0, ""), 6000 - 1500);
    fixture_free(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_keep_of_a_task),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_committer),
        cmocka_unit_test(test_a_look_is_no_commit),
        cmocka_unit_test(test_oneshots),
        cmocka_unit_test(test_oneshots_in_chunks),
        cmocka_unit_test(test_oneshot_ran_again),
        cmocka_unit_test(test_oneshot_comes_back),
        cmocka_unit_test(test_oneshot_ends_and_goes),
        cmocka_unit_test(test_oneshots_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
