/* The keeper of an engine, and what is said to it. */
#include "tests/unit/worker_unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/messages.h"
#include "worker/job.h"
#include "worker/render/keep.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char folder[UNIT_FOLDER_SIZE], mark[UNIT_FOLDER_SIZE + 16], text[KEEP_TEXT];
static pid_t keeper;
static struct keep_ends ends;

static int set_up(void **state)
{
    (void)state;
    char path[PATH_MAX], word[UNIT_FOLDER_SIZE + 16];
    unit_folder(folder);
    built("gantry-worker", path);
    snprintf(word, sizeof(word), "folder=%s", folder);
    snprintf(mark, sizeof(mark), "KEEP_MARK=%s", folder);
    ends = (struct keep_ends){-1, -1, -1};
    keeper = fork();
    if (keeper == 0) {
        execl(path, path, "--render-keeper", word, "most_mb=100000", NULL);
        _exit(1);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keep_ends_close(&ends);
    if (keeper > 0) { /* what it keeps goes with it on a worker, by gantry-run: here it is asked to end that first */
        kill(keeper, SIGKILL);
        waitpid(keeper, NULL, 0);
    }
    unit_remove(folder);
    return 0;
}

/* ---- packets ---- */

static void test_wants(void **state)
{
    (void)state;
    struct keep_want want;
    assert_true(keep_want_read("want " KEY " 100 60", &want));
    assert_string_equal(want.key, KEY);
    assert_int_equal(want.chunk, 100);
    assert_int_equal(want.seconds, 60);
    assert_true(keep_want_read("want " KEY " 1000000 86400", &want));
    static const char *const bad[] = {
        "",
        "want",
        "want ",
        "want " KEY,
        "want " KEY " ",
        "want " KEY " 1",
        "want " KEY " 1 ",
        "want " KEY " 0 1",
        "want " KEY " 1 0",
        "want " KEY " 1000001 1",
        "want " KEY " 1 86401",
        "want " KEY " 99999999999999999999999999999 1",
        "want " KEY " 1 1 ",
        "want " KEY " 1 1x",
        "want " KEY " -1 1",
        "want " KEY "0 1 1",
        "want  " KEY " 1 1",
        "want 0123 1 1",
        "want G" OTHER " 1 1",
        "Want " KEY " 1 1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(keep_want_read(bad[i], &want));
}

static void test_packets(void **state)
{
    (void)state;
    int line[2], pipes[2];
    struct keep_ends got = {-1, -1, -1};
    char bytes[KEEP_TEXT + 8], byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line), 0);
    assert_int_equal(pipe(pipes), 0);
    const struct keep_ends sent = {pipes[0], pipes[1], pipes[0]};
    assert_int_equal(keep_send(line[0], &sent, "same %d", 3), 0);
    assert_int_equal(keep_receive(line[1], text, &got), 1);
    assert_string_equal(text, "same 3");
    assert_int_equal(write(got.in, "x", 1), 1);
    assert_int_equal(read(got.out, &byte, 1), 1);
    keep_ends_close(&got);
    assert_int_equal(got.process, -1);
    /* ends that nobody asked for are closed; none are none */
    assert_int_equal(keep_send(line[0], &sent, "a"), 0);
    assert_int_equal(keep_receive(line[1], text, NULL), 1);
    assert_int_equal(keep_send(line[0], NULL, "b"), 0);
    assert_int_equal(keep_receive(line[1], text, &got), 1);
    assert_int_equal(got.out, -1);
    /* too long, or with a NUL: no packet of ours */
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(send(line[0], bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(keep_receive(line[1], text, &got), -1);
    assert_int_equal(send(line[0], "a\0b", 3, 0), 3);
    assert_int_equal(keep_receive(line[1], text, &got), -1);
    bytes[sizeof(bytes) - 1] = '\0';
    assert_int_equal(keep_send(line[0], NULL, "%s", bytes), -1);
    close(line[0]);
    assert_int_equal(keep_receive(line[1], text, &got), 0);
    assert_int_equal(keep_send(line[1], NULL, "a"), -1);
    close(line[1]);
    close(pipes[0]);
    close(pipes[1]);
}

/* ---- the keeper ---- */

static int dial(void)
{
    int line, looks = 0;
    while ((line = keep_dial(folder)) < 0) {
        assert_true(errno == ENOENT || errno == ECONNREFUSED);
        assert_true(looks++ < 12000);
        poll(NULL, 0, 5);
    }
    return line;
}

static const char *ask(int line, const char *question)
{
    keep_ends_close(&ends);
    assert_int_equal(keep_send(line, NULL, "%s", question), 0);
    assert_int_equal(keep_receive(line, text, &ends), 1);
    return text;
}

/* An engine that answers each line with it, in capitals. */
static void start(int line, const char *script)
{
    char path[KEEP_TEXT + 8], place[KEEP_TEXT];
    size_t len;
    assert_int_equal(strncmp(text, "fresh ", 6), 0);
    snprintf(place, sizeof(place), "%s", text + 6);
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL}, *env[] = {(char *)"PATH=/usr/bin:/bin", mark, NULL};
    const struct job job = {.argv = argv, .env = env, .cwd = place};
    char *bytes = job_pack(&job, &len);
    assert_non_null(bytes);
    snprintf(path, sizeof(path), "%s/" KEEP_JOB, place);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, len, 1, file), 1);
    fclose(file);
    free(bytes);
    ask(line, "start");
}

static const char *talk(const char *said)
{
    static char answer[64];
    size_t len = 0;
    assert_int_equal(send(ends.in, said, strlen(said), MSG_NOSIGNAL), strlen(said));
    while (len + 1 < sizeof(answer) && read(ends.out, answer + len, 1) == 1 && answer[len] != '\n')
        len++;
    answer[len] = '\0';
    return answer;
}

static void wait_end(int process)
{
    assert_int_equal(poll(&(struct pollfd){.fd = process, .events = POLLIN}, 1, 60000), 1);
}

#define ECHO "while read -r line; do echo \"$line of $$\"; done"

static void test_kept(void **state)
{
    (void)state;
    char first[64];
    int line = dial();
    assert_int_equal(strncmp(ask(line, "want " KEY " 3 60"), "fresh ", 6), 0);
    start(line, ECHO);
    assert_int_equal(strncmp(text, "started ", 8), 0);
    snprintf(first, sizeof(first), "%s", talk("a\n"));
    assert_int_equal(keep_send(line, NULL, "done"), 0);
    close(line);
    line = dial();
    assert_string_equal(ask(line, "want " KEY " 3 60"), "same 1");
    assert_string_equal(talk("a\n"), first);
    assert_int_equal(keep_send(line, NULL, "done"), 0);
    close(line);
    /* its last one */
    line = dial();
    assert_string_equal(ask(line, "want " KEY " 3 60"), "same 2");
    int process = dup(ends.process);
    assert_int_equal(keep_send(line, NULL, "done"), 0);
    close(line);
    wait_end(process);
    close(process);
    line = dial();
    assert_int_equal(strncmp(ask(line, "want " KEY " 3 60"), "fresh ", 6), 0);
    close(line);
}

/* Whoever goes without a word leaves no engine behind, nor does who wants another one. */
static void test_not_kept(void **state)
{
    (void)state;
    char place[KEEP_TEXT];
    int line = dial();
    ask(line, "want " KEY " 9 60");
    snprintf(place, sizeof(place), "%s", text + 6);
    assert_int_equal(access(place, W_OK), 0);
    start(line, "sleep 600 & setsid sleep 600 & " ECHO);
    int process = dup(ends.process);
    close(line);
    wait_end(process);
    close(process);
    wait_marked(mark, 0);
    line = dial();
    ask(line, "want " KEY " 9 60");
    assert_int_equal(access(place, F_OK), -1);
    start(line, ECHO);
    process = dup(ends.process);
    assert_int_equal(keep_send(line, NULL, "done"), 0);
    close(line);
    line = dial();
    assert_int_equal(strncmp(ask(line, "want " OTHER " 9 60"), "fresh ", 6), 0);
    wait_end(process);
    close(process);
    close(line);
}

static void test_ends(void **state)
{
    (void)state;
    int line = dial();
    ask(line, "want " KEY " 9 60");
    start(line, "exit 7");
    assert_string_equal(ask(line, "end"), "ended 7 0");
    assert_int_equal(strncmp(ask(line, "want " KEY " 9 60"), "fresh ", 6), 0);
    start(line, "kill -9 $$");
    assert_string_equal(ask(line, "end"), "ended -1 9");
    assert_int_equal(keep_send(line, NULL, "end"), 0); /* there is none: it is no word of ours */
    assert_int_equal(keep_receive(line, text, NULL), 0);
    close(line);
    /* idle for too long */
    line = dial();
    ask(line, "want " KEY " 9 1");
    start(line, ECHO);
    int process = dup(ends.process);
    assert_int_equal(keep_send(line, NULL, "done"), 0);
    close(line);
    wait_end(process);
    close(process);
}

static void test_odd(void **state)
{
    (void)state;
    static const char *const odd[] = {"start", "end", "done", "want", "want x 1 1", "hello", "want " KEY " 0 0"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        int line = dial();
        assert_int_equal(keep_send(line, NULL, "%s", odd[i]), 0);
        assert_int_equal(keep_receive(line, text, NULL), 0);
        close(line);
    }
    /* nothing to be started, or nothing that can be */
    int line = dial();
    ask(line, "want " KEY " 9 60");
    assert_int_equal(strncmp(ask(line, "start"), "failed ", 7), 0);
    ask(line, "want " KEY " 9 60");
    start(line, "true");
    assert_int_equal(strncmp(text, "started ", 8), 0);
    close(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wants),
        cmocka_unit_test(test_packets),
        cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
