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
    for (int i = 0; i < 2000 && ended(fx) != 10; i++)
        usleep(10000);
    assert_int_equal(ended(fx), 10);
    keep.runs = 3;
    committer_keep(committer, &keep);
    for (int i = 0; i < 2000 && ended(fx) != 3; i++)
        usleep(10000);
    assert_int_equal(ended(fx), 3);
    committer_free(committer);
    assert_int_equal(group_init(&fx->group, fx->kv, &limits, &err), 0);
    expect_sound(fx);
    fixture_free(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked),  cmocka_unit_test(test_chunks),    cmocka_unit_test(test_keep_of_a_task),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_committer), cmocka_unit_test(test_a_look_is_no_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
