#include "tests/unit/unit.h"

#include "proto/clock.h"

static uint64_t parsed(const char *text)
{
    uint64_t ms = 0;
    assert_int_equal(clock_parse_iso(text, strlen(text), &ms), 0);
    return ms;
}

static void test_mono_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = clock_mono_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_us();
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_mono_ms() >= last / 1000);
    assert_true(clock_wall_ms() > UINT64_C(1600000000000));
}

static void test_iso_prints(void **state)
{
    (void)state;
    char out[CLOCK_ISO_SIZE];
    assert_string_equal(clock_iso(0, 0, out), "1970-01-01T00:00:00Z");
    assert_string_equal(clock_iso(1704067200000, 0, out), "2024-01-01T00:00:00Z");
    assert_string_equal(clock_iso(1709210096789, 1, out), "2024-02-29T12:34:56.789Z");
    assert_string_equal(clock_iso(951782400000, 0, out), "2000-02-29T00:00:00Z");
    assert_string_equal(clock_iso(4107542399999, 1, out), "2100-02-28T23:59:59.999Z");
    assert_string_equal(clock_iso(UINT64_MAX, 1, out), "9999-12-31T23:59:59.999Z");
}

static void test_iso_parses(void **state)
{
    (void)state;
    assert_int_equal(parsed("1970-01-01"), 0);
    assert_int_equal(parsed("2024-01-01"), 1704067200000);
    assert_int_equal(parsed("2024-01-01T00:00:00Z"), 1704067200000);
    assert_int_equal(parsed("2024-01-01t00:00:00z"), 1704067200000);
    assert_int_equal(parsed("2024-01-01 00:00:00Z"), 1704067200000);
    assert_int_equal(parsed("2024-02-29T12:34:56.789Z"), 1709210096789);
    assert_int_equal(parsed("2024-02-29T12:34:56.7899999Z"), 1709210096789);
    assert_int_equal(parsed("2024-02-29T12:34:56.5Z"), 1709210096500);
    assert_int_equal(parsed("2024-01-01T08:00:00+08:00"), 1704067200000);
    assert_int_equal(parsed("2023-12-31T19:00:00-05:00"), 1704067200000);
    assert_int_equal(parsed("2016-12-31T23:59:60Z"), 1483228800000);
}

static void test_iso_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "2024",
                                      "2024-1-1",
                                      "2024-00-01",
                                      "2024-13-01",
                                      "2024-02-30",
                                      "2023-02-29",
                                      "1900-02-29",
                                      "0000-01-01",
                                      "1969-12-31T23:59:59Z",
                                      "1970-01-01T00:00:00+00:01",
                                      "2024-01-01T",
                                      "2024-01-01T00:00Z",
                                      "2024-01-01T00:00:00",
                                      "2024-01-01T24:00:00Z",
                                      "2024-01-01T00:60:00Z",
                                      "2024-01-01T00:00:61Z",
                                      "2024-01-01T00:00:00.Z",
                                      "2024-01-01T00:00:00Zx",
                                      "2024-01-01T00:00:00+0800",
                                      "2024-01-01T00:00:00+24:00",
                                      "2024-01-01x",
                                      "-2024-01-01"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t ms = 7;
        assert_int_equal(clock_parse_iso(bad[i], strlen(bad[i]), &ms), -1);
        assert_int_equal(ms, 7);
    }
    uint64_t ms;
    assert_int_equal(clock_parse_iso(NULL, 0, &ms), -1);
}

static void test_iso_round_trip(void **state)
{
    (void)state;
    char out[CLOCK_ISO_SIZE];
    for (uint64_t ms = 0; ms < UINT64_C(253402300799999); ms += UINT64_C(86399999983) / 7)
        assert_int_equal(parsed(clock_iso(ms, 1, out)), ms);
}

static void test_dates(void **state)
{
    (void)state;
    assert_int_equal(clock_days(1970, 1, 1), 0);
    assert_int_equal(clock_days(2000, 2, 29), 11016);
    assert_int_equal(clock_days(1969, 12, 31), -1);
    int64_t last = clock_days(-5, 12, 31);
    for (int64_t day = clock_days(-4, 1, 1); day < clock_days(2405, 1, 1); day++) {
        int64_t year;
        int month, number;
        clock_date(day, &year, &month, &number);
        assert_int_equal(clock_days(year, month, number), day);
        assert_int_equal(day, last + 1);
        last = day;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mono_never_goes_back), cmocka_unit_test(test_iso_prints),     cmocka_unit_test(test_iso_parses),
        cmocka_unit_test(test_iso_refuses),          cmocka_unit_test(test_iso_round_trip), cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
