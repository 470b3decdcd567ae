/* Commands about tasks: what is refused and how it says so, what is stored, pause, update, delete. */
#include "tests/unit/unit.h"

#include "scheduler/core_state.h"
#include "tests/unit/core_fixture.h"

static const struct msg *create(struct fixture *fixture, const struct rec_task_spec *spec)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = *spec};
    return fixture_ask(fixture, &shape_msg_task_create, &create);
}

static void refused(const struct msg *answer, uint64_t code, const char *field, const char *rule)
{
    assert_int_equal(answer->shape->id, MSG_ERROR);
    if (answer->u.error.code != code || !str_is(answer->u.error.field, field) || !str_is(answer->u.error.rule, rule))
        fail_msg("%s %.*s %.*s: %.*s", error_code_name(answer->u.error.code), (int)answer->u.error.field.len,
                 answer->u.error.field.ptr, (int)answer->u.error.rule.len, answer->u.error.rule.ptr,
                 (int)answer->u.error.text.len, answer->u.error.text.ptr);
    assert_true(answer->u.error.text.len > 0);
}

static void test_defaults(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_task_spec spec = fixture_spec("one", "shell");
    const struct msg *answer = create(fixture, &spec);
    const struct rec_task_spec *is = &answer->u.task_answer.task.spec;
    assert_int_equal(is->priority, PRIORITY_NORMAL);
    assert_int_equal(is->retry_count, 3);
    assert_int_equal(is->timeout_seconds, 3600);
    for (size_t i = 0; i < shape_rec_task_spec.count; i++)
        assert_true(is->has >> shape_rec_task_spec.fields[i].key & 1);
    struct rec_task task;
    assert_true(fixture_stored(fixture, TYPE_TASK, 1, &task));
    assert_int_equal(task.spec.has, is->has);
    assert_int_equal(task.status, TASK_ACTIVE);
    assert_int_equal(fixture_count_events(fixture, "task.created"), 1);
    fixture_free(fixture);
}

static void test_refusals(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_task_spec good = fixture_spec("one", "shell"), spec = good;
    assert_int_equal(create(fixture, &good)->shape->id, MSG_TASK_ANSWER);
    refused(create(fixture, &good), ERR_CONFLICT, "name", "unique");
    spec = fixture_spec(NULL, "shell");
    refused(create(fixture, &spec), ERR_INVALID, "name", "required");
    spec = fixture_spec("two", "shell");
    CLEAR_HAS(&spec, rec_task_spec, command);
    spec.command = (struct str){0};
    refused(create(fixture, &spec), ERR_INVALID, "command", "required");
    spec = fixture_spec("two", "shell");
    spec.executor = STR_LIT("magic");
    refused(create(fixture, &spec), ERR_INVALID, "executor", "unknown_executor");
    spec = fixture_spec("two", "shell");
    spec.cwd = STR_LIT("relative");
    SET_HAS(&spec, rec_task_spec, cwd);
    refused(create(fixture, &spec), ERR_INVALID, "cwd", "absolute");
    spec = fixture_spec("two", "shell");
    spec.env = (struct str){"\x81\xa1"
                            "a\x05",
                            4};
    SET_HAS(&spec, rec_task_spec, env);
    refused(create(fixture, &spec), ERR_INVALID, "env", "text_map");
    spec = fixture_spec("two", "shell");
    spec.metadata = fixture_map((const char *[]){"catchup", "maybe", NULL});
    SET_HAS(&spec, rec_task_spec, metadata);
    refused(create(fixture, &spec), ERR_INVALID, "metadata.catchup", "enum");
    spec.metadata = (struct str){"\x81\xa8timezone\x05", 11}; /* {"timezone": 5} */
    refused(create(fixture, &spec), ERR_INVALID, "metadata.timezone", "type");
    const char *const bad[] = {"nonsense", "61 * * * *", "@at 2001-01-01T00:00:00Z", "0 0 31 2 *"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        spec = fixture_spec("two", "shell");
        spec.schedule = str_of(bad[i]);
        SET_HAS(&spec, rec_task_spec, schedule);
        refused(create(fixture, &spec), ERR_INVALID, "schedule", "schedule");
    }
    spec = fixture_spec("two", "shell");
    spec.schedule = STR_LIT("0 2 * * *");
    spec.metadata = fixture_map((const char *[]){"timezone", "Mars/Base", NULL});
    SET_HAS(&spec, rec_task_spec, schedule);
    SET_HAS(&spec, rec_task_spec, metadata);
    refused(create(fixture, &spec), ERR_INVALID, "metadata.timezone", "format");
    assert_int_equal(fixture->disk_count[TYPE_TASK], 1);
    assert_int_equal(fixture_count_events(fixture, "task.created"), 1);
    fixture_free(fixture);
}

static void refused_env(struct fixture *fixture, struct str env)
{
    struct rec_task_spec spec = fixture_spec("two", "shell");
    spec.env = env;
    SET_HAS(&spec, rec_task_spec, env);
    const struct msg *answer = create(fixture, &spec);
    refused(answer, ERR_INVALID, "env", "format");
    assert_true(answer->u.error.expected.len > 0);
}

/* What no process can have in its environment is refused at once, not when the task runs. */
static void test_env(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    char longest[] = "\x81\xd9\xff", pairs[3 + 256 + 2];
    refused_env(fixture, fixture_map((const char *[]){"", "x", NULL}));
    refused_env(fixture, fixture_map((const char *[]){"FINE", "a=b", "A=B", "x", NULL}));
    refused_env(fixture, (struct str){"\x81\xa2\0A\xa1x", 6});
    refused_env(fixture, (struct str){"\x81\xa1"
                                      "A\xa2\0x",
                                      6});
    memset(pairs, 'N', sizeof pairs);
    memcpy(pairs, "\x81\xda\x01\x00", 4);
    memcpy(pairs + 4 + 255, "N\xa0", 2); /* a name of 256 bytes */
    refused_env(fixture, (struct str){pairs, sizeof pairs});
    pairs[3] = 'N';
    memcpy(pairs, longest, 3);
    pairs[3 + 255] = (char)0xa0;
    struct rec_task_spec spec = fixture_spec("longest", "shell");
    spec.env = (struct str){pairs, 3 + 255 + 1};
    SET_HAS(&spec, rec_task_spec, env);
    assert_int_equal(create(fixture, &spec)->shape->id, MSG_TASK_ANSWER);
    spec = fixture_spec("labels", "shell");
    spec.labels = (struct str){"\x81\xa1"
                               "a\x05",
                               4};
    SET_HAS(&spec, rec_task_spec, labels);
    refused(create(fixture, &spec), ERR_INVALID, "labels", "text_map");
    fixture_free(fixture);
}

/* A task of the executor http whose metadata is {"http": <http>}, in msgpack; the name is its own when it is taken. */
static const struct msg *create_http(struct fixture *fixture, const char *name, const char *http, size_t len)
{
    static char bytes[1024];
    struct rec_task_spec spec = fixture_spec(name, "http");
    memcpy(bytes, "\x81\xa4http", 6);
    memcpy(bytes + 6, http, len);
    spec.executor = STR_LIT("http");
    spec.metadata = (struct str){bytes, (uint32_t)(6 + len)};
    SET_HAS(&spec, rec_task_spec, metadata);
    return create(fixture, &spec);
}

#define HTTP(fixture, name, text) create_http(fixture, name, text, sizeof(text) - 1)
#define STATUS                                                                                                                   \
    "\x81\xaf"                                                                                                                   \
    "expected_status"

static void test_http(void **unused)
{
    (void)unused;
    static const char status[] = "metadata.http.expected_status", headers[] = "metadata.http.headers";
    struct fixture *fixture = fixture_ready();
    refused(HTTP(fixture, "bad", "\x05"), ERR_INVALID, "metadata.http", "object");
    refused(HTTP(fixture, "bad", "\xa4text"), ERR_INVALID, "metadata.http", "object");
    refused(HTTP(fixture, "bad", "\x81\xa7headers\x90"), ERR_INVALID, headers, "text_map");
    refused(HTTP(fixture, "bad", "\x81\xa7headers\x81\xa3X-A\x05"), ERR_INVALID, headers, "text_map");
    refused(HTTP(fixture, "bad",
                 "\x81\xa7headers\x81\xa3X-A\xa3"
                 "a\nb"),
            ERR_INVALID, headers, "format");
    refused(HTTP(fixture, "bad",
                 "\x81\xa7headers\x81\xa3X\rA\xa1"
                 "b"),
            ERR_INVALID, headers, "format");
    refused(HTTP(fixture, "bad",
                 STATUS "\xa3"
                        "200"),
            ERR_INVALID, status, "type");
    refused(HTTP(fixture, "bad", STATUS "\xcb\x40\x69\0\0\0\0\0\0"), ERR_INVALID, status, "type");
    refused(HTTP(fixture, "bad",
                 STATUS "\x81\xa1"
                        "a\x05"),
            ERR_INVALID, status, "type");
    refused(HTTP(fixture, "bad", STATUS "\x63"), ERR_INVALID, status, "range");
    refused(HTTP(fixture, "bad", STATUS "\xcd\x02\x58"), ERR_INVALID, status, "range");
    refused(HTTP(fixture, "bad", STATUS "\xff"), ERR_INVALID, status, "range");
    const struct msg *answer = HTTP(fixture, "bad", STATUS "\x92\xcc\xc8\x07");
    refused(answer, ERR_INVALID, status, "range");
    assert_true(str_is(answer->u.error.value, "7") && answer->u.error.expected.len > 0);
    refused(HTTP(fixture, "bad", STATUS "\x91\x90"), ERR_INVALID, status, "type");
    char many[17 + 3 + 33 * 2];
    memset(many, 0xcc, sizeof many); /* every item is 204, as cc cc */
    memcpy(many, STATUS "\xdc\x00\x21", 20);
    refused(create_http(fixture, "bad", many, sizeof many), ERR_INVALID, status, "items");
    const struct msg *const good[] = {
        HTTP(fixture, "nil", "\xc0"),
        HTTP(fixture, "empty", "\x80"),
        HTTP(fixture, "no headers",
             "\x82\xa7headers\xc0\xaf"
             "expected_status\xc0"),
        HTTP(fixture, "one", STATUS "\x64"),
        HTTP(fixture, "list", STATUS "\x92\xcc\xc8\xcd\x02\x57"),
        HTTP(fixture, "all",
             "\x82\xa7headers\x81\xa3X-A\xa1"
             "b\xa4"
             "body\x81\xa1"
             "a\x01"),
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(good[i]->shape->id, MSG_TASK_ANSWER);
    struct rec_task_spec spec = fixture_spec("not http", "shell");
    spec.metadata = fixture_map((const char *[]){"http", "mine", NULL});
    SET_HAS(&spec, rec_task_spec, metadata);
    assert_int_equal(create(fixture, &spec)->shape->id, MSG_TASK_ANSWER);
    fixture_free(fixture);
}

static void test_too_large(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    static char text[30000];
    struct str arguments[20];
    struct rec_task_spec spec = fixture_spec("large", "shell");
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < 20; i++)
        arguments[i] = (struct str){text, sizeof text};
    spec.arguments = (struct str_list){arguments, 20};
    SET_HAS(&spec, rec_task_spec, arguments);
    refused(create(fixture, &spec), ERR_INVALID, "spec", "size");
    spec.arguments.count = 10;
    assert_int_equal(create(fixture, &spec)->shape->id, MSG_TASK_ANSWER);
    assert_true(journal_writable(fixture->journal));
    fixture_free(fixture);
}

/* An executor that some worker has announced is known, also after a restart. */
static void test_announced_executor(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_task_spec spec = fixture_spec("one", "magic");
    struct str types[1] = {STR_LIT("magic")}, executors[1] = {STR_LIT("magic")};
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("w"),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("h"),
                              .task_types = {types, 1},
                              .executors = {executors, 1},
                              .slots = 1,
                              .credit = 1};
    spec.executor = STR_LIT("magic");
    refused(create(fixture, &spec), ERR_INVALID, "executor", "unknown_executor");
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    fixture_rebuild(fixture);
    assert_int_equal(create(fixture, &spec)->shape->id, MSG_TASK_ANSWER);
    fixture_free(fixture);
}

static void test_update(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = fixture_task(fixture, "one", "shell");
    fixture_task(fixture, "other", "shell");
    uint64_t run = fixture_trigger(fixture, id);
    struct msg_task_update update = {
        .idem = fixture_key(fixture),
        .id = id,
        .spec = {.name = STR_LIT("renamed"), .task_type = STR_LIT("python"), .priority = PRIORITY_HIGH}};
    SET_HAS(&update.spec, rec_task_spec, name);
    SET_HAS(&update.spec, rec_task_spec, task_type);
    SET_HAS(&update.spec, rec_task_spec, priority);
    fixture_jump(fixture, 60000);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_update, &update);
    assert_true(str_is(answer->u.task_answer.task.spec.name, "renamed"));
    assert_true(str_is(answer->u.task_answer.task.spec.command, "true")); /* what was not given stays */
    assert_int_equal(answer->u.task_answer.task.updated_at - answer->u.task_answer.task.created_at, 60000);
    /* Its waiting run goes where the task goes now; its name is the one it was made with. */
    assert_string_equal(fixture_reason(fixture, run), "no worker serves type python");
    fixture_hello(fixture, 1, "w", "b", "python", 1, NULL, 0);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, run);
    struct rec_run record;
    fixture_run(fixture, run, &record);
    assert_true(str_is(record.task_name, "one"));
    update = (struct msg_task_update){.idem = fixture_key(fixture), .id = id, .spec = {.name = STR_LIT("other")}};
    SET_HAS(&update.spec, rec_task_spec, name);
    refused(fixture_ask(fixture, &shape_msg_task_update, &update), ERR_CONFLICT, "name", "unique");
    update.idem = fixture_key(fixture);
    update.id = 77;
    refused(fixture_ask(fixture, &shape_msg_task_update, &update), ERR_NOT_FOUND, "id", "not_found");
    /* The old name is free again. */
    fixture_task(fixture, "one", "shell");
    fixture_rebuild(fixture);
    fixture_free(fixture);
}

static const struct msg *pause_task(struct fixture *fixture, uint64_t id, bool paused)
{
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = id, .paused = paused};
    return fixture_ask(fixture, &shape_msg_task_pause, &pause);
}

static void test_pause(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = fixture_task(fixture, "one", "shell"), run = fixture_trigger(fixture, id);
    assert_int_equal(pause_task(fixture, id, true)->u.task_answer.task.status, TASK_PAUSED);
    uint64_t later = fixture_trigger(fixture, id);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 1, "w", "b", "shell", 4, NULL, 0);
    assert_string_equal(fixture_reason(fixture, run), "paused");
    assert_string_equal(fixture_reason(fixture, later), "paused");
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    assert_int_equal(pause_task(fixture, id, true)->u.task_answer.task.status, TASK_PAUSED); /* again */
    assert_int_equal(pause_task(fixture, id, false)->u.task_answer.task.status, TASK_ACTIVE);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, run);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, later);
    fixture_free(fixture);
}

/* A one-shot task that has ended is brought back by a command, and leaves again as ended as it was. */
static void test_pause_ended_oneshot(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("once", "shell")};
    struct msg_task_pause pause = {.id = 1};
    SET_HAS(&pause, msg_task_pause, known);
    SET_HAS(&pause, msg_task_pause, known_stat);
    fixture_ask(fixture, &shape_msg_run_submit, &submit);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    const bool steps[] = {false, true, false}; /* resumed as it is; paused; resumed */
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_true(fixture_stored(fixture, TYPE_TASK, 1, &pause.known));
        assert_true(fixture_stored(fixture, TYPE_TASK_STAT, 1, &pause.known_stat));
        pause.idem = fixture_key(fixture);
        pause.paused = steps[i];
        assert_int_equal(fixture_ask(fixture, &shape_msg_task_pause, &pause)->u.task_answer.task.status,
                         steps[i] ? TASK_PAUSED : TASK_COMPLETED);
        assert_int_equal(fixture->core->tasks.count, steps[i] ? 1 : 0);
    }
    fixture_free(fixture);
}

/* The name of an ended one-shot task is free again; both are read back when the first has come back meanwhile. */
static void test_oneshot_of_the_same_name(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("one", "shell")};
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = 1, .paused = true};
    fixture_ask(fixture, &shape_msg_run_submit, &submit);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    uint64_t other = fixture_task(fixture, "one", "shell");
    assert_true(fixture_stored(fixture, TYPE_TASK, 1, &pause.known));
    SET_HAS(&pause, msg_task_pause, known);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_pause, &pause)->shape->id, MSG_TASK_ANSWER);
    fixture_rebuild(fixture);
    fixture_trigger(fixture, 1);
    fixture_trigger(fixture, other);
    fixture_free(fixture);
}

static void test_oneshot_has_no_schedule(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("once", "shell")};
    fixture_ask(fixture, &shape_msg_run_submit, &submit);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = 1, .spec = {.schedule = STR_LIT("* * * * * *")}};
    update.spec.metadata = fixture_map((const char *[]){"concurrency_policy", "replace", NULL});
    SET_HAS(&update.spec, rec_task_spec, schedule);
    SET_HAS(&update.spec, rec_task_spec, metadata);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_update, &update);
    fixture_wait(fixture, 3000); /* the end of its only run would have taken the task away under the schedule */
    refused(answer, ERR_INVALID, "schedule", "schedule");
    fixture_free(fixture);
}

static void test_delete(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = fixture_task(fixture, "one", "shell");
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    uint64_t run = fixture_trigger(fixture, id);
    fixture_trigger(fixture, id);
    struct rec_lease lease = fixture_begin(fixture, 1);
    struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = id};
    refused(fixture_ask(fixture, &shape_msg_task_delete, &delete), ERR_CONFLICT, "id", "live_runs");
    delete = (struct msg_task_delete){.idem = fixture_key(fixture), .id = id, .force = true};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_delete, &delete)->u.done.id, id);
    assert_non_null(fixture_take(fixture, 1, MSG_CANCEL));
    assert_int_equal(fixture->disk_count[TYPE_TASK], 0);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0);
    assert_string_equal(fixture_reason(fixture, run), "");
    fixture_result(fixture, 1, lease, OUTCOME_ABORTED);
    assert_true(fixture_acked(fixture, 1, lease));
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0);
    delete.idem = fixture_key(fixture);
    refused(fixture_ask(fixture, &shape_msg_task_delete, &delete), ERR_NOT_FOUND, "id", "not_found");
    assert_int_equal(fixture_count_events(fixture, "task.deleted"), 1);
    fixture_task(fixture, "one", "shell"); /* the name is free */
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_announced_executor),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_pause_ended_oneshot),
        cmocka_unit_test(test_oneshot_has_no_schedule),
        cmocka_unit_test(test_oneshot_of_the_same_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
