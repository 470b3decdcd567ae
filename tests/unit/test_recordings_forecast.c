/* When the disk will be full, from what is there and when that was written. */
#include "tests/unit/unit.h"

#include "gateway/recordings_forecast.h"

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define NOW_MS (1000 * DAY_MS)
#define GB UINT64_C(1000000000)

#define FILES 10

static char name[] = "a.mp4";
static struct recording_file files[FILES];
static struct recording_folder folder;
static struct recordings recordings;

/* One gigabyte each, the newest now and each that far before the next. */
static void written(uint32_t count, uint64_t apart_ms)
{
    folder = (struct recording_folder){.name = "20250101_000000", .files = files, .count = count, .bytes = count * GB};
    recordings = (struct recordings){.folders = &folder, .count = 1};
    for (uint32_t i = 0; i < count; i++)
        files[i] = (struct recording_file){.name = name, .size = GB, .changed_ms = NOW_MS - i * apart_ms};
}

static struct recordings_forecast foresee(struct recordings_outlook outlook)
{
    struct recordings_forecast forecast;
    outlook.limits.now_ms = NOW_MS;
    recordings_foresee(&recordings, &outlook, &forecast);
    return forecast;
}

static void test_fills(void **unused)
{
    (void)unused;
    written(5, DAY_MS); /* the oldest was written when the look at the pace begins */
    struct recordings_forecast forecast = foresee((struct recordings_outlook){.free = 11 * GB, .min_free = GB});
    assert_true(forecast.count == 5 && forecast.bytes == 5 * GB && forecast.held_bytes == 0);
    assert_int_equal(forecast.observed_ms, 4 * DAY_MS);
    assert_int_equal(forecast.bytes_per_day, GB);
    assert_int_equal(forecast.fate, FATE_FILLS);
    assert_int_equal(forecast.full_at, NOW_MS + 10 * DAY_MS);
}

/* What is older than a week says nothing of the pace, nor does what is held, which is there for longer than it would be. */
static void test_pace(void **unused)
{
    (void)unused;
    written(10, DAY_MS);
    struct recordings_forecast forecast = foresee((struct recordings_outlook){.free = 10 * GB});
    assert_int_equal(forecast.observed_ms, 7 * DAY_MS);
    assert_int_equal(forecast.bytes_per_day, GB);
    written(3, DAY_MS);
    files[2].held = true;
    forecast = foresee((struct recordings_outlook){.free = 10 * GB});
    assert_int_equal(forecast.held_bytes, GB);
    assert_int_equal(forecast.observed_ms, DAY_MS);
    assert_int_equal(forecast.bytes_per_day, GB);
    folder.held = true;
    forecast = foresee((struct recordings_outlook){.free = 10 * GB});
    assert_int_equal(forecast.held_bytes, 3 * GB);
    assert_int_equal(forecast.fate, FATE_UNKNOWN);
}

static void test_nothing(void **unused)
{
    (void)unused;
    recordings = (struct recordings){0};
    assert_int_equal(foresee((struct recordings_outlook){.free = GB}).fate, FATE_UNKNOWN);
    written(3, HOUR_MS / 10);
    struct recordings_forecast forecast = foresee((struct recordings_outlook){.free = GB});
    assert_true(forecast.fate == FATE_UNKNOWN && forecast.bytes_per_day == 0 && forecast.full_at == 0);
    written(2, DAY_MS);
    files[0].size = 1;
    folder.bytes = GB + 1;
    forecast = foresee((struct recordings_outlook){.free = GB});
    assert_true(forecast.fate == FATE_IDLE && forecast.full_at == 0);
}

static void test_full(void **unused)
{
    (void)unused;
    written(2, DAY_MS);
    struct recordings_forecast forecast = foresee((struct recordings_outlook){.free = GB - 1, .min_free = GB});
    assert_true(forecast.fate == FATE_FULL && forecast.full_at == NOW_MS);
}

static void test_kept(void **unused)
{
    (void)unused;
    written(5, DAY_MS); /* a gigabyte a day; 5 are there, and 6.5 may come beside what is to be free */
    struct recordings_outlook outlook = {.free = 7 * GB, .min_free = GB / 2};
    outlook.limits.keep_ms = 11 * DAY_MS;
    assert_int_equal(foresee(outlook).fate, FATE_KEPT);
    outlook.limits.keep_ms = 12 * DAY_MS;
    assert_int_equal(foresee(outlook).fate, FATE_FILLS);
    files[0].held = true; /* stays beside what 11 days come to */
    outlook.limits.keep_ms = 11 * DAY_MS;
    assert_int_equal(foresee(outlook).fate, FATE_FILLS);
    outlook.limits.keep_bytes = 11 * GB;
    assert_int_equal(foresee(outlook).fate, FATE_KEPT);
    outlook.limits.keep_bytes = 12 * GB;
    assert_int_equal(foresee(outlook).fate, FATE_FILLS);
    outlook.keep_free = 2 * GB;
    assert_int_equal(foresee(outlook).fate, FATE_KEPT);
    outlook.keep_free = GB / 4; /* less than what has to be free */
    assert_int_equal(foresee(outlook).fate, FATE_FILLS);
    outlook.keep_free = 20 * GB; /* more than could be made free */
    assert_int_equal(foresee(outlook).fate, FATE_FILLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fills), cmocka_unit_test(test_pace), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_full),  cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
