#include "tests/unit/unit.h"

#include "proto/str.h"
#include "worker/capture.h"

static char lines[1 << 17];

static void on_line(void *self, const char *text, size_t len)
{
    (void)self;
    assert_true(str_utf8((struct str){text, (uint32_t)len}));
    assert_true(len <= CAPTURE_LINE);
    size_t have = strlen(lines);
    assert_true(have + len + 2 < sizeof(lines));
    memcpy(lines + have, text, len);
    memcpy(lines + have + len, "|", 2);
}

static struct capture *fresh(void)
{
    struct capture *capture = capture_new(on_line, NULL);
    assert_non_null(capture);
    lines[0] = '\0';
    return capture;
}

static const char *lines_of(const char *text)
{
    /* whole, and byte by byte: it must not matter how a pipe cuts */
    static char whole[1 << 17];
    struct capture *capture = fresh();
    capture_feed(capture, text, strlen(text), 5000);
    capture_finish(capture);
    capture_free(capture);
    strcpy(whole, lines);
    capture = fresh();
    for (const char *at = text; *at; at++)
        capture_feed(capture, at, 1, 5000);
    capture_finish(capture);
    capture_free(capture);
    assert_string_equal(lines, whole);
    return whole;
}

static void test_lines(void **state)
{
    (void)state;
    assert_string_equal(lines_of(""), "");
    assert_string_equal(lines_of("a\nb\n"), "a|b|");
    assert_string_equal(lines_of("a\n\nb"), "a||b|");
    assert_string_equal(lines_of("dos\r\nlines\r\n"), "dos|lines|");
    assert_string_equal(lines_of("bad \xff\xc3 bytes \xe2\x82\xac\n"), "bad \xef\xbf\xbd\xef\xbf\xbd bytes \xe2\x82\xac|");
}

static void test_redrawn(void **state)
{
    (void)state;
    /* the first state is told, those within the same second are not, the last always */
    assert_string_equal(lines_of("10%\r20%\r30%\n"), "10%|30%|");
    assert_string_equal(lines_of("10%\r20%\r30%\r\n"), "10%|30%|");
    assert_string_equal(lines_of("10%\r20%\r"), "10%|20%|");
    struct capture *capture = fresh();
    for (uint64_t ms = 10000; ms < 13000; ms += 100)
        capture_feed(capture, "x\r", 2, ms);
    capture_feed(capture, "end\n", 4, 13000);
    capture_free(capture);
    assert_string_equal(lines, "x|x|x|end|");
}

static void test_long(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, 'x', sizeof(text) - 3);
    strcpy(text + sizeof(text) - 3, "\ny");
    lines_of(text);
    size_t len = strcspn(lines, "|");
    assert_int_equal(len, CAPTURE_LINE);
    assert_memory_equal(lines + len - strlen(CAPTURE_MARK), CAPTURE_MARK, strlen(CAPTURE_MARK));
    assert_string_equal(lines + len, "|y|");
    /* exactly at the limit nothing is cut */
    memset(text, 'x', CAPTURE_LINE);
    strcpy(text + CAPTURE_LINE, "\n");
    assert_int_equal(strspn(lines_of(text), "x"), CAPTURE_LINE);
    /* bytes that grow when they are cleaned stay within the limit */
    memset(text, '\xff', CAPTURE_LINE);
    lines_of(text);
    assert_true(strlen(lines) <= CAPTURE_LINE + 1);
    /* a cut does not fall into a character */
    for (size_t i = 0; i < CAPTURE_LINE + 3; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    text[CAPTURE_LINE + 2] = '\0';
    lines_of(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_redrawn), cmocka_unit_test(test_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
