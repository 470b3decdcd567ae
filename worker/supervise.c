/* gantry-run: one run's process tree, which never outlives its worker.
 *
 * A parent-death signal reaches one process and is lost on the next fork; a process group is left by setsid. What nothing
 * escapes is parentage: gantry-run is a child subreaper, so whatever the program leaves behind becomes its child, and no
 * descendant can be anywhere but below it. It holds a pipe from its worker. When that pipe ends, for whatever reason, it
 * kills every descendant, again and again until none is left, and only then exits.
 *
 * Invariants: it exits only when it has no child. It writes `clean` only then. While it lives and the pipe stands, the
 * worker alone decides, except for the run's time limit, which is kept here so that a worker that stalls cannot stretch it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/job.h"
#include "worker/launch.h"
#include "worker/tree.h"

#define KILL_AGAIN_MS 20 /* between two rounds of SIGKILL while something still lives */

struct supervisor {
    struct job job;
    int signals;   /* signalfd */
    int report;    /* from the program's launch; -1 once it is known to run */
    pid_t program; /* 0 once it ended */
    bool ended;
    bool terminating; /* TERM was sent: what is left may finish until kill_at */
    bool killing;
    bool control_closed;
    uint64_t timeout_at; /* 0 is none */
    uint64_t kill_at;
    int left; /* processes that had outlived the program */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static void report(const char *format, ...)
{
    char line[LAUNCH_TEXT + 64];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (len < 0)
        return;
    if ((size_t)len > sizeof(line) - 2)
        len = (int)sizeof(line) - 2;
    for (int i = 0; i < len; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[len++] = '\n';
    ssize_t ignored = write(JOB_FD_STATUS, line, (size_t)len); /* a worker that is gone needs no report */
    (void)ignored;
}

static int job_read(struct job *job)
{
    struct stat info;
    if (fstat(JOB_FD_JOB, &info) < 0 || info.st_size <= 0 || (size_t)info.st_size > JOB_BYTES_MAX)
        return -1;
    size_t size = (size_t)info.st_size, have = 0;
    char *bytes = malloc(size); /* lives as long as the process */
    while (bytes && have < size) {
        ssize_t got = pread(JOB_FD_JOB, bytes + have, size - have, (off_t)have);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        have += got > 0 ? (size_t)got : 0;
    }
    close(JOB_FD_JOB);
    return bytes && have == size ? job_unpack(bytes, size, job) : -1;
}

static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void terminate(struct supervisor *self)
{
    if (self->terminating || self->killing)
        return;
    self->terminating = true;
    self->kill_at = now_ms() + self->job.grace_ms;
    tree_signal(getpid(), SIGTERM, NULL, 0);
    tree_signal(getpid(), SIGCONT, NULL, 0); /* a stopped process would sleep through it */
}

static void read_control(struct supervisor *self)
{
    char commands[64];
    ssize_t got = read(JOB_FD_CONTROL, commands, sizeof(commands));
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) {
        self->control_closed = true;
        self->killing = true;
        return;
    }
    for (ssize_t i = 0; i < got; i++) {
        if (commands[i] == JOB_TERM)
            terminate(self);
        else
            self->killing = true;
    }
}

static void read_signals(struct supervisor *self)
{
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            terminate(self);
}

/* What this machine has too little of for the moment: the run is not to blame. */
static bool lacking(int error)
{
    return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
}

static void read_launch(struct supervisor *self)
{
    char text[LAUNCH_TEXT];
    int error = 0;
    if (launch_result(&self->job, self->report, text, &error) == 0)
        report("started %d", (int)self->program);
    else {
        report("%s %s", lacking(error) ? "unable" : "failed", text);
        self->program = 0; /* its exit code means nothing */
        self->ended = true;
    }
    self->report = -1;
}

static void program_ended(struct supervisor *self, int status, const struct rusage *use)
{
    uint64_t user = (uint64_t)use->ru_utime.tv_sec * 1000 + (uint64_t)use->ru_utime.tv_usec / 1000;
    uint64_t system = (uint64_t)use->ru_stime.tv_sec * 1000 + (uint64_t)use->ru_stime.tv_usec / 1000;
    if (self->report >= 0)
        read_launch(self);
    if (self->ended)
        return;
    self->ended = true;
    report("ended %d %d %" PRIu64 " %" PRIu64 " %ld", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0, user, system, use->ru_maxrss);
}

/* Takes in whatever has died. True while there is a child, dead or alive. */
static bool reap(struct supervisor *self)
{
    for (;;) {
        int status;
        struct rusage use;
        pid_t pid = wait4(-1, &status, WNOHANG, &use);
        if (pid == 0)
            return true;
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return false;
        if (pid == self->program)
            program_ended(self, status, &use);
    }
}

/* What the clock and the program's end ask for. */
static void decide(struct supervisor *self)
{
    uint64_t now = now_ms();
    if (self->timeout_at && now >= self->timeout_at && !self->ended) {
        self->timeout_at = 0;
        report("limit timeout");
        terminate(self);
    }
    if (self->ended && !self->terminating && !self->killing) {
        self->killing = true;
        int found = tree_signal(getpid(), 0, NULL, 0);
        self->left = found > 0 ? found : 0;
    }
    if (self->terminating && now >= self->kill_at)
        self->killing = true;
    if (self->killing)
        tree_signal(getpid(), SIGKILL, NULL, 0);
}

static int wait_ms(const struct supervisor *self)
{
    if (self->killing)
        return KILL_AGAIN_MS;
    uint64_t due = self->terminating ? self->kill_at : self->timeout_at;
    if (due == 0)
        return -1;
    uint64_t now = now_ms();
    return due <= now ? 0 : due - now > 3600000 ? 3600000 : (int)(due - now);
}

static void supervise(struct supervisor *self)
{
    while (reap(self)) {
        decide(self);
        struct pollfd fds[] = {
            {.fd = self->signals, .events = POLLIN},
            {.fd = self->control_closed ? -1 : JOB_FD_CONTROL, .events = POLLIN},
            {.fd = self->report, .events = POLLIN},
        };
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(self)) < 0)
            continue;
        if (fds[2].revents)
            read_launch(self);
        if (fds[0].revents)
            read_signals(self);
        if (fds[1].revents)
            read_control(self);
    }
    report("clean %d", self->left);
}

int main(void)
{
    for (int fd = JOB_FD_FIRST; fd <= JOB_FD_LAST; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
            fprintf(stderr, "gantry-run is started by gantry-worker, one for each run; it does nothing by itself\n");
            return 2;
        }
    struct supervisor self = {.report = -1};
    char text[LAUNCH_TEXT];
    if (job_read(&self.job) < 0) {
        report("unable the job cannot be read: %s", strerror(errno));
        return 1;
    }
    if (self.job.channel && fcntl(JOB_FD_CHANNEL, F_SETFD, FD_CLOEXEC) < 0) {
        report("unable the run's channel is missing");
        return 1;
    }
    self.signals = signals_open();
    if (self.signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
        report("unable the run cannot be supervised: %s", strerror(errno));
        return 1;
    }
    self.timeout_at = self.job.timeout_ms ? now_ms() + self.job.timeout_ms : 0;
    self.program = launch(&self.job, &self.report, text);
    if (self.program < 0) {
        report("%s %s", lacking(errno) ? "unable" : "failed", text);
        report("clean 0");
        return 0;
    }
    /* Held open here they would hide the end of the run's output from the worker. */
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    close(JOB_FD_PROGRESS);
    if (self.job.channel)
        close(JOB_FD_CHANNEL);
    supervise(&self);
    return 0;
}
