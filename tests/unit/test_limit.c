/* How long and how much. */
#include "tests/unit/unit.h"

#include "gateway/limit.h"

static const struct limits limits = {.idle_ms = 1000, .request_ms = 500, .body = 1024};

static void test_every_phase_has_its_end(void **state)
{
    (void)state;
    assert_false(limit_overdue(&limits, LIMIT_RECEIVING, 100, 600));
    assert_true(limit_overdue(&limits, LIMIT_RECEIVING, 100, 601));
    assert_false(limit_overdue(&limits, LIMIT_IDLE, 100, 1600));
    assert_true(limit_overdue(&limits, LIMIT_IDLE, 100, 1601));
    assert_true(limit_overdue(&limits, LIMIT_SENDING, 100, 1601));
    assert_false(limit_overdue(&limits, LIMIT_WORKING, 0, UINT64_MAX));
    assert_false(limit_overdue(&limits, LIMIT_STREAMING, 0, UINT64_MAX));
    assert_false(limit_overdue(&limits, LIMIT_RECEIVING, 1000, 100)); /* a clock read before the phase began */
}

static void test_bodies(void **state)
{
    (void)state;
    assert_int_equal(limit_body(&limits, 0, false), LIMIT_BODY_TAKE);
    assert_int_equal(limit_body(&limits, 1024, true), LIMIT_BODY_TAKE);
    assert_int_equal(limit_body(&limits, 1025, false), LIMIT_BODY_SKIP);
    assert_int_equal(limit_body(&limits, 1025, true), LIMIT_BODY_REFUSE);
    assert_int_equal(limit_body(&limits, UINT64_C(1) << 40, false), LIMIT_BODY_REFUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_phase_has_its_end), cmocka_unit_test(test_bodies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
