/* Leases (rule 5): kept by heartbeats, lost by silence, returned when not accepted, renewed as a whole. */
#include "tests/unit/unit.h"

#include "tests/unit/core_fixture.h"

static struct fixture *farm_with_run(struct rec_lease *lease)
{
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_hello(fixture, 1, "w1", "b1", "shell", 2, NULL, 0);
    fixture_trigger(fixture, task);
    *lease = fixture_assigned(fixture, 1);
    assert_int_equal(lease->attempt, 1);
    return fixture;
}

static struct rec_run run_of(struct fixture *fixture, uint64_t id)
{
    struct rec_run run;
    assert_true(fixture_run(fixture, id, &run));
    return run;
}

static void test_not_accepted(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_wait(fixture, 9900);
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_RUNNING);
    fixture_heartbeat(fixture, 1, NULL, 0);
    fixture_wait(fixture, 200);
    struct rec_run run = run_of(fixture, lease.run_id);
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    assert_int_equal(run.retries + run.losses, 0);
    fixture_accept(fixture, 1, lease); /* too late */
    assert_true(fixture_refused(fixture, 1, lease));
    fixture_wait(fixture, 6000); /* the worker rests, then it is asked again */
    assert_int_equal(fixture_assigned(fixture, 1).attempt, 2);
    fixture_free(fixture);
}

static void test_rejected(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    lease.reason = STR_LIT("disk full");
    struct msg_reject reject = {.leases = {&lease, 1}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_reject, &reject);
    fixture_settle(fixture);
    struct rec_run run = run_of(fixture, lease.run_id);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    assert_true(str_is(run.attempts.items[0].error, "the worker rejected it: disk full"));
    assert_int_equal(run.status, RUN_PENDING);
    assert_string_equal(fixture_reason(fixture, run.id),
                        "workers of type shell rest for a moment: the worker rejected it: disk full");
    fixture_hello(fixture, 2, "w2", "b1", "shell", 1, NULL, 0); /* another one gets it at once */
    assert_int_equal(fixture_assigned(fixture, 2).attempt, 2);
    fixture_free(fixture);
}

static void test_kept_by_heartbeats(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    for (int i = 0; i < 60; i++) {
        fixture_wait(fixture, 5000);
        fixture_heartbeat(fixture, 1, &lease, 1);
    }
    assert_int_equal(run_of(fixture, lease.run_id).attempt, 1);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    fixture_free(fixture);
}

static void test_silence(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_wait(fixture, 29900);
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_RUNNING);
    fixture_wait(fixture, 200);
    struct rec_run run = run_of(fixture, lease.run_id);
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.losses, 1);
    assert_int_equal(run.retries, 0);
    struct rec_worker worker;
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(worker.status, WORKER_OFFLINE);
    assert_int_equal(fixture_count_events(fixture, "worker.unregistered"), 1);
    /* Another worker gets it; the late result of the first is refused and changes nothing. */
    fixture_hello(fixture, 2, "w2", "b1", "shell", 1, NULL, 0);
    struct rec_lease second = fixture_begin(fixture, 2);
    assert_int_equal(second.attempt, 2);
    fixture_hello(fixture, 3, "w1", "b1", "shell", 2, &lease, 1);
    fixture_result(fixture, 3, lease, OUTCOME_COMPLETED);
    assert_true(fixture_refused(fixture, 3, lease));
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_RUNNING);
    fixture_result(fixture, 2, second, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 2, second));
    fixture_result(fixture, 3, lease, OUTCOME_COMPLETED);
    assert_true(fixture_refused(fixture, 3, lease));
    fixture_free(fixture);
}

/* What a dying worker said last need not be of all its runs: theirs end before it is known to be gone, and it gets none of them again. */
static void test_lost_goes_elsewhere(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_wait(fixture, 1000);
    fixture_heartbeat(fixture, 1, NULL, 0);
    fixture_wait(fixture, 29100);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 1);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    fixture_wait(fixture, 1000);
    struct rec_worker worker;
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(worker.status, WORKER_OFFLINE);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 1);
    fixture_free(fixture);
}

static void test_losses_fail(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    char boot[8];
    for (unsigned i = 0; i < 3; i++) {
        fixture_accept(fixture, 1 + i, lease);
        snprintf(boot, sizeof boot, "c%u", i);
        fixture_hello(fixture, 2 + i, "w1", boot, "shell", 2, NULL, 0); /* the worker was killed and started anew */
        struct rec_lease next = fixture_assigned(fixture, 2 + i);
        if (next.run_id)
            lease = next;
    }
    struct rec_run run = run_of(fixture, lease.run_id);
    assert_int_equal(run.status, RUN_FAILED);
    assert_int_equal(run.losses, 3);
    assert_int_equal(run.attempts.count, 3);
    fixture_free(fixture);
}

static void test_not_named(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_heartbeat(fixture, 1, NULL, 0);
    fixture_heartbeat(fixture, 1, NULL, 0);
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_RUNNING);
    fixture_heartbeat(fixture, 1, &lease, 1); /* forgiven */
    fixture_heartbeat(fixture, 1, NULL, 0);
    fixture_heartbeat(fixture, 1, NULL, 0);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_heartbeat(fixture, 1, NULL, 0);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 1);
    fixture_heartbeat(fixture, 1, &lease, 1); /* named again, too late: dropped */
    const struct msg *ack = NULL, *next;
    while ((next = fixture_take(fixture, 1, MSG_HEARTBEAT_ACK)))
        ack = next;
    assert_int_equal(ack->u.heartbeat_ack.drop.count, 1);
    fixture_free(fixture);
}

/* Accepted just before the heartbeat that says so: a heartbeat that names an assignment accepts it. */
static void test_heartbeat_accepts(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_heartbeat(fixture, 1, &lease, 1);
    fixture_wait(fixture, 15000);
    assert_int_equal(run_of(fixture, lease.run_id).attempt, 1);
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_RUNNING);
    fixture_free(fixture);
}

/* The scheduler was frozen for a minute: after core_renew_leases nothing is lost by it (rule 7). */
static void test_frozen_scheduler(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_jump(fixture, 60000);
    core_renew_leases(fixture->core);
    fixture_wait(fixture, 10);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_wait(fixture, 20000);
    fixture_heartbeat(fixture, 1, &lease, 1);
    fixture_wait(fixture, 20000);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_free(fixture);
}

/* After a start every lease has a full term, and a worker that does not come back loses it then. */
static void test_rebuilt_term(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_wait(fixture, 25000);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 29000);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_wait(fixture, 2000);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 1);
    fixture_free(fixture);
}

static void test_same_boot_lost_it(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_hello(fixture, 2, "w1", "b1", "shell", 2, NULL, 0); /* it reconnects and does not list what it accepted */
    assert_int_equal(run_of(fixture, lease.run_id).losses, 1);
    fixture_free(fixture);
}

/* The worker enforces the timeout; the scheduler steps in a minute later. */
static void test_backstop(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    submit.spec.timeout_seconds = 20;
    submit.spec.retry_count = 0;
    SET_HAS(&submit.spec, rec_task_spec, timeout_seconds);
    SET_HAS(&submit.spec, rec_task_spec, retry_count);
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    uint64_t id = fixture_ask(fixture, &shape_msg_run_submit, &submit)->u.run_answer.run.id;
    struct rec_lease lease = fixture_begin(fixture, 1);
    for (int i = 0; i < 15; i++) {
        fixture_wait(fixture, 5000);
        fixture_heartbeat(fixture, 1, &lease, 1);
    }
    assert_int_equal(run_of(fixture, id).status, RUN_RUNNING);
    fixture_wait(fixture, 6000);
    assert_int_equal(run_of(fixture, id).status, RUN_FAILED);
    assert_int_equal(run_of(fixture, id).attempts.items[0].outcome, OUTCOME_TIMEOUT);
    assert_non_null(fixture_take(fixture, 1, MSG_CANCEL));
    fixture_result(fixture, 1, lease, OUTCOME_ABORTED);
    assert_true(fixture_acked(fixture, 1, lease));
    fixture_free(fixture);
}

/* While the store is away nothing is given out, taken or acknowledged; then everything goes on. */
static void test_store_away(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_store_away(fixture, true);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_false(fixture_acked(fixture, 1, lease));
    fixture_wait(fixture, 40000);
    fixture_heartbeat(fixture, 1, &lease, 1);
    assert_non_null(fixture_take(fixture, 1, MSG_HEARTBEAT_ACK));
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_RUNNING);
    fixture_store_away(fixture, false);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_COMPLETED);
    fixture_free(fixture);
}

/* Assignments could not leave while the store was away: their time to be accepted begins when it is back. */
static void test_accept_after_away(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_wait(fixture, 5000);
    fixture_store_away(fixture, true);
    fixture_wait(fixture, 20000);
    fixture_store_away(fixture, false);
    fixture_heartbeat(fixture, 1, NULL, 0);
    fixture_wait(fixture, 9000);
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_RUNNING);
    fixture_wait(fixture, 2000);
    assert_int_equal(run_of(fixture, lease.run_id).status, RUN_PENDING);
    fixture_free(fixture);
}

/* While the store is away no HELLO is taken: who lost his connection then has a full term to come back when it is there again. */
static void test_reconnected_while_away(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_store_away(fixture, true);
    fixture_wait(fixture, 40000);
    assert_int_equal(fixture_hello(fixture, 2, "w1", "b1", "shell", 2, &lease, 1)->u.error.code, ERR_UNAVAILABLE);
    fixture_store_away(fixture, false);
    fixture_wait(fixture, 3000);
    assert_int_equal(fixture_hello(fixture, 2, "w1", "b1", "shell", 2, &lease, 1)->shape->id, MSG_WELCOME);
    fixture_result(fixture, 2, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 2, lease));
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    assert_int_equal(run_of(fixture, lease.run_id).attempt, 1);
    fixture_free(fixture);
}

/* A worker that gives its runs longer to end is waited for longer; how long, it says in HELLO, and in HEARTBEAT when that changed. */
static void backstop_waits(uint64_t hello_ms, uint64_t beat_ms)
{
    struct fixture *fixture = fixture_ready();
    struct str types[1] = {STR_LIT("shell")};
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("w1"),
                              .boot = STR_LIT("b1"),
                              .hostname = STR_LIT("host"),
                              .task_types = {types, 1},
                              .slots = 1,
                              .credit = 1,
                              .grace_ms = hello_ms};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    if (beat_ms != hello_ms) {
        struct msg_heartbeat beat = {.grace_ms = beat_ms};
        SET_HAS(&beat, msg_heartbeat, grace_ms);
        fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_heartbeat, &beat);
    }
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    submit.spec.timeout_seconds = 20;
    SET_HAS(&submit.spec, rec_task_spec, timeout_seconds);
    uint64_t id = fixture_ask(fixture, &shape_msg_run_submit, &submit)->u.run_answer.run.id;
    struct rec_lease lease = fixture_begin(fixture, 1);
    for (int i = 0; i < 39; i++) {
        fixture_wait(fixture, 5000);
        fixture_heartbeat(fixture, 1, &lease, 1);
    }
    assert_int_equal(run_of(fixture, id).attempts.items[0].outcome, OUTCOME_OPEN);
    fixture_wait(fixture, 6000);
    assert_int_equal(run_of(fixture, id).attempts.items[0].outcome, OUTCOME_TIMEOUT);
    fixture_free(fixture);
}

static void test_backstop_waits_for_grace(void **unused)
{
    (void)unused;
    backstop_waits(120000, 120000);
    backstop_waits(10000, 120000);
}

/* An attempt that nobody reports of began when its worker's heartbeats said. */
static void test_lost_has_its_start(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_wait(fixture, 2000);
    uint64_t started = fixture->wall;
    lease.started_at = started;
    fixture_wait(fixture, 3000);
    fixture_heartbeat(fixture, 1, &lease, 1);
    fixture_wait(fixture, 31000);
    struct rec_run run = run_of(fixture, lease.run_id);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_LOST);
    assert_int_equal(run.attempts.items[0].started_at, started);
    fixture_free(fixture);
}

/* The store is there and slow: a worker has its whole time to accept, counted from when it can have heard of the run. */
static void test_slow_commit(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    fixture_hello(fixture, 2, "w2", "b1", "shell", 1, NULL, 0);
    fixture_hold(fixture, HOLD_ACKS);
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    fixture_send(fixture, DOOR_COMMANDS, 1000, 900, &shape_msg_run_trigger, &trigger);
    for (int i = 0; i < 3; i++) {
        fixture_wait(fixture, 4000);
        fixture_heartbeat(fixture, 1, NULL, 0);
        fixture_heartbeat(fixture, 2, NULL, 0);
    }
    fixture_hold(fixture, HOLD_NOTHING);
    fixture_wait(fixture, 9000);
    fixture_heartbeat(fixture, 1, NULL, 0);
    fixture_heartbeat(fixture, 2, NULL, 0);
    struct rec_lease first = fixture_assigned(fixture, 1), second = fixture_assigned(fixture, 2);
    assert_int_equal(first.attempt + second.attempt, 1); /* one of them, and the first attempt */
    assert_int_equal(run_of(fixture, first.run_id + second.run_id).status, RUN_RUNNING);
    fixture_wait(fixture, 2000);
    assert_int_equal(run_of(fixture, first.run_id + second.run_id).attempts.items[0].outcome, OUTCOME_RETURNED);
    fixture_free(fixture);
}

static uint64_t told_pace(struct fixture *fixture, unsigned peer)
{
    const struct msg *ack = NULL, *next;
    while ((next = fixture_take(fixture, peer, MSG_HEARTBEAT_ACK)))
        ack = next;
    return ack ? ack->u.heartbeat_ack.heartbeat_ms : 0;
}

/* The lease becomes shorter than the pace that workers beat at: it holds when they can have heard of the new pace, and then it does. */
static void test_shortened(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture_heartbeat(fixture, 1, &lease, 1);
    fixture_wait(fixture, 4000);
    fixture->config.lease_ms = 3000;
    fixture->config.heartbeat_ms = 1000;
    core_configure(fixture->core, &fixture->config);
    fixture_wait(fixture, 4900); /* its heartbeat is late and still under way */
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_heartbeat(fixture, 1, &lease, 1);
    assert_int_equal(told_pace(fixture, 1), 1000);
    for (int i = 0; i < 10; i++) {
        fixture_wait(fixture, 1000);
        fixture_heartbeat(fixture, 1, &lease, 1);
    }
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_wait(fixture, 2900);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_wait(fixture, 200);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 1);
    fixture_free(fixture);
}

/* Shorter again while the first change is not known to all yet; and longer counts at once. */
static void test_shortened_twice(void **unused)
{
    (void)unused;
    struct rec_lease lease;
    struct fixture *fixture = farm_with_run(&lease);
    fixture_accept(fixture, 1, lease);
    fixture->config.lease_ms = 3000;
    fixture->config.heartbeat_ms = 1000;
    core_configure(fixture->core, &fixture->config);
    fixture_wait(fixture, 1000);
    fixture->config.lease_ms = 2000;
    fixture->config.heartbeat_ms = 500;
    core_configure(fixture->core, &fixture->config);
    fixture_wait(fixture, 8900);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture->config.lease_ms = 60000;
    core_configure(fixture->core, &fixture->config);
    fixture_wait(fixture, 50000);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 0);
    fixture_wait(fixture, 200);
    assert_int_equal(run_of(fixture, lease.run_id).losses, 1);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_accepted),
        cmocka_unit_test(test_rejected),
        cmocka_unit_test(test_kept_by_heartbeats),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_lost_goes_elsewhere),
        cmocka_unit_test(test_losses_fail),
        cmocka_unit_test(test_not_named),
        cmocka_unit_test(test_heartbeat_accepts),
        cmocka_unit_test(test_frozen_scheduler),
        cmocka_unit_test(test_rebuilt_term),
        cmocka_unit_test(test_same_boot_lost_it),
        cmocka_unit_test(test_backstop),
        cmocka_unit_test(test_store_away),
        cmocka_unit_test(test_accept_after_away),
        cmocka_unit_test(test_slow_commit),
        cmocka_unit_test(test_backstop_waits_for_grace),
        cmocka_unit_test(test_lost_has_its_start),
        cmocka_unit_test(test_shortened),
        cmocka_unit_test(test_reconnected_while_away),
        cmocka_unit_test(test_shortened_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
