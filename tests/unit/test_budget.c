/* What requests may take together. */
#include "tests/unit/unit.h"

#include "gateway/budget.h"

#define MB ((size_t)1 << 20)

static void test_together_they_stay_below_the_limit(void **state)
{
    struct budget budget = {.limit = 10 * MB};
    size_t first = 0, second = 0;
    (void)state;

    assert_true(budget_hold(&budget, &first, 6 * MB));
    assert_true(budget_scarce(&budget));
    assert_false(budget_hold(&budget, &second, 5 * MB));
    assert_int_equal(second, 0);
    assert_true(budget_hold(&budget, &second, 4 * MB));
    assert_false(budget_hold(&budget, &first, 6 * MB + 1)); /* growing counts only what is more */
    assert_int_equal(budget.used, 10 * MB);
    assert_true(budget_hold(&budget, &first, 3 * MB));
    assert_int_equal(budget.used, 7 * MB);
    budget_release(&budget, &second);
    budget_release(&budget, &second);
    assert_int_equal(budget.used, 3 * MB);
    assert_false(budget_scarce(&budget));
}

static void test_the_small_always_fit(void **state)
{
    struct budget budget = {.limit = MB};
    size_t large = 0, small = 0;
    (void)state;

    assert_true(budget_hold(&budget, &large, MB));
    assert_true(budget_hold(&budget, &small, BUDGET_SMALL));
    assert_int_equal(budget.used, MB);
    budget.limit = MB / 2; /* a reload */
    assert_false(budget_hold(&budget, &large, MB + 1));
    assert_true(budget_hold(&budget, &large, 100));
    assert_int_equal(budget.used, 0);
    budget_charge(&budget, &small, 2 * MB); /* what is there counts, whether it fits or not */
    assert_int_equal(budget.used, 2 * MB);
    assert_false(budget_hold(&budget, &large, BUDGET_SMALL + 1));
}

static void test_no_limit(void **state)
{
    struct budget budget = {0};
    size_t held = 0;
    (void)state;

    assert_true(budget_hold(&budget, &held, 1000 * MB));
    assert_false(budget_scarce(&budget));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together_they_stay_below_the_limit),
        cmocka_unit_test(test_the_small_always_fit),
        cmocka_unit_test(test_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
