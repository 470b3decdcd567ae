#include "tests/unit/unit.h"

#include <locale.h>

#include "gateway/cli/table.h"

static char printed[4096];

static void print(struct table *table, int columns)
{
    FILE *out = fmemopen(printed, sizeof printed, "w");

    assert_non_null(out);
    assert_int_equal(table_print(table, columns, out), 0);
    fclose(out);
    table_free(table);
}

static struct table *two_columns(void)
{
    static const char *const headings[] = {">ID", "NAME"};
    struct table *table = table_new(headings, 2);

    assert_non_null(table);
    return table;
}

static void columns_are_as_wide_as_their_cells(void **state)
{
    (void)state;
    struct table *table = two_columns();

    table_addf(table, "%d", 7);
    table_add(table, "first");
    table_addf(table, "%d", 1234);
    table_add(table, NULL);
    print(table, 0);
    assert_string_equal(printed, "  ID  NAME\n"
                                 "   7  first\n"
                                 "1234  -\n");
}

static void an_empty_table_is_its_headings(void **state)
{
    (void)state;
    print(two_columns(), 80);
    assert_string_equal(printed, "ID  NAME\n");
}

static void wide_characters_take_two_columns(void **state)
{
    static const char *const headings[] = {"NAME", "X"};
    struct table *table = table_new(headings, 2);

    (void)state;
    table_add(table, "数据处理");
    table_add(table, "1");
    table_add(table, "abc");
    table_add(table, "2");
    print(table, 0);
    assert_string_equal(printed, "NAME      X\n"
                                 "数据处理  1\n"
                                 "abc       2\n");
}

static void the_last_columns_are_cut_to_fit(void **state)
{
    (void)state;
    struct table *table = two_columns();

    table_add(table, "1");
    table_add(table, "a rather long name for a task");
    print(table, 20);
    assert_string_equal(printed, "ID  NAME\n"
                                 " 1  a rather long n…\n");
}

static void control_characters_stay_away_from_the_terminal(void **state)
{
    (void)state;
    struct table *table = two_columns();

    table_add(table, "1");
    table_add(table, "a\033[31m\nb");
    print(table, 0);
    assert_null(strchr(printed, '\033'));
    assert_non_null(strstr(printed, "a?[31m?b"));
}

static void too_many_columns_are_refused(void **state)
{
    const char *headings[17];

    (void)state;
    for (size_t i = 0; i < 17; i++) {
        headings[i] = "X";
    }
    assert_null(table_new(headings, 17));
    assert_null(table_new(headings, 0));
    table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_cells),
        cmocka_unit_test(an_empty_table_is_its_headings),
        cmocka_unit_test(wide_characters_take_two_columns),
        cmocka_unit_test(the_last_columns_are_cut_to_fit),
        cmocka_unit_test(control_characters_stay_away_from_the_terminal),
        cmocka_unit_test(too_many_columns_are_refused),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
