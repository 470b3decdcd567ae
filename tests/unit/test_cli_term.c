#include "tests/unit/unit.h"

#include <locale.h>
#include <time.h>

#include "gateway/cli/term.h"

static void widths(void **state)
{
    (void)state;
    assert_int_equal(term_width(""), 0);
    assert_int_equal(term_width("abc"), 3);
    assert_int_equal(term_width("é"), 1);
    assert_int_equal(term_width("e\xcc\x81"), 1); /* e and a combining accent */
    assert_int_equal(term_width("数据"), 4);
    assert_int_equal(term_width("a\tb"), 3);
    assert_int_equal(term_width("\xff\xfe"), 2); /* no UTF-8: one '?' a byte */
}

static void fits(const char *text, int columns, const char *expected)
{
    char out[64];
    int used = term_fit(text, columns, out, sizeof out);

    assert_string_equal(out, expected);
    assert_int_equal(used, term_width(expected));
    assert_true(used <= columns);
}

static void text_is_cut_to_columns(void **state)
{
    (void)state;
    fits("hello", 10, "hello");
    fits("hello", 5, "hello");
    fits("hello", 4, "hel…");
    fits("hello", 1, "…");
    fits("hello", 0, "");
    fits("数据处理", 8, "数据处理");
    fits("数据处理", 7, "数据处…");
    fits("数据处理", 6, "数据…"); /* half a character does not show */
    fits("a\033[0mb\r\n", 20, "a?[0mb??");
    fits("\xff", 5, "?");
}

static void small_buffers_are_kept_to(void **state)
{
    char out[8];

    (void)state;
    term_fit("数据处理数据处理", 100, out, sizeof out);
    assert_true(strlen(out) < sizeof out);
    assert_true(mbstowcs(NULL, out, 0) != (size_t)-1); /* no character is cut in two */
}

static void cleaned(const char *text, bool colours, const char *expected)
{
    char out[TERM_LINE(128)];

    term_clean(text, colours, out);
    assert_string_equal(out, expected);
}

/* What a program prints goes to somebody else's terminal. */
static void lines_drive_no_terminal(void **state)
{
    (void)state;
    cleaned("plain\t数据 é", true, "plain\t数据 é");
    cleaned("\033]52;c;cm0gLXJmIH4=\a", true, "?]52;c;cm0gLXJmIH4=?");
    cleaned("\033]0;title\033\\", true, "?]0;title?\\");
    cleaned("one\rtwo\b\b\n\x7f", true, "one?two????");
    cleaned("\xc2\x9b"
            "31mred \xff",
            true, "?31mred ?");
    cleaned("\033[2J\033[6n\033[?1049h\033c", true, "?[2J?[6n?[?1049h?c");
    cleaned("a \xe2\x80\xae"
            "b \xe2\x81\xa6"
            "c",
            true, "a ?b ?c"); /* right to left, isolated */
    cleaned("\033[1;31mred\033[0m \033[38:2:1:2:3mx", true, "\033[1;31mred\033[0m \033[38:2:1:2:3mx\033[0m");
    cleaned("\033[1;31mred", false, "?[1;31mred");
    cleaned("\033[", true, "?[");
    cleaned("", true, "");
}

static void what_is_no_terminal_gets_all(void **state)
{
    char out[64] = "";
    FILE *file = fmemopen(out, sizeof out, "w");

    (void)state;
    assert_int_equal(term_line(file, true, "%d \033[2J\r%s", 7, "x"), 0);
    fclose(file);
    assert_string_equal(out, "7 \033[2J\rx\n");
}

static void times_are_local(void **state)
{
    char out[64];

    (void)state;
    setenv("TZ", "UTC-2", 1);
    tzset();
    assert_string_equal(term_time("2024-01-01T23:00:05Z", out, sizeof out), "2024-01-02 01:00:05");
    assert_string_equal(term_time(NULL, out, sizeof out), "-");
    assert_string_equal(term_time("soon\033", out, sizeof out), "soon?");
}

static void durations(void **state)
{
    char out[32];

    (void)state;
    assert_string_equal(term_duration(0, out, sizeof out), "0.0 s");
    assert_string_equal(term_duration(-5, out, sizeof out), "0.0 s");
    assert_string_equal(term_duration(3.21, out, sizeof out), "3.2 s");
    assert_string_equal(term_duration(65, out, sizeof out), "1m 05s");
    assert_string_equal(term_duration(7380, out, sizeof out), "2h 03m");
    assert_string_equal(term_duration(3 * 86400 + 4 * 3600, out, sizeof out), "3d 04h");
}

static void text_is_wrapped(void **state)
{
    char out[256] = "";
    FILE *file = fmemopen(out, sizeof out, "w");

    (void)state;
    term_wrap("one two three four", 2, 10, file);
    fclose(file);
    assert_string_equal(out, "one two\n  three\n  four\n");
}

static void a_file_is_no_terminal(void **state)
{
    FILE *file = tmpfile();

    (void)state;
    assert_int_equal(term_columns(file), 0);
    fclose(file);
}

static void sizes(void **state)
{
    char out[32];

    (void)state;
    assert_string_equal(term_size(0, out, sizeof out), "0 bytes");
    assert_string_equal(term_size(1023, out, sizeof out), "1023 bytes");
    assert_string_equal(term_size(1536, out, sizeof out), "1.5 KiB");
    assert_string_equal(term_size(UINT64_C(5) << 30, out, sizeof out), "5.0 GiB");
    assert_string_equal(term_size(UINT64_MAX, out, sizeof out), "16777216.0 TiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths),
        cmocka_unit_test(text_is_cut_to_columns),
        cmocka_unit_test(small_buffers_are_kept_to),
        cmocka_unit_test(lines_drive_no_terminal),
        cmocka_unit_test(what_is_no_terminal_gets_all),
        cmocka_unit_test(times_are_local),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(text_is_wrapped),
        cmocka_unit_test(a_file_is_no_terminal),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
