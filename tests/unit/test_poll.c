/* Workers over REST: they ask for runs, and report them. */
#include "tests/unit/rest_unit.h"

/* ---- given runs ---- */

static void test_lease(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(3);
    struct rec_run run;
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.status, RUN_PENDING); /* nobody has asked */
    assert_string_equal(fixture_reason(fixture, 1), "all workers of type shell are busy, or do not ask for runs");
    const struct msg *answer = polled(fixture, "worker-001", 10);
    assert_int_equal(answer->u.worker_leased.runs.count, 2); /* its slots */
    const struct rec_assignment *row = &answer->u.worker_leased.runs.items[0];
    assert_int_equal(row->run_id, 1);
    assert_int_equal(row->attempt, 1);
    assert_true(str_is(row->task_name, "t"));
    assert_true(str_is(row->spec.command, "true"));
    assert_int_equal(row->timeout_seconds, 3600);
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.status, RUN_RUNNING);
    assert_true(str_is(run.worker_name, "worker-001"));
    assert_int_equal(given(polled(fixture, "worker-001", 1), 0).run_id, 0); /* full */
    answer = report_as(fixture, (struct rec_lease){.run_id = 1, .attempt = 1}, RUN_COMPLETED);
    assert_int_equal(answer->shape->id, MSG_RUN_REPORTED);
    assert_int_equal(answer->u.run_reported.status, RUN_COMPLETED);
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.status, RUN_COMPLETED);
    assert_true(str_is(run.result, "done"));
    assert_int_equal(given(polled(fixture, "worker-001", 5), 0).run_id, 3);
    fixture_free(fixture);
}

/* Nothing leaves before its cause is on disk. */
static void test_committed_first(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    fixture_hold(fixture, HOLD_ACKS);
    uint64_t corr = poll_as(fixture, "worker-001", 1, 0, fixture_key(fixture));
    assert_null(fixture_answer(fixture, corr));
    fixture_hold(fixture, HOLD_NOTHING);
    assert_int_equal(given(fixture_answer(fixture, corr), 0).run_id, 1);
    fixture_free(fixture);
}

static void test_waits(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(0);
    uint64_t corr = poll_as(fixture, "worker-001", 1, 20000, fixture_key(fixture));
    core_check(fixture->core);
    fixture_wait(fixture, 10000);
    assert_null(fixture_answer(fixture, corr));
    uint64_t run = fixture_trigger(fixture, 1);
    assert_int_equal(given(fixture_answer(fixture, corr), 0).run_id, run); /* at once */
    report_as(fixture, (struct rec_lease){.run_id = run, .attempt = 1}, RUN_COMPLETED);
    corr = poll_as(fixture, "worker-001", 1, 20000, fixture_key(fixture));
    fixture_wait(fixture, 20500);
    assert_int_equal(fixture_answer(fixture, corr)->u.worker_leased.runs.count, 0);
    corr = poll_as(fixture, "worker-001", 1, 20000, fixture_key(fixture));
    uint64_t newer = poll_as(fixture, "worker-001", 1, 20000, fixture_key(fixture)); /* one at a time */
    assert_true(fixture_answer(fixture, corr)->u.worker_leased.over);
    assert_int_equal(fixture_answer(fixture, corr)->u.worker_leased.runs.count, 0);
    assert_null(fixture_answer(fixture, newer));
    core_check(fixture->core);
    fixture_free(fixture);
}

/* While the store is away it waits, and is given what there is when it is back. */
static void test_waits_for_the_store(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    fixture_store_away(fixture, true);
    uint64_t corr = poll_as(fixture, "worker-001", 1, 5000, fixture_key(fixture));
    fixture_wait(fixture, 1000);
    assert_null(fixture_answer(fixture, corr));
    fixture_store_away(fixture, false);
    fixture_settle(fixture);
    assert_int_equal(given(fixture_answer(fixture, corr), 0).run_id, 1);
    fixture_free(fixture);
}

static void test_repeat(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(4);
    struct rec_idem idem = fixture_key_of(7, 7);
    const struct msg *answer = fixture_answer(fixture, poll_as(fixture, "worker-001", 2, 0, idem));
    assert_int_equal(answer->u.worker_leased.runs.count, 2);
    answer = fixture_answer(fixture, poll_as(fixture, "worker-001", 2, 0, idem));
    assert_int_equal(given(answer, 0).run_id, 1);
    assert_int_equal(given(answer, 1).run_id, 2);
    assert_true(str_is(answer->u.worker_leased.runs.items[1].spec.command, "true"));
    fixture_rebuild(fixture);
    answer = fixture_answer(fixture, poll_as(fixture, "worker-001", 2, 0, idem));
    assert_int_equal(answer->u.worker_leased.runs.count, 2); /* also behind a restart */
    report_as(fixture, given(answer, 0), RUN_COMPLETED);
    answer = fixture_answer(fixture, poll_as(fixture, "worker-001", 2, 0, idem));
    assert_int_equal(answer->u.worker_leased.runs.count, 1); /* what it still holds */
    expect_error(fixture_answer(fixture, poll_as(fixture, "worker-001", 2, 0, fixture_key_of(7, 8))), ERR_KEY_REUSED,
                 "key_reused");
    core_check(fixture->core);
    fixture_free(fixture);
}

/* An answer with nothing in it is not kept, on disk or off. */
static void test_empty_is_not_kept(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(0);
    struct rec_idem idem = fixture_key_of(9, 9);
    size_t keys = fixture->disk_count[TYPE_KEY];
    assert_int_equal(given(fixture_answer(fixture, poll_as(fixture, "worker-001", 1, 0, idem)), 0).run_id, 0);
    assert_int_equal(fixture->disk_count[TYPE_KEY], keys);
    fixture_trigger(fixture, 1);
    assert_int_equal(given(fixture_answer(fixture, poll_as(fixture, "worker-001", 1, 0, idem)), 0).run_id, 1);
    fixture_free(fixture);
}

/* What nobody hears of goes back at no cost: the answer may never have arrived. */
static void test_not_accepted(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_run run;
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    for (int i = 0; i < 3; i++) {
        fixture_wait(fixture, 5000);
        beat_as(fixture, "worker-001", NULL, 0); /* it lives, and says nothing of the run */
    }
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    assert_int_equal(run.losses + run.retries, 0);
    expect_error(report_as(fixture, lease, RUN_COMPLETED), ERR_CONFLICT, "stale");
    fixture_wait(fixture, 6000);
    lease = given(polled(fixture, "worker-001", 1), 0);
    assert_int_equal(lease.attempt, 2);
    uint64_t id = 1;
    assert_int_equal(beat_as(fixture, "worker-001", &id, 1)->u.worker_beat_answer.cancel.count, 0);
    fixture_wait(fixture, 20000); /* heard of: it has a full term now */
    assert_int_equal(status_of(fixture, 1), RUN_RUNNING);
    assert_int_equal(report_as(fixture, lease, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED);
    fixture_free(fixture);
}

/* Both kinds of workers take from one queue. */
static void test_beside_sessions(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(0);
    fixture_hello(fixture, 1, "session", "b1", "shell", 1, NULL, 0);
    uint64_t corr = poll_as(fixture, "worker-001", 2, 20000, fixture_key(fixture));
    for (int i = 0; i < 3; i++)
        fixture_trigger(fixture, 1);
    assert_int_equal(fixture_begin(fixture, 1).run_id + given(fixture_answer(fixture, corr), 0).run_id, 3);
    assert_int_equal(given(polled(fixture, "worker-001", 1), 0).run_id, 3);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* ---- reports ---- */

static void test_report_repeats(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(2);
    const struct msg *answer = polled(fixture, "worker-001", 2);
    struct rec_lease first = given(answer, 0), second = given(answer, 1);
    struct rec_lease older = {.run_id = first.run_id, .attempt = 9};
    expect_error(report_as(fixture, older, RUN_COMPLETED), ERR_CONFLICT, "stale");
    assert_int_equal(report_as(fixture, first, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED);
    assert_int_equal(report_as(fixture, first, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED); /* a repeat */
    expect_error(report_as(fixture, first, RUN_FAILED), ERR_CONFLICT, "stale");
    expect_error(report_as(fixture, first, RUN_RUNNING), ERR_CONFLICT, "stale");
    struct rec_idem idem = fixture_key(fixture);
    report_idem(fixture, second, RUN_FAILED, idem);
    assert_int_equal(status_of(fixture, second.run_id), RUN_PENDING); /* it is tried again */
    assert_int_equal(report_idem(fixture, second, RUN_FAILED, idem)->shape->id, MSG_RUN_REPORTED);
    assert_int_equal(report_as(fixture, second, RUN_FAILED)->shape->id, MSG_RUN_REPORTED);
    struct rec_run run;
    assert_true(fixture_run(fixture, second.run_id, &run));
    assert_int_equal(run.retries, 1);
    assert_true(str_is(run.error_message, "its worker reported a failure"));
    expect_error(report_as(fixture, (struct rec_lease){.run_id = 99, .attempt = 1}, RUN_FAILED), ERR_NOT_FOUND, "not_found");
    fixture_rebuild(fixture);
    assert_int_equal(report_as(fixture, first, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED);
    fixture_free(fixture);
}

/* Of what has left memory for long the stored record tells. */
static void test_report_of_old(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    report_as(fixture, lease, RUN_COMPLETED);
    while (fixture->disk_count[TYPE_EVENT]) /* as if 65536 others had ended since */
        free(fixture->disk[TYPE_EVENT][--fixture->disk_count[TYPE_EVENT]].bytes);
    fixture_rebuild(fixture);
    struct msg_run_report report = {
        .idem = fixture_key(fixture), .run_id = lease.run_id, .attempt = lease.attempt, .status = RUN_COMPLETED};
    expect_error(fixture_ask(fixture, &shape_msg_run_report, &report), ERR_NOT_FOUND, "fetch");
    assert_true(fixture_run(fixture, lease.run_id, &report.known));
    SET_HAS(&report, msg_run_report, known);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_report, &report)->shape->id, MSG_RUN_REPORTED);
    report.idem = fixture_key(fixture);
    report.status = RUN_FAILED;
    expect_error(fixture_ask(fixture, &shape_msg_run_report, &report), ERR_CONFLICT, "stale");
    fixture_free(fixture);
}

/* Progress and lines are writes: what was answered is there behind a restart. */
static void test_running(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    struct rec_log_line lines[2] = {{.seq = 1, .text = STR_LIT("a")}, {.seq = 1, .text = STR_LIT("b")}};
    struct msg_run_report report = {.idem = fixture_key(fixture),
                                    .run_id = lease.run_id,
                                    .attempt = lease.attempt,
                                    .status = RUN_RUNNING,
                                    .progress = 40,
                                    .logs = {lines, 2}};
    SET_HAS(&report, msg_run_report, progress);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_report, &report)->shape->id, MSG_RUN_REPORTED);
    assert_int_equal(fixture->log_lines, 1); /* chunks */
    struct rec_run run;
    assert_true(fixture_run(fixture, 1, &run));
    assert_true(run.progress > 39 && run.progress < 41);
    assert_int_equal(run.attempts.items[0].lines, 2);
    fixture_ask(fixture, &shape_msg_run_report, &report); /* a repeat: nothing twice */
    assert_int_equal(fixture->log_lines, 1);
    fixture_rebuild(fixture);
    struct msg_run_live live = {.ids = {&lease.run_id, 1}};
    const struct rec_live_run *row = &fixture_ask(fixture, &shape_msg_run_live, &live)->u.run_live_rows.runs.items[0];
    assert_true(HAS(row, rec_live_run, progress) && row->progress > 39);
    report.idem = fixture_key(fixture);
    CLEAR_HAS(&report, msg_run_report, progress);
    fixture_ask(fixture, &shape_msg_run_report, &report);
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.attempts.items[0].lines, 4); /* numbered on */
    assert_true(run.progress > 39);
    report.idem = fixture_key(fixture);
    SET_HAS(&report, msg_run_report, progress);
    report.progress = 101;
    expect_error(fixture_ask(fixture, &shape_msg_run_report, &report), ERR_INVALID, "range");
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_abort(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(2);
    const struct msg *answer = polled(fixture, "worker-001", 2);
    struct rec_lease first = given(answer, 0), second = given(answer, 1);
    const uint64_t both[] = {first.run_id, second.run_id};
    beat_as(fixture, "worker-001", both, 2);
    assert_int_equal(fixture_abort(fixture, first.run_id), 0);
    assert_int_equal(status_of(fixture, first.run_id), RUN_ABORTED);
    answer = beat_as(fixture, "worker-001", both, 2);
    assert_int_equal(answer->u.worker_beat_answer.cancel.count, 1);
    assert_int_equal(answer->u.worker_beat_answer.cancel.items[0], first.run_id);
    answer = report_as(fixture, second, RUN_RUNNING); /* told in every answer */
    assert_int_equal(answer->u.run_reported.cancel.count, 1);
    answer = report_as(fixture, first, RUN_RUNNING);
    assert_int_equal(answer->u.run_reported.cancel.count, 1);
    assert_int_equal(answer->u.run_reported.status, RUN_ABORTED);
    answer = report_as(fixture, first, RUN_ABORTED);
    assert_int_equal(answer->shape->id, MSG_RUN_REPORTED);
    assert_int_equal(answer->u.run_reported.cancel.count, 0);
    assert_int_equal(report_as(fixture, first, RUN_ABORTED)->shape->id, MSG_RUN_REPORTED); /* a repeat */
    assert_int_equal(fixture_abort(fixture, second.run_id), 0);
    expect_error(report_as(fixture, second, RUN_COMPLETED), ERR_CONFLICT, "stale"); /* too late: it is aborted */
    assert_int_equal(status_of(fixture, second.run_id), RUN_ABORTED);
    fixture_free(fixture);
}

/* One that stops by not naming it any more is as good as one that says so. */
static void test_abort_by_silence(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(3);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    beat_as(fixture, "worker-001", &lease.run_id, 1);
    fixture_abort(fixture, lease.run_id);
    assert_int_equal(beat_as(fixture, "worker-001", NULL, 0)->u.worker_beat_answer.cancel.count, 1);
    assert_int_equal(polled(fixture, "worker-001", 2)->u.worker_leased.runs.count, 1); /* it still takes a place */
    const uint64_t other = 2;
    assert_int_equal(beat_as(fixture, "worker-001", &other, 1)->u.worker_beat_answer.cancel.count, 0);
    assert_int_equal(polled(fixture, "worker-001", 2)->u.worker_leased.runs.count, 1); /* now it does not */
    fixture_free(fixture);
}

/* It gives a run back by itself. */
static void test_given_back(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    const struct msg *answer = report_as(fixture, lease, RUN_ABORTED);
    assert_int_equal(answer->u.run_reported.status, RUN_PENDING);
    struct rec_run run;
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.losses + run.retries, 0);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    fixture_free(fixture);
}

/* Another's run, or one of a worker with a session, is not its own. */
static void test_not_its_own(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(0);
    fixture_hello(fixture, 1, "session", "b1", "shell", 1, NULL, 0);
    fixture_trigger(fixture, 1);
    struct rec_lease lease = fixture_begin(fixture, 1);
    expect_error(report_as(fixture, lease, RUN_COMPLETED), ERR_CONFLICT, "stale");
    const struct msg *answer = beat_as(fixture, "worker-001", &lease.run_id, 1);
    assert_int_equal(answer->u.worker_beat_answer.cancel.items[0], lease.run_id);
    assert_int_equal(status_of(fixture, lease.run_id), RUN_RUNNING);
    struct rec_lease own = {0};
    fixture_trigger(fixture, 1);
    own = given(polled(fixture, "worker-001", 1), 0);
    struct msg_run_report report = {.idem = fixture_key(fixture),
                                    .run_id = own.run_id,
                                    .attempt = own.attempt,
                                    .status = RUN_COMPLETED,
                                    .worker_id = STR_LIT("worker-002")};
    expect_error(fixture_ask(fixture, &shape_msg_run_report, &report), ERR_CONFLICT, "stale");
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease),
        cmocka_unit_test(test_committed_first),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_waits_for_the_store),
        cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_empty_is_not_kept),
        cmocka_unit_test(test_not_accepted),
        cmocka_unit_test(test_beside_sessions),
        cmocka_unit_test(test_report_repeats),
        cmocka_unit_test(test_report_of_old),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_abort_by_silence),
        cmocka_unit_test(test_given_back),
        cmocka_unit_test(test_not_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
