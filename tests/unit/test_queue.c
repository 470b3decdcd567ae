/* Order in the queue: strict by priority, first come first served within one, and no starvation. */
#include "tests/unit/unit.h"

#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

static uint64_t trigger(struct fixture *fixture, uint64_t task, enum priority priority)
{
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task, .trigger = {.priority = priority}};
    SET_HAS(&trigger.trigger, rec_trigger, priority);
    return fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
}

/* Runs them one by one on a worker with one slot; checks the order. */
static void assert_order(struct fixture *fixture, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct rec_lease lease = fixture_begin(fixture, 1);
        if (lease.run_id != ids[i])
            fail_msg("place %zu: run %llu instead of %llu", i, (unsigned long long)lease.run_id, (unsigned long long)ids[i]);
        fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    }
}

static void test_priority(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    uint64_t low = trigger(fixture, task, PRIORITY_LOW), first = trigger(fixture, task, PRIORITY_NORMAL);
    uint64_t second = trigger(fixture, task, PRIORITY_NORMAL), high = trigger(fixture, task, PRIORITY_HIGH);
    uint64_t critical = trigger(fixture, task, PRIORITY_CRITICAL);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    const uint64_t order[] = {critical, high, first, second, low};
    assert_order(fixture, order, 5);
    fixture_free(fixture);
}

static void test_waiting_lifts(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    uint64_t low = trigger(fixture, task, PRIORITY_LOW);
    fixture_wait(fixture, 600000 - 1);
    uint64_t before = trigger(fixture, task, PRIORITY_NORMAL);
    fixture_wait(fixture, 2); /* now it has waited for one lift */
    uint64_t after = trigger(fixture, task, PRIORITY_NORMAL);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    const uint64_t order[] = {before, low, after};
    assert_order(fixture, order, 3);
    fixture_free(fixture);
}

/* The order is made of what is stored: a rebuilt scheduler gives the same. */
static void test_rebuilt(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell"), other = fixture_task(fixture, "two", "shell");
    uint64_t ids[6];
    for (int i = 0; i < 6; i++) {
        ids[i] = trigger(fixture, i % 2 ? task : other, i < 3 ? PRIORITY_LOW : PRIORITY_HIGH);
        fixture_wait(fixture, 10);
    }
    fixture_rebuild(fixture);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    const uint64_t order[] = {ids[3], ids[4], ids[5], ids[0], ids[1], ids[2]};
    assert_order(fixture, order, 6);
    fixture_free(fixture);
}

static void test_lift_reconfigured(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell"), low = trigger(fixture, task, PRIORITY_LOW);
    fixture_wait(fixture, 5000);
    uint64_t high = trigger(fixture, task, PRIORITY_HIGH);
    fixture->config.lift_ms = 1000;
    core_configure(fixture->core, &fixture->config);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    const uint64_t order[] = {low, high};
    assert_order(fixture, order, 2);
    fixture_free(fixture);
}

static void test_queue_full(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->config.queue_max = 2;
    fixture_start(fixture);
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_trigger(fixture, task);
    fixture_trigger(fixture, task);
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->u.error.code, ERR_LIMIT);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    /* It is not remembered: with room the same key works. */
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->shape->id, MSG_RUN_ANSWER);
    fixture_free(fixture);
}

static const struct msg *trigger_with(struct fixture *fixture, uint64_t task, uint32_t bytes)
{
    static char map[70000] = "\x81\xa1k\xda"; /* {k: text of up to 65535 bytes} */
    uint32_t text = bytes - 6;
    map[4] = (char)(text >> 8);
    map[5] = (char)text;
    memset(map + 6, 'x', text);
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task, .trigger = {.parameters = {map, bytes}}};
    SET_HAS(&trigger.trigger, rec_trigger, parameters);
    return fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
}

/* What runs and tasks carry is bounded in bytes, however few they are. */
static void test_bytes_full(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->config.queue_bytes = 150000;
    fixture_start(fixture);
    uint64_t task = fixture_task(fixture, "one", "shell");
    assert_int_equal(trigger_with(fixture, task, 60000)->shape->id, MSG_RUN_ANSWER);
    assert_int_equal(trigger_with(fixture, task, 60000)->shape->id, MSG_RUN_ANSWER);
    const struct msg *answer = trigger_with(fixture, task, 60000);
    assert_int_equal(answer->u.error.code, ERR_LIMIT);
    assert_true(str_is(answer->u.error.field, "queue.mb"));
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    assert_int_equal(trigger_with(fixture, task, 20000)->shape->id, MSG_RUN_ANSWER);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED); /* what has ended gives room */
    assert_int_equal(trigger_with(fixture, task, 60000)->shape->id, MSG_RUN_ANSWER);
    core_check(fixture->core);
    fixture_rebuild(fixture);
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_tasks_full(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->config.tasks_max = 2;
    fixture_start(fixture);
    uint64_t first = fixture_task(fixture, "one", "shell");
    fixture_task(fixture, "two", "shell");
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("three", "shell")};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_create, &create);
    assert_int_equal(answer->u.error.code, ERR_LIMIT);
    assert_true(str_is(answer->u.error.field, "tasks"));
    assert_int_equal(fixture->disk_count[TYPE_TASK], 2);
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_submit, &submit)->shape->id, MSG_RUN_ANSWER); /* runs have their own */
    fixture_rebuild(fixture);
    struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = first};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_delete, &delete)->shape->id, MSG_DONE);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_create, &create)->shape->id, MSG_TASK_ANSWER);
    core_check(fixture->core);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priority),          cmocka_unit_test(test_waiting_lifts), cmocka_unit_test(test_rebuilt),
        cmocka_unit_test(test_lift_reconfigured), cmocka_unit_test(test_queue_full),    cmocka_unit_test(test_bytes_full),
        cmocka_unit_test(test_tasks_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
