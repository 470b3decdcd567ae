/* The ledger of schedules: each due time is told, once, with what came of it, whoever dies in between. */
#include "tests/unit/unit.h"

#include "tests/unit/core_fixture.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct fixture *fixture;

static void begin(void)
{
    fixture = fixture_new();
    fixture->wall = UINT64_C(28333334) * MINUTE;
    fixture_start(fixture);
}

static uint64_t scheduled(const char *name, const char *schedule, const char *const *metadata)
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
    return answer->u.task_answer.task.id;
}

#define META(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The n-th entry of the ledger. */
static struct rec_fire fire(size_t n)
{
    struct rec_fire record;
    assert_true(n < fixture->disk_count[TYPE_FIRE]);
    assert_true(fixture_stored(fixture, TYPE_FIRE, fixture->disk[TYPE_FIRE][n].id, &record));
    return record;
}

static void expect_ran(size_t n, uint64_t due, enum fire_reason late_for)
{
    struct rec_fire record = fire(n);
    struct rec_run run;
    assert_int_equal(record.outcome, late_for ? FIRE_LATE : FIRE_RAN);
    assert_int_equal(record.due_at, due);
    assert_int_equal(record.last_due_at, due);
    assert_int_equal(record.count, 1);
    assert_int_equal(record.reason, late_for);
    assert_true(fixture_run(fixture, record.run_id, &run));
    assert_int_equal(run.task_id, record.task_id);
}

static void expect_skipped(size_t n, uint64_t due, uint64_t last, uint64_t count, enum fire_reason reason)
{
    struct rec_fire record = fire(n);
    assert_int_equal(record.outcome, FIRE_SKIPPED);
    assert_int_equal(record.due_at, due);
    assert_int_equal(record.last_due_at, last);
    assert_int_equal(record.count, count);
    assert_int_equal(record.reason, reason);
    assert_int_equal(record.run_id, 0);
}

static size_t fires(void)
{
    return fixture->disk_count[TYPE_FIRE];
}

static size_t runs(void)
{
    return fixture->disk_count[TYPE_RUN];
}

static void down(uint64_t ms)
{
    fixture_jump(fixture, ms);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 1);
}

static void test_in_time(void **unused)
{
    (void)unused;
    begin();
    uint64_t start = fixture->wall, task = scheduled("a", "* * * * *", NULL);
    fixture_wait(fixture, 3 * MINUTE);
    assert_int_equal(fires(), 3);
    for (size_t i = 0; i < 3; i++) {
        expect_ran(i, start + (i + 1) * MINUTE, FIRE_IN_TIME);
        assert_int_equal(fire(i).task_id, task);
        assert_int_equal(fire(i).decided_at, start + (i + 1) * MINUTE);
    }
    fixture_free(fixture);
}

/* The newest one missed gets the run, and stands for those before it. */
static void test_catchup_one(void **unused)
{
    (void)unused;
    begin();
    uint64_t start = fixture->wall;
    scheduled("a", "* * * * *", NULL);
    down(10 * MINUTE + 30000);
    assert_int_equal(runs(), 1);
    assert_int_equal(fires(), 2);
    expect_skipped(0, start + MINUTE, start + 9 * MINUTE, 9, FIRE_CATCHUP_ONE);
    expect_ran(1, start + 10 * MINUTE, FIRE_MISSED);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 1);
    assert_int_equal(fires(), 2);
    fixture_wait(fixture, 29999);
    expect_ran(2, start + 11 * MINUTE, FIRE_IN_TIME);
    fixture_free(fixture);
}

static void test_catchup_none(void **unused)
{
    (void)unused;
    begin();
    uint64_t start = fixture->wall;
    scheduled("a", "* * * * *", META("catchup", "none"));
    down(10 * MINUTE + 30000);
    assert_int_equal(runs(), 0);
    assert_int_equal(fires(), 1);
    expect_skipped(0, start + MINUTE, start + 10 * MINUTE, 10, FIRE_CATCHUP_NONE);
    down(5 * MINUTE - 25000); /* five seconds behind the fifteenth: that one is not missed */
    assert_int_equal(runs(), 1);
    assert_int_equal(fires(), 3);
    expect_skipped(1, start + 11 * MINUTE, start + 14 * MINUTE, 4, FIRE_CATCHUP_NONE);
    expect_ran(2, start + 15 * MINUTE, FIRE_IN_TIME);
    fixture_free(fixture);
}

/* Each of them, in order, up to a number; the rest is told, also when the scheduler dies on the way. */
static void test_catchup_all(void **unused)
{
    (void)unused;
    for (int restarts = 0; restarts < 2; restarts++) {
        begin();
        fixture->config.queue_max = 400;
        fixture_rebuild(fixture);
        uint64_t start = fixture->wall;
        scheduled("a", "* * * * *", META("catchup", "all"));
        fixture_jump(fixture, 1500 * MINUTE + 30000);
        for (int round = 0; round < 4; round++) {
            if (restarts)
                fixture_rebuild(fixture);
            fixture_wait(fixture, 1000);
            assert_int_equal(runs(), round < 2 ? 400 * (round + 1) : 1000);
            for (size_t i = 0; i < runs(); i++) {
                struct rec_run run;
                fixture_run(fixture, fixture->disk[TYPE_RUN][i].id, &run);
                if (!run_status_final(run.status))
                    fixture_abort(fixture, run.id);
            }
        }
        assert_int_equal(fires(), 1001);
        for (size_t i = 0; i < 1000; i++)
            expect_ran(i, start + (i + 1) * MINUTE, fire(i).reason);
        expect_skipped(1000, start + 1001 * MINUTE, start + 1500 * MINUTE, 500, FIRE_CATCHUP_LIMIT);
        fixture_free(fixture);
    }
}

/* Those that are skipped one after the other are one entry that grows, however many there are. */
static void test_forbid(void **unused)
{
    (void)unused;
    begin();
    uint64_t start = fixture->wall;
    scheduled("a", "@every 1s", META("concurrency_policy", "forbid"));
    fixture_wait(fixture, 1000);
    expect_ran(0, start + 1000, FIRE_IN_TIME);
    fixture_wait(fixture, 500000);
    assert_int_equal(runs(), 1);
    assert_int_equal(fires(), 2);
    expect_skipped(1, start + 2000, start + 501000, 500, FIRE_OVERLAP);
    fixture_jump(fixture, UINT64_C(1000) * DAY); /* years of them */
    fixture_rebuild(fixture);
    fixture_wait(fixture, 1);
    assert_int_equal(fires(), 3);
    expect_skipped(2, start + 502000, fixture->wall - 1, (fixture->wall - start) / 1000 - 501, FIRE_OVERLAP);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    fixture_wait(fixture, 1000);
    assert_int_equal(fires(), 4);
    assert_int_equal(fire(3).outcome, FIRE_RAN);
    fixture_free(fixture);
}

static void test_replace(void **unused)
{
    (void)unused;
    begin();
    uint64_t start = fixture->wall;
    struct rec_run run;
    scheduled("a", "* * * * *", META("concurrency_policy", "replace", "catchup", "all"));
    fixture_wait(fixture, MINUTE);
    down(5 * MINUTE + 30000);
    assert_int_equal(runs(), 2);
    assert_int_equal(fires(), 3);
    expect_ran(0, start + MINUTE, FIRE_IN_TIME);
    expect_skipped(1, start + 2 * MINUTE, start + 5 * MINUTE, 4, FIRE_REPLACED);
    expect_ran(2, start + 6 * MINUTE, FIRE_MISSED);
    fixture_run(fixture, fire(0).run_id, &run);
    assert_int_equal(run.status, RUN_ABORTED);
    fixture_free(fixture);
}

/* A run goes on while there is no room for the one that would replace it. */
static void test_replace_without_room(void **unused)
{
    (void)unused;
    begin();
    fixture->config.queue_max = 1;
    fixture_rebuild(fixture);
    uint64_t start = fixture->wall;
    struct rec_run run;
    scheduled("a", "* * * * *", META("concurrency_policy", "replace"));
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    struct rec_lease lease = {0};
    for (int i = 0; i < 30; i++) {
        fixture_wait(fixture, 5000);
        fixture_heartbeat(fixture, 1, &lease, lease.run_id ? 1 : 0);
        if (!lease.run_id && runs() == 1) {
            lease = fixture_begin(fixture, 1);
            fixture_trigger(fixture, fixture_task(fixture, "other", "shell"));
        }
    }
    assert_int_equal(runs(), 2);
    fixture_run(fixture, lease.run_id, &run);
    assert_int_equal(run.status, RUN_RUNNING);
    assert_int_equal(fires(), 1);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    fixture_begin(fixture, 1);
    fixture_wait(fixture, 200);
    expect_ran(fires() - 1, start + 2 * MINUTE, FIRE_FULL);
    fixture_free(fixture);
}

static void pause_task(uint64_t task, bool paused)
{
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = task, .paused = paused};
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_pause, &pause)->shape->id, MSG_TASK_ANSWER);
}

static void test_paused(void **unused)
{
    (void)unused;
    begin();
    uint64_t start = fixture->wall, task = scheduled("a", "* * * * *", NULL);
    fixture_wait(fixture, 90000);
    pause_task(task, true);
    pause_task(task, true);
    down(3 * MINUTE);
    assert_int_equal(fires(), 1);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = task, .spec = {.schedule = STR_LIT("*/2 * * * *")}};
    SET_HAS(&update.spec, rec_task_spec, schedule);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->u.task_answer.stat.next_run_at, 0);
    assert_int_equal(fires(), 2);
    expect_skipped(1, start + 2 * MINUTE, start + 4 * MINUTE, 3, FIRE_PAUSED);
    fixture_wait(fixture, 4 * MINUTE);
    pause_task(task, false);
    assert_int_equal(fires(), 2);
    expect_skipped(1, start + 2 * MINUTE, start + 8 * MINUTE, 5, FIRE_PAUSED);
    fixture_wait(fixture, 2 * MINUTE);
    expect_ran(2, start + 10 * MINUTE, FIRE_IN_TIME);
    fixture_free(fixture);
}

/* A full farm keeps it due; what is skipped, is late or is overtaken by a new schedule says so. */
static void test_full(void **unused)
{
    (void)unused;
    begin();
    fixture->config.queue_max = 1;
    fixture_rebuild(fixture);
    uint64_t start = fixture->wall;
    scheduled("a", "* * * * *", NULL);
    scheduled("b", "*/2 * * * *", META("catchup", "none"));
    uint64_t changed = scheduled("c", "*/3 * * * *", NULL);
    uint64_t run = fixture_trigger(fixture, fixture_task(fixture, "other", "shell"));
    fixture_wait(fixture, 6 * MINUTE + 30000);
    assert_int_equal(fires(), 0);
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = changed, .spec = {.schedule = STR_LIT("@yearly")}};
    SET_HAS(&update.spec, rec_task_spec, schedule);
    fixture_ask(fixture, &shape_msg_task_update, &update);
    assert_int_equal(fires(), 1);
    assert_int_equal(fire(0).reason, FIRE_CHANGED);
    assert_true(fire(0).count >= 2);
    assert_int_equal(fixture_abort(fixture, run), 0);
    fixture_wait(fixture, 200);
    assert_int_equal(fires(), 4);
    expect_skipped(1, start + MINUTE, start + 5 * MINUTE, 5, FIRE_CATCHUP_ONE);
    expect_ran(2, start + 6 * MINUTE, FIRE_FULL);
    assert_int_equal(fire(3).outcome, FIRE_SKIPPED);
    assert_int_equal(fire(3).reason, FIRE_FULL); /* it stood behind the first one */
    fixture_free(fixture);
}

static void test_store_away(void **unused)
{
    (void)unused;
    begin();
    uint64_t start = fixture->wall;
    scheduled("a", "* * * * *", NULL);
    fixture_store_away(fixture, true);
    fixture_wait(fixture, 2 * MINUTE + 30000);
    fixture_store_away(fixture, false);
    fixture_wait(fixture, 200);
    assert_int_equal(fires(), 2);
    expect_skipped(0, start + MINUTE, start + MINUTE, 1, FIRE_CATCHUP_ONE);
    expect_ran(1, start + 2 * MINUTE, FIRE_STORE_AWAY);
    fixture_free(fixture);
}

/* The run, its entry and the next due time are in one batch: lost together, or kept together. */
static void test_dies_between(void **unused)
{
    (void)unused;
    for (int lost = 0; lost < 2; lost++) {
        begin();
        uint64_t start = fixture->wall;
        scheduled("a", "* * * * *", NULL);
        fixture_hold(fixture, lost ? HOLD_BATCHES : HOLD_ACKS);
        fixture_wait(fixture, MINUTE);
        assert_int_equal(runs(), lost ? 0 : 1);
        assert_int_equal(fires(), lost ? 0 : 1);
        fixture_rebuild(fixture);
        fixture_wait(fixture, 1);
        assert_int_equal(runs(), 1);
        assert_int_equal(fires(), 1);
        expect_ran(0, start + MINUTE, FIRE_IN_TIME);
        fixture_free(fixture);
    }
}

/* ~ is chosen by the name the task had at first, and stays there over a new name and a restart. */
static void test_spread_stays(void **unused)
{
    (void)unused;
    begin();
    uint64_t task = scheduled("first name", "~ ~ * * *", NULL);
    struct rec_task_stat stat;
    fixture_stored(fixture, TYPE_TASK_STAT, task, &stat);
    uint64_t due = stat.next_run_at;
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = task};
    update.spec = (struct rec_task_spec){.name = STR_LIT("second name"), .schedule = STR_LIT("~ ~ * * *")};
    SET_HAS(&update.spec, rec_task_spec, name);
    SET_HAS(&update.spec, rec_task_spec, schedule);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->u.task_answer.stat.next_run_at, due);
    fixture_rebuild(fixture);
    update.idem = fixture_key(fixture);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->u.task_answer.stat.next_run_at, due);
    struct msg_fire_times ask = {.schedule = STR_LIT("~ ~ * * *"), .name = STR_LIT("first name"), .count = 1};
    const struct msg *times = fixture_ask(fixture, &shape_msg_fire_times, &ask);
    assert_int_equal(times->u.fire_times_rows.times.items[0].at, due);
    fixture_free(fixture);
}

static void test_times(void **unused)
{
    (void)unused;
    begin();
    struct msg_fire_times ask = {
        .schedule = STR_LIT("30 2 * * *"), .timezone = STR_LIT("Europe/Berlin"), .after = UINT64_C(1711800000000), .count = 3};
    const struct msg_fire_times_rows *rows = &fixture_ask(fixture, &shape_msg_fire_times, &ask)->u.fire_times_rows;
    assert_int_equal(rows->times.count, 3);
    assert_int_equal(rows->times.items[0].at, UINT64_C(1711846800000)); /* 03:00, as 02:30 is skipped */
    assert_int_equal(rows->times.items[0].offset, 7200);
    assert_int_equal(rows->times.items[1].at, UINT64_C(1711931400000));
    assert_false(rows->end);
    ask = (struct msg_fire_times){.schedule = STR_LIT("@at 2099-01-01"), .count = 10};
    rows = &fixture_ask(fixture, &shape_msg_fire_times, &ask)->u.fire_times_rows;
    assert_int_equal(rows->times.count, 1);
    assert_true(rows->end);
    ask = (struct msg_fire_times){.schedule = STR_LIT("61 * * * *"), .count = 10};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_fire_times, &ask);
    assert_int_equal(answer->u.error.code, ERR_BAD_REQUEST);
    assert_true(str_is(answer->u.error.field, "schedule"));
    assert_true(str_is(answer->u.error.expected, "minute 0-59, *, 0~59, lists, ranges, steps"));
    ask = (struct msg_fire_times){.schedule = STR_LIT("@daily"), .timezone = STR_LIT("Mars/Base"), .count = 10};
    answer = fixture_ask(fixture, &shape_msg_fire_times, &ask);
    assert_int_equal(answer->u.error.code, ERR_BAD_REQUEST);
    assert_true(str_is(answer->u.error.field, "timezone"));
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_time),
        cmocka_unit_test(test_catchup_one),
        cmocka_unit_test(test_catchup_none),
        cmocka_unit_test(test_catchup_all),
        cmocka_unit_test(test_forbid),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_replace_without_room),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_store_away),
        cmocka_unit_test(test_dies_between),
        cmocka_unit_test(test_spread_stays),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
