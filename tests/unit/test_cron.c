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
        struct cron *cron = cron_parse(str_of(rows[i].schedule), str_of(rows[i].zone), &err);
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
    struct cron *cron = cron_parse(STR_LIT("@every 10s"), STR_LIT(""), NULL);
    assert_non_null(cron);
    assert_int_equal(cron_next(cron, 123456, 3000), 133000);
    assert_int_equal(cron_next(cron, 133000, 3000), 143000);
    assert_int_equal(cron_next(cron, 1000, 3000), 13000); /* asked before it began */
    assert_false(cron_once(cron));
    cron_free(cron);
    cron = cron_parse(STR_LIT("@at 2024-02-01"), STR_LIT(""), NULL);
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
        {"0~5 * * * *", "", "~"},
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
        struct cron *cron = cron_parse(str_of(rows[i].schedule), str_of(rows[i].zone), &err);
        if (cron != NULL || err.code != ERR_INVALID || strstr(err.text, rows[i].text) == NULL) {
            fail_msg("%s: expected a refusal with \"%s\", got \"%s\"", rows[i].schedule, rows[i].text, err.text);
        }
        assert_true(str_utf8(str_of(err.text)));
    }
}

/* Text that is not NUL-terminated ends where its length says. */
static void test_borrowed_text(void **state)
{
    (void)state;
    char *text = malloc(9);
    assert_non_null(text);
    memcpy(text, "* * * * 1", 9);
    struct cron *cron = cron_parse((struct str){text, 9}, (struct str){NULL, 0}, NULL);
    assert_non_null(cron);
    cron_free(cron);
    assert_null(cron_parse((struct str){text, 7}, (struct str){NULL, 0}, NULL));
    assert_null(cron_parse((struct str){NULL, 0}, (struct str){NULL, 0}, NULL));
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
        cmocka_unit_test(test_borrowed_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
