#include "tests/unit/unit.h"

#include "gateway/cli/args.h"
#include "gateway/cli/work.h"

/* The JSON that a command line comes to, as compact text with sorted keys; or the error. */
static const char *made_of(const char *command, bool here, int first, char **argv)
{
    static char out[4096];
    char *name[2] = {(char *)(uintptr_t)command, NULL};
    struct err err = {0};
    struct cli cli = {0};
    int argc = 0, words = 1;
    char group[32];

    const char *space = strchr(command, ' ');
    if (space != NULL) {
        snprintf(group, sizeof group, "%.*s", (int)(space - command), command);
        name[0] = group;
        name[1] = (char *)(uintptr_t)space + 1;
        words = 2;
    }
    while (argv[argc] != NULL) {
        argc++;
    }
    struct args *args = args_new(command_find(words, name, NULL), argc, argv, &err);
    assert_non_null(args);
    cli.args = args;
    json_t *task = json_object();
    if (work_add(&cli, first, here, task, &err) != 0) {
        snprintf(out, sizeof out, "%s", err.text);
    } else {
        char *text = json_dumps(task, JSON_COMPACT | JSON_SORT_KEYS);
        snprintf(out, sizeof out, "%s", text);
        free(text);
    }
    json_decref(task);
    args_free(args);
    return out;
}

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})

static void a_program_becomes_an_exec_run(void **state)
{
    (void)state;
    assert_int_equal(chdir("/usr"), 0);
    assert_string_equal(
        made_of("run", true, 0, ARGS("--", "ls", "-l", "a b")),
        "{\"arguments\":[\"-l\",\"a b\"],\"command\":\"ls\",\"cwd\":\"/usr\",\"executor\":\"exec\",\"task_type\":\"exec\"}");
}

static void a_shell_command_keeps_its_arguments(void **state)
{
    (void)state;
    assert_string_equal(made_of("run", false, 0, ARGS("--shell", "echo $1 | wc", "one")),
                        "{\"arguments\":[\"one\"],\"command\":\"echo $1 | wc\",\"executor\":\"shell\",\"task_type\":\"shell\"}");
}

static void options_become_fields(void **state)
{
    (void)state;
    assert_int_equal(chdir("/usr"), 0);
    assert_string_equal(
        made_of("run", true, 0,
                ARGS("-t", "gpu", "-p", "high", "--timeout", "60", "--retries", "2", "-e", "A=1", "-e", "B=x=y", "-l", "disk=ssd",
                     "-o", "out.mp4", "-C", "lib", "--run-as", "nobody", "true")),
        "{\"arguments\":[],\"command\":\"true\",\"cwd\":\"/usr/lib\",\"env\":{\"A\":\"1\",\"B\":\"x=y\"},\"executor\":\"exec\","
        "\"labels\":{\"disk\":\"ssd\"},\"output\":\"/usr/out.mp4\",\"priority\":\"high\",\"retry_count\":2,\"run_as\":\"nobody\","
        "\"task_type\":\"gpu\",\"timeout_seconds\":60}");
}

static void an_update_says_only_what_changes(void **state)
{
    (void)state;
    assert_string_equal(made_of("task update", false, 1, ARGS("name", "-p", "low")), "{\"priority\":\"low\"}");
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    assert_non_null(strstr(made_of("run", true, 0, ARGS("-e", "A", "true")), "NAME=VALUE"));
    assert_non_null(strstr(made_of("run", true, 0, ARGS("-e", "=x", "true")), "NAME=VALUE"));
    assert_non_null(strstr(made_of("run", true, 0, ARGS("--timeout", "0", "true")), "--timeout"));
    assert_non_null(strstr(made_of("run", true, 0, ARGS("true", "\xff")), "UTF-8"));
    assert_non_null(strstr(made_of("run", true, 0, ARGS("\xff")), "UTF-8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_becomes_an_exec_run), cmocka_unit_test(a_shell_command_keeps_its_arguments),
        cmocka_unit_test(options_become_fields),         cmocka_unit_test(an_update_says_only_what_changes),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
