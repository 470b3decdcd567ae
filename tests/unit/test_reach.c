/* Pages that lie far behind others in the order asked for: reached, or refused. */
#include "store_fixture.h"

static void task_fill(struct fixture *fx, uint64_t id, uint64_t priority, uint64_t updated_at)
{
    char name[24];
    struct rec_task task = {.id = id, .created_at = id, .updated_at = updated_at};
    struct rec_task_stat stat = {.id = id, .next_run_at = id % 3 ? 5000000 - id : 0};
    snprintf(name, sizeof name, "task-%06lu", (unsigned long)(1000000 - id));
    task.spec.name = str_of(name);
    task.spec.priority = priority;
    SET_HAS(&task.spec, rec_task_spec, name);
    SET_HAS(&task.spec, rec_task_spec, priority);
    fixture_task(fx, &task);
    fixture_op(fx, OP_PUT, TYPE_TASK_STAT, id, &shape_rec_task_stat, &stat);
    if (fx->op_count >= 4000)
        fixture_commit(fx);
}

/* Tasks of low priority, and behind them twice as many of a high one: in every order but that of creation, and each way, the low ones
 * are far behind the others, or before them. */
static void test_filter_far_behind_in_the_order(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    for (uint64_t id = 1; id <= 450; id++)
        task_fill(fx, id, id <= 150 ? PRIORITY_LOW : PRIORITY_HIGH, id);
    fixture_commit(fx);
    static const char *const sorts[] = {"updated_at", "spec.name", "next_run_at"};
    for (int i = 0; i < 3 * 2 * 8; i++) {
        struct rec_filter filter = {.field = STR_LIT("spec.priority"), .op = FILTER_EQ, .number = PRIORITY_LOW};
        struct msg_query query = {.type = TYPE_TASK,
                                  .filters = {&filter, 1},
                                  .sort = str_of(sorts[i / 16]),
                                  .descending = i % 2,
                                  .page = 1 + (uint64_t)i / 2 % 8,
                                  .size = 20};
        struct msg_query_rows rows;
        struct kv_txn *txn = fixture_query(fx, &query, 100, &rows);
        assert_int_equal(rows.total, 150);
        assert_false(rows.total_is_lower_bound);
        assert_int_equal(rows.rows.count, query.page < 8 ? 20 : 10);
        for (uint32_t j = 0; j < rows.rows.count; j++) {
            uint64_t at = (query.page - 1) * 20 + j;
            bool falls = (i / 16 > 0) != query.descending; /* the ids do, along the order */
            uint64_t expected = falls ? 150 - at : at + 1;
            if (i / 16 == 2) { /* every third has no time, and comes last */
                uint64_t timed = falls ? 149 - at / 2 * 3 - at % 2 : 1 + at / 2 * 3 + at % 2, rest = at - 100;
                expected = at < 100 ? timed : query.descending ? 150 - 3 * rest : 3 + 3 * rest;
            }
            assert_int_equal(rows.rows.items[j].id, expected);
        }
        kv_end(txn);
    }
    fixture_free(fx);
}

/* What lies behind more than may be read is refused, and never an empty page: neither far behind in a list whose total is known, nor
 * where so many records do not match that nothing was found yet. */
static void test_out_of_reach(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    for (uint64_t id = 1; id <= 5000; id++)
        task_fill(fx, id, id <= 2600 ? PRIORITY_LOW : PRIORITY_HIGH, id);
    fixture_commit(fx);
    struct rec_filter filter = {.field = STR_LIT("spec.priority"), .op = FILTER_EQ, .number = PRIORITY_LOW};
    struct msg_query query = {.type = TYPE_TASK, .sort = STR_LIT("updated_at"), .page = 40, .size = 20};
    struct msg_query_rows rows;
    struct msg_error error = {0};
    kv_end(fixture_query(fx, &query, 100, &rows)); /* within a thousand steps */
    assert_int_equal(rows.rows.count, 20);
    query.page = 65;
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    for (int i = 0; i < 4; i++) {
        filter.field = i == 3 ? STR_LIT("spec.command") : STR_LIT("spec.priority");
        filter.text = STR_LIT("none");
        query.filters = (struct rec_filter_list){&filter, i > 0};
        query.sort = i == 0 || i == 2 ? STR_LIT("updated_at") : STR_LIT("");
        query.page = i == 2 ? 1 : 65;
        query.descending = i == 2;
        arena_reset(fx->arena);
        assert_int_equal(query_page(txn, fx->arena, 100, &query, &rows, &error), -1);
        assert_int_equal(error.code, ERR_BAD_REQUEST);
        assert_true(str_is(error.rule, "reach"));
        assert_true(str_is(error.field, query.sort.len ? "sort" : "page"));
        assert_non_null(strstr(error.text.ptr, "narrow the filter"));
    }
    kv_end(txn);
    fixture_free(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_far_behind_in_the_order),
        cmocka_unit_test(test_out_of_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
