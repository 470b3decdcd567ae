#include "tests/unit/unit.h"

#include "gateway/cli/args.h"

static const struct option options[] = {
    {"wait", 'w', NULL, NULL, "wait"},
    {"follow", 'f', NULL, NULL, "follow"},
    {"env", 'e', "NAME=VALUE", NULL, "environment"},
    {"level", 'l', "LEVEL", "low|high", "level"},
    {"number", 'n', "N", NULL, "number"},
    {0},
};
static const struct command command = {"thing", "NAME", options, NULL, false, false, 0, -1, "does a thing", NULL};
static const struct command runner = {"runner", "PROGRAM", options, NULL, false, true, 0, -1, "runs a thing", NULL};
static const struct command strict = {"strict", "ONE", options, NULL, false, false, 1, 1, "takes one", NULL};

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})

static struct args *read_args(const struct command *of, char **argv, struct err *err)
{
    int argc = 0;

    while (argv[argc] != NULL) {
        argc++;
    }
    return args_new(of, argc, argv, err);
}

static struct args *good(const struct command *of, char **argv)
{
    struct err err = {0};
    struct args *args = read_args(of, argv, &err);

    assert_string_equal(err.text, "");
    assert_non_null(args);
    return args;
}

static void bad(const struct command *of, char **argv, const char *words)
{
    struct err err = {0};

    assert_null(read_args(of, argv, &err));
    if (strstr(err.text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    }
}

static void options_are_read(void **state)
{
    (void)state;
    struct args *args = good(&command, ARGS("--wait", "one", "--env", "A=1", "-e", "B=2", "--env=C=3", "two", "-l", "high"));
    size_t at = 0;

    assert_true(args_has(args, "wait"));
    assert_false(args_has(args, "follow"));
    assert_string_equal(args_each(args, "env", &at), "A=1");
    assert_string_equal(args_each(args, "env", &at), "B=2");
    assert_string_equal(args_each(args, "env", &at), "C=3");
    assert_null(args_each(args, "env", &at));
    assert_string_equal(args_text(args, "env"), "C=3");
    assert_string_equal(args_text(args, "level"), "high");
    assert_int_equal(args_count(args), 2);
    assert_string_equal(args_at(args, 0), "one");
    assert_string_equal(args_at(args, 1), "two");
    assert_null(args_at(args, 2));
    assert_null(args_at(args, -1));
    args_free(args);
}

static void letters_may_stand_together(void **state)
{
    (void)state;
    struct args *args = good(&command, ARGS("-wf", "-wen=1", "-n5"));

    assert_true(args_has(args, "wait"));
    assert_true(args_has(args, "follow"));
    assert_string_equal(args_text(args, "env"), "n=1");
    assert_string_equal(args_text(args, "number"), "5");
    args_free(args);
}

static void dashes_end_the_options(void **state)
{
    (void)state;
    struct args *args = good(&command, ARGS("a", "--", "--wait", "-x", "--"));

    assert_false(args_has(args, "wait"));
    assert_int_equal(args_count(args), 4);
    assert_string_equal(args_at(args, 1), "--wait");
    assert_string_equal(args_at(args, 3), "--");
    args_free(args);
}

static void a_program_ends_the_options(void **state)
{
    (void)state;
    struct args *args = good(&runner, ARGS("-w", "ls", "-l", "--wait", "--nothing"));

    assert_true(args_has(args, "wait"));
    assert_int_equal(args_count(args), 4);
    assert_string_equal(args_at(args, 1), "-l");
    args_free(args);
}

static void a_single_dash_is_a_word(void **state)
{
    (void)state;
    struct args *args = good(&command, ARGS("-"));

    assert_string_equal(args_at(args, 0), "-");
    args_free(args);
}

static void settings_are_flags_too(void **state)
{
    (void)state;
    struct args *args = good(&command, ARGS("--data", "/x", "--lease-seconds=5", "--insecure", "word", "--set", "port=1"));
    int count;
    char *const *flags = args_settings(args, &count);

    assert_int_equal(count, 6);
    assert_string_equal(flags[0], "--data");
    assert_string_equal(flags[1], "/x");
    assert_string_equal(flags[2], "--lease-seconds=5");
    assert_string_equal(flags[3], "--insecure");
    assert_string_equal(flags[5], "port=1");
    assert_null(flags[6]);
    assert_int_equal(args_count(args), 1);
    args_free(args);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    bad(&command, ARGS("--nothing"), "--nothing");
    bad(&command, ARGS("--wai"), "--wai");
    bad(&command, ARGS("-x"), "-x");
    bad(&command, ARGS("--env"), "--env needs a value");
    bad(&command, ARGS("-e"), "-e needs a value");
    bad(&command, ARGS("--data"), "--data needs a value");
    bad(&command, ARGS("--wait=yes"), "takes no value");
    bad(&command, ARGS("--level", "middle"), "low|high");
    bad(&command, ARGS("--level", ""), "low|high");
    bad(&strict, ARGS("--wait"), "needs ONE");
    bad(&strict, ARGS("a", "b"), "\"b\"");
}

static void help_needs_nothing_else(void **state)
{
    (void)state;
    struct args *args = good(&strict, ARGS("--help"));

    assert_true(args_has(args, "help"));
    args_free(args);
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "x", "1x", "0", "11", "-1", "99999999999999999999"};
    struct err err = {0};
    long long number;
    struct args *args = good(&command, ARGS("-n", "10"));

    assert_int_equal(args_number(args, "number", 1, 10, 3, &number, &err), 0);
    assert_int_equal(number, 10);
    args_free(args);
    args = good(&command, ARGS("a"));
    assert_int_equal(args_number(args, "number", 1, 10, 3, &number, &err), 0);
    assert_int_equal(number, 3);
    args_free(args);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        args = good(&command, ARGS("-n", (char *)(uintptr_t)wrong[i]));
        assert_int_equal(args_number(args, "number", 1, 10, 3, &number, &err), -1);
        assert_non_null(strstr(err.text, "from 1 to 10"));
        args_free(args);
    }
}

static void words_are_told_apart(void **state)
{
    (void)state;
    assert_true(args_word_in("low|high", "low"));
    assert_true(args_word_in("low|high", "high"));
    assert_false(args_word_in("low|high", "hi"));
    assert_false(args_word_in("low|high", "low|high"));
    assert_false(args_word_in("low|high", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read),           cmocka_unit_test(letters_may_stand_together),
        cmocka_unit_test(dashes_end_the_options),     cmocka_unit_test(a_program_ends_the_options),
        cmocka_unit_test(a_single_dash_is_a_word),    cmocka_unit_test(settings_are_flags_too),
        cmocka_unit_test(what_does_not_fit_is_named), cmocka_unit_test(help_needs_nothing_else),
        cmocka_unit_test(numbers_have_bounds),        cmocka_unit_test(words_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
