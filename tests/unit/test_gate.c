/* Gates: a task starts as often as its rate allows, and no more, over restarts and changes too. */
#include "tests/unit/unit.h"

#include "scheduler/core_state.h"
#include "scheduler/gate.h"
#include "scheduler/task.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

static uint64_t rated(struct fixture *fixture, const char *name, uint64_t rate)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "shell")};
    create.spec.rate = rate;
    SET_HAS(&create.spec, rec_task_spec, rate);
    return fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
}

static void rate(struct fixture *fixture, uint64_t task, uint64_t rate)
{
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = task, .spec = {.rate = rate}};
    SET_HAS(&update.spec, rec_task_spec, rate);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->shape->id, MSG_TASK_ANSWER);
}

static uint64_t trigger(struct fixture *fixture, uint64_t task, enum priority priority)
{
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task, .trigger = {.priority = priority}};
    SET_HAS(&trigger.trigger, rec_trigger, priority);
    return fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
}

/* Runs everything that is given to the peer; how many that was. */
static unsigned drain(struct fixture *fixture, unsigned peer)
{
    unsigned count = 0;
    struct rec_lease lease;
    while ((lease = fixture_assigned(fixture, peer)).run_id) {
        fixture_accept(fixture, peer, lease);
        fixture_result(fixture, peer, lease, OUTCOME_COMPLETED);
        count++;
    }
    return count;
}

/* As many milliseconds, with a heartbeat now and then. */
static unsigned drain_for(struct fixture *fixture, unsigned peer, uint64_t ms)
{
    unsigned count = drain(fixture, peer);
    for (uint64_t at = 0; at < ms; at += 100) {
        fixture_wait(fixture, 100);
        if (at % 5000 == 0)
            fixture_heartbeat(fixture, peer, NULL, 0);
        count += drain(fixture, peer);
    }
    return count;
}

static void test_rate(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "slow", 6), runs[4];
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    for (int i = 0; i < 4; i++)
        runs[i] = fixture_trigger(fixture, task);
    assert_int_equal(fixture_begin(fixture, 1).run_id, runs[0]);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    assert_string_equal(fixture_reason(fixture, runs[1]),
                        "its task may start 6 times a minute, next at 2023-11-14T22:13:30.000Z");
    core_check(fixture->core);
    fixture_wait(fixture, 9999);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    fixture_wait(fixture, 1);
    assert_int_equal(fixture_begin(fixture, 1).run_id, runs[1]);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    core_check(fixture->core);
    uint64_t plain = fixture_trigger(fixture, fixture_task(fixture, "plain", "shell"));
    assert_int_equal(fixture_begin(fixture, 1).run_id, plain); /* of no concern to others */
    fixture_free(fixture);
}

static void test_minute(void **unused)
{
    (void)unused;
    static const uint64_t rates[] = {1, 7, 60, 600, 5000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct fixture *fixture = fixture_ready();
        uint64_t burst = rates[i] > 60 ? rates[i] / 60 : 1;
        uint64_t task = rated(fixture, "t", rates[i]);
        for (uint64_t k = 0; k < 2 * rates[i] + 2 * burst; k++)
            fixture_trigger(fixture, task);
        fixture_hello(fixture, 1, "w1", "b", "shell", 4000, NULL, 0);
        unsigned count = drain_for(fixture, 1, 60000);
        assert_in_range(count, rates[i], rates[i] + burst);
        core_check(fixture->core);
        fixture_free(fixture);
    }
}

/* Each attempt counts, and what is returned unstarted too. */
static void test_attempts(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "t", 2), run = fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_FAILED);
    fixture_wait(fixture, 20000);
    fixture_heartbeat(fixture, 1, NULL, 0);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0); /* its backoff is over */
    fixture_wait(fixture, 10000);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, run);
    assert_int_equal(lease.attempt, 2);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* An idle task does not save up more than one second's. */
static void test_burst(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "t", 180);
    fixture_wait(fixture, 3600000);
    for (int i = 0; i < 10; i++)
        fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 100, NULL, 0);
    assert_int_equal(drain(fixture, 1), 3);
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_restart(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "t", 6);
    for (int i = 0; i < 3; i++)
        fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_wait(fixture, 4000);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 2, "w1", "b", "shell", 10, &lease, 1);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    fixture_wait(fixture, 5999);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    fixture_wait(fixture, 1);
    assert_int_not_equal(fixture_assigned(fixture, 2).run_id, 0);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* The better run goes first, also when another was let through already and waits for a worker. */
static void test_priority(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "t", 6);
    uint64_t low = trigger(fixture, task, PRIORITY_LOW), high = trigger(fixture, task, PRIORITY_HIGH);
    uint64_t critical = trigger(fixture, task, PRIORITY_CRITICAL);
    core_check(fixture->core);
    assert_string_equal(fixture_reason(fixture, low), "its task may start 6 times a minute, and others of its runs come first");
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    const uint64_t order[] = {critical, high, low};
    for (int i = 0; i < 3; i++) {
        struct rec_lease lease = fixture_begin(fixture, 1);
        assert_int_equal(lease.run_id, order[i]);
        fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
        fixture_wait(fixture, 10000);
    }
    fixture_free(fixture);
}

/* One that was let through and is ended lets the next one through, for the same token. */
static void test_abort(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "t", 6);
    uint64_t first = fixture_trigger(fixture, task), second = fixture_trigger(fixture, task),
             third = fixture_trigger(fixture, task);
    assert_int_equal(fixture_abort(fixture, first), 0);
    assert_int_equal(fixture_abort(fixture, third), 0);
    core_check(fixture->core);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    assert_int_equal(fixture_begin(fixture, 1).run_id, second);
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = task, .paused = true};
    fixture_trigger(fixture, task);
    fixture_ask(fixture, &shape_msg_task_pause, &pause);
    core_check(fixture->core);
    struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = task, .force = true};
    fixture_ask(fixture, &shape_msg_task_delete, &delete);
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_changes(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "t", "shell");
    for (int i = 0; i < 5; i++)
        fixture_trigger(fixture, task);
    rate(fixture, task, 6); /* what waits already is held too */
    core_check(fixture->core);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    assert_int_equal(drain(fixture, 1), 1);
    rate(fixture, task, 60); /* from its last start on */
    core_check(fixture->core);
    assert_int_equal(drain(fixture, 1), 0);
    fixture_wait(fixture, 1000);
    assert_int_equal(drain(fixture, 1), 1);
    rate(fixture, task, 0);
    core_check(fixture->core);
    assert_int_equal(drain(fixture, 1), 3);
    rate(fixture, task, 1);
    fixture_trigger(fixture, task);
    assert_int_equal(drain(fixture, 1), 0);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A wall clock that is set does not change how often it starts. */
static void test_clock(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "t", 6);
    for (int i = 0; i < 3; i++)
        fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    assert_int_equal(drain(fixture, 1), 1);
    fixture->wall -= 86400000;
    fixture_wait(fixture, 9999);
    assert_int_equal(drain(fixture, 1), 0);
    fixture_wait(fixture, 1);
    assert_int_equal(drain(fixture, 1), 1);
    fixture->wall += 2 * UINT64_C(86400000);
    fixture_wait(fixture, 1);
    assert_int_equal(drain(fixture, 1), 0);
    fixture->wall -= 86400000;
    fixture_rebuild(fixture); /* its newest start lies ahead: a whole interval from here */
    fixture_hello(fixture, 2, "w1", "b", "shell", 10, NULL, 0);
    fixture_wait(fixture, 10000);
    assert_int_equal(drain(fixture, 2), 1);
    fixture_free(fixture);
}

/* A million of its runs are not in the queue's way. */
static void test_queue_is_short(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = rated(fixture, "t", 60);
    for (int i = 0; i < 1000; i++)
        fixture_trigger(fixture, task);
    const struct task *found = task_find(fixture->core, task);
    assert_int_equal(found->gate->let_count, 1);
    assert_int_equal(found->gate->waiting.count, 999);
    core_check(fixture->core);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),           cmocka_unit_test(test_minute),  cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_burst),          cmocka_unit_test(test_restart), cmocka_unit_test(test_priority),
        cmocka_unit_test(test_abort),          cmocka_unit_test(test_changes), cmocka_unit_test(test_clock),
        cmocka_unit_test(test_queue_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
