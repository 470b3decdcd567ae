/* The ledger on disk: each task keeps its newest entries, and they go with it. */
#include "store_fixture.h"

#include "store/fires.h"

static void put(struct fixture *fx, uint64_t id, uint64_t task, uint64_t at)
{
    struct rec_fire fire = {.id = id,
                            .task_id = task,
                            .due_at = at,
                            .last_due_at = at,
                            .count = 1,
                            .outcome = FIRE_SKIPPED,
                            .reason = FIRE_PAUSED,
                            .decided_at = at};
    fixture_op(fx, OP_PUT, TYPE_FIRE, id, &shape_rec_fire, &fire);
}

static uint64_t of_task(struct fixture *fx, int64_t task)
{
    return fixture_total(fx, TYPE_FIRE, "task_id", task, "");
}

static struct fixture *limited(uint64_t fires, uint64_t ms)
{
    struct fixture *fx = fixture_new();
    fx->group.limits.fires = fires;
    fx->group.limits.fires_ms = ms;
    return fx;
}

/* Within a batch as over many; one task's do not cost another's. */
static void test_number(void **state)
{
    (void)state;
    struct fixture *fx = limited(100, 0);
    put(fx, 1, 2, 1);
    for (uint64_t id = 2; id <= 1000; id++)
        put(fx, id, 1, id);
    fixture_commit(fx);
    assert_int_equal(of_task(fx, 1), 100);
    for (uint64_t id = 1001; id <= 1150; id++) {
        put(fx, id, 1, id);
        fixture_commit(fx);
    }
    assert_int_equal(of_task(fx, 1), 100);
    assert_int_equal(of_task(fx, 2), 1);
    fx->group.limits.fires = 10; /* less: it gets there in steps */
    for (uint64_t id = 1151; id <= 1153; id++)
        put(fx, id, 1, id);
    fixture_commit(fx);
    assert_int_equal(of_task(fx, 1), 100 + 3 - 3 * FIRES_TRIM);
    for (uint64_t id = 1154; id <= 1200; id++)
        put(fx, id, 1, id);
    fixture_commit(fx);
    assert_int_equal(of_task(fx, 1), 10);
    fixture_free(fx);
}

static void test_age(void **state)
{
    (void)state;
    struct fixture *fx = limited(1000, 50);
    for (uint64_t id = 1; id <= 20; id++)
        put(fx, id, 1, 1000 + id);
    put(fx, 21, 2, 1);
    fixture_commit(fx);
    assert_int_equal(of_task(fx, 1), 20);
    put(fx, 22, 1, 1055);
    fixture_commit(fx);
    assert_int_equal(of_task(fx, 1), 20 + 1 - 4);
    put(fx, 23, 2, 5000); /* the newest stays, however old */
    put(fx, 24, 2, 9000);
    fixture_commit(fx);
    assert_int_equal(of_task(fx, 2), 1);
    fixture_free(fx);
}

/* An entry that grows is the same one. */
static void test_grows(void **state)
{
    (void)state;
    struct fixture *fx = limited(2, 0);
    for (int i = 0; i < 5; i++) {
        put(fx, 1, 1, 5);
        put(fx, 2, 1, 6);
        fixture_commit(fx);
    }
    assert_int_equal(of_task(fx, 1), 2);
    fixture_free(fx);
}

static void test_goes_with_its_task(void **state)
{
    (void)state;
    struct fixture *fx = limited(0, 0);
    for (uint64_t id = 1; id <= 3000; id++)
        put(fx, id, 1 + id % 2, id);
    fixture_commit(fx);
    fixture_op(fx, OP_PURGE_TASK, 0, 1, NULL, NULL);
    fixture_commit(fx);
    fixture_restart(fx);
    fixture_claim(fx);
    fixture_purge(fx);
    assert_int_equal(of_task(fx, 1), 0);
    assert_int_equal(of_task(fx, 2), 1500);
    fixture_free(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_goes_with_its_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
