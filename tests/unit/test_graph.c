/* The graph around a task, and why runs wait. */
#include "tests/unit/unit.h"

#include "tests/unit/core_fixture.h"

static uint64_t task(struct fixture *fixture, const char *name, const char *const *on, struct str labels)
{
    struct str names[8];
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "shell")};
    SET_HAS(&create.spec, rec_task_spec, dependencies);
    create.spec.dependencies.items = names;
    for (; on && on[create.spec.dependencies.count]; create.spec.dependencies.count++)
        names[create.spec.dependencies.count] = str_of(on[create.spec.dependencies.count]);
    if (labels.len) {
        create.spec.labels = labels;
        SET_HAS(&create.spec, rec_task_spec, labels);
    }
    SET_HAS(&create.spec, rec_task_spec, retry_count);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_create, &create);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    return answer->u.task_answer.task.id;
}

#define ON(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct msg_task_graph_rows *graph(struct fixture *fixture, uint64_t id, uint64_t depth, uint64_t direction)
{
    struct msg_task_graph ask = {.id = id, .depth = depth, .direction = direction};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_graph, &ask);
    assert_int_equal(answer->shape->id, MSG_TASK_GRAPH_ROWS);
    return &answer->u.task_graph_rows;
}

static const struct msg_run_why_rows *why(struct fixture *fixture, uint64_t run)
{
    struct msg_run_why ask = {.id = run};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_why, &ask);
    assert_int_equal(answer->shape->id, MSG_RUN_WHY_ROWS);
    return &answer->u.run_why_rows;
}

static bool has_node(const struct msg_task_graph_rows *rows, uint64_t id)
{
    for (uint32_t i = 0; i < rows->nodes.count; i++)
        if (rows->nodes.items[i].id == id)
            return true;
    return false;
}

/* A diamond with a tail, and a stranger. */
static void test_shape(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    uint64_t a = task(fixture, "a", NULL, (struct str){0}), b = task(fixture, "b", ON("a"), (struct str){0});
    uint64_t c = task(fixture, "c", ON("a"), (struct str){0}), d = task(fixture, "d", ON("b", "c"), (struct str){0});
    uint64_t e = task(fixture, "e", ON("d"), (struct str){0}), stranger = task(fixture, "f", NULL, (struct str){0});
    const struct msg_task_graph_rows *rows = graph(fixture, d, 0, 0);
    assert_int_equal(rows->nodes.count, 5);
    assert_int_equal(rows->edges.count, 5);
    assert_false(rows->cut);
    assert_int_equal(rows->nodes.items[0].id, d);
    assert_false(has_node(rows, stranger));
    for (uint32_t i = 0; i < rows->edges.count; i++) {
        assert_int_equal(rows->edges.items[i].when, 1);
        assert_true(rows->edges.items[i].unmet);
        assert_true(i == 0 || rows->edges.items[i - 1].to <= rows->edges.items[i].to);
    }
    rows = graph(fixture, d, 0, 1);
    assert_int_equal(rows->nodes.count, 4);
    assert_false(has_node(rows, e));
    rows = graph(fixture, d, 1, 1);
    assert_int_equal(rows->nodes.count, 3);
    assert_true(has_node(rows, b) && has_node(rows, c));
    rows = graph(fixture, a, 0, 2);
    assert_int_equal(rows->nodes.count, 5);
    assert_int_equal(rows->nodes.items[0].unmet, 0);
    fixture_trigger(fixture, a);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    rows = graph(fixture, b, 1, 1);
    assert_false(rows->edges.items[0].unmet);
    assert_true(HAS(&rows->nodes.items[1], rec_graph_node, last_status));
    assert_int_equal(rows->nodes.items[1].last_status, RUN_COMPLETED);
    struct msg_task_graph ask = {.id = 99};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_graph, &ask)->u.error.code, ERR_NOT_FOUND);
    fixture_free(fixture);
}

/* More than is shown says so. */
static void test_cut(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    char name[32];
    fixture->config.tasks_max = 20000;
    fixture->letter_max = 64;
    fixture_start(fixture);
    uint64_t root = task(fixture, "root", NULL, (struct str){0});
    for (unsigned i = 0; i < 10050; i++) {
        snprintf(name, sizeof name, "t%u", i);
        task(fixture, name, ON("root"), (struct str){0});
    }
    const struct msg_task_graph_rows *rows = graph(fixture, root, 0, 0);
    assert_int_equal(rows->nodes.count, 10000);
    assert_int_equal(rows->edges.count, 9999);
    assert_true(rows->cut);
    fixture_free(fixture);
}

static void test_why_no_worker(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct str gpu = fixture_map((const char *[]){"gpu", "yes", "zone", "a", NULL});
    uint64_t run = fixture_trigger(fixture, task(fixture, "a", NULL, gpu));
    const struct msg_run_why_rows *rows = why(fixture, run);
    assert_true(rows->waits);
    assert_true(str_is(rows->code, "no_worker"));
    assert_true(str_is(rows->reason, "no worker serves type shell"));
    assert_int_equal(rows->workers.serve_type, 0);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    rows = why(fixture, run);
    assert_true(str_is(rows->code, "no_worker"));
    assert_int_equal(rows->workers.serve_type, 1);
    assert_int_equal(rows->workers.serve_executor, 1);
    assert_int_equal(rows->workers.can_take, 0);
    assert_int_equal(rows->workers.labels.count, 2);
    assert_true(str_is(rows->workers.labels.items[0].name, "gpu"));
    assert_int_equal(rows->workers.labels.items[0].lacking, 1);
    fixture_free(fixture);
}

static void test_why_in_the_queue(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    uint64_t a = task(fixture, "a", NULL, (struct str){0}), runs[6];
    for (int i = 0; i < 6; i++)
        runs[i] = fixture_trigger(fixture, a);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, runs[0]);
    const struct msg_run_why_rows *rows = why(fixture, runs[0]);
    assert_true(str_is(rows->code, "running"));
    assert_false(rows->waits);
    assert_true(rows->worker_name.len > 0);
    for (uint64_t i = 1; i < 6; i++) {
        rows = why(fixture, runs[i]);
        assert_true(str_is(rows->code, "busy"));
        assert_true(HAS(rows, msg_run_why_rows, ahead));
        assert_int_equal(rows->ahead, i - 1);
        assert_false(rows->ahead_is_lower_bound);
        assert_int_equal(rows->workers.can_take, 1);
        assert_int_equal(rows->workers.busy, 1);
    }
    struct msg_drain drain = {0};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_drain, &drain);
    rows = why(fixture, runs[1]);
    assert_true(str_is(rows->code, "draining"));
    assert_true(str_is(rows->reason, "all workers of type shell that can take it are draining"));
    assert_int_equal(rows->workers.draining, 1);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(str_is(why(fixture, runs[0])->code, "final")); /* it is not kept any more */
    fixture_free(fixture);
}

static void test_why_it_is_held(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t a = task(fixture, "a", NULL, (struct str){0}), b = task(fixture, "b", ON("a"), (struct str){0});
    uint64_t run = fixture_trigger(fixture, b);
    const struct msg_run_why_rows *rows = why(fixture, run);
    assert_true(str_is(rows->code, "dependency"));
    assert_int_equal(rows->on_task_id, a);
    assert_true(str_is(rows->on_task_name, "a"));
    assert_int_equal(rows->on_run_id, 0);
    assert_int_equal(rows->dependencies, 1);
    uint64_t first = fixture_trigger(fixture, a);
    assert_int_equal(why(fixture, run)->on_run_id, first);
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = b, .paused = true};
    fixture_ask(fixture, &shape_msg_task_pause, &pause);
    assert_true(str_is(why(fixture, run)->code, "paused"));
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = a, .trigger = {.delay_ms = 60000}};
    SET_HAS(&trigger.trigger, rec_trigger, delay_ms);
    uint64_t later = fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
    rows = why(fixture, later);
    assert_true(str_is(rows->code, "delayed"));
    assert_int_equal(rows->until, fixture->wall + 60000);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),          cmocka_unit_test(test_cut),
        cmocka_unit_test(test_why_no_worker),  cmocka_unit_test(test_why_in_the_queue),
        cmocka_unit_test(test_why_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
