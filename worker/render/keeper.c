/* The keeper of a slot's engine (keep.h). One loop: it waits for a frame's process, for the engine's end, or until it was idle for too long; while a
 * frame is being made it waits for what that frame's process says. The engine is at work only while somebody is at the line.
 *
 * It is a child subreaper, so that whatever an engine leaves behind is below it, and ends with the engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "proto/subprocess.h"
#include "worker/home.h"
#include "worker/job.h"
#include "worker/render/keep.h"
#include "worker/tree.h"
#include "worker/video/words.h"

#define AGAIN_MS 5          /* between two rounds of SIGKILL */
#define LAST_MS 5000        /* an engine that has closed its output has so long to end */
#define SWEEP_BUDGET 100000 /* entries of a layout at a time */

struct keeper {
    const char *folder;
    uint64_t most; /* bytes of memory that an engine may have and still be kept */
    int door;
    pid_t pid; /* of the engine; 0: there is none */
    int status;
    struct keep_ends ends;
    struct keep_want want;
    char scene[PATH_MAX]; /* the folder of its layout; empty: there is none */
    uint64_t layouts, frames, idle_since;
};

/* ---- the engine's end ---- */

/* Until no child is left. */
static void engine_stop(struct keeper *self)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0 && pid == self->pid)
            self->status = status;
        if (pid > 0 || (pid < 0 && errno == EINTR))
            continue;
        if (pid < 0)
            break;
        tree_signal(getpid(), SIGKILL, NULL, 0);
        poll(NULL, 0, AGAIN_MS);
    }
    keep_ends_close(&self->ends);
    self->pid = 0;
    self->frames = 0;
}

static void scene_remove(struct keeper *self)
{
    struct err err = {0};
    int rc = 0;
    while (self->scene[0] && (rc = sweep_folder(self->scene, SWEEP_BUDGET, &err)) == 0)
        ;
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text); /* it goes with the keeper's folder */
    self->scene[0] = '\0';
}

static void engine_clear(struct keeper *self)
{
    engine_stop(self);
    scene_remove(self);
    self->want.key[0] = '\0';
}

static bool engine_waits(const struct keeper *self)
{
    struct pollfd process = {.fd = self->ends.process, .events = POLLIN};
    return self->pid > 0 && poll(&process, 1, 0) == 0;
}

/* ---- its start ---- */

static int pipes_make(int in[2], int out[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
        return errno;
    if (pipe2(out, O_CLOEXEC) == 0)
        return 0;
    int error = errno;
    close(in[0]);
    close(in[1]);
    return error;
}

/* 0, or an errno. */
static int engine_start(struct keeper *self, const struct job *job)
{
    int in[2], out[2], rc = pipes_make(in, out);
    if (rc)
        return rc;
    for (char *const *at = job->env; *at; at++)
        if (strncmp(*at, "PATH=", 5) == 0 && setenv("PATH", *at + 5, 1) < 0) /* the program is looked for in the frame's own */
            rc = ENOMEM;
    const struct subprocess wish = {
        .argv = job->argv, .env = job->env, .folder = job->cwd, .in = in[1], .out = out[1], .err = out[1]};
    rc = rc ? rc : subprocess_start(&wish, &self->pid);
    close(in[1]);
    close(out[1]);
    self->ends = (struct keep_ends){rc ? -1 : pidfd_open(self->pid, 0), in[0], out[0]};
    if (rc == 0 && self->ends.process >= 0)
        return 0;
    rc = rc ? rc : errno;
    engine_stop(self);
    return rc;
}

static int job_load(const struct keeper *self, char **bytes, struct job *job)
{
    char path[PATH_MAX + 8];
    *bytes = malloc(JOB_BYTES_MAX);
    if (!*bytes)
        return ENOMEM;
    snprintf(path, sizeof(path), "%s/" KEEP_JOB, self->scene);
    ssize_t got = home_read_file(path, *bytes, JOB_BYTES_MAX);
    return got <= 0 ? ENOENT : job_unpack(*bytes, (size_t)got, job) < 0 ? EINVAL : 0;
}

/* ---- what is asked ---- */

static int on_want(struct keeper *self, int line, const char *text)
{
    struct keep_want want;
    if (!keep_want_read(text, &want))
        return -1;
    bool same = strcmp(want.key, self->want.key) == 0 && engine_waits(self);
    if (!same)
        engine_clear(self);
    self->want = want;
    if (same)
        return keep_send(line, &self->ends, "same %" PRIu64, self->frames);
    if (snprintf(self->scene, sizeof(self->scene), "%s/engine%" PRIu64, self->folder, ++self->layouts) >= PATH_MAX ||
        mkdir(self->scene, 0700) < 0) {
        self->scene[0] = '\0';
        return keep_send(line, NULL, "failed %d", errno);
    }
    return keep_send(line, NULL, "fresh %s", self->scene);
}

static int on_start(struct keeper *self, int line)
{
    struct job job = {0};
    char *bytes;
    if (self->pid || !self->scene[0])
        return -1;
    int rc = job_load(self, &bytes, &job);
    rc = rc ? rc : engine_start(self, &job);
    job_clear(&job);
    free(bytes);
    return rc ? keep_send(line, NULL, "failed %d", rc) : keep_send(line, &self->ends, "started %d", (int)self->pid);
}

static int on_end(struct keeper *self, int line)
{
    if (!self->pid)
        return -1;
    poll(&(struct pollfd){.fd = self->ends.process, .events = POLLIN}, 1, LAST_MS);
    engine_stop(self);
    return keep_send(line, NULL, "ended %d %d", WIFEXITED(self->status) ? WEXITSTATUS(self->status) : -1,
                     WIFSIGNALED(self->status) ? WTERMSIG(self->status) : 0);
}

static uint64_t memory_of(pid_t pid)
{
    char path[64];
    uint64_t pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*u %" SCNu64, &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Its frame is there. Whether it may make another. */
static bool stays(struct keeper *self)
{
    self->frames++;
    self->idle_since = clock_mono_ms();
    return engine_waits(self) && self->frames < self->want.chunk && memory_of(self->pid) <= self->most;
}

static int answer(struct keeper *self, int line, const char *text)
{
    if (strncmp(text, "want ", 5) == 0)
        return on_want(self, line, text);
    if (strcmp(text, "start") == 0)
        return on_start(self, line);
    return strcmp(text, "end") == 0 ? on_end(self, line) : -1;
}

static void serve(struct keeper *self, int line)
{
    char text[KEEP_TEXT];
    bool done = false;
    while (!done && keep_receive(line, text, NULL) == 1) {
        done = self->pid && strcmp(text, "done") == 0;
        if (!done && answer(self, line, text) < 0)
            break;
    }
    close(line);
    if (!done || !stays(self))
        engine_clear(self);
}

static int wait_ms(const struct keeper *self)
{
    if (!self->pid)
        return -1;
    uint64_t gone = clock_mono_ms() - self->idle_since, most = self->want.seconds * 1000;
    return gone >= most ? 0 : (int)(most - gone);
}

int keeper_main(char *const *argv)
{
    struct keeper self = {
        .folder = words_or(argv, "folder", ""), .most = words_number(argv, "most_mb") << 20, .ends = {-1, -1, -1}};
    struct err err = {0};
    self.door = keep_listen(self.folder, &err);
    if (self.door < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
        fprintf(stderr, "no engine can be kept: %s\n", self.door < 0 ? err.text : strerror(errno));
        return 1;
    }
    for (;;) {
        struct pollfd fds[] = {{.fd = self.door, .events = POLLIN}, {.fd = self.ends.process, .events = POLLIN}};
        int ready = poll(fds, 2, wait_ms(&self));
        if (ready == 0 || (ready > 0 && fds[1].revents))
            engine_clear(&self);
        int line = ready > 0 && fds[0].revents ? accept4(self.door, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (line >= 0)
            serve(&self, line);
    }
}
