/* What follows from an attempt's end: retries with backoff, statistics, statuses, events. */
#include "tests/unit/unit.h"

#include "scheduler/retry.h"
#include "tests/unit/core_fixture.h"

static struct rec_run run_of(struct fixture *fixture, uint64_t id)
{
    struct rec_run run;
    assert_true(fixture_run(fixture, id, &run));
    return run;
}

static uint64_t task_status(struct fixture *fixture, uint64_t id)
{
    struct rec_task task;
    assert_true(fixture_stored(fixture, TYPE_TASK, id, &task));
    return task.status;
}

static void test_backoff(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->config.retry_cap_ms = 60000;
    fixture_start(fixture);
    uint64_t highest[12] = {0};
    for (uint32_t retries = 1; retries < 12; retries++)
        for (int i = 0; i < 2000; i++) {
            uint64_t wait = retry_backoff(fixture->core, retries);
            highest[retries] = wait > highest[retries] ? wait : highest[retries];
        }
    for (uint32_t retries = 1; retries < 12; retries++) {
        uint64_t bound = UINT64_C(1000) << (retries - 1);
        bound = bound < 60000 ? bound : 60000;
        assert_in_range(highest[retries], bound * 9 / 10, bound); /* full jitter reaches over all of it */
    }
    fixture_free(fixture);
}

static void test_retries(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell"), id = fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    for (unsigned attempt = 1; attempt <= 4; attempt++) {
        struct rec_lease lease = fixture_begin(fixture, 1);
        assert_int_equal(lease.attempt, attempt);
        fixture_result(fixture, 1, lease, OUTCOME_FAILED);
        assert_true(fixture_acked(fixture, 1, lease));
        fixture_result(fixture, 1, lease, OUTCOME_FAILED); /* again */
        assert_true(fixture_acked(fixture, 1, lease));
        struct rec_run run = run_of(fixture, id);
        assert_int_equal(run.status, attempt < 4 ? RUN_PENDING : RUN_FAILED);
        assert_int_equal(run.retries, attempt < 4 ? attempt : 3);
        if (attempt < 4 && run.due_at > fixture->wall)
            assert_int_equal(strncmp(fixture_reason(fixture, id), "retry at 20", 11), 0);
        fixture_rebuild(fixture); /* the backoff is stored */
        assert_true(run_of(fixture, id).due_at <= fixture->wall + (UINT64_C(1000) << attempt));
        fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
        fixture_wait(fixture, 8100);
    }
    struct rec_task_stat stat;
    fixture_stored(fixture, TYPE_TASK_STAT, task, &stat);
    assert_int_equal(stat.failed, 1);
    assert_int_equal(stat.last_status, RUN_FAILED);
    assert_int_equal(task_status(fixture, task), TASK_FAILED);
    assert_int_equal(fixture_count_events(fixture, "run.retry"), 3);
    assert_int_equal(fixture_count_events(fixture, "task.failed"), 1);
    struct rec_worker worker;
    fixture_stored(fixture, TYPE_WORKER, 1, &worker);
    assert_int_equal(worker.failed, 4);
    /* The next success makes the task active. */
    fixture_trigger(fixture, task);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    assert_int_equal(task_status(fixture, task), TASK_ACTIVE);
    fixture_free(fixture);
}

/* A success says nothing of the failures before it; they stand with their attempts. */
static void test_success_has_no_error(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_FAILED);
    struct rec_run run = run_of(fixture, id);
    assert_true(run.error_message.len > 0);
    fixture_wait(fixture, 8100);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    run = run_of(fixture, id);
    assert_int_equal(run.status, RUN_COMPLETED);
    assert_int_equal(run.error_message.len, 0);
    assert_int_equal(run.attempts.count, 2);
    assert_true(run.attempts.items[0].error.len > 0);
    fixture_free(fixture);
}

static void test_timeout_retries(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_TIMEOUT);
    struct rec_run run = run_of(fixture, id);
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_TIMEOUT);
    assert_int_equal(run.retries, 1);
    fixture_free(fixture);
}

/* A worker that stopped a run on its own account (it drains): the run goes back, nothing is used up. */
static void test_stopped_by_worker(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_result(fixture, 1, lease, OUTCOME_ABORTED);
    assert_true(fixture_acked(fixture, 1, lease));
    struct rec_run run = run_of(fixture, id);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    assert_int_equal(run.retries + run.losses, 0);
    fixture_free(fixture);
}

static void test_oneshot_fails(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("mine", "shell")};
    submit.spec.retry_count = 0;
    SET_HAS(&submit.spec, rec_task_spec, retry_count);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_submit, &submit);
    uint64_t task = answer->u.run_answer.run.task_id;
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_FAILED);
    assert_int_equal(task_status(fixture, task), TASK_FAILED);
    /* It is not kept: commands about it ask for its record. */
    struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = task};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_task_delete, &delete)->u.error.rule, "fetch"));
    assert_true(fixture_stored(fixture, TYPE_TASK, task, &delete.known));
    SET_HAS(&delete, msg_task_delete, known);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_delete, &delete)->shape->id, MSG_DONE);
    struct rec_task gone;
    assert_false(fixture_stored(fixture, TYPE_TASK, task, &gone));
    assert_int_equal(fixture->purged, 1);
    /* Asked again with a record read before that, it stays gone. */
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task, .known = delete.known};
    SET_HAS(&trigger, msg_run_trigger, known);
    assert_true(str_is(fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.error.rule, "not_found"));
    fixture_free(fixture);
}

/* History is bounded: what came back unstarted goes first. */
static void test_history(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    struct rec_lease first = fixture_begin(fixture, 1);
    fixture_result(fixture, 1, first, OUTCOME_FAILED);
    for (int i = 0; i < 200; i++) {
        fixture_wait(fixture, 2100);
        fixture_heartbeat(fixture, 1, NULL, 0);
        struct rec_lease lease = fixture_assigned(fixture, 1);
        assert_int_not_equal(lease.run_id, 0);
        struct msg_reject reject = {.leases = {&lease, 1}};
        fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_reject, &reject);
    }
    fixture_settle(fixture);
    struct rec_run run = run_of(fixture, id);
    assert_int_equal(run.attempt, 201);
    assert_int_equal(run.attempts.count, 128);
    assert_int_equal(run.attempts.items[0].number, 1);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_FAILED);
    assert_int_equal(run.attempts.items[127].number, 201);
    fixture_rebuild(fixture);
    assert_int_equal(run_of(fixture, id).attempts.count, 128);
    fixture_free(fixture);
}

/* Sums of what workers say stay within what their records hold, so that none can end the scheduler. */
static void test_long_durations(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    for (int i = 0; i < 2; i++) {
        fixture_trigger(fixture, task);
        struct rec_lease lease = fixture_begin(fixture, 1);
        struct rec_outcome item = {
            .run_id = lease.run_id, .attempt = lease.attempt, .outcome = OUTCOME_COMPLETED, .duration_ms = INT64_MAX};
        struct msg_result result = {.items = {&item, 1}};
        fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_result, &result);
        fixture_settle(fixture);
        assert_true(fixture_acked(fixture, 1, lease));
    }
    struct rec_task_stat stat;
    struct rec_worker worker;
    assert_false(journal_failed(fixture->journal));
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, task, &stat));
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(stat.duration_ms, INT64_MAX);
    assert_int_equal(worker.duration_ms, INT64_MAX);
    assert_int_equal(stat.completed, 2);
    fixture_trigger(fixture, task); /* its estimate stays a time, too */
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_success_has_no_error),
        cmocka_unit_test(test_timeout_retries),
        cmocka_unit_test(test_stopped_by_worker),
        cmocka_unit_test(test_oneshot_fails),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_long_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
