/* The table of commands says everything once; this holds its rows to their rules. */
#include "tests/unit/unit.h"

#include "gateway/cli/cli.h"
#include "proto/settings_table.h"

static const struct command *find(const char *first, const char *second, int *used)
{
    char *argv[] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second};

    return command_find(second != NULL ? 2 : 1, argv, used);
}

static void commands_are_found(void **state)
{
    int used = 0;

    (void)state;
    assert_string_equal(find("up", NULL, &used)->name, "up");
    assert_int_equal(used, 1);
    assert_string_equal(find("task", "list", &used)->name, "task list");
    assert_int_equal(used, 2);
    assert_string_equal(find("runs", "12", &used)->name, "runs");
    assert_int_equal(used, 1);
    assert_null(find("task", NULL, NULL));
    assert_null(find("task", "nothing", NULL));
    assert_null(find("u", NULL, NULL));
    assert_null(find("upp", NULL, NULL));
    assert_null(command_find(0, NULL, NULL));
}

static void every_row_is_whole(void **state)
{
    (void)state;
    for (const struct command *command = commands; command->name != NULL; command++) {
        assert_non_null(command->arguments);
        assert_non_null(command->options);
        assert_non_null(command->run);
        assert_true(strlen(command->doc) > 5);
        assert_true(command->high < 0 || command->high >= command->low);
        assert_true(command->low == 0 || command->arguments[0] != '\0');
        for (const struct command *other = command + 1; other->name != NULL; other++) {
            assert_string_not_equal(command->name, other->name);
        }
    }
}

static void options_are_told_apart(void **state)
{
    (void)state;
    for (const struct command *command = commands; command->name != NULL; command++) {
        for (const struct option *option = command->options; option->name != NULL; option++) {
            assert_non_null(option->doc);
            assert_true(option->words == NULL || option->value != NULL);
            for (const struct option *other = option + 1; other->name != NULL; other++) {
                assert_string_not_equal(option->name, other->name);
                assert_true(option->letter == 0 || option->letter != other->letter);
            }
            for (const struct option *other = common_options; other->name != NULL; other++) {
                assert_string_not_equal(option->name, other->name);
                assert_true(option->letter == 0 || option->letter != other->letter);
            }
        }
    }
}

static void groups_have_commands(void **state)
{
    (void)state;
    for (const char *const *group = commands_groups; *group != NULL; group++) {
        bool found = false;
        assert_null(find(*group, NULL, NULL));
        for (const struct command *command = commands; command->name != NULL; command++) {
            size_t len = strlen(*group);
            found = found || (strncmp(command->name, *group, len) == 0 && command->name[len] == ' ');
        }
        assert_true(found);
    }
}

/* `gantry up` passes every setting on, so no option of it or common one may hide a setting. */
static void options_of_up_hide_no_setting(void **state)
{
    char flag[SETTING_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        setting_spell(&settings_table[i], SPELT_FLAG, flag);
        for (const struct option *option = common_options; option->name != NULL; option++) {
            assert_string_not_equal(flag + 2, option->name);
        }
    }
    assert_null(find("up", NULL, NULL)->options[0].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_found),
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(options_are_told_apart),
        cmocka_unit_test(groups_have_commands),
        cmocka_unit_test(options_of_up_hide_no_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
