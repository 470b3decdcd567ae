/* The machine, from /proc: what is read is possible, and work shows. */
#include "tests/unit/unit.h"

#include <time.h>

#include "gateway/resources.h"

static void test_work_shows(void **state)
{
    struct resources resources = {0};
    struct resources_now now;
    (void)state;

    resources_sample(&resources);
    while (clock() < CLOCKS_PER_SEC / 10) {} /* processor time, of which ticks are made */
    resources_read(&resources, &now);
    assert_true(now.cpu_percent > 0 && now.cpu_percent <= 100);
    assert_true(now.memory_mb > 0);
    resources_sample(&resources);
    assert_true(resources.newer.total > resources.older.total);
    assert_true(resources.newer.busy > resources.older.busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_work_shows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
