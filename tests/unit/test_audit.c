/* The audit log: nothing is done over HTTP without its line, and a line says who. */
#include "tests/unit/unit.h"

#include "scheduler/core_state.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

static struct rec_idem signed_key(struct fixture *fixture, const char *who, const char *path)
{
    struct rec_idem idem = fixture_key(fixture);
    idem.by = (struct rec_audit_by){
        .kind = AUDIT_KEY, .who = str_of(who), .address = STR_LIT("192.0.2.7"), .method = STR_LIT("POST"), .path = str_of(path)};
    SET_HAS(&idem, rec_idem, by);
    return idem;
}

static size_t lines(struct fixture *fixture)
{
    return fixture->disk_count[TYPE_AUDIT];
}

static struct rec_audit line(struct fixture *fixture, uint64_t id)
{
    struct rec_audit line;
    assert_true(fixture_stored(fixture, TYPE_AUDIT, id, &line));
    return line;
}

static void test_done(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_task_create create = {.idem = signed_key(fixture, "ada", "/api/tasks"), .spec = fixture_spec("t", "shell")};
    uint64_t task = fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
    struct rec_audit first = line(fixture, 1);
    assert_true(str_is(first.who, "ada") && str_is(first.address, "192.0.2.7") && str_is(first.method, "POST"));
    assert_true(str_is(first.path, "/api/tasks"));
    assert_int_equal(first.kind, AUDIT_KEY);
    assert_int_equal(first.code, 0);
    assert_int_equal(first.target, task);
    assert_int_equal(first.at, fixture->wall);
    struct msg_run_trigger trigger = {.idem = signed_key(fixture, "ada", "/api/tasks/1/trigger"), .task_id = task};
    uint64_t run = fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
    assert_int_equal(line(fixture, 2).target, run);
    fixture_ask(fixture, &shape_msg_run_trigger, &trigger); /* its first answer again: nothing was done */
    assert_int_equal(lines(fixture), 2);
    fixture_rebuild(fixture);
    struct msg_run_abort abort = {.idem = signed_key(fixture, "bob", "/api/runs/1/abort"), .id = run};
    fixture_ask(fixture, &shape_msg_run_abort, &abort);
    assert_int_equal(lines(fixture), 3);
    assert_true(str_is(line(fixture, 3).who, "bob"));
    struct rec_trigger items[2] = {0};
    struct msg_run_trigger_batch batch = {
        .idem = signed_key(fixture, "bob", "/api/tasks/1/trigger-batch"), .task_id = task, .items = {items, 2}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch);
    assert_int_equal(line(fixture, 4).target, answer->u.run_batch_answer.run_ids.items[0]);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A refusal for good has a line with its cause; "come back later" has none. */
static void test_refused(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->config.queue_max = 1;
    fixture_start(fixture);
    uint64_t task = fixture_task(fixture, "t", "shell");
    struct msg_task_create create = {.idem = signed_key(fixture, "ada", "/api/tasks"), .spec = fixture_spec("t", "shell")};
    fixture_ask(fixture, &shape_msg_task_create, &create);
    assert_int_equal(lines(fixture), 1);
    assert_int_equal(line(fixture, 1).code, ERR_CONFLICT);
    assert_int_equal(line(fixture, 1).target, 0);
    fixture_trigger(fixture, task);
    struct msg_run_trigger trigger = {.idem = signed_key(fixture, "ada", "/x"), .task_id = task};
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.error.code, ERR_LIMIT);
    assert_int_equal(lines(fixture), 1);
    fixture_free(fixture);
}

/* Its line is in the batch of its effect: with that lost, both are. */
static void test_one_batch(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "t", "shell");
    fixture_hold(fixture, HOLD_BATCHES);
    struct msg_run_trigger trigger = {.idem = signed_key(fixture, "ada", "/x"), .task_id = task};
    fixture_send(fixture, DOOR_COMMANDS, 0, ++fixture->corr, &shape_msg_run_trigger, &trigger);
    fixture_settle(fixture);
    assert_int_equal(fixture->held_count, 1);
    fixture_rebuild(fixture);
    assert_int_equal(fixture->disk_count[TYPE_RUN] + lines(fixture), 0);
    fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    assert_int_equal(lines(fixture), 1);
    fixture_free(fixture);
}

/* Nobody on the workers' door signs for somebody else. */
static void test_other_door(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "t", "shell");
    struct msg_run_trigger trigger = {.idem = signed_key(fixture, "ada", "/x"), .task_id = task};
    fixture_send(fixture, DOOR_WORKERS, 5, ++fixture->corr, &shape_msg_run_trigger, &trigger);
    struct msg_audit_note note = {.by = trigger.idem.by};
    fixture_send(fixture, DOOR_WORKERS, 5, 0, &shape_msg_audit_note, &note);
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    assert_int_equal(lines(fixture), 0);
    fixture_free(fixture);
}

static void test_note(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_idem idem = signed_key(fixture, "", "/api/tasks");
    struct msg_audit_note note = {.by = idem.by, .request_id = STR_LIT("r1"), .more = 41};
    fixture_send(fixture, DOOR_COMMANDS, 0, 0, &shape_msg_audit_note, &note);
    fixture_settle(fixture);
    struct rec_audit noted = line(fixture, 1);
    assert_int_equal(noted.code, ERR_FORBIDDEN);
    assert_int_equal(noted.more, 41);
    assert_true(str_is(noted.request_id, "r1"));
    note.code = 0; /* the gantry command has done something, and waits until that is on disk */
    SET_HAS(&note, msg_audit_note, code);
    assert_int_equal(fixture_ask(fixture, &shape_msg_audit_note, &note)->shape->id, MSG_DONE);
    assert_int_equal(line(fixture, 2).code, 0);
    note.code = ERR_INVALID;
    fixture_send(fixture, DOOR_COMMANDS, 0, 0, &shape_msg_audit_note, &note);
    fixture_settle(fixture);
    assert_int_equal(line(fixture, 3).code, ERR_INVALID);
    fixture_store_away(fixture, true); /* soft: it is lost, and nothing else */
    fixture_send(fixture, DOOR_COMMANDS, 0, 0, &shape_msg_audit_note, &note);
    fixture_settle(fixture);
    fixture_store_away(fixture, false);
    assert_int_equal(lines(fixture), 3);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* The longest of everything fits what is reserved for it. */
static void test_longest(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    static char path[513], who[256];
    memset(path, 'p', 512);
    memset(who, 'w', 255);
    for (int i = 0; i < 200; i++) {
        struct msg_pool_put put = {.idem = signed_key(fixture, who, path), .name = STR_LIT("db"), .limit = 1};
        SET_HAS(&put, msg_pool_put, limit);
        fixture_send(fixture, DOOR_COMMANDS, 0, ++fixture->corr, &shape_msg_pool_put, &put);
    }
    fixture_settle(fixture);
    assert_false(journal_failed(fixture->journal));
    assert_int_equal(lines(fixture), 200);
    assert_int_equal(line(fixture, 200).path.len, 512);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done),       cmocka_unit_test(test_refused), cmocka_unit_test(test_one_batch),
        cmocka_unit_test(test_other_door), cmocka_unit_test(test_note),    cmocka_unit_test(test_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
