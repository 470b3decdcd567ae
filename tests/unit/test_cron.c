/* Schedules: what they mean, in tables; zones by chance are held against Python in tests/tools/test_cron.py. */
#include "tests/unit/unit.h"

#include "proto/clock.h"
#include "proto/messages.h"
#include "scheduler/cron.h"

static uint64_t ms(const char *text)
{
    uint64_t at = 0;
    assert_int_equal(clock_parse_iso(text, strlen(text), &at), 0);
    return at;
}

struct row {
    const char *schedule, *zone, *after;
    const char *due[5]; /* in order; "none" for no more */
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = {0};
        struct cron *cron = cron_parse(str_of(rows[i].schedule), str_of(rows[i].zone), 1, &err);
        if (cron == NULL) {
            fail_msg("%s: %s", rows[i].schedule, err.text);
        }
        uint64_t anchor = ms(rows[i].after), at = anchor;
        for (int n = 0; n < 5 && rows[i].due[n] != NULL; n++) {
            char got[CLOCK_ISO_SIZE];
            at = cron_next(cron, at, anchor);
            uint64_t expected = strcmp(rows[i].due[n], "none") == 0 ? 0 : ms(rows[i].due[n]);
            if (at != expected) {
                fail_msg("%s in %s after %s: number %d is %s, expected %s", rows[i].schedule, rows[i].zone, rows[i].after, n,
                         clock_iso(at, 1, got), rows[i].due[n]);
            }
        }
        cron_free(cron);
    }
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof(rows)[0])

static void test_fields(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"* * * * *", "", "2024-01-01T00:00:00Z", {"2024-01-01T00:01:00Z", "2024-01-01T00:02:00Z"}},
        {"* * * * *", "", "2024-01-01T00:00:59.999Z", {"2024-01-01T00:01:00Z"}},
        {" \t0   12 * * *  ", "", "2024-01-01T12:00:00Z", {"2024-01-02T12:00:00Z"}},
        {"*/15 9-17 * * MON-FRI", "", "2024-01-05T17:31:00Z", {"2024-01-05T17:45:00Z", "2024-01-08T09:00:00Z"}},
        {"0 0 1 jan *", "", "2024-01-01T00:00:00Z", {"2025-01-01T00:00:00Z"}},
        {"5/20 * * * *",
         "",
         "2024-01-01T00:00:00Z",
         {"2024-01-01T00:05:00Z", "2024-01-01T00:25:00Z", "2024-01-01T00:45:00Z", "2024-01-01T01:05:00Z"}},
        {"10-20/5,40 3 * * *",
         "",
         "2024-01-01T03:15:00Z",
         {"2024-01-01T03:20:00Z", "2024-01-01T03:40:00Z", "2024-01-02T03:10:00Z"}},
        {"*/60 */24 * * *", "", "2024-01-01T00:00:00Z", {"2024-01-02T00:00:00Z"}},
        {"0 0 * * 0", "", "2024-01-01T00:00:00Z", {"2024-01-07T00:00:00Z"}},
        {"0 0 * * 7", "", "2024-01-01T00:00:00Z", {"2024-01-07T00:00:00Z"}},
        {"0 0 * * 5-7", "", "2024-01-01T00:00:00Z", {"2024-01-05T00:00:00Z", "2024-01-06T00:00:00Z", "2024-01-07T00:00:00Z"}},
        {"0 0 * * FRI-SUN", "", "2024-01-06T00:00:00Z", {"2024-01-07T00:00:00Z", "2024-01-12T00:00:00Z"}},
    };
    CHECK(rows);
}

static void test_seconds(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"*/20 * * * * *", "", "2024-01-01T00:00:00Z", {"2024-01-01T00:00:20Z", "2024-01-01T00:00:40Z", "2024-01-01T00:01:00Z"}},
        {"30 0 12 * * *", "", "2024-01-01T12:00:30Z", {"2024-01-02T12:00:30Z"}},
        {"59 59 23 31 12 *", "", "2024-01-01T00:00:00Z", {"2024-12-31T23:59:59Z", "2025-12-31T23:59:59Z"}},
    };
    CHECK(rows);
}

static void test_days(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* both restricted: either */
        {"0 0 13 * FRI",
         "",
         "2024-09-10T00:00:00Z",
         {"2024-09-13T00:00:00Z", "2024-09-20T00:00:00Z", "2024-09-27T00:00:00Z", "2024-10-04T00:00:00Z",
          "2024-10-11T00:00:00Z"}},
        /* one begins with a star: both */
        {"0 0 */10 * MON", "", "2024-01-01T00:00:00Z", {"2024-03-11T00:00:00Z", "2024-04-01T00:00:00Z"}},
        {"0 0 ? * WED", "", "2024-01-01T00:00:00Z", {"2024-01-03T00:00:00Z"}},
        {"0 0 15 * ?", "", "2024-01-01T00:00:00Z", {"2024-01-15T00:00:00Z"}},
        {"0 0 L * *", "", "2023-01-31T00:00:00Z", {"2023-02-28T00:00:00Z", "2023-03-31T00:00:00Z", "2023-04-30T00:00:00Z"}},
        {"0 0 L-1 2 *", "", "2023-06-01T00:00:00Z", {"2024-02-28T00:00:00Z", "2025-02-27T00:00:00Z"}},
        {"0 0 LW * *",
         "",
         "2024-03-01T00:00:00Z",
         {"2024-03-29T00:00:00Z", "2024-04-30T00:00:00Z", "2024-05-31T00:00:00Z", "2024-06-28T00:00:00Z"}},
        {"0 0 1W * *",
         "",
         "2024-05-15T00:00:00Z",
         {"2024-06-03T00:00:00Z", "2024-07-01T00:00:00Z", "2024-08-01T00:00:00Z", "2024-09-02T00:00:00Z"}},
        {"0 0 15W 6,9 *", "", "2024-01-01T00:00:00Z", {"2024-06-14T00:00:00Z", "2024-09-16T00:00:00Z"}},
        {"0 0 31W 3,4,5 *", "", "2024-01-01T00:00:00Z", {"2024-03-29T00:00:00Z", "2024-05-31T00:00:00Z"}},
        {"0 0 * * 5L", "", "2024-01-01T00:00:00Z", {"2024-01-26T00:00:00Z", "2024-02-23T00:00:00Z", "2024-03-29T00:00:00Z"}},
        {"0 0 * * TUE#2,SUNL",
         "",
         "2024-01-01T00:00:00Z",
         {"2024-01-09T00:00:00Z", "2024-01-28T00:00:00Z", "2024-02-13T00:00:00Z"}},
    };
    CHECK(rows);
}

static void test_rare(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0 0 29 2 *", "", "2096-03-01T00:00:00Z", {"2104-02-29T00:00:00Z"}},
        {"0 0 29 2 *", "Europe/Berlin", "2024-03-01T00:00:00Z", {"2028-02-28T23:00:00Z"}},
        {"* * 29 2 *", "Europe/Berlin", "2024-03-01T00:00:00Z", {"2028-02-28T23:00:00Z"}},
        {"0 0 * 2 MON#5", "", "2072-03-01T00:00:00Z", {"2112-02-29T00:00:00Z"}},
        {"0 0 31 2 *", "", "2024-01-01T00:00:00Z", {"none"}},
        /* by elapsed time, and only where the clock is set forward: the last Sunday of March, the third hour */
        {"* 2 2/22 * 3 7L", "Europe/Berlin", "2024-01-01T00:00:00Z", {"none"}},
        {"0 30 2/22 25-31 3 *", "Europe/Berlin", "2024-03-30T12:00:00Z", {"2025-03-25T01:30:00Z"}},
        {"* * 31 4,6,9,11 *", "America/New_York", "2024-01-01T00:00:00Z", {"none"}},
        {"0 0 1 1 *", "", "9999-06-01T00:00:00Z", {"none"}},
    };
    CHECK(rows);
}

static void test_macros(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"@yearly", "", "2024-01-01T00:00:00Z", {"2025-01-01T00:00:00Z"}},
        {"@annually", "", "2024-01-01T00:00:00Z", {"2025-01-01T00:00:00Z"}},
        {"@monthly", "", "2024-01-01T00:00:00Z", {"2024-02-01T00:00:00Z"}},
        {"@weekly", "", "2024-01-01T00:00:00Z", {"2024-01-07T00:00:00Z"}},
        {"@daily", "Asia/Tokyo", "2024-01-01T00:00:00Z", {"2024-01-01T15:00:00Z"}},
        {"@midnight", "", "2024-01-01T00:00:00Z", {"2024-01-02T00:00:00Z"}},
        {"@hourly", "", "2024-01-01T00:00:00Z", {"2024-01-01T01:00:00Z"}},
        {"@every 90s", "", "2024-01-01T00:00:00Z", {"2024-01-01T00:01:30Z", "2024-01-01T00:03:00Z"}},
        {"@every 1h30m", "", "2024-01-01T00:00:00Z", {"2024-01-01T01:30:00Z"}},
        {"@every 2d", "", "2024-01-01T00:00:00Z", {"2024-01-03T00:00:00Z"}},
        {"@at 2024-02-01T10:00:00Z", "", "2024-01-01T00:00:00Z", {"2024-02-01T10:00:00Z", "none"}},
        {"@at 2024-02-01T10:00:00+02:00", "Asia/Tokyo", "2024-01-01T00:00:00Z", {"2024-02-01T08:00:00Z"}},
        {"@at 2024-02-01T10:00:00", "Asia/Tokyo", "2024-01-01T00:00:00Z", {"2024-02-01T01:00:00Z"}},
        {"@at 2024-02-01 10:00", "", "2024-01-01T00:00:00Z", {"2024-02-01T10:00:00Z"}},
        {"@at 2024-02-01", "America/New_York", "2024-01-01T00:00:00Z", {"2024-02-01T05:00:00Z"}},
        {"@at 2024-03-31T02:30:00", "Europe/Berlin", "2024-01-01T00:00:00Z", {"2024-03-31T01:00:00Z"}},
        {"@at 2023-12-31T00:00:00Z", "", "2024-01-01T00:00:00Z", {"none"}},
    };
    CHECK(rows);
}

static void test_every_keeps_its_beat(void **state)
{
    (void)state;
    struct cron *cron = cron_parse(STR_LIT("@every 10s"), STR_LIT(""), 0, NULL);
    assert_non_null(cron);
    assert_int_equal(cron_next(cron, 123456, 3000), 133000);
    assert_int_equal(cron_next(cron, 133000, 3000), 143000);
    assert_int_equal(cron_next(cron, 1000, 3000), 13000); /* asked before it began */
    assert_false(cron_once(cron));
    cron_free(cron);
    cron = cron_parse(STR_LIT("@at 2024-02-01"), STR_LIT(""), 0, NULL);
    assert_true(cron_once(cron));
    cron_free(cron);
}

/* Vixie: fixed hours once for what is skipped or repeated, wildcards and steps by elapsed time. */
static void test_daylight_saving(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* spring: 02:00 to 03:00 is skipped at 2024-03-31T01:00Z */
        {"30 2 * * *", "Europe/Berlin", "2024-03-30T12:00:00Z", {"2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"}},
        {"*/10 2 * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", {"2024-03-31T01:00:00Z", "2024-04-01T00:00:00Z"}},
        {"30 2,3 * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", {"2024-03-31T01:00:00Z", "2024-03-31T01:30:00Z"}},
        {"0 2,3 * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", {"2024-03-31T01:00:00Z", "2024-04-01T00:00:00Z"}},
        {"30 * * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", {"2024-03-31T00:30:00Z", "2024-03-31T01:30:00Z"}},
        {"0 */2 * * *", "Europe/Berlin", "2024-03-30T22:00:00Z", {"2024-03-30T23:00:00Z", "2024-03-31T02:00:00Z"}},
        /* autumn: 02:00 to 03:00 comes twice, from 2024-10-27T00:00Z and from 01:00Z */
        {"30 2 * * *", "Europe/Berlin", "2024-10-26T12:00:00Z", {"2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"}},
        {"30 2 * * *", "Europe/Berlin", "2024-10-27T01:10:00Z", {"2024-10-28T01:30:00Z"}},
        {"*/30 2 * * *",
         "Europe/Berlin",
         "2024-10-26T12:00:00Z",
         {"2024-10-27T00:00:00Z", "2024-10-27T00:30:00Z", "2024-10-28T01:00:00Z"}},
        {"30 * * * *", "Europe/Berlin", "2024-10-27T00:00:00Z", {"2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"}},
        {"0 0-22/2 * * *",
         "Europe/Berlin",
         "2024-10-26T22:00:00Z",
         {"2024-10-27T00:00:00Z", "2024-10-27T01:00:00Z", "2024-10-27T03:00:00Z"}},
        /* half an hour, in the south */
        {"15 2 * * *", "Australia/Lord_Howe", "2024-10-05T00:00:00Z", {"2024-10-05T15:30:00Z", "2024-10-06T15:15:00Z"}},
        /* midnight is skipped */
        {"0 0 * * *", "America/Havana", "2024-03-09T12:00:00Z", {"2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"}},
        /* set back across midnight: the last hour of a day is shown again */
        {"*/30 * * * 6",
         "Asia/Beirut",
         "2026-10-24T20:30:00Z",
         {"2026-10-24T21:00:00Z", "2026-10-24T21:30:00Z", "2026-10-30T22:00:00Z"}},
        /* a whole day is skipped */
        {"0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", {"2011-12-30T10:00:00Z", "2012-12-29T19:00:00Z"}},
        /* beyond the file's table, by its rule */
        {"30 2 * * *", "Europe/Berlin", "2090-03-25T12:00:00Z", {"2090-03-26T01:00:00Z", "2090-03-27T00:30:00Z"}},
        {"30 2 * * *", "Europe/Berlin", "2090-10-28T12:00:00Z", {"2090-10-29T00:30:00Z", "2090-10-30T01:30:00Z"}},
    };
    CHECK(rows);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *schedule, *zone, *text;
    } rows[] = {
        {"", "", "0 fields"},
        {"* * * *", "", "4 fields"},
        {"* * * * * * *", "", "7 fields"},
        {"60 * * * *", "", "minute: \"60\""},
        {"* 24 * * *", "", "hour: \"24\""},
        {"* * 0 * *", "", "day of month: \"0\""},
        {"* * 32 * *", "", "day of month: \"32\""},
        {"* * * 13 *", "", "month: \"13\""},
        {"* * * FOO *", "", "month: \"FOO\""},
        {"* * * * 8", "", "day of week: \"8\""},
        {"60 * * * * *", "", "second: \"60\""},
        {"*/0 * * * *", "", "step"},
        {"*/90 * * * *", "", "@every 90m"},
        {"5-1 * * * *", "", "backwards"},
        {"1,,2 * * * *", "", "minute: \"\""},
        {"1, * * * *", "", "minute: \"\""},
        {"1-2-3 * * * *", "", "minute"},
        {"5~0 * * * *", "", "backwards"},
        {"0~60 * * * *", "", "minute: \"0~60\" is not in range"},
        {"0~5~9 * * * *", "", "cannot be read"},
        {"0~59/90 * * * *", "", "step"},
        {"*~5 * * * *", "", "cannot be read"},
        {"? ~ * * *", "", "minute: \"?\""},
        {"? * * * *", "", "minute: \"?\""},
        {"* * L-31 * *", "", "day of month: \"L-31\""},
        {"* * 15X * *", "", "day of month: \"15X\""},
        {"* * * * L", "", "day of week: \"L\""},
        {"* * * * MON#6", "", "day of week"},
        {"99999999999999999999 * * * *", "", "minute"},
        {"* * * * \xff\xfe", "", "day of week: \"??\""},
        {"@reboot", "", "@reboot is not known"},
        {"@daily x", "", "is not known"},
        {"@every", "", "duration"},
        {"@every 5", "", "duration"},
        {"@every 10x", "", "duration"},
        {"@every 0s", "", "duration"},
        {"@every s", "", "duration"},
        {"@every -5s", "", "duration"},
        {"@every 99999999999999999999s", "", "duration"},
        {"@at", "", "time like"},
        {"@at tomorrow", "", "time like"},
        {"@at 2024-13-01T00:00:00Z", "", "time like"},
        {"* * * * *", "Mars/Olympus", "time zone: Mars/Olympus"},
        {"* * * * *", "../../etc/passwd", "time zone"},
        {"* * * * *", "Europe/../Europe/Berlin", "time zone"},
        {"* * * * *", "/etc/localtime", "time zone"},
        {"* * * * *", "Europe", "time zone"},
        {"* * * * *", "Europe/", "time zone"},
        {"* * * * *", "localtime", "time zone"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        struct cron *cron = cron_parse(str_of(rows[i].schedule), str_of(rows[i].zone), 1, &err);
        if (cron != NULL || err.code != ERR_INVALID || strstr(err.text, rows[i].text) == NULL) {
            fail_msg("%s: expected a refusal with \"%s\", got \"%s\"", rows[i].schedule, rows[i].text, err.text);
        }
        assert_true(str_utf8(str_of(err.text)));
    }
}

/* What ~ stands for: a value of its range, the same for a name for ever, another one for another name. */
static void test_spread(void **state)
{
    (void)state;
    struct err err = {0};
    uint64_t minutes = 0, start = ms("2024-01-01T00:00:00Z");
    for (int i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof name, "task %d", i);
        uint64_t spread = cron_spread(str_of(name)), due[2];
        for (int again = 0; again < 2; again++) {
            struct cron *cron = cron_parse(STR_LIT("10~29 ~ * * *"), STR_LIT(""), spread, &err);
            assert_non_null(cron);
            due[again] = cron_next(cron, start, start);
            cron_free(cron);
        }
        assert_int_equal(due[0], due[1]);
        uint64_t minute = (due[0] - start) / 60000 % 60;
        assert_in_range(minute, 10, 29);
        minutes |= UINT64_C(1) << minute;
    }
    assert_int_equal(minutes, ((UINT64_C(1) << 20) - 1) << 10); /* each is some task's */
    /* These are on people's calendars: they must never change. */
    assert_int_equal(cron_spread(STR_LIT("nightly")), UINT64_C(7274399085137986780));
    static const struct row rows[] = {
        {"~ * * * *", "", "2024-01-01T00:00:00Z", {"2024-01-01T00:34:00Z", "2024-01-01T01:34:00Z"}},
        {"~/15 * * * *", "", "2024-01-01T00:00:00Z", {"2024-01-01T00:04:00Z", "2024-01-01T00:19:00Z"}},
        {"0 0 ~ * *", "", "2024-01-31T00:00:00Z", {"2024-02-17T00:00:00Z", "2024-03-17T00:00:00Z"}},
        {"0 0 * * 1~5", "", "2024-01-01T00:00:00Z", {"2024-01-03T00:00:00Z", "2024-01-10T00:00:00Z"}},
        {"~30,30~ 3 * * *", "", "2024-01-01T00:00:00Z", {"2024-01-01T03:11:00Z", "2024-01-01T03:52:00Z", "2024-01-02T03:11:00Z"}},
    };
    CHECK(rows);
}

/* Of every stretch: the newest due time, and how many there are, beside looking at each. */
static void test_stretches(void **state)
{
    (void)state;
    static const struct {
        const char *schedule, *zone, *from;
        int64_t hours;
    } rows[] = {
        {"*/7 * * * *", "Europe/Berlin", "2024-03-30T12:00:00Z", 48},
        {"*/10 1-3 * * *", "Europe/Berlin", "2024-03-28T12:00:00Z", 24 * 6},
        {"*/10 1-3 * * *", "Europe/Berlin", "2024-10-24T12:00:00Z", 24 * 6},
        {"17 */2 * * *", "Australia/Lord_Howe", "2024-04-01T12:00:00Z", 24 * 300},
        {"*/20 */3 2 * * *", "America/New_York", "2024-03-01T12:00:00Z", 24 * 300},
        {"30 2 * * *", "America/New_York", "2020-01-01T12:00:00Z", 24 * 2000},
        {"0 9 * * MON#1", "Asia/Kolkata", "2020-01-01T12:00:00Z", 24 * 3000},
        {"0 9 30 12 *", "Pacific/Apia", "2009-12-01T00:00:00Z", 24 * 1600},
        {"@every 90s", "", "2024-01-01T00:00:00Z", 500},
        {"0 0 29 2 *", "", "2024-01-01T00:00:00Z", 24},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        struct cron *cron = cron_parse(str_of(rows[i].schedule), str_of(rows[i].zone), 0, &err);
        uint64_t from = ms(rows[i].from), until = from + (uint64_t)rows[i].hours * 3600000;
        uint64_t first = cron_next(cron, from, from), newest = first, count = 1;
        bool at_least = true;
        assert_int_not_equal(first, 0);
        for (uint64_t next; (next = cron_next(cron, newest, from)) != 0 && next <= until; count++)
            newest = next;
        if (newest > until)
            until = newest;
        if (cron_newest(cron, first, until, from) != newest || cron_count(cron, first, newest, &at_least) != count || at_least)
            fail_msg("%s in %s: %llu due times, counted %llu", rows[i].schedule, rows[i].zone, (unsigned long long)count,
                     (unsigned long long)cron_count(cron, first, newest, &at_least));
        cron_free(cron);
    }
}

/* Years of seconds are counted, not looked at; where the clock is changed all the time it says that it gave up. */
static void test_long_stretches(void **state)
{
    (void)state;
    bool at_least = true;
    uint64_t from = ms("2020-01-01T00:00:01Z"), last = ms("2030-01-01T00:00:00Z");
    struct cron *cron = cron_parse(STR_LIT("* * * * * *"), STR_LIT(""), 0, NULL);
    assert_int_equal(cron_newest(cron, from, last + 999, from), last);
    assert_int_equal(cron_count(cron, from, last, &at_least), (last - from) / 1000 + 1);
    assert_false(at_least);
    cron_free(cron);
    cron = cron_parse(STR_LIT("* * * * * *"), STR_LIT("Europe/Berlin"), 0, NULL);
    assert_in_range(cron_count(cron, from, last, &at_least), 20000, (last - from) / 1000);
    assert_true(at_least);
    cron_free(cron);
}

/* Text that is not NUL-terminated ends where its length says. */
static void test_borrowed_text(void **state)
{
    (void)state;
    char *text = malloc(9);
    assert_non_null(text);
    memcpy(text, "* * * * 1", 9);
    struct cron *cron = cron_parse((struct str){text, 9}, (struct str){NULL, 0}, 0, NULL);
    assert_non_null(cron);
    cron_free(cron);
    assert_null(cron_parse((struct str){text, 7}, (struct str){NULL, 0}, 0, NULL));
    assert_null(cron_parse((struct str){NULL, 0}, (struct str){NULL, 0}, 0, NULL));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_rare),
        cmocka_unit_test(test_macros),
        cmocka_unit_test(test_every_keeps_its_beat),
        cmocka_unit_test(test_daylight_saving),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_stretches),
        cmocka_unit_test(test_long_stretches),
        cmocka_unit_test(test_borrowed_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
