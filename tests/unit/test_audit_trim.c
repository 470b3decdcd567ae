/* The audit log's lines on disk: the newest are kept, by count and by age. */
#include "store_fixture.h"

#include "store/audit.h"

#define HOUR UINT64_C(3600000)

static int setup(void **state)
{
    *state = fixture_new();
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void put(struct fixture *fx, uint64_t first, uint64_t last, uint64_t at)
{
    for (uint64_t id = first; id <= last; id++) {
        struct rec_audit line = {.id = id, .at = at, .method = STR_LIT("POST"), .path = STR_LIT("/api/tasks")};
        fixture_op(fx, OP_PUT, TYPE_AUDIT, id, &shape_rec_audit, &line);
    }
    fixture_commit(fx);
}

static void limits(struct fixture *fx, uint64_t lines, uint64_t age_ms)
{
    fx->group.limits.audits = lines;
    fx->group.limits.audits_ms = age_ms;
}

/* How many there are; *oldest: the first of them. */
static uint64_t kept(struct fixture *fx, uint64_t *oldest)
{
    struct msg_query query = {.type = TYPE_AUDIT, .page = 1, .size = 1};
    struct msg_query_rows rows;
    struct msg_error error = {0};
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    arena_reset(fx->arena);
    assert_int_equal(query_page(txn, fx->arena, 100000, &query, &rows, &error), 0);
    *oldest = rows.rows.count ? rows.rows.items[0].id : 0;
    kv_end(txn);
    return rows.total;
}

static void test_count(void **state)
{
    struct fixture *fx = *state;
    uint64_t oldest;
    limits(fx, 100, 0);
    put(fx, 1, 100, HOUR);
    assert_int_equal(kept(fx, &oldest), 100);
    put(fx, 101, 1000, HOUR);
    put(fx, 1001, 1088, HOUR); /* 1088 is a multiple of AUDIT_TRIM_EVERY */
    assert_in_range(kept(fx, &oldest), 100, 100 + AUDIT_TRIM_EVERY);
    assert_true(oldest > 1088 - 100 - AUDIT_TRIM_EVERY);
    limits(fx, 10, 0); /* a lower limit is reached as others come */
    put(fx, 1089, 1088 + 2 * AUDIT_TRIM_EVERY, HOUR);
    assert_in_range(kept(fx, &oldest), 10, 10 + AUDIT_TRIM_EVERY);
    fixture_restart(fx);
    assert_in_range(kept(fx, &oldest), 10, 10 + AUDIT_TRIM_EVERY);
}

static void test_age(void **state)
{
    struct fixture *fx = *state;
    uint64_t oldest;
    limits(fx, 0, 24 * HOUR);
    put(fx, 1, 50, HOUR);
    put(fx, 51, 63, 20 * HOUR);
    put(fx, 64, 64, 26 * HOUR);
    assert_int_equal(kept(fx, &oldest), 14);
    assert_int_equal(oldest, 51);
    put(fx, 65, 128, 1000 * HOUR);
    kept(fx, &oldest);
    assert_int_equal(oldest, 65);
}

static void test_no_limits(void **state)
{
    struct fixture *fx = *state;
    uint64_t oldest;
    put(fx, 1, 1000, 1);
    put(fx, 1001, 1024, 1000000 * HOUR);
    assert_int_equal(kept(fx, &oldest), 1024);
}

/* One line, far too old for itself, stays: something was written. */
static void test_newest_stays(void **state)
{
    struct fixture *fx = *state;
    uint64_t oldest;
    limits(fx, 1, 1);
    put(fx, 64, 64, HOUR);
    put(fx, 128, 128, 2 * HOUR);
    assert_int_equal(kept(fx, &oldest), 1);
    assert_int_equal(oldest, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newest_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
