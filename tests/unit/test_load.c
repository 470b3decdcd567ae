#include "tests/unit/unit.h"

#include "worker/load.h"

static void test_reading(void **state)
{
    (void)state;
    struct load load = {0};
    load_read(&load);
    assert_true(load.average >= 0 && load.average < 10000);
    assert_true(load.memory_mb > 0);
    assert_true(load.cpu.total > 0 && load.cpu.busy <= load.cpu.total);
    assert_true(load.cpu_percent >= 0 && load.cpu_percent <= 0); /* needs two readings */
    load.cpu = (struct cpu_sample){1, 1};                        /* as if the first had been at the start of the machine */
    load_read(&load);
    assert_true(load.cpu_percent > 0 && load.cpu_percent <= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reading)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
