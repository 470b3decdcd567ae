#include "store_fixture.h"

static int setup(void **state)
{
    struct fixture *fx = fixture_new();
    struct rec_run run = {.id = 7, .task_id = 3, .created_at = 1};
    fixture_run(fx, &run);
    run.id = 8;
    fixture_run(fx, &run);
    fixture_commit(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* Lines first..last of an attempt; each says its number. */
static void write_lines(struct fixture *fx, uint64_t run, uint64_t attempt, uint64_t first, uint64_t last, uint64_t dropped)
{
    struct rec_log_line lines[256];
    char texts[256][24];
    uint32_t count = 0;
    for (uint64_t seq = first; seq <= last; seq++, count++) {
        snprintf(texts[count], sizeof texts[count], "%lu/%lu", (unsigned long)attempt, (unsigned long)seq);
        lines[count] = (struct rec_log_line){.seq = seq, .at = 1, .stream = STREAM_STDOUT, .text = str_of(texts[count])};
    }
    struct rec_log_chunk chunk = {.run_id = run, .attempt = attempt, .lines = {lines, count}, .dropped = dropped};
    fixture_op(fx, OP_LOG, 0, 0, &shape_rec_log_chunk, &chunk);
}

static struct msg_log_rows read_rows(struct fixture *fx, uint64_t run, uint64_t after, uint64_t limit, bool newest,
                                     struct kv_txn **txn)
{
    struct msg_log_read read = {.run_id = run, .after = after, .limit = limit, .newest = newest};
    struct msg_log_rows rows;
    struct err err = {0};
    *txn = kv_snapshot(fx->kv, NULL);
    arena_reset(fx->arena);
    assert_int_equal(logs_read(*txn, fx->arena, &read, &rows, &err), 0);
    return rows;
}

/* The lines of a run are exactly those in text, as "attempt/seq attempt/seq …". */
static void expect_lines(struct fixture *fx, uint64_t run, uint64_t after, uint64_t limit, bool newest, const char *text)
{
    struct kv_txn *txn;
    struct msg_log_rows rows = read_rows(fx, run, after, limit, newest, &txn);
    char all[4096] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < rows.lines.count; i++) {
        const struct rec_log_line *line = &rows.lines.items[i];
        char own[24];
        snprintf(own, sizeof own, "%lu/%lu", (unsigned long)line->attempt, (unsigned long)line->seq);
        assert_true(str_is(line->text, own));
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? " " : "", own);
    }
    assert_string_equal(all, text);
    kv_end(txn);
}

static void expect_state(struct fixture *fx, uint64_t run, uint64_t total, uint64_t cut)
{
    struct kv_txn *txn;
    struct msg_log_rows rows = read_rows(fx, run, 0, 1000, false, &txn);
    assert_int_equal(rows.total, total);
    assert_int_equal(rows.cut, cut);
    assert_int_equal(rows.lines.count, total < 1000 ? total : 1000);
    kv_end(txn);
}

static void test_lines_in_order(void **state)
{
    struct fixture *fx = *state;
    write_lines(fx, 7, 1, 1, 3, 0);
    write_lines(fx, 8, 1, 1, 1, 0);
    write_lines(fx, 7, 2, 1, 2, 0);
    fixture_commit(fx);
    expect_lines(fx, 7, 0, 100, false, "1/1 1/2 1/3 2/1 2/2");
    expect_lines(fx, 7, (UINT64_C(1) << 32) | 2, 2, false, "1/3 2/1");
    expect_lines(fx, 7, 0, 2, true, "2/1 2/2");
    expect_lines(fx, 7, 0, 100, true, "1/1 1/2 1/3 2/1 2/2");
    expect_lines(fx, 8, 0, 100, true, "1/1");
    expect_lines(fx, 9, 0, 100, true, "");
    expect_lines(fx, 9, 0, 100, false, "");
    expect_lines(fx, 7, UINT64_MAX, 100, false, "");
    expect_state(fx, 7, 5, 0);
}

static void test_positions_lead_on(void **state)
{
    struct fixture *fx = *state;
    write_lines(fx, 7, 1, 1, 200, 0);
    fixture_commit(fx);
    uint64_t after = 0;
    uint32_t seen = 0;
    bool end = false;
    while (!end) {
        struct kv_txn *txn;
        struct msg_log_rows rows = read_rows(fx, 7, after, 7, false, &txn);
        seen += rows.lines.count;
        after = rows.next;
        end = rows.end;
        kv_end(txn);
    }
    assert_int_equal(seen, 200);
    struct kv_txn *txn;
    struct msg_log_rows rows = read_rows(fx, 7, after, 7, false, &txn);
    assert_true(rows.end);
    assert_int_equal(rows.next, after);
    kv_end(txn);
}

static void test_a_chunk_may_come_twice(void **state)
{
    struct fixture *fx = *state;
    write_lines(fx, 7, 1, 1, 3, 2);
    fixture_commit(fx);
    write_lines(fx, 7, 1, 1, 3, 2);
    write_lines(fx, 7, 1, 2, 5, 0); /* overlaps */
    fixture_commit(fx);
    write_lines(fx, 7, 2, 1, 1, 0);
    write_lines(fx, 7, 1, 5, 6, 0); /* the earlier attempt's last words, late */
    write_lines(fx, 7, 1, 5, 6, 0);
    fixture_commit(fx);
    expect_lines(fx, 7, 0, 100, false, "1/1 1/2 1/3 1/4 1/5 1/6 2/1");
    expect_state(fx, 7, 7, 2);
}

static void test_trimmed_by_lines(void **state)
{
    struct fixture *fx = *state;
    fx->group.limits.log_lines = 10;
    write_lines(fx, 7, 1, 1, 8, 0);
    fixture_commit(fx);
    expect_state(fx, 7, 8, 0);
    write_lines(fx, 7, 1, 9, 40, 5);
    write_lines(fx, 7, 2, 1, 3, 0);
    fixture_commit(fx);
    expect_state(fx, 7, 10, 38);
    expect_lines(fx, 7, 0, 100, false, "1/34 1/35 1/36 1/37 1/38 1/39 1/40 2/1 2/2 2/3");
    fixture_restart(fx);
    expect_state(fx, 7, 10, 38);
}

static void test_trimmed_by_size(void **state)
{
    struct fixture *fx = *state;
    static char text[1000];
    memset(text, 'x', sizeof text);
    fx->group.limits.log_bytes = 16 * 1024;
    for (uint64_t seq = 1; seq <= 100; seq++) {
        struct rec_log_line line = {.seq = seq, .text = {text, sizeof text}};
        struct rec_log_chunk chunk = {.run_id = 7, .attempt = 1, .lines = {&line, 1}};
        fixture_op(fx, OP_LOG, 0, 0, &shape_rec_log_chunk, &chunk);
    }
    fixture_commit(fx);
    struct kv_txn *txn;
    struct msg_log_rows rows = read_rows(fx, 7, 0, 1000, false, &txn);
    assert_true(rows.total >= 15 && rows.total <= 16);
    assert_int_equal(rows.total + rows.cut, 100);
    assert_int_equal(rows.lines.items[rows.lines.count - 1].seq, 100);
    kv_end(txn);
    fx->group.limits.log_bytes = 10; /* the newest line stays, whatever its size */
    write_lines(fx, 7, 1, 101, 101, 0);
    fixture_commit(fx);
    expect_lines(fx, 7, 0, 100, false, "1/101");
}

static void test_log_goes_with_its_run(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t first = 1; first < 6000; first += 250)
        write_lines(fx, 7, 1, first, first + 249, 0);
    write_lines(fx, 8, 1, 1, 5, 0);
    fixture_commit(fx);
    expect_state(fx, 7, 6000, 0);
    fixture_delete(fx, TYPE_RUN, 7);
    fixture_delete(fx, TYPE_RUN, 8);
    fixture_commit(fx);
    assert_true(fx->group.purging); /* too long to go at once */
    fixture_restart(fx);
    fixture_purge(fx);
    expect_state(fx, 7, 0, 0);
    expect_state(fx, 8, 0, 0);
    write_lines(fx, 7, 1, 1, 5, 0); /* late lines of a run that is gone */
    fixture_commit(fx);
    expect_state(fx, 7, 0, 0);
}

static void test_log_goes_with_its_task(void **state)
{
    struct fixture *fx = *state;
    write_lines(fx, 7, 1, 1, 200, 0);
    fixture_commit(fx);
    fixture_op(fx, OP_PURGE_TASK, 0, 3, NULL, NULL);
    fixture_commit(fx);
    fixture_purge(fx);
    expect_state(fx, 7, 0, 0);
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    assert_false(query_run_visible(txn, 7));
    assert_false(query_run_visible(txn, 8));
    kv_end(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_positions_lead_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_chunk_may_come_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trimmed_by_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trimmed_by_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_goes_with_its_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_goes_with_its_task, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
