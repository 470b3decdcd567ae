/* Limits of requests: what a bucket gives, how it fills, and what happens when there are more callers than buckets. */
#include "tests/unit/unit.h"

#include "gateway/rate.h"

static struct rate *rate;
static struct rate_state last;

static int begin(void **state)
{
    (void)state;
    rate = rate_new();
    return rate ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    rate_free(rate);
    return 0;
}

static bool take(uint32_t caller, uint32_t per_minute, uint32_t burst, uint64_t now_ms)
{
    uint8_t key[RATE_KEY] = {0};

    memcpy(key + 4, &caller, sizeof caller);
    key[0] = (uint8_t)(caller % 251); /* many share a slot */
    return rate_take(rate, key, (struct rate_limit){per_minute, burst}, now_ms, &last);
}

static void test_asking_takes_none(void **state)
{
    const uint8_t key[RATE_KEY] = {9};
    const struct rate_limit limit = {1, 0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(rate_has(rate, key, limit, 1000, &last));
    }
    assert_true(rate_take(rate, key, limit, 1000, &last));
    assert_false(rate_has(rate, key, limit, 1000, &last));
    assert_int_equal(last.wait_s, 60);
}

static void test_a_minute_has_as_many_as_it_says(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 60; i++) {
        assert_true(take(1, 60, 0, 1000));
        assert_int_equal(last.limit, 60);
        assert_int_equal(last.remaining, 59 - i);
        assert_int_equal(last.full_s, i + 1);
    }
    assert_false(take(1, 60, 0, 1000));
    assert_int_equal(last.remaining, 0);
    assert_int_equal(last.wait_s, 1);
    assert_int_equal(last.full_s, 60);
    assert_true(take(2, 60, 0, 1000)); /* somebody else's is another one */
    assert_false(take(1, 60, 0, 1999));
    assert_true(take(1, 60, 0, 2000));
    assert_false(take(1, 60, 0, 2000));
    /* A refusal costs nothing. */
    for (int i = 0; i < 1000; i++)
        assert_false(take(1, 60, 0, 2500));
    assert_true(take(1, 60, 0, 3000));
}

static void test_bursts(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(take(1, 600, 5, 0));
    assert_false(take(1, 600, 5, 0));
    assert_true(take(1, 600, 5, 100));
    assert_false(take(1, 600, 5, 199));
    for (int i = 0; i < 5; i++) /* what is saved up does not go on for ever */
        assert_true(take(1, 600, 5, 3600000));
    assert_false(take(1, 600, 5, 3600000));
}

static void test_slow_limits(void **state)
{
    (void)state;
    assert_true(take(1, 1, 1, 5));
    assert_false(take(1, 1, 1, 60004));
    assert_int_equal(last.wait_s, 1);
    assert_true(take(1, 1, 1, 60005));
    assert_false(take(1, 1, 1, 60006));
    assert_int_equal(last.wait_s, 60);
}

static void test_no_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(take(1, 0, 0, 0));
    assert_int_equal(last.limit, 0);
}

static void test_clocks_and_limits_that_change(void **state)
{
    (void)state;
    assert_true(take(1, 1000000, 1000000, 1000));
    assert_true(take(1, 1000000, 1000000, UINT64_MAX)); /* no product runs over */
    assert_int_equal(last.remaining, 999999);
    assert_true(take(1, 1000000, 1000000, 0));
    assert_int_equal(last.remaining, 999998);
    assert_true(take(1, 10, 0, 0)); /* lowered: what was saved is cut */
    assert_int_equal(last.remaining, 9);
    assert_true(take(1, 20, 0, 0)); /* raised: it fills */
    assert_int_equal(last.remaining, 8);
}

static void test_more_callers_than_buckets(void **state)
{
    (void)state;
    assert_true(take(0, 1, 1, 0));
    for (uint32_t caller = 1; caller < RATE_BUCKETS; caller++)
        assert_true(take(caller, 1, 1, 0));
    assert_false(take(0, 1, 1, 0)); /* all are still known; and this one was seen just now */
    assert_true(take(RATE_BUCKETS, 1, 1, 0));
    assert_false(take(0, 1, 1, 0));
    assert_true(take(1, 1, 1, 0)); /* the least recently seen made room, and begins anew */
    for (uint32_t caller = 0; caller < 5 * RATE_BUCKETS; caller++)
        take(caller * 7, 1, 1, 1);
    assert_false(take((5 * RATE_BUCKETS - 1) * 7, 1, 1, 1));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_asking_takes_none),
        TEST(test_a_minute_has_as_many_as_it_says),
        TEST(test_bursts),
        TEST(test_slow_limits),
        TEST(test_no_limit),
        TEST(test_clocks_and_limits_that_change),
        TEST(test_more_callers_than_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
