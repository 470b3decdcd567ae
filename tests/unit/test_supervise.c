/* gantry-run with real processes: whatever a program does to get away, it is gone when gantry-run is. */
#include "tests/unit/worker_unit.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>

#include "worker/spawn.h"

#define MARK "GANTRY_TEST_MARK="

struct ran {
    struct spawned spawned;
    char status[4096], out[65536];
};

static char mark[64];

static void begin(struct ran *ran, struct job *job)
{
    static char path[PATH_MAX];
    static char *env[] = {mark, "PATH=/usr/local/bin:/usr/bin:/bin", NULL};
    struct err err = {0};
    memset(ran, 0, sizeof(*ran));
    if (!job->env)
        job->env = env;
    if (!job->cwd)
        job->cwd = "/tmp";
    assert_int_equal(spawn(built("gantry-run", path), job, &ran->spawned, &err), 0);
}

static void begin_shell(struct ran *ran, const char *script, struct job job)
{
    char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};
    job.argv = argv;
    begin(ran, &job);
}

static void command(struct ran *ran, char byte)
{
    assert_int_equal(write(ran->spawned.fds[SPAWN_CONTROL], &byte, 1), 1);
}

static void slurp(int fd, char *out, size_t size)
{
    size_t have = strlen(out);
    fcntl(fd, F_SETFL, 0);
    for (ssize_t got; have < size - 1 && (got = read(fd, out + have, size - 1 - have)) > 0;)
        have += (size_t)got;
    out[have] = '\0';
}

/* Waits for a line of its report. */
static void await(struct ran *ran, const char *word)
{
    size_t have = strlen(ran->status);
    fcntl(ran->spawned.fds[SPAWN_STATUS], F_SETFL, 0);
    while (!strstr(ran->status, word)) {
        ssize_t got = read(ran->spawned.fds[SPAWN_STATUS], ran->status + have, sizeof(ran->status) - 1 - have);
        assert_true(got > 0);
        have += (size_t)got;
        ran->status[have] = '\0';
    }
}

static void await_output(struct ran *ran, const char *word)
{
    size_t have = strlen(ran->out);
    fcntl(ran->spawned.fds[SPAWN_STDOUT], F_SETFL, 0);
    while (!strstr(ran->out, word)) {
        ssize_t got = read(ran->spawned.fds[SPAWN_STDOUT], ran->out + have, sizeof(ran->out) - 1 - have);
        assert_true(got > 0);
        have += (size_t)got;
        ran->out[have] = '\0';
    }
}

/* Reads to the end, and reaps gantry-run. Nothing that was started may be left then. */
static void finish(struct ran *ran)
{
    slurp(ran->spawned.fds[SPAWN_STATUS], ran->status, sizeof(ran->status));
    int status;
    assert_int_equal(waitpid(ran->spawned.pid, &status, 0), ran->spawned.pid);
    slurp(ran->spawned.fds[SPAWN_STDOUT], ran->out, sizeof(ran->out));
    slurp(ran->spawned.fds[SPAWN_STDERR], ran->out, sizeof(ran->out));
    for (int i = 0; i < SPAWN_PIPES; i++)
        if (ran->spawned.fds[i] >= 0)
            close(ran->spawned.fds[i]);
    assert_int_equal(marked_processes(mark), 0);
}

static void close_control(struct ran *ran)
{
    close(ran->spawned.fds[SPAWN_CONTROL]);
    ran->spawned.fds[SPAWN_CONTROL] = -1;
}

static void has(const struct ran *ran, const char *text)
{
    if (!strstr(ran->status, text))
        fail_msg("'%s' is not in the report:\n%s", text, ran->status);
}

static void test_exit_codes(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran, "exit 0", (struct job){0});
    finish(&ran);
    has(&ran, "started ");
    has(&ran, "ended 0 0 ");
    has(&ran, "clean 0");
    begin_shell(&ran, "exit 7", (struct job){0});
    finish(&ran);
    has(&ran, "ended 7 0 ");
    begin_shell(&ran, "kill -USR1 $$", (struct job){0});
    finish(&ran);
    has(&ran, "ended -1 10 ");
}

static void test_start_failures(void **state)
{
    (void)state;
    struct ran ran;
    char *missing[] = {"no-such-program-here", NULL}, *folder[] = {"/tmp", NULL}, *shell[] = {"/bin/sh", "-c", "true", NULL};
    begin(&ran, &(struct job){.argv = missing});
    finish(&ran);
    has(&ran, "failed there is no program no-such-program-here");
    begin(&ran, &(struct job){.argv = folder});
    finish(&ran);
    has(&ran, "failed /tmp may not be executed");
    begin(&ran, &(struct job){.argv = shell, .cwd = "/no/such/folder"});
    finish(&ran);
    has(&ran, "failed cannot enter the working folder /no/such/folder: No such file");
    begin(&ran, &(struct job){.argv = shell, .user = "no-such-user"});
    finish(&ran);
    has(&ran, "failed there is no user no-such-user on this worker");
    assert_null(strstr(ran.status, "ended"));
}

static void test_too_big(void **state)
{
    (void)state;
    char *big = malloc(200001), *argv[] = {"/bin/echo", big, NULL};
    assert_non_null(big);
    memset(big, 'x', 200000);
    big[200000] = '\0';
    struct ran ran;
    begin(&ran, &(struct job){.argv = argv});
    finish(&ran);
    has(&ran, "E2BIG");
    free(big);
}

/* The worker dies: its end of the pipe closes. */
static void test_pipe_end_kills_all(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "echo up; sleep 600; true",
        "trap '' TERM HUP INT; echo up; sleep 600; sleep 600",
        "setsid sleep 600 & setsid sh -c 'sleep 600; true' & echo up; wait",
        "(setsid sh -c 'sleep 600 & sleep 600; true' &) ; sh -c '(sh -c \"sleep 600; true\" &) &' ; echo up; sleep 600",
        "sleep 600 & kill -STOP $!; echo up; wait",
        ("python3 -c 'import os\nfor i in range(20):\n  if os.fork()==0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
         "    os.execvp(\"sleep\",[\"sleep\",\"600\"])' ; echo up; wait; sleep 600"),
    };
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct ran ran;
        begin_shell(&ran, scripts[i], (struct job){0});
        await_output(&ran, "up");
        assert_true(marked_processes(mark) > 0);
        close_control(&ran);
        finish(&ran);
        has(&ran, "ended -1 9 ");
        has(&ran, "clean");
    }
}

static void test_left_behind(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran, "setsid sleep 600 >/dev/null 2>&1 & exit 3", (struct job){0});
    finish(&ran);
    has(&ran, "ended 3 0 ");
    has(&ran, "clean 1");
}

static void test_term(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran, "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done", (struct job){.grace_ms = 20000});
    await_output(&ran, "up");
    command(&ran, JOB_TERM);
    finish(&ran);
    has(&ran, "ended 5 0 ");
    assert_non_null(strstr(ran.out, "bye"));
}

/* What the program started may finish within the grace, though the program itself is gone at once. */
static void test_term_waits_for_children(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran, "sh -c 'trap \"sleep 0.3; echo child done; exit 0\" TERM; echo up; while :; do sleep 0.05; done' & wait",
                (struct job){.grace_ms = 20000});
    await_output(&ran, "up");
    command(&ran, JOB_TERM);
    finish(&ran);
    assert_non_null(strstr(ran.out, "child done"));
}

static void test_term_then_kill(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran, "trap '' TERM; echo up; while :; do sleep 0.05; done", (struct job){.grace_ms = 200});
    await_output(&ran, "up");
    command(&ran, JOB_TERM);
    finish(&ran);
    has(&ran, "ended -1 9 ");
    begin_shell(&ran, "trap '' TERM; echo up; while :; do sleep 0.05; done", (struct job){.grace_ms = 600000});
    await_output(&ran, "up");
    command(&ran, JOB_KILL);
    finish(&ran);
    has(&ran, "ended -1 9 ");
}

static void test_timeout(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran, "sleep 600; true", (struct job){.timeout_ms = 100, .grace_ms = 300000});
    finish(&ran);
    has(&ran, "limit timeout");
    has(&ran, "ended -1 15 ");
}

static void test_limits(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran, "ulimit -t; ulimit -v; ulimit -n; ulimit -c; umask",
                (struct job){.cpu_seconds = 77, .memory_mb = 512, .files = 99});
    finish(&ran);
    assert_string_equal(ran.out, "77\n524288\n99\n0\n0022\n");
    begin_shell(&ran, "while :; do :; done", (struct job){.cpu_seconds = 1});
    finish(&ran);
    has(&ran, "ended -1 24 ");
}

/* Only its own four descriptors, default signals, its own session, no new privileges; no environment but the one given. */
static void test_surroundings(void **state)
{
    (void)state;
    struct ran ran;
    begin_shell(&ran,
                "for n in 0 1 2 3 4 5 6 7 8; do [ -e /proc/$$/fd/$n ] && echo fd $n; done; cut -d' ' -f6 /proc/$$/stat | grep "
                "-qx $$ && echo leader; env",
                (struct job){0});
    finish(&ran);
    assert_non_null(strstr(ran.out, "fd 0\nfd 1\nfd 2\nfd 3\nleader"));
    assert_non_null(strstr(ran.out, mark));
    assert_null(strstr(ran.out, "HOME="));
    char *status[] = {"grep", "-E", "NoNewPrivs|SigBlk|SigIgn", "/proc/self/status",
                      NULL}; /* a shell would show its own handling */
    begin(&ran, &(struct job){.argv = status});
    finish(&ran);
    assert_non_null(strstr(ran.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000"));
    assert_non_null(strstr(ran.out, "0000000\nNoNewPrivs:\t1\n")); /* above them are two signals of glibc's own */
    begin_shell(&ran, "echo percent=42 >&3", (struct job){0});
    char text[64] = "";
    slurp(ran.spawned.fds[SPAWN_PROGRESS], text, sizeof(text));
    finish(&ran);
    assert_string_equal(text, "percent=42\n");
}

static void test_run_as(void **state)
{
    (void)state;
    const struct passwd *nobody = getpwnam("nobody");
    struct ran ran;
    if (geteuid() != 0 || !nobody) {
        char *argv[] = {"/bin/sh", "-c", "true", NULL};
        begin(&ran, &(struct job){.argv = argv, .user = "root"});
        finish(&ran);
        has(&ran, "failed cannot become user root: the worker does not run as root");
        return;
    }
    begin_shell(&ran, "id -u; id -G; id -ru", (struct job){.user = "nobody"});
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "%u\n%u\n%u\n", nobody->pw_uid, nobody->pw_gid, nobody->pw_uid);
    finish(&ran);
    assert_string_equal(ran.out, wanted);
    /* the change of user clears the parent-death signal and must not save anything from the end of the pipe */
    begin_shell(&ran, "setsid sleep 600 & echo up; wait", (struct job){.user = "nobody"});
    await_output(&ran, "up");
    close_control(&ran);
    finish(&ran);
}

/* gantry-run is killed itself: the program dies with it; the rest is for whoever is the next subreaper (test_process.c). */
static void test_killed_itself(void **state)
{
    (void)state;
    struct ran ran;
    char *argv[] = {"sleep", "600", NULL};
    begin(&ran, &(struct job){.argv = argv});
    await(&ran, "started");
    assert_int_equal(kill(ran.spawned.pid, SIGKILL), 0);
    wait_marked(mark, 0);
    finish(&ran);
    assert_null(strstr(ran.status, "clean"));
}

static void test_by_hand(void **state)
{
    (void)state;
    char path[PATH_MAX], line[PATH_MAX + 64];
    snprintf(line, sizeof(line), "%s 3>&- 4>&- 5>&- 6>&- 2>/dev/null", built("gantry-run", path));
    int status = system(line);
    assert_int_equal(WEXITSTATUS(status), 2);
}

int main(void)
{
    snprintf(mark, sizeof(mark), MARK "%d", (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_start_failures),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_pipe_end_kills_all),
        cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_term),
        cmocka_unit_test(test_term_waits_for_children),
        cmocka_unit_test(test_term_then_kill),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_run_as),
        cmocka_unit_test(test_killed_itself),
        cmocka_unit_test(test_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
