/* Runs of the last minute, and what the core measures. */
#include "tests/unit/unit.h"

#include "scheduler/measure.h"

static void test_last_minute(void **state)
{
    struct measure measure;
    (void)state;

    measure_init(&measure);
    assert_int_equal(measure_last_minute(&measure, 1000000), 0);
    measure_end(&measure, RUN_COMPLETED, 1000000, true);
    measure_end(&measure, RUN_FAILED, 1000999, true);
    measure_end(&measure, RUN_ABORTED, 1030000, true);
    measure_end(&measure, RUN_COMPLETED, 1030000, false); /* before this process was there */
    assert_int_equal(measure_last_minute(&measure, 1030000), 4);
    assert_int_equal(measure_last_minute(&measure, 1059999), 4);
    assert_int_equal(measure_last_minute(&measure, 1060000), 2);
    assert_int_equal(measure_last_minute(&measure, 1090000), 0);
    assert_int_equal(measure_last_minute(&measure, 999999), 0); /* the clock was set back */
    assert_int_equal(measure.ended[RUN_COMPLETED], 1);
    assert_int_equal(measure.ended[RUN_FAILED], 1);
    assert_int_equal(measure.ended[RUN_ABORTED], 1);
    measure_end(&measure, RUN_COMPLETED, 1090000, true); /* takes the place of 1030 s */
    assert_int_equal(measure_last_minute(&measure, 1090000), 1);
}

static void test_times(void **state)
{
    struct measure measure;
    (void)state;

    measure_init(&measure);
    measure_attempt(&measure, 700);
    measure_attempt(&measure, UINT64_MAX);
    measure_dispatch(&measure, 3);
    assert_int_equal(measure.durations.counts[2], 1);
    assert_int_equal(measure.durations.counts[measure.durations.scale->count], 1);
    assert_int_equal(measure.durations.sum_us, INT64_MAX);
    assert_int_equal(measure.dispatches.sum_us, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_last_minute), cmocka_unit_test(test_times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
