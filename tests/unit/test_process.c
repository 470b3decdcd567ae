#include "tests/unit/worker_unit.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "worker/process.h"

struct seen {
    struct loop *loop;
    char out[200000], errors[4096], progress[256];
    pid_t pid;
    int ends;
    struct process_end end;
    const char *stop_at;    /* ends the loop when this was written */
    bool stop_when_started; /* or when gantry-run tells of the start: by a pipe of its own, so before or after the first words */
};

static char mark[64];
static char *env[] = {mark, "PATH=/usr/local/bin:/usr/bin:/bin", NULL};

static void on_started(void *self, pid_t pid)
{
    struct seen *seen = self;
    seen->pid = pid;
    if (seen->stop_when_started)
        loop_stop(seen->loop);
}

static void append(char *out, size_t size, const char *data, size_t len)
{
    size_t have = strlen(out);
    assert_true(have + len < size);
    memcpy(out + have, data, len);
    out[have + len] = '\0';
}

static void on_output(void *self, enum log_stream stream, const char *data, size_t len)
{
    struct seen *seen = self;
    if (stream == STREAM_STDOUT)
        append(seen->out, sizeof(seen->out), data, len);
    else
        append(seen->errors, sizeof(seen->errors), data, len);
    if (seen->stop_at && strstr(seen->out, seen->stop_at))
        loop_stop(seen->loop);
}

static void on_progress(void *self, const char *data, size_t len)
{
    struct seen *seen = self;
    append(seen->progress, sizeof(seen->progress), data, len);
}

static void on_ended(void *self, const struct process_end *end)
{
    struct seen *seen = self;
    seen->end = *end;
    seen->ends++;
    loop_stop(seen->loop);
}

static const struct process_events events = {
    .started = on_started, .output = on_output, .progress = on_progress, .ended = on_ended};

static struct loop *loop;
static struct processes *pool;
static struct seen seen;

static struct process *begin(const char *script)
{
    struct err err = {0};
    char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};
    struct job job = {.argv = argv, .env = env, .cwd = "/tmp", .grace_ms = 10000};
    memset(&seen, 0, sizeof(seen));
    seen.loop = loop;
    return process_start(pool, &job, &events, &seen, &err);
}

static int set_up(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct err err = {0};
    loop = loop_new();
    pool = processes_new(loop, built("gantry-run", path), &err);
    return pool ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    processes_free(pool);
    loop_free(loop);
    return marked_processes(mark);
}

static void test_output_and_end(void **state)
{
    (void)state;
    assert_non_null(begin("echo out; echo error >&2; echo percent=5 >&3; exit 4"));
    loop_run(loop);
    assert_string_equal(seen.out, "out\n");
    assert_string_equal(seen.errors, "error\n");
    assert_string_equal(seen.progress, "percent=5\n");
    assert_true(seen.pid > 0 && seen.end.started);
    assert_int_equal(seen.end.exit_code, 4);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(processes_count(pool), 0);
}

/* More than a pipe holds, and all of it is read before the end is told. */
static void test_much_output(void **state)
{
    (void)state;
    assert_non_null(begin("i=0; while [ $i -lt 2000 ]; do echo 0123456789012345678901234567890123456789012345678901234567890123; "
                          "i=$((i+1)); done"));
    loop_run(loop);
    assert_int_equal(strlen(seen.out), 2000 * 65);
    assert_int_equal(seen.end.exit_code, 0);
}

static void test_failure(void **state)
{
    (void)state;
    struct err err = {0};
    char *argv[] = {"no-such-program-here", NULL};
    struct job job = {.argv = argv, .env = env, .cwd = "/tmp"};
    memset(&seen, 0, sizeof(seen));
    seen.loop = loop;
    assert_non_null(process_start(pool, &job, &events, &seen, &err));
    loop_run(loop);
    assert_false(seen.end.started);
    assert_non_null(strstr(seen.end.failure, "no-such-program-here"));
}

static void test_no_supervisor(void **state)
{
    (void)state;
    struct err err = {0};
    struct processes *lame = processes_new(loop, "/no/gantry-run", &err);
    char *argv[] = {"true", NULL};
    struct job job = {.argv = argv, .env = env, .cwd = "/tmp"};
    assert_non_null(lame);
    assert_null(process_start(lame, &job, &events, &seen, &err));
    assert_non_null(strstr(err.text, "/no/gantry-run"));
    processes_free(lame);
}

/* A command wakes only a gantry-run that is stopped: a SIGCONT at the wrong moment takes the SIGSTOP from whoever attaches to it.
 * In gantry-run's place stands a script that reports a SIGCONT. */
static void test_command_wakes_only_the_stopped(void **state)
{
    (void)state;
    struct err err = {0};
    char path[] = "/tmp/gantry-test-supervisor-XXXXXX";
    static const char script[] = "#!/bin/sh\n"
                                 "trap 'echo failed woken >&4' CONT\n"
                                 "echo up\n"
                                 "dd bs=1 count=1 <&3 >/dev/null 2>&1\n"
                                 "sleep 0.1\n"
                                 "printf 'started 1\\nended 0 0 0 0 0\\nclean 0\\n' >&4\n";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, script, sizeof(script) - 1), sizeof(script) - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    processes_free(pool); /* two pools in one process would reap each other's */
    pool = processes_new(loop, path, &err);
    assert_non_null(pool);
    struct process *process = begin("true");
    assert_non_null(process);
    seen.stop_at = "up";
    loop_run(loop);
    seen.stop_at = NULL;
    process_kill(process);
    while (!seen.ends)
        loop_run(loop);
    assert_true(seen.end.started);
    assert_string_equal(seen.end.failure, "");
    unlink(path);
}

static void test_term_and_kill(void **state)
{
    (void)state;
    struct process *process = begin("trap 'exit 9' TERM; echo up; while :; do sleep 0.02; done");
    seen.stop_at = "up";
    loop_run(loop);
    process_term(process);
    seen.stop_at = NULL;
    while (!seen.ends)
        loop_run(loop);
    assert_int_equal(seen.end.exit_code, 9);
    process = begin("trap '' TERM; echo up; sleep 600; sleep 600");
    seen.stop_at = "up";
    loop_run(loop);
    process_kill(process);
    seen.stop_at = NULL;
    while (!seen.ends)
        loop_run(loop);
    assert_int_equal(seen.end.signal, SIGKILL);
}

/* A program stops its gantry-run: it is ended all the same, by a command, by being forgotten, and by the pool's end in tear_down. */
static void stop_loop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

/* The stop takes effect only after the command was given. */
static void test_supervisor_stopped_behind_the_command(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct process *process = begin("echo up $PPID; while :; do sleep 0.01; done");
        seen.stop_at = "up";
        loop_run(loop);
        seen.stop_at = NULL;
        int supervisor = 0;
        assert_int_equal(sscanf(seen.out, "up %d", &supervisor), 1);
        process_kill(process);
        kill(supervisor, SIGSTOP);
        while (!seen.ends)
            loop_run(loop);
    }
}

static void test_supervisor_stopped(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct process *process = begin("kill -STOP $PPID; echo up; exec sleep 600");
        seen.stop_at = "up";
        loop_run(loop);
        seen.stop_at = NULL;
        if (round == 0) {
            process_term(process);
            while (!seen.ends)
                loop_run(loop);
            assert_int_equal(seen.end.signal, SIGTERM);
        } else if (round == 1) {
            process_forget(process);
            while (marked_processes(mark)) { /* it may be stopped only now, and is woken when that is seen */
                assert_true(loop_after(loop, 20, stop_loop, NULL) >= 0);
                loop_run(loop);
            }
        }
    }
}

/* Nor can a program that stops its gantry-run have more than its time: it has to stop it before, so that it has some seconds. */
static void test_supervisor_stopped_over_its_limit(void **state)
{
    (void)state;
    struct err err = {0};
    char *argv[] = {"/bin/sh", "-c", "kill -STOP $PPID; setsid sleep 600 & exec sleep 600", NULL};
    struct job job = {.argv = argv, .env = env, .cwd = "/tmp", .timeout_ms = 3000, .grace_ms = 100};
    memset(&seen, 0, sizeof(seen));
    seen.loop = loop;
    assert_non_null(process_start(pool, &job, &events, &seen, &err));
    while (!seen.ends)
        loop_run(loop);
    assert_true(seen.end.timed_out && seen.end.overdue && seen.end.vanished);
    assert_int_equal(marked_processes(mark), 0);
}

/* gantry-run is killed with -9: the end is told only when its orphans are dead; another run is left alone. */
static void test_supervisor_killed(void **state)
{
    (void)state;
    struct err err = {0};
    char *argv[] = {"sleep", "600", NULL};
    struct job job = {.argv = argv, .env = env, .cwd = "/tmp"};
    struct seen *other = calloc(1, sizeof(*other));
    assert_non_null(other);
    other->loop = loop;
    other->stop_when_started = true;
    struct process *bystander = process_start(pool, &job, &events, other, &err);
    while (!other->pid)
        loop_run(loop);
    assert_non_null(begin("setsid sh -c 'sleep 600; true' & (setsid sleep 600 &); echo up; wait"));
    seen.stop_at = "up";
    seen.stop_when_started = true;
    while (!seen.pid || !strstr(seen.out, "up"))
        loop_run(loop);
    /* the program's parent is gantry-run */
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)seen.pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    int parent = atoi(strrchr(text, ')') + 4);
    assert_int_equal(kill((pid_t)parent, SIGKILL), 0);
    seen.stop_at = NULL;
    while (!seen.ends)
        loop_run(loop);
    assert_true(seen.end.vanished);
    assert_int_equal(marked_processes(mark), 1); /* the bystander's sleep */
    assert_int_equal(other->ends, 0);
    process_kill(bystander);
    while (!other->ends)
        loop_run(loop);
    assert_int_equal(other->end.signal, SIGKILL);
    assert_false(other->end.vanished);
    free(other);
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void test_forget(void **state)
{
    (void)state;
    struct process *process = begin("echo up; sleep 600; true");
    seen.stop_at = "up";
    loop_run(loop);
    process_forget(process);
    seen.stop_at = NULL;
    while (processes_count(pool)) { /* nobody is told of its end */
        loop_after(loop, 5, stop, NULL);
        loop_run(loop);
    }
    wait_marked(mark, 0);
}

/* The pool goes while things run: nothing is left. tear_down counts. */
static void test_pool_goes(void **state)
{
    (void)state;
    assert_non_null(begin("setsid sleep 600 & echo up; sleep 600; true"));
    seen.stop_at = "up";
    loop_run(loop);
}

int main(void)
{
    snprintf(mark, sizeof(mark), "GANTRY_TEST_MARK=%d", (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output_and_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_much_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_supervisor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_command_wakes_only_the_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_term_and_kill, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_supervisor_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_supervisor_stopped_behind_the_command, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_supervisor_stopped_over_its_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_supervisor_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pool_goes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
