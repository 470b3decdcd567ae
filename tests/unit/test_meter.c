/* Requests of the last minute. */
#include "tests/unit/unit.h"

#include <math.h>

#include "gateway/meter.h"

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-9)
        fail_msg("%f is not %f", value, expected);
}

static void test_counts_a_minute(void **state)
{
    struct meter meter = {0};
    (void)state;

    assert_near(meter_rate(&meter, 5000), 0);
    assert_near(meter_seconds(&meter, 5000), 0);
    for (int i = 0; i < 10; i++)
        meter_add(&meter, 10000, 2000);
    assert_near(meter_rate(&meter, 10000), 10); /* a process this young divides by one second */
    assert_near(meter_rate(&meter, 15000), 2);
    assert_near(meter_seconds(&meter, 15000), 0.002);
    meter_add(&meter, 69000, 13000);
    assert_near(meter_rate(&meter, 69000), 11.0 / 59.0);
    assert_near(meter_seconds(&meter, 69000), 0.003);
    assert_near(meter_rate(&meter, 70000), 1.0 / 60.0); /* the first ten are a minute old */
    assert_near(meter_seconds(&meter, 200000), 0);
    assert_near(meter_rate(&meter, 200000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts_a_minute)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
