/* Schedules through the whole core, over weeks in which clocks are changed and over a year, beside the C library's idea of local time: each
 * due time gets one run and one entry of the ledger, at its minute, and nothing else does. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "scheduler/core_state.h"
#include "tests/unit/core_fixture.h"

#define MINUTE UINT64_C(60000)
#define DAY_MINUTES 1440

/* ---- the oracle: every minute by itself ---- */

struct rule {
    const char *schedule;
    bool elapsed; /* follows elapsed time; else each wall time counts once, and a skipped one behind the gap */
    bool (*matches)(int hour, int minute);
};

static bool each_hour(int hour, int minute)
{
    (void)hour;
    return minute == 0;
}

static bool half_past_two(int hour, int minute)
{
    return hour == 2 && minute == 30;
}

static bool quarters_at_night(int hour, int minute)
{
    return hour >= 1 && hour <= 3 && minute % 15 == 0;
}

static bool even_hours(int hour, int minute)
{
    return hour % 2 == 0 && minute == 0;
}

static bool midnight(int hour, int minute)
{
    return hour == 0 && minute == 0;
}

static bool around_midnight(int hour, int minute)
{
    return (hour == 0 || hour == 23) && minute % 20 == 5;
}

static const struct rule rules[] = {
    {"30 2 * * *", false, half_past_two}, {"@hourly", true, each_hour}, {"*/15 1-3 * * *", false, quarters_at_night},
    {"0 */2 * * *", true, even_hours},    {"@daily", false, midnight},  {"5/20 0,23 * * *", false, around_midnight},
};

static void zone_use(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

/* Minutes since 1970 that a wall clock shows, as if that were UTC. */
static int64_t wall_minute(uint64_t minute)
{
    struct tm tm;
    time_t at = (time_t)(minute * 60);
    assert_non_null(localtime_r(&at, &tm));
    return (int64_t)minute + tm.tm_gmtoff / 60;
}

static bool matches(const struct rule *rule, int64_t wall)
{
    int minute = (int)(wall % DAY_MINUTES);
    return rule->matches(minute / 60, minute % 60);
}

/* Due minutes in (start, end]; how many. */
static size_t oracle(const struct rule *rule, uint64_t start, uint64_t end, uint64_t *due)
{
    size_t count = 0;
    int64_t shown = INT64_MIN; /* the latest wall time so far */
    for (uint64_t minute = start - 2 * DAY_MINUTES; minute <= end; minute++) {
        int64_t wall = wall_minute(minute);
        bool is_due = rule->elapsed && matches(rule, wall);
        for (int64_t passed = shown + 1; !rule->elapsed && shown != INT64_MIN && passed <= wall && !is_due; passed++)
            is_due = matches(rule, passed);
        if (wall > shown)
            shown = wall;
        if (is_due && minute > start)
            due[count++] = minute;
    }
    return count;
}

/* ---- the core ---- */

static uint64_t scheduled(struct fixture *fixture, const char *zone, const struct rule *rule)
{
    char name[100];
    snprintf(name, sizeof name, "%s %s", zone, rule->schedule);
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "shell")};
    create.spec.schedule = str_of(rule->schedule);
    create.spec.metadata = fixture_map((const char *[]){"timezone", zone, NULL});
    SET_HAS(&create.spec, rec_task_spec, schedule);
    SET_HAS(&create.spec, rec_task_spec, metadata);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_create, &create);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    return answer->u.task_answer.task.id;
}

static struct fixture *begin(uint64_t start)
{
    struct fixture *fixture = fixture_new();
    fixture->wall = start * MINUTE;
    fixture->config.events_max = 1000;
    fixture->config.keys_max = 1000;
    fixture_start(fixture);
    return fixture;
}

/* From due time to due time; now and then the scheduler is another one. */
static void pass(struct fixture *fixture, uint64_t end)
{
    for (unsigned turns = 1;; turns++) {
        const struct heap_node *top = heap_top(&fixture->core->schedules);
        assert_non_null(top);
        if ((uint64_t)top->key > end * MINUTE)
            return;
        fixture_jump(fixture, (uint64_t)top->key - fixture->wall);
        core_renew_leases(fixture->core);
        core_tick(fixture->core);
        fixture_settle(fixture);
        if (turns % 400 == 0)
            fixture_rebuild(fixture);
    }
}

/* The ledger of a task is what the oracle says, and so are its runs. */
static void check(struct fixture *fixture, uint64_t task, const char *what, const uint64_t *due, size_t count)
{
    struct rec_task_stat stat;
    size_t at = 0;
    for (size_t i = 0; i < fixture->disk_count[TYPE_FIRE]; i++) {
        struct rec_fire fire;
        struct rec_run run;
        assert_true(fixture_stored(fixture, TYPE_FIRE, fixture->disk[TYPE_FIRE][i].id, &fire));
        if (fire.task_id != task)
            continue;
        if (at == count || fire.due_at != due[at] * MINUTE || fire.outcome != FIRE_RAN || fire.count != 1)
            fail_msg("%s: entry %zu is %s, due at %llu, expected %llu", what, at, fire_outcome_name(fire.outcome),
                     (unsigned long long)fire.due_at, at < count ? (unsigned long long)(due[at] * MINUTE) : 0);
        assert_true(fixture_run(fixture, fire.run_id, &run));
        assert_true(run.task_id == task && run.created_at == fire.due_at);
        at++;
    }
    if (at != count)
        fail_msg("%s: %zu entries, expected %zu", what, at, count);
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, task, &stat));
    assert_int_equal(stat.total, count);
}

static void check_zone(const char *zone, const struct rule *some, size_t some_count, uint64_t start, uint64_t end)
{
    struct fixture *fixture = begin(start);
    uint64_t *due = calloc(end - start + 1, sizeof *due), tasks[16];
    zone_use(zone);
    for (size_t i = 0; i < some_count; i++)
        tasks[i] = scheduled(fixture, zone, &some[i]);
    pass(fixture, end);
    for (size_t i = 0; i < some_count; i++) {
        char what[100];
        size_t count = oracle(&some[i], start, end, due);
        assert_true(count > 0);
        snprintf(what, sizeof what, "%s in %s", some[i].schedule, zone);
        check(fixture, tasks[i], what, due, count);
    }
    free(due);
    fixture_free(fixture);
}

static uint64_t minute_of(int year, int month, int day)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return (uint64_t)timegm(&tm) / 60;
}

static void test_weeks(void **unused)
{
    (void)unused;
    static const struct {
        const char *zone;
        int month, day; /* of 2026, the first of a week in which its clocks are changed */
    } rows[] = {
        {"Europe/Berlin", 3, 26},      {"Europe/Berlin", 10, 22},      {"America/New_York", 3, 5}, {"America/New_York", 10, 29},
        {"Australia/Lord_Howe", 4, 2}, {"Australia/Lord_Howe", 10, 1}, {"America/St_Johns", 3, 5}, {"America/St_Johns", 10, 29},
        {"Africa/Casablanca", 2, 12},  {"Africa/Casablanca", 3, 19},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t start = minute_of(2026, rows[i].month, rows[i].day);
        bool changes = false;
        zone_use(rows[i].zone);
        for (uint64_t day = 0; day < 7; day++)
            changes |= wall_minute(start + day * DAY_MINUTES) != wall_minute(start) + (int64_t)(day * DAY_MINUTES);
        assert_true(changes);
        check_zone(rows[i].zone, rules, sizeof rules / sizeof *rules, start, start + (uint64_t)7 * DAY_MINUTES);
    }
}

static void test_year(void **unused)
{
    (void)unused;
    static const char *const zones[] = {"UTC",
                                        "Europe/London",
                                        "Europe/Berlin",
                                        "America/New_York",
                                        "America/St_Johns",
                                        "America/Santiago",
                                        "Africa/Casablanca",
                                        "Asia/Kolkata",
                                        "Asia/Kathmandu",
                                        "Australia/Lord_Howe",
                                        "Pacific/Apia",
                                        "Pacific/Chatham",
                                        "Antarctica/Troll"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        check_zone(zones[i], &rules[1], 1, minute_of(2026, 1, 1), minute_of(2027, 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_weeks), cmocka_unit_test(test_year)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
