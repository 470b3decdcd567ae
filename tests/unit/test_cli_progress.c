#include "tests/unit/unit.h"

#include <locale.h>

#include "gateway/cli/progress.h"
#include "gateway/cli/term.h"

static const char *line(double percent, double seconds, const char *words, int columns, bool blocks)
{
    static char out[512];

    progress_line(percent, seconds, words, columns, blocks, out, sizeof out);
    assert_true(term_width(out) <= columns);
    return out;
}

static void the_bar_shows_the_part(void **state)
{
    (void)state;
    assert_string_equal(line(0, 0, "run 1", 200, false), "run 1 [                                        ]   0.0%  0.0 s");
    assert_string_equal(line(50, 10, "run 1", 200, false),
                        "run 1 [####################                    ]  50.0%  10.0 s, 10.0 s left");
    assert_string_equal(line(100, 10, "run 1", 200, false), "run 1 [########################################] 100.0%  10.0 s");
}

static void blocks_show_eighths(void **state)
{
    (void)state;
    assert_non_null(strstr(line(1.25, 0, "", 200, true), "[▌  "));
    assert_non_null(strstr(line(3.75, 0, "", 200, true), "[█▌  "));
    assert_non_null(strstr(line(100, 0, "", 200, true), "████████████████████████████████████████]"));
}

static void it_fits_narrow_terminals(void **state)
{
    (void)state;
    assert_non_null(strchr(line(50, 10, "run 1", 50, false), '['));
    assert_null(strchr(line(50, 10, "run 1", 30, false), '['));
    assert_string_equal(line(50, 10, "run 1", 13, false), "run 1  50.0%…");
    assert_string_equal(line(50, 10, "run 1", 0, false), "");
}

static void out_of_range_is_kept_in(void **state)
{
    (void)state;
    assert_non_null(strstr(line(1e9, 1, "x", 100, false), "100.0%"));
    assert_string_equal(line(-1, 0, "run 1 waits: all busy", 100, false), "run 1 waits: all busy");
    assert_string_equal(line(-1, 2, "run 1 running", 100, false), "run 1 running  2.0 s");
    assert_string_equal(line(0.0 / 0.0, 0, "run 1", 100, false), "run 1");
}

static void nothing_is_drawn_where_no_terminal_is(void **state)
{
    struct progress progress;
    FILE *file = tmpfile();

    (void)state;
    progress_init(&progress, file);
    progress_set(&progress, 50, 1, "run 1");
    progress_show(&progress);
    progress_hide(&progress);
    assert_int_equal(ftell(file), 0);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bar_shows_the_part),
        cmocka_unit_test(blocks_show_eighths),
        cmocka_unit_test(it_fits_narrow_terminals),
        cmocka_unit_test(out_of_range_is_kept_in),
        cmocka_unit_test(nothing_is_drawn_where_no_terminal_is),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
