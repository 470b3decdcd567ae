/* Conditions of dependencies, and graphs that are large: chains, fans, layers. */
#include "tests/unit/unit.h"

#include "scheduler/edge.h"
#include "scheduler/task.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define LARGE 10000u
#define WIDE 1000u

static struct str metadata(const char *condition, const char *failure)
{
    const char *pairs[5] = {NULL};
    size_t at = 0;
    if (condition) {
        pairs[at++] = "dependency_condition";
        pairs[at++] = condition;
    }
    if (failure) {
        pairs[at++] = "on_dependency_failure";
        pairs[at++] = failure;
    }
    return at ? fixture_map(pairs) : (struct str){0};
}

static const struct msg *create(struct fixture *fixture, const char *name, const struct str *on, uint32_t count,
                                struct str conditions, struct str data)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "shell")};
    create.spec.dependencies = (struct str_list){(struct str *)(uintptr_t)on, count};
    SET_HAS(&create.spec, rec_task_spec, dependencies);
    SET_HAS(&create.spec, rec_task_spec, retry_count);
    if (conditions.len) {
        create.spec.dependency_conditions = conditions;
        SET_HAS(&create.spec, rec_task_spec, dependency_conditions);
    }
    if (data.len) {
        create.spec.metadata = data;
        SET_HAS(&create.spec, rec_task_spec, metadata);
    }
    return fixture_ask(fixture, &shape_msg_task_create, &create);
}

static uint64_t made(struct fixture *fixture, const char *name, const struct str *on, uint32_t count, struct str conditions,
                     struct str data)
{
    const struct msg *answer = create(fixture, name, on, count, conditions, data);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    return answer->u.task_answer.task.id;
}

static uint64_t plain(struct fixture *fixture, const char *name, const char *on)
{
    const struct str names[] = {str_of(on ? on : "")};
    return made(fixture, name, names, on ? 1 : 0, (struct str){0}, (struct str){0});
}

static uint64_t status(struct fixture *fixture, uint64_t run)
{
    struct rec_run record;
    assert_true(fixture_run(fixture, run, &record));
    return record.status;
}

static uint64_t work(struct fixture *fixture, enum outcome outcome)
{
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_result(fixture, 1, lease, outcome);
    return lease.run_id;
}

static struct fixture *farm(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    return fixture;
}

static void again(struct fixture *fixture)
{
    fixture_rebuild(fixture);
    core_check(fixture->core);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
}

/* What becomes of a run that waits for a run which ends so: every condition with every policy. */
static void test_conditions(void **unused)
{
    (void)unused;
    static const char *const conditions[] = {NULL, "success", "failure", "any"};
    static const char *const policies[] = {NULL, "fail", "wait", "ignore"};
    for (unsigned c = 0; c < 4; c++)
        for (unsigned p = 0; p < 4; p++)
            for (int completed = 0; completed < 2; completed++) {
                struct fixture *fixture = farm();
                uint64_t a = plain(fixture, "a", NULL);
                const struct str on = STR_LIT("a");
                uint64_t b = made(fixture, "b", &on, 1, (struct str){0}, metadata(conditions[c], policies[p]));
                uint64_t run = fixture_trigger(fixture, b);
                again(fixture);
                fixture_trigger(fixture, a);
                work(fixture, completed ? OUTCOME_COMPLETED : OUTCOME_FAILED);
                core_check(fixture->core);
                bool met = c == 3 || (c < 2) == (bool)completed || p == 3;
                if (met)
                    assert_int_equal(work(fixture, OUTCOME_COMPLETED), run);
                else
                    assert_int_equal(status(fixture, run), p == 2 ? RUN_PENDING : RUN_FAILED);
                struct rec_run record;
                fixture_run(fixture, run, &record);
                if (!met && p != 2)
                    assert_true(str_is(record.error_message, completed ? "task 1 (a), whose failure it waits for, has completed"
                                                                       : "task 1 (a), which it waits for, has failed"));
                fixture_free(fixture);
            }
}

/* An abort is an end without success. */
static void test_abort_is_failure(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = plain(fixture, "a", NULL);
    const struct str on = STR_LIT("a");
    uint64_t run = fixture_trigger(fixture, made(fixture, "b", &on, 1, (struct str){0}, metadata("failure", NULL)));
    uint64_t first = fixture_trigger(fixture, a);
    assert_int_equal(fixture_abort(fixture, first), 0);
    fixture_wait(fixture, 20);
    struct rec_lease lease = fixture_assigned(fixture, 1);
    if (lease.run_id == first) { /* it had been given out already */
        fixture_result(fixture, 1, lease, OUTCOME_ABORTED);
        lease = fixture_assigned(fixture, 1);
    }
    assert_int_equal(lease.run_id, run);
    fixture_free(fixture);
}

/* Single dependencies with conditions of their own, by name and by id. */
static void test_own_conditions(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = plain(fixture, "a", NULL), b = plain(fixture, "b", NULL);
    const struct str on[] = {STR_LIT("a"), STR_LIT("2"), STR_LIT("1")}; /* a twice: once counts */
    struct str own = fixture_map((const char *[]){"b", "failure", NULL});
    uint64_t c = made(fixture, "c", on, 3, own, (struct str){0});
    struct rec_task task;
    assert_true(fixture_stored(fixture, TYPE_TASK, c, &task));
    assert_int_equal(task.dependency_ids.count, 2);
    assert_int_equal(task.dependency_whens.count, 2);
    assert_int_equal(task.dependency_whens.items[0], WHEN_DEFAULT);
    assert_int_equal(task.dependency_whens.items[1], WHEN_FAILURE);
    uint64_t run = fixture_trigger(fixture, c);
    again(fixture);
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_COMPLETED);
    assert_string_equal(fixture_reason(fixture, run), "waits for task 2 (b)");
    fixture_trigger(fixture, b);
    work(fixture, OUTCOME_FAILED);
    assert_int_equal(work(fixture, OUTCOME_COMPLETED), run);
    /* By itself: when both have ended so again, also over a start of the scheduler. */
    fixture_trigger(fixture, b);
    work(fixture, OUTCOME_FAILED);
    again(fixture);
    size_t runs = fixture->disk_count[TYPE_RUN];
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_COMPLETED);
    assert_int_equal(fixture->disk_count[TYPE_RUN], runs + 2);
    /* Other dependencies bring other conditions; none, none. */
    struct str only = STR_LIT("a");
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = c, .spec = {.dependencies = {&only, 1}}};
    SET_HAS(&update.spec, rec_task_spec, dependencies);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_update, &update);
    assert_true(answer->u.task_answer.task.spec.dependency_conditions.len <= 1);
    assert_int_equal(answer->u.task_answer.task.dependency_whens.count, 0);
    /* And they can be changed alone. */
    update = (struct msg_task_update){.idem = fixture_key(fixture), .id = c};
    update.spec.dependency_conditions = fixture_map((const char *[]){"1", "any", NULL});
    SET_HAS(&update.spec, rec_task_spec, dependency_conditions);
    answer = fixture_ask(fixture, &shape_msg_task_update, &update);
    assert_int_equal(answer->u.task_answer.task.dependency_whens.items[0], WHEN_ANY);
    core_check(fixture->core);
    fixture_free(fixture);
}

static const struct msg *depend_on(struct fixture *fixture, uint64_t id, const char *on, struct str own)
{
    struct str name = str_of(on);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = id, .spec = {.dependencies = {&name, 1}}};
    SET_HAS(&update.spec, rec_task_spec, dependencies);
    if (own.len) {
        update.spec.dependency_conditions = own;
        SET_HAS(&update.spec, rec_task_spec, dependency_conditions);
    }
    return fixture_ask(fixture, &shape_msg_task_update, &update);
}

static void expect_on(const struct msg *answer, uint64_t on, const char *shown, uint64_t when)
{
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    const struct rec_task *task = &answer->u.task_answer.task;
    assert_int_equal(task->dependency_ids.count, 1);
    assert_int_equal(task->dependency_ids.items[0], on);
    assert_true(str_is(task->spec.dependencies.items[0], shown));
    assert_int_equal(task->dependency_whens.count, when ? 1 : 0);
    if (when)
        assert_int_equal(task->dependency_whens.items[0], when);
}

/* Who waits for a task does so by its id: under another name, while another task has the old one, and when it is gone. */
static void test_renamed(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    const struct str on = STR_LIT("a");
    uint64_t a = plain(fixture, "a", NULL), b = made(fixture, "b", &on, 1, (struct str){0}, (struct str){0});
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = a, .spec = {.name = STR_LIT("new a")}};
    SET_HAS(&update.spec, rec_task_spec, name);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->shape->id, MSG_TASK_ANSWER);
    uint64_t other = plain(fixture, "a", NULL);
    update = (struct msg_task_update){.idem = fixture_key(fixture), .id = b, .spec = {.description = STR_LIT("waits")}};
    SET_HAS(&update.spec, rec_task_spec, description);
    expect_on(fixture_ask(fixture, &shape_msg_task_update, &update), a, "new a", 0);
    expect_on(depend_on(fixture, b, "new a", (struct str){0}), a, "new a", 0);
    /* A condition alone names it as it is called now. */
    update = (struct msg_task_update){.idem = fixture_key(fixture), .id = b};
    update.spec.dependency_conditions = fixture_map((const char *[]){"new a", "failure", NULL});
    SET_HAS(&update.spec, rec_task_spec, dependency_conditions);
    expect_on(fixture_ask(fixture, &shape_msg_task_update, &update), a, "new a", WHEN_FAILURE);
    again(fixture);
    /* Deleted, it stays by its id where it was, whatever another task is called, and is no task for anybody else. */
    struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = a, .force = true};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_delete, &delete)->shape->id, MSG_DONE);
    plain(fixture, "1", NULL);
    expect_on(depend_on(fixture, b, "1", fixture_map((const char *[]){"1", "any", NULL})), a, "1", WHEN_ANY);
    core_check(fixture->core);
    again(fixture);
    expect_on(depend_on(fixture, b, "1", (struct str){0}), a, "1", 0);
    expect_on(depend_on(fixture, other, "1", (struct str){0}), 4, "1", 0); /* the one of that name */
    assert_int_equal(depend_on(fixture, other, "99", (struct str){0})->shape->id, MSG_ERROR);
    expect_on(depend_on(fixture, b, "a", (struct str){0}), other, "a", 0);
    expect_on(depend_on(fixture, b, "1", (struct str){0}), 4, "1", 0);
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_refused_conditions(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    const struct str on[] = {STR_LIT("a")};
    plain(fixture, "a", NULL);
    plain(fixture, "b", NULL);
    const struct {
        struct str own, data;
        const char *field, *rule;
    } wrong[] = {
        {fixture_map((const char *[]){"a", "maybe", NULL}), {0}, "dependency_conditions.a", "enum"},
        {fixture_map((const char *[]){"b", "any", NULL}), {0}, "dependency_conditions.b", "dependency_condition"},
        {fixture_map((const char *[]){"nobody", "any", NULL}), {0}, "dependency_conditions.nobody", "dependency_condition"},
        {fixture_map((const char *[]){"a", "any", "1", "failure", NULL}), {0}, "dependency_conditions.1", "dependency_condition"},
        {{0}, metadata("never", NULL), "metadata.dependency_condition", "enum"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct msg *answer = create(fixture, "c", on, 1, wrong[i].own, wrong[i].data);
        assert_int_equal(answer->shape->id, MSG_ERROR);
        assert_int_equal(answer->u.error.code, ERR_INVALID);
        assert_true(str_is(answer->u.error.field, wrong[i].field));
        assert_true(str_is(answer->u.error.rule, wrong[i].rule));
    }
    assert_int_equal(fixture->disk_count[TYPE_TASK], 2);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A failure that is handled by a task of its own, every time. */
static void test_handler_of_failures(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = plain(fixture, "a", NULL);
    const struct str on = STR_LIT("a");
    uint64_t handler = made(fixture, "handler", &on, 1, (struct str){0}, metadata("failure", NULL));
    for (int round = 0; round < 4; round++) {
        size_t runs = fixture->disk_count[TYPE_RUN];
        fixture_trigger(fixture, a);
        work(fixture, round % 2 ? OUTCOME_COMPLETED : OUTCOME_FAILED);
        fixture_wait(fixture, 20);
        assert_int_equal(fixture->disk_count[TYPE_RUN], runs + (round % 2 ? 1 : 2));
        if (round % 2)
            continue;
        struct rec_run record;
        assert_true(fixture_run(fixture, work(fixture, OUTCOME_COMPLETED), &record));
        assert_int_equal(record.task_id, handler);
        again(fixture);
    }
    fixture_free(fixture);
}

/* ---- large graphs ---- */

static struct fixture *large(void)
{
    struct fixture *fixture = fixture_new();
    fixture->config.tasks_max = 4 * LARGE;
    fixture->letter_max = 256;
    fixture_start(fixture);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    return fixture;
}

static void name_of(char out[32], unsigned number)
{
    snprintf(out, 32, "t%u", number);
}

static void test_chain(void **unused)
{
    (void)unused;
    struct fixture *fixture = large();
    char name[32], before[32] = "";
    for (unsigned i = 1; i <= LARGE; i++) {
        name_of(name, i);
        assert_int_equal(plain(fixture, name, i > 1 ? before : NULL), i);
        memcpy(before, name, sizeof before);
    }
    /* Its ends may not meet: the path is named, shortened. */
    struct str last = str_of(name);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = 1, .spec = {.dependencies = {&last, 1}}};
    SET_HAS(&update.spec, rec_task_spec, dependencies);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_update, &update);
    assert_int_equal(answer->u.error.code, ERR_INVALID);
    assert_true(str_is(answer->u.error.rule, "cycle"));
    assert_true(str_is(answer->u.error.value, "t1 -> t10000 -> t9999 -> t9998 -> (9993 more) -> t4 -> t3 -> t2 -> t1"));
    /* A run of each is there, and all are released one by the other. */
    for (unsigned i = LARGE; i > 1; i--)
        fixture_trigger(fixture, i);
    core_check(fixture->core);
    again(fixture);
    fixture_trigger(fixture, 1);
    for (unsigned i = 1; i <= LARGE; i++) {
        struct rec_run record;
        assert_true(fixture_run(fixture, work(fixture, OUTCOME_COMPLETED), &record));
        assert_int_equal(record.task_id, i);
    }
    core_check(fixture->core);
    fixture_free(fixture);
}

/* One that all wait for; then some that wait for a thousand each; then one that waits for those. */
static void fan(bool runs)
{
    struct fixture *fixture = large();
    static char names[LARGE][32];
    static struct str on[WIDE];
    struct str gathers[LARGE / WIDE];
    uint64_t root = plain(fixture, "root", NULL);
    for (unsigned i = 0; i < LARGE; i++) {
        name_of(names[i], i);
        plain(fixture, names[i], "root");
    }
    for (unsigned g = 0; g < LARGE / WIDE; g++) {
        static char gather[LARGE / WIDE][32];
        for (unsigned i = 0; i < WIDE; i++)
            on[i] = str_of(names[g * WIDE + i]);
        snprintf(gather[g], sizeof gather[g], "gather%u", g);
        gathers[g] = str_of(gather[g]);
        made(fixture, gather[g], on, WIDE, (struct str){0}, (struct str){0});
    }
    uint64_t end = made(fixture, "end", gathers, LARGE / WIDE, (struct str){0}, (struct str){0});
    core_check(fixture->core);
    if (runs) {
        struct rec_run record = {0};
        uint64_t done = 0;
        fixture_trigger(fixture, root);
        for (; record.task_id != end; done++)
            assert_true(fixture_run(fixture, work(fixture, OUTCOME_COMPLETED), &record));
        assert_int_equal(done, 1 + LARGE + LARGE / WIDE + 1);
    }
    for (uint64_t id = end; !runs && id >= root; id--) {
        struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = id};
        assert_int_equal(fixture_ask(fixture, &shape_msg_task_delete, &delete)->shape->id, MSG_DONE);
    }
    core_check(fixture->core);
    fixture_free(fixture);
}

/* All run by themselves, once. */
static void test_fan(void **unused)
{
    (void)unused;
    fan(true);
}

/* They go, one after the other, from those that nobody waits for. */
static void test_fan_deleted(void **unused)
{
    (void)unused;
    fan(false);
}

/* A hundred layers of a hundred, each task waiting for all of the layer before: a million edges. */
static void test_layers(void **unused)
{
    (void)unused;
    enum { LAYERS = 100, EACH = 100 };
    struct fixture *fixture = large();
    static char names[2][EACH][32];
    struct str on[EACH];
    for (unsigned layer = 0; layer < LAYERS; layer++)
        for (unsigned i = 0; i < EACH; i++) {
            name_of(names[layer % 2][i], layer * EACH + i);
            for (unsigned k = 0; k < EACH; k++)
                on[k] = str_of(names[(layer + 1) % 2][k]);
            made(fixture, names[layer % 2][i], on, layer ? EACH : 0, (struct str){0}, (struct str){0});
        }
    core_check(fixture->core);
    struct str last = str_of(names[(LAYERS - 1) % 2][EACH - 1]);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = 1, .spec = {.dependencies = {&last, 1}}};
    SET_HAS(&update.spec, rec_task_spec, dependencies);
    assert_true(str_is(fixture_ask(fixture, &shape_msg_task_update, &update)->u.error.rule, "cycle"));
    for (unsigned i = 1; i <= EACH; i++)
        fixture_trigger(fixture, i);
    for (unsigned i = 1; i <= LAYERS * EACH; i++)
        work(fixture, OUTCOME_COMPLETED);
    struct rec_task_stat stat;
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, LAYERS * EACH, &stat));
    assert_int_equal(stat.completed, 1);
    assert_int_equal(fixture->disk_count[TYPE_RUN], LAYERS * EACH);
    core_check(fixture->core);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_abort_is_failure),
        cmocka_unit_test(test_own_conditions),
        cmocka_unit_test(test_renamed),
        cmocka_unit_test(test_refused_conditions),
        cmocka_unit_test(test_handler_of_failures),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_fan),
        cmocka_unit_test(test_fan_deleted),
        cmocka_unit_test(test_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
