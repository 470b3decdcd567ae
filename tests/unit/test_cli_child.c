#include "tests/unit/unit.h"

#include <signal.h>

#include "gateway/cli/child.h"
#include "proto/messages.h"

struct watched {
    struct loop *loop;
    struct child_end end;
    char words[512];
    int ends;
};

static void ended(void *self, struct child *child, const struct child_end *end)
{
    struct watched *watched = self;

    assert_false(child_runs(child));
    watched->end = *end;
    snprintf(watched->words, sizeof watched->words, "%s", end->last_words);
    watched->ends++;
    loop_stop(watched->loop);
}

/* Runs `sh -c script` to its end (or kills it with `number` at once); what it wrote comes out on our stderr. */
static struct watched run(const char *script, int number)
{
    struct watched watched = {.loop = loop_new()};
    char *const argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    struct err err = {0};

    assert_non_null(watched.loop);
    struct child *child = child_new(watched.loop, "test", "/bin/sh", argv, ended, &watched);
    assert_non_null(child);
    assert_int_equal(child_start(child, &err), 0);
    assert_true(child_runs(child));
    assert_true(child_pid(child) > 0);
    if (number != 0) {
        child_signal(child, number);
    }
    assert_int_equal(loop_run(watched.loop), 0);
    assert_int_equal(watched.ends, 1);
    child_free(child);
    loop_free(watched.loop);
    return watched;
}

static void its_end_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("exit 0", 0).end.exit_code, 0);
    assert_int_equal(run("exit 3", 0).end.exit_code, 3);
    struct watched killed = run("sleep 60", SIGKILL);
    assert_int_equal(killed.end.exit_code, -1);
    assert_int_equal(killed.end.signal, SIGKILL);
}

static void its_last_words_are_no_log_lines(void **state)
{
    (void)state;
    assert_string_equal(run("echo '2024-01-01 starting'; echo 'port 80 is in use'; exit 1", 0).words, "port 80 is in use");
    assert_string_equal(run("echo 'port 80 is in use'; echo '2024-01-01 ending'; exit 1", 0).words, "");
    assert_string_equal(run("printf 'no newline'; exit 1", 0).words, "no newline");
    assert_string_equal(run("exit 1", 0).words, "");
}

static void what_cannot_be_run_ends_with_a_reason(void **state)
{
    struct watched watched = {.loop = loop_new()};
    char *const argv[] = {"nothing", NULL};

    (void)state;
    struct child *child = child_new(watched.loop, "test", "/nothing/here", argv, ended, &watched);
    assert_int_equal(child_start(child, NULL), 0);
    loop_run(watched.loop);
    assert_int_equal(watched.end.exit_code, 1);
    assert_non_null(strstr(watched.words, "/nothing/here"));
    child_free(child);
    loop_free(watched.loop);
}

static void it_gets_signals_and_descriptors_as_new(void **state)
{
    (void)state;
    /* blocked signals of this process are not the child's; only 0, 1, 2 are open (3 is the listing itself) */
    assert_int_equal(run("kill -TERM $$; exit 9", 0).end.signal, SIGTERM);
    assert_int_equal(run("test \"$(ls /proc/self/fd | wc -l)\" -le 4", 0).end.exit_code, 0);
}

static void much_output_does_not_stop_it(void **state)
{
    (void)state;
    int before = dup(STDERR_FILENO);
    FILE *away = fopen("/dev/null", "w");
    dup2(fileno(away), STDERR_FILENO);
    struct watched watched = run("head -c 300000 /dev/zero | tr '\\0' x; echo; seq 20000; exit 4", 0);
    dup2(before, STDERR_FILENO);
    fclose(away);
    close(before);
    assert_int_equal(watched.end.exit_code, 4);
}

static void freeing_ends_it(void **state)
{
    struct loop *loop = loop_new();
    char *const argv[] = {"sleep", "60", NULL};

    (void)state;
    struct child *child = child_new(loop, "test", "/bin/sleep", argv, ended, NULL);
    assert_int_equal(child_start(child, NULL), 0);
    pid_t pid = child_pid(child);
    child_free(child);
    assert_int_equal(kill(pid, 0), -1);
    child_free(NULL);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_end_is_told),
        cmocka_unit_test(its_last_words_are_no_log_lines),
        cmocka_unit_test(what_cannot_be_run_ends_with_a_reason),
        cmocka_unit_test(it_gets_signals_and_descriptors_as_new),
        cmocka_unit_test(much_output_does_not_stop_it),
        cmocka_unit_test(freeing_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
