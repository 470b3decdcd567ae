#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/loop.h"

static char trail[64]; /* one letter a callback, in order */
static struct loop *loop;

static void leave(char letter)
{
    size_t len = strlen(trail);

    if (len + 1 < sizeof trail) {
        trail[len] = letter;
        trail[len + 1] = '\0';
    }
}

static int setup(void **state)
{
    (void)state;
    trail[0] = '\0';
    loop = loop_new();
    return loop == NULL;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void on_pipe(void *arg)
{
    char byte;
    int *fd = arg;

    assert_int_equal(read(*fd, &byte, 1), 1);
    leave(byte);
}

static void on_timer(void *arg)
{
    leave(*(const char *)arg);
}

static void on_settle(void *arg)
{
    (void)arg;
    leave('s');
}

static void on_stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

/* What arrived is handled before what became due, and settling comes behind both. */
static void test_order(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(loop_add_fd(loop, ends[0], false, on_pipe, &ends[0]), 0);
    assert_true(loop_after(loop, 0, on_timer, "t") > 0);
    assert_true(loop_after(loop, 0, on_stop, NULL) > 0);
    loop_on_settle(loop, on_settle, NULL);
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trail, "ats");
    loop_remove_fd(loop, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

static int repeated;

static void on_repeat(void *arg)
{
    (void)arg;
    leave('r');
    if (strlen(trail) == 3) {
        loop_cancel(loop, repeated); /* its own */
        loop_after(loop, 20, on_stop, NULL);
    }
}

static void test_repeat_and_cancel(void **state)
{
    (void)state;
    int cancelled = loop_after(loop, 1, on_timer, "x");
    repeated = loop_every(loop, 1, on_repeat, NULL);
    loop_cancel(loop, cancelled);
    loop_cancel(loop, -1);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trail, "rrr");
}

static int removed_fd;

static void on_pipe_removes(void *arg)
{
    on_pipe(arg);
    loop_remove_fd(loop, removed_fd);
    loop_after(loop, 5, on_stop, NULL);
}

/* A source removed by another's callback in the same wake-up is not called any more. */
static void test_remove_in_callback(void **state)
{
    int first[2], second[2];

    (void)state;
    assert_int_equal(pipe(first), 0);
    assert_int_equal(pipe(second), 0);
    removed_fd = second[0];
    assert_int_equal(loop_add_fd(loop, first[0], false, on_pipe_removes, &first[0]), 0);
    assert_int_equal(loop_add_fd(loop, second[0], false, on_pipe, &second[0]), 0);
    assert_int_equal(write(first[1], "a", 1), 1);
    assert_int_equal(write(second[1], "b", 1), 1);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trail, "a");
    for (int i = 0; i < 2; i++) {
        close(first[i]);
        close(second[i]);
    }
}

static void on_reload(void *arg)
{
    (void)arg;
    leave('h');
    kill(getpid(), SIGTERM);
}

static void on_terminate(void *arg)
{
    (void)arg;
    leave('t');
    loop_stop(loop);
}

static void test_signals(void **state)
{
    (void)state;
    loop_on_reload(loop, on_reload, NULL);
    loop_on_terminate(loop, on_terminate, NULL);
    kill(getpid(), SIGHUP);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trail, "ht");
}

/* What fails while a process is still being put together must end it, too. */
static void test_stopped_before_it_runs(void **state)
{
    (void)state;
    loop_after(loop, 0, on_timer, "x");
    loop_stop(loop);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trail, "");
    loop_after(loop, 0, on_stop, NULL); /* and it can run again */
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trail, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeat_and_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove_in_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_before_it_runs, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
