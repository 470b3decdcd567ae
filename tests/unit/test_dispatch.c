/* Who gets what: types, labels, credit, fairness, and one message for one worker. */
#include "tests/unit/unit.h"

#include "scheduler/kind.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "tests/unit/core_fixture.h"

static void hello(struct fixture *fixture, unsigned peer, const char *type, unsigned slots, unsigned credit, struct str labels)
{
    char ident[16];
    snprintf(ident, sizeof ident, "w%u", peer);
    struct str types[1] = {str_of(type)};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("host"),
                              .task_types = {types, 1},
                              .slots = slots,
                              .credit = credit,
                              .labels = labels};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    assert_non_null(fixture_take(fixture, peer, MSG_WELCOME));
}

static uint64_t held(struct fixture *fixture, unsigned peer)
{
    uint64_t count = 0;
    while (fixture_assigned(fixture, peer).run_id)
        count++;
    return count;
}

static uint64_t labelled(struct fixture *fixture, const char *name, struct str labels)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "gpu")};
    create.spec.labels = labels;
    SET_HAS(&create.spec, rec_task_spec, labels);
    return fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
}

static void test_types_and_labels(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct str big = fixture_map((const char *[]){"card", "big", "site", "north", NULL});
    struct str small = fixture_map((const char *[]){"card", "small", NULL});
    uint64_t plain = fixture_trigger(fixture, fixture_task(fixture, "plain", "shell"));
    uint64_t wants = fixture_trigger(fixture, labelled(fixture, "wants", fixture_map((const char *[]){"card", "big", NULL})));
    assert_string_equal(fixture_reason(fixture, plain), "no worker serves type shell");
    assert_string_equal(fixture_reason(fixture, wants), "no worker serves type gpu");
    hello(fixture, 1, "gpu", 1, 1, small);
    assert_string_equal(fixture_reason(fixture, wants), "no worker of type gpu has labels card=big");
    assert_int_equal(held(fixture, 1), 0);
    hello(fixture, 2, "gpu", 1, 1, big);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, wants);
    uint64_t next = fixture_trigger(fixture, 2);
    assert_string_equal(fixture_reason(fixture, next), "all workers of type gpu are busy");
    fixture_free(fixture);
}

/* What a worker has announced decides which of its type's runs it is given. */
static void test_executors(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("snake", "shell")};
    create.spec.executor = STR_LIT("python");
    uint64_t snake = fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
    uint64_t run = fixture_trigger(fixture, snake), plain = fixture_trigger(fixture, fixture_task(fixture, "plain", "shell"));
    fixture_hello(fixture, 1, "w1", "b", "shell", 4, NULL, 0); /* executor shell */
    assert_int_equal(fixture_assigned(fixture, 1).run_id, plain);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    assert_string_equal(fixture_reason(fixture, run), "no worker of type shell has executor python");
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = snake, .spec = {.executor = STR_LIT("shell")}};
    SET_HAS(&update.spec, rec_task_spec, executor);
    fixture_ask(fixture, &shape_msg_task_update, &update); /* what waits goes with its task */
    assert_int_equal(fixture_assigned(fixture, 1).run_id, run);
    update = (struct msg_task_update){.idem = fixture_key(fixture), .id = snake, .spec = {.executor = STR_LIT("python")}};
    SET_HAS(&update.spec, rec_task_spec, executor);
    fixture_ask(fixture, &shape_msg_task_update, &update);
    run = fixture_trigger(fixture, snake);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 2, "w1", "b2", "shell", 4, NULL, 0);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, plain); /* the old start lost them; the other wants python now */
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    hello(fixture, 3, "shell", 2, 2, (struct str){0}); /* names none: it has them all */
    assert_int_equal(held(fixture, 3), 2);
    assert_string_equal(fixture_reason(fixture, run), "");
    fixture_free(fixture);
}

static void test_spread(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    for (int i = 0; i < 8; i++)
        fixture_trigger(fixture, task);
    fixture_store_away(fixture, true); /* so that all workers are there before anything is given out */
    fixture_store_away(fixture, false);
    fixture_hold(fixture, HOLD_NOTHING);
    hello(fixture, 1, "shell", 4, 4, (struct str){0});
    assert_int_equal(held(fixture, 1), 4);
    hello(fixture, 2, "shell", 4, 4, (struct str){0});
    assert_int_equal(held(fixture, 2), 4);
    fixture_free(fixture);
}

/* Idle ones first, by their share of slots; ties in turn. */
static void test_fair(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    hello(fixture, 1, "shell", 2, 10, (struct str){0});
    hello(fixture, 2, "shell", 4, 10, (struct str){0});
    hello(fixture, 3, "shell", 2, 10, (struct str){0});
    for (int i = 0; i < 8; i++)
        fixture_trigger(fixture, task);
    assert_int_equal(held(fixture, 1), 2);
    assert_int_equal(held(fixture, 2), 4);
    assert_int_equal(held(fixture, 3), 2);
    fixture_free(fixture);
}

/* The end of a run costs nothing for classes that its worker does not serve, however many wait for another. */
static void test_wakes_its_own(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct core *core = fixture->core;
    uint64_t nobodys[20];
    char name[16];
    hello(fixture, 1, "shell", 1, 1, (struct str){0});
    uint64_t task = fixture_task(fixture, "one", "shell"), run = fixture_trigger(fixture, task);
    uint64_t next = fixture_trigger(fixture, task); /* its class is set aside: the worker is full */
    for (size_t i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "type-%zu", i);
        nobodys[i] = fixture_trigger(fixture, fixture_task(fixture, name, name));
    }
    struct rec_outcome item = {.run_id = run, .attempt = 1, .outcome = OUTCOME_COMPLETED};
    struct msg_result result = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_result, &result);
    assert_non_null(core->woken);
    queue_wake(core);
    assert_int_equal(core->ready.count, 1);
    assert_int_equal(run_find(core, next)->class->place, CLASS_READY);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(run_find(core, nobodys[i])->class->place, CLASS_ASIDE);
    fixture_settle(fixture);
    assert_int_equal(held(fixture, 1), 2); /* the first, and the next */
    hello(fixture, 2, "type-7", 1, 1, (struct str){0});
    assert_int_equal(fixture_assigned(fixture, 2).run_id, nobodys[7]);
    assert_int_equal(core->ready.count, 0);
    fixture_free(fixture);
}

/* Workers that are alike are one kind, and a kind goes with its last session. */
static void test_kinds(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct core *core = fixture->core;
    struct str label = fixture_map((const char *[]){"card", "big", NULL});
    struct msg_bye bye = {0};
    for (unsigned peer = 1; peer <= 50; peer++)
        hello(fixture, peer, "shell", 1 + peer % 4, 4, (struct str){0});
    assert_int_equal(core->kinds.count, 1);
    hello(fixture, 51, "shell", 1, 1, label);
    hello(fixture, 52, "gpu", 1, 1, (struct str){0});
    assert_int_equal(core->kinds.count, 3);
    hello(fixture, 52, "shell", 1, 1, (struct str){0}); /* it says otherwise now */
    assert_int_equal(core->kinds.count, 2);
    for (unsigned peer = 1; peer <= 52; peer++)
        fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_bye, &bye);
    assert_int_equal(core->kinds.count, 0);
    uint64_t run = fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    hello(fixture, 60, "shell", 1, 1, (struct str){0});
    assert_int_equal(fixture_assigned(fixture, 60).run_id, run);
    fixture_free(fixture);
}

static void test_credit(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    for (int i = 0; i < 12; i++)
        fixture_trigger(fixture, task);
    hello(fixture, 1, "shell", 2, 5, (struct str){0});
    size_t before = fixture->letter_count;
    assert_true(before > 0);
    const struct msg *assign = NULL;
    for (size_t i = 0; i < fixture->letter_count; i++)
        if (fixture->letters[i].msg.shape->id == MSG_ASSIGN) {
            assert_null(assign); /* one message */
            assign = &fixture->letters[i].msg;
        }
    assert_int_equal(assign->u.assign.runs.count, 5);
    struct rec_lease leases[5];
    for (int i = 0; i < 5; i++)
        leases[i] = fixture_assigned(fixture, 1);
    struct msg_heartbeat beat = {.running = {leases, 5}, .credit = 7};
    SET_HAS(&beat, msg_heartbeat, credit);
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_heartbeat, &beat); /* it takes more now */
    fixture_settle(fixture);
    assert_int_equal(held(fixture, 1), 2);
    fixture_free(fixture);
}

static void test_draining(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    hello(fixture, 1, "shell", 2, 2, (struct str){0});
    struct rec_lease lease = {.run_id = fixture_trigger(fixture, task), .attempt = 1};
    struct msg_drain drain = {0};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_drain, &drain);
    uint64_t next = fixture_trigger(fixture, task);
    assert_int_equal(held(fixture, 1), 1);
    assert_string_equal(fixture_reason(fixture, next), "all workers of type shell that can take it are draining");
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    assert_int_equal(held(fixture, 1), 0);
    fixture_free(fixture);
}

/* What is given out carries everything the worker needs. */
static void test_assignment(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct str arguments[2] = {STR_LIT("-i"), STR_LIT("{{in}}")};
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("job", "shell")};
    submit.spec.arguments = (struct str_list){arguments, 2};
    SET_HAS(&submit.spec, rec_task_spec, arguments);
    submit.trigger.parameters = fixture_map((const char *[]){"in", "a.mp4", NULL});
    SET_HAS(&submit.trigger, rec_trigger, parameters);
    submit.trigger.timeout_seconds = 77;
    SET_HAS(&submit.trigger, rec_trigger, timeout_seconds);
    hello(fixture, 1, "shell", 1, 1, (struct str){0});
    fixture_ask(fixture, &shape_msg_run_submit, &submit);
    const struct msg *assign = fixture_take(fixture, 1, MSG_ASSIGN);
    const struct rec_assignment *row = &assign->u.assign.runs.items[0];
    assert_true(str_is(row->task_name, "job"));
    assert_true(str_is(row->spec.arguments.items[1], "{{in}}"));
    assert_true(str_is(row->spec.command, "true"));
    assert_int_equal(row->timeout_seconds, 77);
    struct str in;
    assert_true(map_text(row->parameters, STR_LIT("in"), &in));
    assert_true(str_is(in, "a.mp4"));
    assert_int_equal(row->attempt, 1);
    fixture_free(fixture);
}

/* Ten thousand runs for a hungry worker: messages of at most a thousand, every run once. */
/* Who serves what is followed while runs wait: those who come, those who serve something else now, those who leave. */
static void test_come_and_go(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "a", "blue");
    hello(fixture, 1, "blue", 1, 1, (struct str){0});
    fixture_trigger(fixture, task);
    assert_int_not_equal(fixture_assigned(fixture, 1).run_id, 0);
    for (unsigned peer = 2; peer <= 20; peer++)
        hello(fixture, peer, "blue", 1, 1, (struct str){0});
    hello(fixture, 5, "red", 1, 1, (struct str){0}); /* the same one, which serves something else now */
    struct msg_bye bye = {0};
    fixture_send(fixture, DOOR_WORKERS, 7, 0, &shape_msg_bye, &bye);
    struct msg_drain drain = {0};
    fixture_send(fixture, DOOR_WORKERS, 9, 0, &shape_msg_drain, &drain);
    for (unsigned i = 0; i < 30; i++)
        fixture_trigger(fixture, task);
    for (unsigned peer = 2; peer <= 20; peer++)
        assert_int_equal(fixture_assigned(fixture, peer).run_id != 0, peer != 5 && peer != 7 && peer != 9);
    hello(fixture, 5, "blue", 1, 1, (struct str){0});
    fixture_settle(fixture);
    assert_int_not_equal(fixture_assigned(fixture, 5).run_id, 0);
    fixture_free(fixture);
}

static void test_many(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    struct rec_trigger items[1000] = {{0}};
    for (int i = 0; i < 10; i++) {
        struct msg_run_trigger_batch batch = {.idem = fixture_key(fixture), .task_id = task, .items = {items, 1000}};
        assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch)->u.run_batch_answer.run_ids.count, 1000);
    }
    hello(fixture, 1, "shell", 16, 60000, (struct str){0});
    fixture_wait(fixture, 1000);
    uint64_t expect = 1, first = 0;
    for (struct rec_lease lease; (lease = fixture_assigned(fixture, 1)).run_id; expect++) {
        first = first ? first : lease.run_id;
        assert_int_equal(lease.run_id, first + expect - 1);
    }
    assert_int_equal(expect, 10001);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wakes_its_own), cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_executors),     cmocka_unit_test(test_types_and_labels),
        cmocka_unit_test(test_spread),        cmocka_unit_test(test_fair),
        cmocka_unit_test(test_credit),        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_assignment),    cmocka_unit_test(test_many),
        cmocka_unit_test(test_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
