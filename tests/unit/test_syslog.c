/* Lines of processes' logs in the database: their order, what finds them, the newest kept, and that no batch suffers for them. */
#include "sound_fixture.h"

#include <poll.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "store/commit.h"

#define NOW UINT64_C(1700000000000)

static int setup(void **state)
{
    struct fixture *fx = fixture_new();

    fx->group.syslog_limits = (struct syslog_limits){1 << 20, UINT64_C(86400000)};
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static struct syslog_lines *lines_of(const struct rec_log_entry *entries, uint32_t count)
{
    struct buf frame = {0};
    struct err err = {0};
    const struct msg_log_lines message = {.entries = {(struct rec_log_entry *)(uintptr_t)entries, count}};

    if (msg_encode_log_lines(&frame, &message, 0, (struct str){0}, &err) != 0)
        fail_msg("%s", err.text);
    struct syslog_lines *lines = syslog_lines_new(buf_str(&frame), count);
    assert_non_null(lines);
    buf_free(&frame);
    return lines;
}

/* At wall_ms, in a transaction of their own. */
static void write_at(struct fixture *fx, const struct rec_log_entry *entries, uint32_t count, uint64_t wall_ms)
{
    struct syslog_lines *lines = lines_of(entries, count);
    struct kv_txn *txn = kv_batch(fx->kv, NULL);

    writer_begin(&fx->group.writer, txn, &fx->group.state, false);
    assert_int_equal(syslog_write(fx->group.syslog, &fx->group.writer, &fx->group.syslog_limits, lines, wall_ms), KV_OK);
    assert_int_equal(writer_finish(&fx->group.writer), KV_OK);
    assert_int_equal(kv_commit(txn, NULL), KV_OK);
    fx->group.state = fx->group.writer.state;
    free(lines);
}

static void write_one(struct fixture *fx, uint64_t at, enum log_level level, const char *service, const char *text)
{
    const struct rec_log_entry entry = {
        .at = at, .level = level, .service = str_of(service), .code = STR_LIT("GTY-A"), .text = str_of(text)};
    write_at(fx, &entry, 1, NOW);
}

/* The texts of a query's page, newest first, each behind a blank. */
static const char *found(struct fixture *fx, const struct rec_filter *filters, uint32_t count, uint64_t *total)
{
    static char texts[4096];
    struct msg_query query = {.type = TYPE_LOG_ENTRY,
                              .filters = {(struct rec_filter *)(uintptr_t)filters, count},
                              .page = 1,
                              .size = 100,
                              .descending = true};
    struct msg_query_rows rows;
    struct msg_error error = {0};
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);

    arena_reset(fx->arena);
    if (query_page(txn, fx->arena, 1000, &query, &rows, &error) != 0)
        fail_msg("%.*s", (int)error.text.len, error.text.ptr);
    texts[0] = '\0';
    for (uint32_t i = 0; i < rows.rows.count; i++) {
        struct rec_log_entry entry;
        assert_int_equal(rec_decode_log_entry(fx->arena, rows.rows.items[i].value, &entry, NULL), 0);
        size_t len = strlen(texts);
        snprintf(texts + len, sizeof texts - len, " %.*s", (int)entry.text.len, entry.text.ptr);
    }
    *total = rows.total;
    kv_end(txn);
    return texts;
}

static void test_found_by_what_they_are(void **state)
{
    struct fixture *fx = *state;
    uint64_t total;

    write_one(fx, NOW + 3, LOG_ERROR, "store", "c");
    write_one(fx, NOW + 1, LOG_DEBUG, "store", "a"); /* came later, was said earlier */
    write_one(fx, NOW + 2, LOG_INFO, "worker", "b");
    write_one(fx, NOW + 4, LOG_WARN, "worker", "d");
    assert_string_equal(found(fx, NULL, 0, &total), " d c b a");
    assert_int_equal(total, 4);
    struct rec_filter level = {.field = STR_LIT("levels"), .op = FILTER_HAS, .number = LOG_WARN};
    assert_string_equal(found(fx, &level, 1, &total), " d c");
    assert_int_equal(total, 2);
    level.number = LOG_INFO;
    assert_string_equal(found(fx, &level, 1, &total), " d c b");
    level.number = LOG_ERROR;
    assert_string_equal(found(fx, &level, 1, &total), " c");
    const struct rec_filter both[] = {{.field = STR_LIT("levels"), .op = FILTER_HAS, .number = LOG_INFO},
                                      {.field = STR_LIT("service"), .op = FILTER_EQ, .text = STR_LIT("worker")}};
    assert_string_equal(found(fx, both, 2, &total), " d b");
    const struct rec_filter times[] = {{.field = STR_LIT("at"), .op = FILTER_GE, .number = NOW + 2},
                                       {.field = STR_LIT("at"), .op = FILTER_LT, .number = NOW + 4}};
    assert_string_equal(found(fx, times, 2, &total), " c b");
    sound_expect(fx->kv);
}

static void test_wrong_clocks(void **state)
{
    struct fixture *fx = *state;
    uint64_t total;

    write_one(fx, INT64_MAX, LOG_INFO, "worker", "future");
    write_one(fx, 0, LOG_INFO, "worker", "none");
    write_one(fx, NOW - 1, LOG_INFO, "worker", "before");
    assert_string_equal(found(fx, NULL, 0, &total), " none future before");
    sound_expect(fx->kv);
}

static void test_many_in_a_millisecond(void **state)
{
    struct fixture *fx = *state;
    struct rec_log_entry entries[500];
    uint64_t total;

    for (int i = 0; i < 500; i++)
        entries[i] = (struct rec_log_entry){.at = NOW, .level = LOG_INFO, .service = STR_LIT("store"), .text = STR_LIT("x")};
    write_at(fx, entries, 500, NOW);
    fixture_restart(fx); /* its sequence begins anew */
    fx->group.syslog_limits = (struct syslog_limits){1 << 20, UINT64_C(86400000)};
    write_at(fx, entries, 500, NOW);
    found(fx, NULL, 0, &total);
    assert_int_equal(total, 1000);
    sound_expect(fx->kv);
}

static uint64_t kept(struct fixture *fx)
{
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    uint64_t bytes = syslog_bytes(txn);

    kv_end(txn);
    return bytes;
}

static void test_the_newest_are_kept(void **state)
{
    struct fixture *fx = *state;
    char text[200];
    uint64_t total;

    fx->group.syslog_limits.bytes = 20000;
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "%0150d", i);
        write_one(fx, NOW + (uint64_t)i, LOG_INFO, "store", text);
        assert_true(kept(fx) <= 20000);
    }
    const char *texts = found(fx, NULL, 0, &total);
    assert_true(total > 50 && total < 150);
    assert_int_equal(atoi(texts + 1), 299);
    fixture_restart(fx);
    assert_true(kept(fx) > 15000 && kept(fx) <= 20000);        /* known over a restart */
    fx->group.syslog_limits = (struct syslog_limits){0, 1000}; /* none are wanted any more */
    write_one(fx, NOW, LOG_INFO, "store", "last");
    found(fx, NULL, 0, &total);
    assert_int_equal(total, 0);
    assert_int_equal(kept(fx), 0);
    sound_expect(fx->kv);
}

static void test_old_ones_go(void **state)
{
    struct fixture *fx = *state;
    const struct rec_log_entry fresh = {
        .at = NOW + 86400001, .level = LOG_INFO, .service = STR_LIT("store"), .text = STR_LIT("new")};
    uint64_t total;

    write_one(fx, NOW, LOG_INFO, "store", "old");
    write_one(fx, NOW + 2, LOG_INFO, "store", "young");
    write_at(fx, &fresh, 1, NOW + 86400001);
    assert_string_equal(found(fx, NULL, 0, &total), " new young");
    assert_int_equal(total, 2);
    sound_expect(fx->kv);
}

/* They come with whatever transaction is next, or after a while with their own; stopping writes what waits. */
static void test_committer_writes_them(void **state)
{
    struct fixture *fx = *state;
    struct err err = {0};
    const struct syslog_limits limits = {64 << 20, UINT64_C(86400000)};
    struct committer *committer = committer_new(fx->kv, &fx->limits, &err);
    const struct rec_log_entry entry = {.at = 0, .level = LOG_INFO, .service = STR_LIT("store"), .text = STR_LIT("x")};
    struct syslog_lines *lines = lines_of(&entry, 1);
    struct str frame = {lines->frame, lines->len};
    struct commit_status status;
    uint64_t total = 0, until = clock_mono_ms() + 30000;

    assert_non_null(committer);
    committer_limits(committer, &fx->limits, &limits);
    assert_int_equal(committer_lines(committer, frame, 1), 0);
    while (total == 0 && clock_mono_ms() < until) {
        struct pollfd poll_fd = {.fd = committer_fd(committer), .events = POLLIN};
        poll(&poll_fd, 1, 1000);
        assert_null(committer_done(committer));
        found(fx, NULL, 0, &total);
    }
    assert_int_equal(total, 1);
    int taken = 0;
    while (committer_lines(committer, frame, 1) == 0)
        taken++;
    assert_true((size_t)taken * frame.len <= 2 * COMMIT_LINES_BYTES); /* bounded, and counted */
    committer_status(committer, &status);
    assert_int_equal(status.lines_dropped, 1);
    assert_false(status.refusing);
    committer_stop(committer);
    committer_status(committer, &status);
    committer_free(committer);
    found(fx, NULL, 0, &total);
    assert_int_equal(total + (status.lines_dropped - 1), (uint64_t)taken + 1);
    free(lines);
    sound_expect(fx->kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found_by_what_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_clocks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_in_a_millisecond, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_newest_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_ones_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_committer_writes_them, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
