/* Schedules: due times, catching up after downtime, overlap, pause. */
#include "tests/unit/unit.h"

#include "tests/unit/core_fixture.h"

#define MINUTE UINT64_C(60000)

static uint64_t scheduled_as(struct fixture *fixture, const char *name, const char *schedule, const char *const *metadata)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "shell")};
    create.spec.schedule = str_of(schedule);
    SET_HAS(&create.spec, rec_task_spec, schedule);
    if (metadata) {
        create.spec.metadata = fixture_map(metadata);
        SET_HAS(&create.spec, rec_task_spec, metadata);
    }
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_create, &create);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    assert_true(answer->u.task_answer.stat.next_run_at > fixture->wall);
    return answer->u.task_answer.task.id;
}

static uint64_t scheduled(struct fixture *fixture, const char *schedule, const char *const *metadata)
{
    return scheduled_as(fixture, "cron", schedule, metadata);
}

static uint64_t next_run(struct fixture *fixture, uint64_t task)
{
    struct rec_task_stat stat;
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, task, &stat));
    return stat.next_run_at;
}

/* A fixture whose clock stands at the beginning of a minute. */
static struct fixture *on_the_minute(void)
{
    struct fixture *fixture = fixture_new();
    fixture->wall = UINT64_C(28333334) * MINUTE;
    fixture_start(fixture);
    return fixture;
}

static void test_fires(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t start = fixture->wall, task = scheduled(fixture, "*/5 * * * *", NULL);
    uint64_t due = (start / (5 * MINUTE) + 1) * 5 * MINUTE;
    assert_int_equal(next_run(fixture, task), due);
    fixture_wait(fixture, due - start - 1);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0);
    fixture_wait(fixture, 1);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    assert_int_equal(next_run(fixture, task), due + 5 * MINUTE);
    fixture_wait(fixture, 15 * MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 4);
    fixture_free(fixture);
}

static uint64_t after_downtime(const char *catchup)
{
    struct fixture *fixture = on_the_minute();
    const char *metadata[] = {"catchup", catchup, NULL};
    uint64_t task = scheduled(fixture, "* * * * *", catchup ? metadata : NULL);
    fixture_jump(fixture, 10 * MINUTE + 30000);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 1);
    uint64_t runs = fixture->disk_count[TYPE_RUN];
    assert_int_equal(next_run(fixture, task), (fixture->wall / MINUTE + 1) * MINUTE);
    fixture_wait(fixture, MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], runs + 1);
    fixture_free(fixture);
    return runs;
}

static void test_catchup(void **unused)
{
    (void)unused;
    assert_int_equal(after_downtime(NULL), 1);
    assert_int_equal(after_downtime("one"), 1);
    assert_int_equal(after_downtime("all"), 10);
    assert_int_equal(after_downtime("none"), 0);
}

static void test_catchup_bounded(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    scheduled(fixture, "* * * * *", (const char *[]){"catchup", "all", NULL});
    fixture_jump(fixture, 5000 * MINUTE);
    core_renew_leases(fixture->core);
    core_tick(fixture->core);
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1000);
    fixture_wait(fixture, 1000);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1000);
    fixture_free(fixture);
}

/* The bound is a task's own: one that is far behind takes nothing from another. */
static void test_catchup_of_many(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    const char *all[] = {"catchup", "all", NULL};
    uint64_t task = scheduled(fixture, "* * * * *", all), other = scheduled_as(fixture, "other", "* * * * *", all);
    fixture_jump(fixture, 600 * MINUTE);
    core_renew_leases(fixture->core);
    fixture_wait(fixture, 1000);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1200);
    assert_int_equal(next_run(fixture, task), (fixture->wall / MINUTE + 1) * MINUTE);
    assert_int_equal(next_run(fixture, other), next_run(fixture, task));
    fixture_free(fixture);
}

static void test_forbid(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t task = scheduled(fixture, "* * * * *", (const char *[]){"concurrency_policy", "forbid", NULL});
    fixture_wait(fixture, 3 * MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    assert_int_equal(next_run(fixture, task), (fixture->wall / MINUTE + 1) * MINUTE);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    fixture_wait(fixture, MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    fixture_free(fixture);
}

static void test_replace(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    struct rec_run run;
    scheduled(fixture, "* * * * *", (const char *[]){"concurrency_policy", "replace", NULL});
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    for (int i = 0; i < 12; i++) {
        fixture_wait(fixture, 5000);
        fixture_heartbeat(fixture, 1, NULL, 0);
    }
    struct rec_lease lease = fixture_begin(fixture, 1);
    for (int i = 0; i < 12; i++) {
        fixture_wait(fixture, 5000);
        fixture_heartbeat(fixture, 1, &lease, 1);
    }
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    fixture_run(fixture, lease.run_id, &run);
    assert_int_equal(run.status, RUN_ABORTED);
    assert_non_null(fixture_take(fixture, 1, MSG_CANCEL));
    fixture_free(fixture);
}

static void test_paused(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t task = scheduled(fixture, "* * * * *", NULL);
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = task, .paused = true};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_pause, &pause)->u.task_answer.stat.next_run_at, 0);
    fixture_wait(fixture, 3 * MINUTE);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 3 * MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0);
    pause = (struct msg_task_pause){.idem = fixture_key(fixture), .id = task};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_pause, &pause)->u.task_answer.stat.next_run_at,
                     (fixture->wall / MINUTE + 1) * MINUTE);
    fixture_wait(fixture, MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    fixture_free(fixture);
}

static void test_once(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    struct rec_task record;
    uint64_t task = scheduled(fixture, "@at 2030-01-01T00:00:00Z", NULL);
    fixture_jump(fixture, UINT64_C(1893456000000) - fixture->wall);
    core_renew_leases(fixture->core);
    fixture_wait(fixture, 1000);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    assert_int_equal(next_run(fixture, task), 0);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    fixture_stored(fixture, TYPE_TASK, task, &record);
    assert_int_equal(record.status, TASK_COMPLETED);
    fixture_wait(fixture, 5 * MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = task, .paused = true};
    fixture_ask(fixture, &shape_msg_task_pause, &pause);
    pause = (struct msg_task_pause){.idem = fixture_key(fixture), .id = task}; /* nothing is due: it is as done as before */
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_pause, &pause)->u.task_answer.task.status, TASK_COMPLETED);
    fixture_free(fixture);
}

static void test_schedule_changed(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t task = scheduled(fixture, "* * * * *", NULL);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = task, .spec = {.schedule = STR_LIT("@every 10m")}};
    SET_HAS(&update.spec, rec_task_spec, schedule);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_update, &update);
    assert_int_equal(answer->u.task_answer.stat.next_run_at, fixture->wall + 10 * MINUTE);
    update = (struct msg_task_update){.idem = fixture_key(fixture), .id = task};
    SET_HAS(&update.spec, rec_task_spec, schedule);
    answer = fixture_ask(fixture, &shape_msg_task_update, &update);
    assert_int_equal(answer->u.task_answer.stat.next_run_at, 0);
    fixture_wait(fixture, 20 * MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0);
    fixture_free(fixture);
}

/* A zone that this machine has lost keeps its own task from firing, not the farm from starting. */
/* A full queue keeps a schedule due: it is tried again now and then, not in every turn of a loop that never sleeps. */
static void test_no_room(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->wall = UINT64_C(28333334) * MINUTE;
    fixture->config.queue_max = 1;
    fixture_start(fixture);
    uint64_t task = scheduled(fixture, "* * * * *", NULL), other = fixture_task(fixture, "other", "shell");
    uint64_t run = fixture_trigger(fixture, other), due = next_run(fixture, task);
    fixture_jump(fixture, MINUTE);
    assert_in_range(core_tick(fixture->core), 50, 1000);
    fixture_settle(fixture);
    assert_int_equal(next_run(fixture, task), due);
    assert_int_equal(fixture_abort(fixture, run), 0);
    fixture_wait(fixture, 200);
    assert_true(next_run(fixture, task) > due);
    fixture_free(fixture);
}

static void test_lost_zone(void **unused)
{
    static const char *const berlin[] = {"timezone", "Europe/Berlin", NULL};
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t lost = scheduled_as(fixture, "lost", "* * * * *", berlin);
    uint64_t kept = scheduled_as(fixture, "kept", "* * * * *", NULL);
    struct stored *stored = &fixture->disk[TYPE_TASK][0];
    char *zone = memmem(stored->bytes, stored->len, "Europe/Berlin", 13);
    assert_int_equal(stored->id, lost);
    memcpy(zone, "Europe/Nobody", 13);
    fixture_rebuild(fixture);
    fixture_wait(fixture, MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    struct rec_run run;
    fixture_stored(fixture, TYPE_RUN, fixture->disk[TYPE_RUN][0].id, &run);
    assert_int_equal(run.task_id, kept);
    fixture_free(fixture);
}

/* ---- the wall clock is set ---- */

#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void test_clock_forward(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t held = fixture_trigger(fixture, fixture_task(fixture, "held", "shell"));
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, held);
    uint64_t task = scheduled(fixture, "0 * * * *", NULL);
    for (int i = 0; i < 3; i++) {
        uint64_t runs = fixture->disk_count[TYPE_RUN];
        fixture->wall += (const uint64_t[]){5 * HOUR, 40 * DAY, 3650 * DAY}[i];
        fixture_wait(fixture, 1000);
        assert_int_equal(fixture->disk_count[TYPE_RUN], runs + 1); /* made up once, as after downtime */
        assert_true(next_run(fixture, task) > fixture->wall && next_run(fixture, task) <= fixture->wall + HOUR);
        fixture_heartbeat(fixture, 1, &lease, 1);
        assert_false(fixture_refused(fixture, 1, lease));
    }
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    struct rec_run run;
    fixture_run(fixture, held, &run);
    assert_int_equal(run.attempts.count, 1);
    fixture_free(fixture);
}

/* The client that asked has not heard of it yet: its key lives on over a set clock and a restart, in whichever order they come. */
static void test_clock_forward_and_keys(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t task = fixture_task(fixture, "task", "shell");
    for (int i = 0; i < 3; i++) {
        struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
        uint64_t run = fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
        fixture->wall += i == 1 ? 0 : 3650 * DAY;
        fixture_wait(fixture, 1000);
        fixture->wall += i == 0 ? 0 : 3650 * DAY;
        fixture_rebuild(fixture);
        fixture_wait(fixture, 1000);
        const struct msg *again = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
        assert_int_equal(again->u.run_answer.run.id, run);
    }
    uint64_t kept = fixture->disk_count[TYPE_KEY];
    fixture_jump(fixture, fixture->config.keys_ms + MINUTE);
    fixture_wait(fixture, 1000);
    assert_true(fixture->disk_count[TYPE_KEY] < kept);
    fixture_free(fixture);
}

/* By an hour, as somebody's clock is corrected: what was due comes no second time. */
static void test_clock_back_a_little(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t task = scheduled(fixture, "*/30 * * * *", NULL);
    fixture_wait(fixture, HOUR);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    uint64_t next = next_run(fixture, task);
    fixture->wall -= HOUR;
    fixture_wait(fixture, HOUR);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    assert_int_equal(next_run(fixture, task), next);
    fixture_wait(fixture, 30 * MINUTE);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3);
    fixture_free(fixture);
}

static void back_far(bool restarted, const char *schedule, uint64_t by)
{
    struct fixture *fixture = on_the_minute();
    uint64_t task = scheduled(fixture, schedule, NULL);
    fixture->wall += by;
    fixture_wait(fixture, HOUR);
    uint64_t runs = fixture->disk_count[TYPE_RUN];
    assert_true(runs >= 1);
    fixture->wall -= by;
    if (restarted)
        fixture_rebuild(fixture);
    fixture_wait(fixture, 1000);
    assert_int_equal(fixture->disk_count[TYPE_RUN], runs);
    uint64_t next = next_run(fixture, task);
    assert_true(next > fixture->wall && next <= fixture->wall + HOUR);
    fixture_wait(fixture, next - fixture->wall);
    assert_int_equal(fixture->disk_count[TYPE_RUN], runs + 1);
    fixture_free(fixture);
}

/* It was wrong, and has been put right: nothing waits for that time to come again. */
static void test_clock_back_far(void **unused)
{
    (void)unused;
    for (int restarted = 0; restarted < 2; restarted++) {
        back_far(restarted, "*/20 * * * *", DAY);
        back_far(restarted, "*/20 * * * *", 3650 * DAY);
        back_far(restarted, "@every 30m", 3650 * DAY);
    }
}

static void test_clock_back_and_backoff(void **unused)
{
    (void)unused;
    for (int restarted = 0; restarted < 2; restarted++) {
        struct fixture *fixture = on_the_minute();
        struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("tried", "shell")};
        create.spec.retry_count = 3;
        SET_HAS(&create.spec, rec_task_spec, retry_count);
        uint64_t run = fixture_trigger(fixture, fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id);
        fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
        fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_FAILED);
        fixture->wall -= 30 * MINUTE;
        if (restarted) {
            fixture_rebuild(fixture);
            fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
        }
        for (uint64_t waited = 0; waited < fixture->config.retry_cap_ms + 1000; waited += 1000) {
            fixture_wait(fixture, 1000);
            fixture_heartbeat(fixture, 1, NULL, 0);
        }
        struct rec_run record;
        fixture_run(fixture, run, &record);
        assert_true(record.attempt >= 2); /* and not in half an hour */
        fixture_free(fixture);
    }
}

static void test_clock_back_and_order(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t task = fixture_task(fixture, "queued", "shell"), first = fixture_trigger(fixture, task);
    fixture->wall -= DAY;
    fixture_wait(fixture, 1000);
    fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, first);
    fixture_free(fixture);
}

static void test_clock_and_keys(void **unused)
{
    (void)unused;
    struct fixture *fixture = on_the_minute();
    uint64_t task = fixture_task(fixture, "once", "shell"), run = 0;
    for (int i = 0; i < 4; i++) {
        struct msg_run_trigger trigger = {.idem = fixture_key_of(99, 1), .task_id = task};
        const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
        assert_int_equal(answer->shape->id, MSG_RUN_ANSWER);
        assert_true(run == 0 || answer->u.run_answer.run.id == run);
        run = answer->u.run_answer.run.id;
        if (i % 2)
            fixture->wall -= 365 * DAY;
        else
            fixture->wall += 365 * DAY;
        fixture_wait(fixture, 10 * MINUTE);
    }
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_forward),
        cmocka_unit_test(test_clock_forward_and_keys),
        cmocka_unit_test(test_clock_back_a_little),
        cmocka_unit_test(test_clock_back_far),
        cmocka_unit_test(test_clock_back_and_backoff),
        cmocka_unit_test(test_clock_back_and_order),
        cmocka_unit_test(test_clock_and_keys),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_lost_zone),
        cmocka_unit_test(test_fires),
        cmocka_unit_test(test_catchup),
        cmocka_unit_test(test_catchup_bounded),
        cmocka_unit_test(test_catchup_of_many),
        cmocka_unit_test(test_forbid),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_schedule_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
