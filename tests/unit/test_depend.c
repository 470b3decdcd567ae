/* Tasks that wait for tasks: blocked, released, failed, triggered; cycles and strangers refused. */
#include "tests/unit/unit.h"

#include "tests/unit/core_fixture.h"

static const struct msg *create(struct fixture *fixture, const char *name, const char *const *on, uint32_t count,
                                struct str metadata)
{
    struct str names[8];
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "shell")};
    for (uint32_t i = 0; i < count; i++)
        names[i] = str_of(on[i]);
    create.spec.dependencies = (struct str_list){names, count};
    SET_HAS(&create.spec, rec_task_spec, dependencies);
    create.spec.retry_count = 0;
    SET_HAS(&create.spec, rec_task_spec, retry_count);
    if (metadata.len) {
        create.spec.metadata = metadata;
        SET_HAS(&create.spec, rec_task_spec, metadata);
    }
    return fixture_ask(fixture, &shape_msg_task_create, &create);
}

static uint64_t task_on(struct fixture *fixture, const char *name, const char *on, struct str metadata)
{
    const struct msg *answer = create(fixture, name, &on, on ? 1 : 0, metadata);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    return answer->u.task_answer.task.id;
}

static uint64_t status(struct fixture *fixture, uint64_t run)
{
    struct rec_run record;
    assert_true(fixture_run(fixture, run, &record));
    return record.status;
}

/* Runs what is assigned to worker 1 and says how it went. */
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

static void test_blocked_and_released(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0}), b = task_on(fixture, "b", "a", (struct str){0});
    uint64_t run = fixture_trigger(fixture, b);
    char reason[64];
    snprintf(reason, sizeof reason, "waits for task %u (a)", (unsigned)a);
    assert_string_equal(fixture_reason(fixture, run), reason);
    fixture_rebuild(fixture);
    assert_string_equal(fixture_reason(fixture, run), reason);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    uint64_t first = fixture_trigger(fixture, a);
    assert_int_equal(work(fixture, OUTCOME_COMPLETED), first);
    assert_int_equal(work(fixture, OUTCOME_COMPLETED), run);
    /* A later run of b starts at once: a's newest run has completed. */
    uint64_t later = fixture_trigger(fixture, b);
    assert_int_equal(work(fixture, OUTCOME_COMPLETED), later);
    fixture_free(fixture);
}

static void test_failed_dependency(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    uint64_t fails = task_on(fixture, "fails", "a", (struct str){0});
    uint64_t waits = task_on(fixture, "waits", "a", fixture_map((const char *[]){"on_dependency_failure", "wait", NULL}));
    uint64_t ignores = task_on(fixture, "ignores", "a", fixture_map((const char *[]){"on_dependency_failure", "ignore", NULL}));
    uint64_t run_fails = fixture_trigger(fixture, fails), run_waits = fixture_trigger(fixture, waits);
    uint64_t run_ignores = fixture_trigger(fixture, ignores);
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_FAILED);
    assert_int_equal(status(fixture, run_fails), RUN_FAILED);
    assert_int_equal(status(fixture, run_waits), RUN_PENDING);
    struct rec_run record;
    fixture_run(fixture, run_fails, &record);
    assert_int_equal(record.attempt, 0);
    assert_true(str_is(record.error_message, "task 1 (a), which it waits for, has failed"));
    assert_int_equal(work(fixture, OUTCOME_COMPLETED), run_ignores);
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_COMPLETED);
    assert_int_equal(work(fixture, OUTCOME_COMPLETED), run_waits);
    fixture_free(fixture);
}

static void test_triggered_by_itself(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    task_on(fixture, "b", NULL, (struct str){0});
    const char *both[] = {"a", "2"}; /* by name and by id */
    uint64_t c = create(fixture, "c", both, 2, (struct str){0})->u.task_answer.task.id;
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_COMPLETED);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    fixture_jump(fixture, 5);
    fixture_trigger(fixture, 2);
    work(fixture, OUTCOME_COMPLETED);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3);
    struct rec_run record;
    fixture_jump(fixture, 5);
    assert_true(fixture_run(fixture, work(fixture, OUTCOME_COMPLETED), &record));
    assert_int_equal(record.task_id, c);
    /* Once, whatever happens to the scheduler; and again when both have completed again. */
    fixture_rebuild(fixture);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_wait(fixture, 2000);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3);
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_COMPLETED);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 4);
    fixture_trigger(fixture, 2);
    work(fixture, OUTCOME_COMPLETED);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 6);
    fixture_free(fixture);
}

/* What a run under way keeps from starting follows at its end, and not only after the next start of the scheduler. */
static void test_triggered_after_the_run_under_way(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    struct str forbid = fixture_map((const char *[]){"concurrency_policy", "forbid", NULL});
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    task_on(fixture, "b", "a", forbid);
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_COMPLETED);
    fixture_wait(fixture, 10);
    struct rec_lease first = fixture_begin(fixture, 1); /* of b */
    fixture_hello(fixture, 2, "w2", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, a);
    fixture_result(fixture, 2, fixture_begin(fixture, 2), OUTCOME_COMPLETED);
    fixture_wait(fixture, 10);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3);
    fixture_result(fixture, 1, first, OUTCOME_COMPLETED);
    fixture_wait(fixture, 10);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 4);
    fixture_free(fixture);
}

/* A one-shot task leaves memory with its last run, here in the middle of being looked at. */
static void test_failed_oneshot(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    struct str on = STR_LIT("a");
    struct rec_task task;
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_FAILED);
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("once", "shell")};
    submit.spec.dependencies = (struct str_list){&on, 1};
    SET_HAS(&submit.spec, rec_task_spec, dependencies);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_submit, &submit);
    assert_int_equal(answer->shape->id, MSG_RUN_ANSWER);
    uint64_t run = answer->u.run_answer.run.id, once = answer->u.run_answer.run.task_id;
    fixture_wait(fixture, 10);
    assert_int_equal(status(fixture, run), RUN_FAILED);
    assert_true(fixture_stored(fixture, TYPE_TASK, once, &task));
    assert_int_equal(task.status, TASK_FAILED);
    fixture_free(fixture);
}

/* A run that made itself and was aborted before it started does not come back with the next start of the scheduler. */
static void test_aborted_stays_aborted(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    task_on(fixture, "b", "a", (struct str){0});
    fixture_trigger(fixture, a);
    fixture_jump(fixture, 5);
    struct rec_lease lease = fixture_begin(fixture, 1);
    struct msg_drain drain = {0};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_drain, &drain);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    assert_int_equal(fixture_abort(fixture, lease.run_id + 1), 0);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 2000);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    fixture_free(fixture);
}

/* The scheduler dies between the end of a dependency and what follows from it. */
static void test_triggered_after_crash(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    task_on(fixture, "b", "a", (struct str){0});
    fixture_trigger(fixture, a);
    struct rec_lease lease = fixture_begin(fixture, 1);
    struct rec_outcome item = {.run_id = lease.run_id, .attempt = 1, .outcome = OUTCOME_COMPLETED};
    struct msg_result result = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_result, &result);
    journal_seal(fixture->journal); /* the end is on disk, and nothing else */
    fixture_rebuild(fixture);
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    fixture_free(fixture);
}

/* Runs that are blocked fill the queue, so that a task which would run by itself cannot: they are released all the same. */
static void test_full_of_blocked(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    uint64_t before = task_on(fixture, "before", "a", (struct str){0}), waits = task_on(fixture, "waits", "a", (struct str){0});
    uint64_t after = task_on(fixture, "after", "a", (struct str){0}), seen[8] = {0};
    fixture_trigger(fixture, a);
    for (int i = 0; i < 3; i++)
        fixture_trigger(fixture, waits);
    fixture->config.queue_max = 3;
    core_configure(fixture->core, &fixture->config);
    work(fixture, OUTCOME_COMPLETED);
    for (int i = 0; i < 5; i++) {
        struct rec_run run;
        fixture_wait(fixture, 20);
        assert_true(fixture_run(fixture, work(fixture, OUTCOME_COMPLETED), &run));
        seen[run.task_id]++;
    }
    assert_int_equal(seen[waits], 3);
    assert_int_equal(seen[before], 1);
    assert_int_equal(seen[after], 1);
    fixture_free(fixture);
}

/* What came first is told by events: the clock may stand still, or go back. */
static void test_clocks_do_not_count(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    task_on(fixture, "b", "a", (struct str){0});
    for (uint64_t round = 1; round <= 4; round++) {
        fixture_trigger(fixture, a);
        work(fixture, OUTCOME_COMPLETED);
        assert_int_equal(fixture->disk_count[TYPE_RUN], 2 * round); /* in the millisecond of what was before */
        work(fixture, OUTCOME_COMPLETED);
        if (round == 2)
            fixture->wall -= 3600000;
        if (round == 3)
            fixture_rebuild(fixture);
        if (round == 3)
            fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    }
    fixture_free(fixture);
}

/* Statistics of a version that had no numbers of events go by the times they have. */
static void test_statistics_without_events(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    struct rec_task_stat stat;
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0}), b = task_on(fixture, "b", "a", (struct str){0});
    fixture_trigger(fixture, a);
    work(fixture, OUTCOME_COMPLETED);
    work(fixture, OUTCOME_COMPLETED);
    for (uint64_t id = a; id <= b; id++) {
        struct buf bytes = {0};
        struct err err;
        assert_true(fixture_stored(fixture, TYPE_TASK_STAT, id, &stat));
        stat.begun_event = stat.completed_event = 0;
        stat.last_completed_at += id == a ? 10 : 0;
        assert_int_equal(rec_encode_task_stat(&bytes, &stat, &err), 0);
        for (size_t i = 0; i < fixture->disk_count[TYPE_TASK_STAT]; i++)
            if (fixture->disk[TYPE_TASK_STAT][i].id == id) {
                assert_true(bytes.len <= fixture->disk[TYPE_TASK_STAT][i].len); /* in its place */
                memcpy(fixture->disk[TYPE_TASK_STAT][i].bytes, bytes.data, bytes.len);
                fixture->disk[TYPE_TASK_STAT][i].len = (uint32_t)bytes.len;
            }
        buf_free(&bytes);
    }
    fixture_rebuild(fixture); /* a completed behind b's run, by the times */
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3);
    fixture_hello(fixture, 1, "w", "b2", "shell", 1, NULL, 0);
    work(fixture, OUTCOME_COMPLETED);
    fixture_rebuild(fixture); /* and not once more */
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3);
    fixture_free(fixture);
}

static const struct msg *depend_on(struct fixture *fixture, uint64_t id, const char *on)
{
    struct str name = str_of(on);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = id, .spec = {.dependencies = {&name, 1}}};
    SET_HAS(&update.spec, rec_task_spec, dependencies);
    return fixture_ask(fixture, &shape_msg_task_update, &update);
}

static void test_cycles(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0});
    task_on(fixture, "b", "a", (struct str){0});
    task_on(fixture, "c", "b", (struct str){0});
    const struct msg *answer = depend_on(fixture, a, "c");
    assert_int_equal(answer->u.error.code, ERR_INVALID);
    assert_true(str_is(answer->u.error.rule, "cycle"));
    assert_true(str_is(answer->u.error.field, "dependencies"));
    assert_true(str_is(answer->u.error.text, "the dependencies go round in a circle: a -> c -> b -> a"));
    answer = depend_on(fixture, a, "a");
    assert_true(str_is(answer->u.error.rule, "cycle"));
    const char *self[] = {"self"}, *nobody[] = {"nobody"};
    assert_true(str_is(create(fixture, "self", self, 1, (struct str){0})->u.error.rule, "cycle"));
    answer = create(fixture, "d", nobody, 1, (struct str){0});
    assert_true(str_is(answer->u.error.rule, "unknown_dependency"));
    assert_true(str_is(answer->u.error.value, "nobody"));
    assert_int_equal(fixture->disk_count[TYPE_TASK], 3);
    fixture_free(fixture);
}

static void test_dependency_deleted(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm();
    uint64_t a = task_on(fixture, "a", NULL, (struct str){0}), b = task_on(fixture, "b", "a", (struct str){0});
    uint64_t run = fixture_trigger(fixture, b);
    struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = a};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_delete, &delete);
    assert_true(str_is(answer->u.error.rule, "dependents"));
    delete = (struct msg_task_delete){.idem = fixture_key(fixture), .id = a, .force = true};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_delete, &delete)->shape->id, MSG_DONE);
    assert_int_equal(work(fixture, OUTCOME_COMPLETED), run); /* it holds nobody any more */
    fixture_free(fixture);
}

/* New dependencies block runs that wait already; dropping them lets the runs go on. */
static void test_updated(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    task_on(fixture, "a", NULL, (struct str){0});
    uint64_t b = task_on(fixture, "b", NULL, (struct str){0}), run = fixture_trigger(fixture, b);
    assert_int_equal(depend_on(fixture, b, "a")->shape->id, MSG_TASK_ANSWER);
    assert_string_equal(fixture_reason(fixture, run), "waits for task 1 (a)");
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = b};
    SET_HAS(&update.spec, rec_task_spec, dependencies);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->shape->id, MSG_TASK_ANSWER);
    assert_string_equal(fixture_reason(fixture, run), "no worker serves type shell");
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocked_and_released),
        cmocka_unit_test(test_failed_dependency),
        cmocka_unit_test(test_triggered_by_itself),
        cmocka_unit_test(test_triggered_after_crash),
        cmocka_unit_test(test_triggered_after_the_run_under_way),
        cmocka_unit_test(test_aborted_stays_aborted),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_dependency_deleted),
        cmocka_unit_test(test_updated),
        cmocka_unit_test(test_failed_oneshot),
        cmocka_unit_test(test_full_of_blocked),
        cmocka_unit_test(test_clocks_do_not_count),
        cmocka_unit_test(test_statistics_without_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
