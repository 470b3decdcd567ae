/* A child's end is seen through its pidfd; its output comes over a pipe that only it and its descendants hold.
 *
 * Children have a process group of their own, so that a Ctrl-C on the terminal reaches this process alone, which then ends them in
 * order; and PDEATHSIG, so that none is left when this process is killed. */
#include "gateway/cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"

#define LINE_MAX_BYTES 8192
#define LABEL_WIDTH 10

struct child {
    struct loop *loop;
    const char *label;
    const char *path;
    char *const *argv;
    void (*on_end)(void *self, struct child *child, const struct child_end *end);
    void *self;

    pid_t pid; /* 0: not running */
    int pidfd;
    int out; /* the reading end; -1 when closed */
    uint64_t started_ms;
    char line[LINE_MAX_BYTES]; /* what has arrived of the next line */
    size_t len;
    bool settled;
    char words[512]; /* the last line that was no log line, held back: it may be why the child ends */
};

void child_line(const char *label, const char *text, size_t len)
{
    static const char *const colours[] = {"36", "32", "35", "33", "34", "31"};
    unsigned sum = 0;

    for (const char *at = label; *at != '\0' && *at != '-'; at++) {
        sum += (unsigned char)*at;
    }
    if (isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL) {
        fprintf(stderr, "\033[%sm%-*s|\033[0m %.*s\n", colours[sum % 6], LABEL_WIDTH, label, (int)len, text);
    } else {
        fprintf(stderr, "%-*s| %.*s\n", LABEL_WIDTH, label, (int)len, text);
    }
}

static void words_flush(struct child *child)
{
    if (child->words[0] != '\0') {
        child_line(child->label, child->words, strlen(child->words));
        child->words[0] = '\0';
    }
}

/* Log lines begin with a time; what a process says as it gives up does not. */
static void line_take(struct child *child, const char *text, size_t len)
{
    words_flush(child);
    if (!child->settled && len > 0 && (text[0] < '0' || text[0] > '9') && len < sizeof child->words) {
        memcpy(child->words, text, len);
        child->words[len] = '\0';
        return;
    }
    child_line(child->label, text, len);
}

static void lines_cut(struct child *child)
{
    size_t start = 0;

    for (size_t i = 0; i < child->len; i++) {
        if (child->line[i] == '\n') {
            line_take(child, child->line + start, i - start);
            start = i + 1;
        }
    }
    if (start == 0 && child->len == sizeof child->line) {
        line_take(child, child->line, child->len);
        start = child->len;
    }
    child->len -= start;
    memmove(child->line, child->line + start, child->len);
}

static void out_close(struct child *child)
{
    if (child->out >= 0) {
        loop_remove_fd(child->loop, child->out);
        close(child->out);
        child->out = -1;
    }
}

static void out_read(void *arg)
{
    struct child *child = arg;
    int rounds = 64; /* a chatty child does not keep the others waiting */

    while (child->out >= 0 && rounds-- > 0) {
        ssize_t got = read(child->out, child->line + child->len, sizeof child->line - child->len);
        if (got > 0) {
            child->len += (size_t)got;
            lines_cut(child);
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else if (got < 0 && errno == EAGAIN) {
            return;
        } else {
            out_close(child);
        }
    }
}

static void child_ended(void *arg)
{
    struct child *child = arg;
    struct child_end end = {.exit_code = -1};
    char words[sizeof child->words];
    int status;

    if (waitpid(child->pid, &status, WNOHANG) != child->pid) {
        return;
    }
    out_read(child);
    if (child->len > 0) {
        line_take(child, child->line, child->len);
        child->len = 0;
    }
    out_close(child);
    loop_remove_fd(child->loop, child->pidfd);
    close(child->pidfd);
    child->pidfd = -1;
    child->pid = 0;
    if (WIFEXITED(status)) {
        end.exit_code = WEXITSTATUS(status);
    } else {
        end.signal = WTERMSIG(status);
    }
    end.lived_ms = clock_mono_ms() - child->started_ms;
    snprintf(words, sizeof words, "%s", child->words);
    if (end.exit_code != 1) {
        words_flush(child);
    }
    child->words[0] = '\0';
    end.last_words = words;
    child->on_end(child->self, child, &end);
}

struct child *child_new(struct loop *loop, const char *label, const char *path, char *const *argv,
                        void (*on_end)(void *self, struct child *child, const struct child_end *end), void *self)
{
    struct child *child = calloc(1, sizeof *child);

    if (child == NULL) {
        return NULL;
    }
    child->loop = loop;
    child->label = label;
    child->path = path;
    child->argv = argv;
    child->on_end = on_end;
    child->self = self;
    child->pidfd = -1;
    child->out = -1;
    return child;
}

void child_free(struct child *child)
{
    if (child == NULL) {
        return;
    }
    if (child->pid != 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        loop_remove_fd(child->loop, child->pidfd);
        close(child->pidfd);
    }
    words_flush(child);
    out_close(child);
    free(child);
}

/* Behind fork(): only calls that are safe there. */
static void become(const struct child *child, int out, pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* it was gone before PDEATHSIG stood */
    }
    setpgid(0, 0);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    close_range(3, ~0U, 0);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(child->path, child->argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", child->path, strerror(errno));
    _exit(1);
}

int child_start(struct child *child, struct err *err)
{
    pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set(err, ERR_IO, "no pipe for %s: %s", child->label, strerror(errno));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) {
        become(child, ends[1], parent);
    }
    close(ends[1]);
    int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pidfd < 0) {
        err_set(err, ERR_IO, "cannot start %s: %s", child->label, strerror(errno));
        goto error;
    }
    if (loop_add_fd(child->loop, ends[0], false, out_read, child) != 0 ||
        loop_add_fd(child->loop, pidfd, false, child_ended, child) != 0) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        loop_remove_fd(child->loop, ends[0]);
        goto error;
    }
    child->pid = pid;
    child->pidfd = pidfd;
    child->out = ends[0];
    child->started_ms = clock_mono_ms();
    return 0;
error:
    close(ends[0]);
    if (pidfd >= 0) {
        close(pidfd);
    }
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return -1;
}

void child_settled(struct child *child)
{
    child->settled = true;
    words_flush(child);
}

bool child_runs(const struct child *child)
{
    return child->pid != 0;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

void child_signal(struct child *child, int signal)
{
    if (child->pid != 0) {
        kill(child->pid, signal);
    }
}

int child_sibling(const char *program, char *path, size_t size, struct err *err)
{
    ssize_t len = readlink("/proc/self/exe", path, size - 1);

    path[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash + 1 - path) + strlen(program) + 1 > size) {
        return err_set(err, ERR_IO, "cannot tell where gantry is installed");
    }
    memcpy(slash + 1, program, strlen(program) + 1);
    return access(path, X_OK) == 0 ? 0 : err_set(err, ERR_IO, "cannot run %s: %s", path, strerror(errno));
}
