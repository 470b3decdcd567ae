#include "tests/unit/unit.h"

#include "worker/backlog.h"

static struct backlog backlog;
static struct rec_log_line items[1024];
static struct rec_log_chunk chunk;

static void add(const char *text)
{
    assert_true(backlog_add(&backlog, 1, LOG_INFO, STREAM_STDOUT, text, strlen(text)));
}

static bool peek(uint32_t max)
{
    chunk = (struct rec_log_chunk){.run_id = 1, .attempt = 1};
    return backlog_peek(&backlog, &chunk, items, max);
}

static void test_order_and_ack(void **state)
{
    (void)state;
    backlog_init(&backlog, 1 << 20);
    assert_false(peek(10));
    add("one");
    add("two");
    add("three");
    assert_true(peek(2));
    assert_int_equal(chunk.lines.count, 2);
    assert_int_equal(chunk.lines.items[0].seq, 1);
    assert_int_equal(chunk.dropped, 0);
    backlog_sent(&backlog, &chunk);
    assert_true(peek(2));
    assert_int_equal(chunk.lines.items[0].seq, 3);
    backlog_sent(&backlog, &chunk);
    assert_false(peek(2));
    assert_true(backlog_waiting(&backlog));
    backlog_acked(&backlog, 2);
    backlog_again(&backlog); /* a new session */
    assert_true(peek(10));
    assert_int_equal(chunk.lines.items[0].seq, 3);
    assert_int_equal(chunk.dropped, 0);
    backlog_sent(&backlog, &chunk);
    backlog_acked(&backlog, 3);
    assert_false(backlog_waiting(&backlog));
    backlog_acked(&backlog, 1); /* an old one */
    add("four");
    assert_true(peek(10));
    assert_int_equal(chunk.lines.items[0].seq, 4);
    assert_int_equal(chunk.dropped, 0);
    backlog_clear(&backlog);
}

static void test_bounded(void **state)
{
    (void)state;
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';
    backlog_init(&backlog, 16 * 1024);
    for (int i = 0; i < 100; i++)
        add(text);
    assert_true(backlog.bytes <= 16 * 1024);
    assert_true(peek(1000));
    assert_true(chunk.dropped > 80);
    assert_int_equal(chunk.dropped + chunk.lines.count, 100);
    assert_int_equal(chunk.lines.items[0].seq, chunk.dropped + 1);
    assert_int_equal(backlog.dropped, chunk.dropped);
    backlog_sent(&backlog, &chunk);
    /* what goes while it is on its way is not sent twice, and the new ones are */
    for (int i = 0; i < 50; i++)
        add(text);
    assert_true(peek(1000));
    assert_int_equal(chunk.lines.items[chunk.lines.count - 1].seq, 150);
    backlog_clear(&backlog);
}

/* An acknowledgement that claims more than there is must not make lines of the future vanish. */
static void test_wild_ack(void **state)
{
    (void)state;
    backlog_init(&backlog, 1 << 20);
    add("one");
    backlog_acked(&backlog, UINT64_MAX >> 1);
    add("two");
    assert_true(peek(10));
    assert_int_equal(chunk.lines.items[0].seq, 2);
    assert_int_equal(chunk.dropped, 0);
    backlog_clear(&backlog);
}

static void test_chunk_size(void **state)
{
    (void)state;
    char text[16001];
    memset(text, 'x', 16000);
    text[16000] = '\0';
    backlog_init(&backlog, 4 << 20);
    for (int i = 0; i < 100; i++)
        add(text);
    assert_true(peek(1024));
    assert_in_range(chunk.lines.count, 10, 20);
    backlog_clear(&backlog);
}

/* Never more than 256 KiB of lines in one message, as it is encoded: full lines, long numbers, and one line more than fits. */
static void test_chunk_bound(void **state)
{
    (void)state;
    static char text[16384];
    const size_t sizes[] = {16384, 16383, 16352, 16351, 1000, 224, 0};
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t sent = 0, lines = 600;
        backlog_init(&backlog, (size_t)64 << 20);
        backlog.next_seq = (uint64_t)1 << 60;
        backlog.sent_seq = backlog.acked_seq = backlog.next_seq - 1;
        for (uint64_t line = 0; line < lines; line++)
            backlog_add(&backlog, (uint64_t)1 << 60, LOG_INFO, STREAM_STDOUT, text, sizes[i]);
        while (peek(1024)) {
            struct buf out = {0};
            struct err err = {0};
            assert_int_equal(rec_encode_log_chunk(&out, &chunk, &err), 0);
            assert_in_range(out.len, 1, 262144 + 64);
            if (sent + chunk.lines.count < lines) /* and never much less while there are more */
                assert_in_range(out.len, 262144 - 16384 - 64 * 1024 / 8, 262144 + 64);
            buf_free(&out);
            sent += chunk.lines.count;
            backlog_sent(&backlog, &chunk);
        }
        assert_int_equal(sent, lines);
        backlog_clear(&backlog);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_and_ack), cmocka_unit_test(test_bounded),
                                       cmocka_unit_test(test_wild_ack), cmocka_unit_test(test_chunk_size),
                                       cmocka_unit_test(test_chunk_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
