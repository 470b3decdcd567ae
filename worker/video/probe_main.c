/* gantry-probe: what video files are, as JSON, a line each.
 *
 *   gantry-probe [--jobs N] [--seconds N] [--memory MIB] [--root DIR] [--keys MS] [-0] [FILE…]
 *
 * Without files their names are read from stdin, a line each (-0: each ended by a NUL), and answered as they are done; `number` counts
 * them from 0. Each file is looked at by a process of its own, a fork of this one, so that libraries are loaded once and a file that
 * crashes a demuxer, or makes it loop or grow, costs that file: its line has an `error`. With --root names are below that folder, and
 * nothing leads out of it. With --keys they are asked where they can be cut, about every so many milliseconds (cuts.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/open_beneath.h"
#include "worker/video/probe_keys.h"
#include "worker/video/probe_read.h"

#define JOBS_MAX 64
#define NAME_SIZE 4096

struct job {   /* one file being looked at */
    pid_t pid; /* 0: free */
    int fd;    /* its answer comes here */
    uint64_t number, until_ms;
    bool late;
    struct buf answer;
};

struct prober {
    unsigned jobs, running;
    uint64_t seconds, memory_mb, next, keys_ms;
    int root;
    char stop; /* behind a name */
    char **names;
    bool over; /* no further names */
    size_t len;
    char input[NAME_SIZE + 65536]; /* read and not yet taken */
    struct job at[JOBS_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- in the child ---- */

static void limit(int resource, uint64_t value)
{
    setrlimit(resource, &(struct rlimit){value, value});
}

static void child_limits(const struct prober *self)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, self->seconds);
    limit(RLIMIT_FSIZE, 0);
#ifndef __SANITIZE_ADDRESS__ /* whose shadow takes terabytes of address space */
    limit(RLIMIT_AS, self->memory_mb << 20);
#endif
}

static int file_open(int root, const char *name)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    return root < 0 ? open(name, flags | O_CLOEXEC) : open_beneath(root, name, flags, true);
}

static void answer_write(int fd, const struct buf *answer)
{
    for (size_t done = 0; done < answer->len;) {
        ssize_t put = write(fd, answer->data + done, answer->len - done);
        if (put < 0 && errno != EINTR)
            _exit(1);
        done += put > 0 ? (size_t)put : 0;
    }
}

static void child_keys(const struct prober *self, int fd, const char *name, struct buf *answer)
{
    static struct cut_places places;
    if (fd < 0)
        snprintf(places.error, sizeof(places.error), "it cannot be opened: %s", strerror(errno));
    else
        probe_keys(fd, name, self->keys_ms, &places);
    if (cuts_write(&places, answer) < 0)
        _exit(1);
}

static void child(const struct prober *self, const char *name, uint64_t number, int out)
{
    static struct probe probe;
    struct buf answer = {.limit = PROBE_LINE};
    child_limits(self);
    int fd = file_open(self->root, name);
    if (self->keys_ms) {
        child_keys(self, fd, name, &answer);
        answer_write(out, &answer);
        _exit(0);
    }
    if (fd < 0) {
        probe.video = -1;
        snprintf(probe.error, sizeof(probe.error), "it cannot be opened: %s", strerror(errno));
    } else
        probe_read(fd, name, &probe);
    if (probe_write(&probe, number, &answer) < 0)
        _exit(1);
    answer_write(out, &answer);
    _exit(0);
}

/* ---- in the parent ---- */

/* The next name, in place; NULL: none is there yet, or none comes any more (over). */
static char *name_next(struct prober *self, size_t *used)
{
    if (self->names) {
        char *name = *self->names;
        self->over = name == NULL;
        self->names += name != NULL;
        *used = 0;
        return name;
    }
    char *end = memchr(self->input, self->stop, self->len);
    if (!end && self->over && self->len > 0 && self->len < sizeof(self->input))
        end = self->input + self->len++;
    if (!end)
        return NULL;
    *end = '\0';
    *used = (size_t)(end - self->input) + 1;
    return self->input;
}

static void input_read(struct prober *self)
{
    ssize_t got = read(STDIN_FILENO, self->input + self->len, sizeof(self->input) - self->len - 1);
    if (got < 0 && errno == EINTR)
        return;
    self->over = got <= 0;
    self->len += got > 0 ? (size_t)got : 0;
    if (self->len >= sizeof(self->input) - 1 && !memchr(self->input, self->stop, self->len)) {
        fprintf(stderr, "gantry-probe: a name is longer than any file's\n");
        exit(2);
    }
}

static void line_error(uint64_t number, const char *error)
{
    static struct probe probe;
    struct buf line = {0};
    probe.video = -1;
    snprintf(probe.error, sizeof(probe.error), "%s", error);
    if (probe_write(&probe, number, &line) == 0)
        printf("%.*s\n", (int)line.len, line.data);
    buf_free(&line);
}

static void job_start(struct prober *self, const char *name)
{
    struct job *job = self->at;
    int ends[2];
    while (job->pid)
        job++;
    uint64_t number = self->next++;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        line_error(number, "it was not looked at: no descriptors");
        return;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child(self, name, number, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        line_error(number, "it was not looked at: no process");
        return;
    }
    *job = (struct job){.pid = pid, .fd = ends[0], .number = number, .until_ms = now_ms() + self->seconds * 1000};
    job->answer.limit = PROBE_LINE;
    self->running++;
}

static void job_end(struct prober *self, struct job *job)
{
    int status = 0;
    char text[256];
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
        ;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (job->late || number == SIGXCPU)
        snprintf(text, sizeof(text), "it was given up after %" PRIu64 " s", self->seconds);
    else if (number)
        snprintf(text, sizeof(text), "the prober crashed on it (signal %d, %s)", number, strsignal(number));
    else
        snprintf(text, sizeof(text), "the prober has no answer; it may need more memory than %" PRIu64 " MiB", self->memory_mb);
    if (status == 0 && job->answer.len && !job->answer.failed)
        printf("%.*s\n", (int)job->answer.len, job->answer.data);
    else
        line_error(job->number, text);
    close(job->fd);
    buf_free(&job->answer);
    job->pid = 0;
    self->running--;
}

static void job_read(struct prober *self, struct job *job)
{
    char bytes[16384];
    ssize_t got = read(job->fd, bytes, sizeof(bytes));
    if (got > 0)
        buf_add(&job->answer, bytes, (size_t)got);
    else if (got == 0 || errno != EINTR)
        job_end(self, job);
}

static int wait_ms(const struct prober *self)
{
    uint64_t now = now_ms(), least = UINT64_MAX;
    for (unsigned i = 0; i < self->jobs; i++)
        if (self->at[i].pid && !self->at[i].late && self->at[i].until_ms < least)
            least = self->at[i].until_ms;
    return least == UINT64_MAX ? -1 : least <= now ? 0 : (int)(least - now);
}

static void overdue_kill(struct prober *self)
{
    uint64_t now = now_ms();
    for (unsigned i = 0; i < self->jobs; i++)
        if (self->at[i].pid && !self->at[i].late && self->at[i].until_ms <= now) {
            self->at[i].late = true;
            kill(self->at[i].pid, SIGKILL);
        }
}

static void start_more(struct prober *self)
{
    char *name;
    size_t used;
    while (self->running < self->jobs && (name = name_next(self, &used))) {
        job_start(self, name);
        if (used) {
            self->len -= used;
            memmove(self->input, self->input + used, self->len);
        }
    }
}

static int work(struct prober *self)
{
    for (;;) {
        start_more(self);
        fflush(stdout);
        if (self->running == 0 && self->over && (self->names || self->len == 0))
            return ferror(stdout) ? 1 : 0;
        struct pollfd fds[JOBS_MAX + 1];
        bool reads = !self->names && !self->over && self->running < self->jobs;
        fds[0] = (struct pollfd){.fd = reads ? STDIN_FILENO : -1, .events = POLLIN};
        for (unsigned i = 0; i < self->jobs; i++)
            fds[i + 1] = (struct pollfd){.fd = self->at[i].pid ? self->at[i].fd : -1, .events = POLLIN};
        if (poll(fds, self->jobs + 1, wait_ms(self)) < 0)
            continue;
        if (fds[0].revents)
            input_read(self);
        for (unsigned i = 0; i < self->jobs; i++)
            if (fds[i + 1].revents)
                job_read(self, &self->at[i]);
        overdue_kill(self);
    }
}

static bool number_read(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *out >= low && *out <= high;
}

int main(int argc, char **argv)
{
    static struct prober self = {.jobs = 8, .seconds = 60, .memory_mb = 2048, .root = -1, .stop = '\n'};
    uint64_t jobs = 8;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *name = argv[at], *value = argv[at + 1] ? argv[at + 1] : "";
        bool well = true;
        if (strcmp(name, "-0") == 0) {
            self.stop = '\0';
            continue;
        }
        if (strcmp(name, "--") == 0) {
            at++;
            break;
        }
        if (strcmp(name, "--jobs") == 0)
            well = number_read(value, 1, JOBS_MAX, &jobs);
        else if (strcmp(name, "--seconds") == 0)
            well = number_read(value, 1, 3600, &self.seconds);
        else if (strcmp(name, "--memory") == 0)
            well = number_read(value, 64, 1 << 20, &self.memory_mb);
        else if (strcmp(name, "--keys") == 0)
            well = number_read(value, 1, UINT32_MAX, &self.keys_ms);
        else
            well = strcmp(name, "--root") == 0 && (self.root = open(value, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0;
        if (!well) {
            fprintf(
                stderr,
                "gantry-probe: %s %s: %s\nusage: gantry-probe [--jobs 1-64] [--seconds N] [--memory MIB] [--root DIR] [--keys "
                "MS] [-0] [FILE…]\n",
                name, value, strcmp(name, "--root") == 0 ? strerror(errno) : "not understood");
            return 2;
        }
        at++;
    }
    self.jobs = (unsigned)jobs;
    self.names = at < argc ? argv + at : NULL;
    signal(SIGPIPE, SIG_DFL);
    return work(&self);
}
