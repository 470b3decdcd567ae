/* Outputs of workers over REST: granted once, on disk before the answer leaves, and again to who asks again. */
#include "rest_unit.h"

static const char hash[] = "0123456789abcdef";

/* Ready, with a worker over REST that holds a run of a task that has an output. */
static struct fixture *with_output(struct rec_lease *lease)
{
    struct fixture *fixture = fixture_ready();
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("t", "shell")};
    create.spec.output = STR_LIT("/out/film.mp4");
    SET_HAS(&create.spec, rec_task_spec, output);
    assert_int_equal(register_as(fixture, "one", "b1")->shape->id, MSG_WORKER_ANSWER);
    fixture_trigger(fixture, fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id);
    *lease = given(polled(fixture, "worker-001", 1), 0);
    assert_int_equal(lease->run_id, 1);
    return fixture;
}

static struct msg_run_publish asks(struct fixture *fixture, struct rec_lease lease, const char *temporary)
{
    return (struct msg_run_publish){.idem = fixture_key(fixture),
                                    .run_id = lease.run_id,
                                    .output = {.attempt = lease.attempt,
                                               .path = STR_LIT("/out/film.mp4"),
                                               .temporary = str_of(temporary),
                                               .size = 5,
                                               .hash = {hash, 16}}};
}

static const struct msg *publish_as(struct fixture *fixture, struct rec_lease lease, const char *temporary)
{
    struct msg_run_publish publish = asks(fixture, lease, temporary);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_publish, &publish);
    core_check(fixture->core);
    return answer;
}

static void expect_granted(const struct msg *answer, struct rec_lease lease, const char *temporary)
{
    assert_int_equal(answer->shape->id, MSG_RUN_PUBLISHED);
    assert_int_equal(answer->u.run_published.run_id, lease.run_id);
    assert_int_equal(answer->u.run_published.output.attempt, lease.attempt);
    assert_true(str_is(answer->u.run_published.output.temporary, temporary));
}

static struct rec_published stored_grant(struct fixture *fixture, uint64_t run_id)
{
    struct rec_run run;
    assert_true(fixture_run(fixture, run_id, &run));
    return HAS(&run, rec_run, published) ? run.published : (struct rec_published){0};
}

static void test_granted(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = with_output(&lease);
    struct msg_run_publish publish = asks(fixture, lease, "/out/.1");
    /* The answer waits for the disk. */
    fixture_hold(fixture, HOLD_BATCHES);
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, &shape_msg_run_publish, &publish);
    fixture_settle(fixture);
    assert_null(fixture_answer(fixture, corr));
    assert_int_equal(stored_grant(fixture, 1).attempt, 0);
    fixture_hold(fixture, HOLD_NOTHING);
    fixture_settle(fixture);
    expect_granted(fixture_answer(fixture, corr), lease, "/out/.1");
    assert_int_equal(stored_grant(fixture, 1).attempt, 1);
    /* Again, with the same key and another, and over a start of the scheduler. */
    expect_granted(fixture_ask(fixture, &shape_msg_run_publish, &publish), lease, "/out/.1");
    expect_granted(publish_as(fixture, lease, "/out/.1"), lease, "/out/.1");
    fixture_rebuild(fixture);
    expect_granted(fixture_ask(fixture, &shape_msg_run_publish, &publish), lease, "/out/.1");
    expect_granted(publish_as(fixture, lease, "/out/.1"), lease, "/out/.1");
    expect_error(publish_as(fixture, lease, "/out/.2"), ERR_CONFLICT, "granted");
    assert_int_equal(fixture_abort(fixture, 1), ERR_CONFLICT); /* it may have its name already */
    assert_int_equal(report_as(fixture, lease, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED);
    assert_int_equal(status_of(fixture, 1), RUN_COMPLETED);
    assert_true(str_is(stored_grant(fixture, 1).path, "/out/film.mp4"));
    expect_error(publish_as(fixture, lease, "/out/.1"), ERR_CONFLICT, "stale");
    fixture_free(fixture);
}

/* The scheduler dies with the grant: it was not answered, and nothing was granted. */
static void test_lost_with_the_scheduler(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = with_output(&lease);
    struct msg_run_publish publish = asks(fixture, lease, "/out/.1");
    fixture_hold(fixture, HOLD_BATCHES);
    fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_run_publish, &publish);
    fixture_settle(fixture);
    fixture_rebuild(fixture);
    assert_int_equal(stored_grant(fixture, 1).attempt, 0);
    expect_granted(fixture_ask(fixture, &shape_msg_run_publish, &publish), lease, "/out/.1");
    assert_int_equal(stored_grant(fixture, 1).attempt, 1);
    fixture_free(fixture);
}

/* The worker dies with the grant: the next attempt hears of it, and takes over what it left; the first is refused. */
static void test_another_attempt(void **unused)
{
    (void)unused;
    struct rec_lease first;
    struct fixture *fixture = with_output(&first);
    expect_granted(publish_as(fixture, first, "/out/.1"), first, "/out/.1");
    assert_int_equal(register_as(fixture, "two", "b1")->shape->id, MSG_WORKER_ANSWER);
    for (int i = 0; i < 8; i++) {
        fixture_wait(fixture, 5000);
        beat_as(fixture, "worker-002", NULL, 0);
    }
    const struct msg *answer = polled(fixture, "worker-002", 1);
    struct rec_lease second = given(answer, 0);
    assert_int_equal(second.run_id, 1);
    assert_int_equal(second.attempt, 2);
    assert_true(HAS(&answer->u.worker_leased.runs.items[0], rec_assignment, published));
    assert_true(str_is(answer->u.worker_leased.runs.items[0].published.temporary, "/out/.1"));
    expect_error(publish_as(fixture, first, "/out/.1"), ERR_CONFLICT, "stale");
    expect_granted(publish_as(fixture, second, "/out/.1"), second, "/out/.1");
    assert_int_equal(stored_grant(fixture, 1).attempt, 2);
    expect_error(report_as(fixture, first, RUN_COMPLETED), ERR_CONFLICT, "stale");
    assert_int_equal(report_as(fixture, second, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED);
    fixture_free(fixture);
}

static void test_refused(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = with_output(&lease);
    static const char *const wrong[] = {"/other/.1", "out/.1", "/out/", "/out/..", "/out/film.mp4", "/out/x/.1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_error(publish_as(fixture, lease, wrong[i]), ERR_INVALID, "output_names");
    struct msg_run_publish publish = asks(fixture, lease, "/out/.1");
    publish.worker_id = STR_LIT("worker-009");
    expect_error(fixture_ask(fixture, &shape_msg_run_publish, &publish), ERR_CONFLICT, "stale");
    expect_error(publish_as(fixture, (struct rec_lease){.run_id = 1, .attempt = 2}, "/out/.1"), ERR_CONFLICT, "stale");
    expect_error(publish_as(fixture, (struct rec_lease){.run_id = 99, .attempt = 1}, "/out/.1"), ERR_NOT_FOUND, "not_found");
    assert_int_equal(stored_grant(fixture, 1).attempt, 0);
    /* One that is to be stopped. */
    assert_int_equal(fixture_abort(fixture, 1), 0);
    expect_error(publish_as(fixture, lease, "/out/.1"), ERR_CONFLICT, "stale");
    /* No output; and a worker with a session, which asks there. */
    fixture_trigger(fixture, fixture_task(fixture, "none", "shell"));
    struct rec_lease none = given(polled(fixture, "worker-001", 1), 0);
    expect_error(publish_as(fixture, none, "/out/.1"), ERR_INVALID, "no_output");
    fixture_hello(fixture, 1, "session", "b1", "exec", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "session", "exec"));
    struct rec_lease other = fixture_begin(fixture, 1);
    assert_int_not_equal(other.run_id, 0);
    expect_error(publish_as(fixture, other, "/out/.1"), ERR_CONFLICT, "stale");
    fixture_free(fixture);
}

static void test_owner(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_worker_register asked = registration(fixture, "one", "b1");
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("t", "shell")};
    struct msg_worker_lease question = {.id = STR_LIT("worker-001"), .max = 1, .whose = STR_LIT("aaaaaaaaaaaaaaaa")};
    asked.whose = question.whose;
    create.spec.output = STR_LIT("/out/film.mp4");
    SET_HAS(&create.spec, rec_task_spec, output);
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_register, &asked)->shape->id, MSG_WORKER_ANSWER);
    fixture_trigger(fixture, fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id);
    question.idem = fixture_key(fixture);
    struct rec_lease lease = given(fixture_ask(fixture, &shape_msg_worker_lease, &question), 0);
    struct msg_run_publish publish = asks(fixture, lease, "/out/.1");
    publish.whose = STR_LIT("bbbbbbbbbbbbbbbb");
    expect_error(fixture_ask(fixture, &shape_msg_run_publish, &publish), ERR_FORBIDDEN, "owner");
    publish.idem = fixture_key(fixture);
    publish.whose = asked.whose;
    expect_granted(fixture_ask(fixture, &shape_msg_run_publish, &publish), lease, "/out/.1");
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_granted),         cmocka_unit_test(test_lost_with_the_scheduler),
        cmocka_unit_test(test_another_attempt), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
