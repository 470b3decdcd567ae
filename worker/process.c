#include "worker/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "worker/spawn.h"
#include "worker/tree.h"

#define READ_CHUNK 65536
#define DRAIN_MAX ((size_t)4 << 20) /* of a pipe whose writers should all be dead */
#define SWEEP_MS 20
#define WAKE_MS 100     /* between two looks whether a gantry-run that should end is stopped */
#define OVERDUE_MS 5000 /* behind its time limit and its grace a gantry-run is given up */

struct process {
    struct processes *pool;
    struct process *next;
    struct spawned spawned;
    const struct process_events *events; /* NULL once forgotten */
    void *self;
    struct process_end end;
    int limit;         /* timer, -1 without one: gantry-run keeps the time limit, unless somebody has stopped it */
    bool ending;       /* it was told to end its run, or forgotten */
    bool reaped;       /* gantry-run has ended */
    bool clean;        /* and said that nothing is left */
    struct buf answer; /* what its channel could not take yet */
    size_t answered;   /* of that */
    size_t status_len;
    char status[1024]; /* the report line being read */
};

struct processes {
    struct loop *loop;
    char *supervisor;
    int signals; /* signalfd for SIGCHLD */
    int sweep;   /* timer, -1 while no orphans are suspected */
    int wake;    /* timer, -1 while no run is ending */
    struct process *first;
    size_t count;
};

/* ---- reports ---- */

static void status_line(struct process *process, const char *line)
{
    struct process_end *end = &process->end;
    int pid, left;
    if (sscanf(line, "started %d", &pid) == 1) {
        end->started = true;
        if (process->events && process->events->started)
            process->events->started(process->self, (pid_t)pid);
    } else if (strncmp(line, "failed ", 7) == 0)
        snprintf(end->failure, sizeof(end->failure), "%s", line + 7);
    else if (strncmp(line, "unable ", 7) == 0) {
        end->unable = true;
        snprintf(end->failure, sizeof(end->failure), "%s", line + 7);
    } else if (strcmp(line, "limit timeout") == 0)
        end->timed_out = true;
    else if (strncmp(line, "ended ", 6) == 0)
        sscanf(line, "ended %d %d %lu %lu %lu", &end->exit_code, &end->signal, &end->user_ms, &end->system_ms, &end->maxrss_kb);
    else if (sscanf(line, "clean %d", &left) == 1) {
        process->clean = true;
        end->left = left > 0 ? (unsigned)left : 0;
    }
}

static void status_feed(struct process *process, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != '\n') {
            if (process->status_len < sizeof(process->status) - 1)
                process->status[process->status_len++] = data[i];
            continue;
        }
        process->status[process->status_len] = '\0';
        process->status_len = 0;
        status_line(process, process->status);
    }
}

/* ---- pipes ---- */

static void pipe_close(struct process *process, enum spawn_pipe which)
{
    int fd = process->spawned.fds[which];
    if (fd < 0)
        return;
    if (which != SPAWN_CONTROL)
        loop_remove_fd(process->pool->loop, fd);
    close(fd);
    process->spawned.fds[which] = -1;
}

static void pipe_feed(struct process *process, enum spawn_pipe which, const char *data, size_t len)
{
    const struct process_events *events = process->events;
    if (which == SPAWN_STATUS)
        status_feed(process, data, len);
    else if (events && which == SPAWN_PROGRESS && events->progress)
        events->progress(process->self, data, len);
    else if (events && which == SPAWN_CHANNEL && events->channel)
        events->channel(process->self, data, len);
    else if (events && which < SPAWN_STATUS && events->output)
        events->output(process->self, which == SPAWN_STDOUT ? STREAM_STDOUT : STREAM_STDERR, data, len);
}

/* One read, so that a talkative run does not starve the others. Answers the bytes read, 0 when there is nothing (any more). */
static size_t pipe_read(struct process *process, enum spawn_pipe which)
{
    char data[READ_CHUNK];
    int fd = process->spawned.fds[which];
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, data, sizeof(data));
    if (got > 0)
        pipe_feed(process, which, data, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        pipe_close(process, which);
    return got > 0 ? (size_t)got : 0;
}

static void on_stdout(void *arg)
{
    pipe_read(arg, SPAWN_STDOUT);
}

static void on_stderr(void *arg)
{
    pipe_read(arg, SPAWN_STDERR);
}

static void on_status(void *arg)
{
    pipe_read(arg, SPAWN_STATUS);
}

static void on_progress(void *arg)
{
    pipe_read(arg, SPAWN_PROGRESS);
}

static void on_channel(void *arg)
{
    pipe_read(arg, SPAWN_CHANNEL);
}

/* Its program waits for what is written, so that nothing is read meanwhile. */
static void on_channel_room(void *arg)
{
    struct process *process = arg;
    struct loop *loop = process->pool->loop;
    int fd = process->spawned.fds[SPAWN_CHANNEL];
    while (process->answered < process->answer.len) {
        ssize_t put = write(fd, process->answer.data + process->answered, process->answer.len - process->answered);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0) {
            pipe_close(process, SPAWN_CHANNEL);
            return;
        }
        process->answered += (size_t)put;
    }
    buf_free(&process->answer);
    process->answered = 0;
    loop_remove_fd(loop, fd);
    if (loop_add_fd(loop, fd, false, on_channel, process) < 0) {
        close(fd);
        process->spawned.fds[SPAWN_CHANNEL] = -1; /* its program sees that, and fails */
    }
}

int process_answer(struct process *process, const void *data, size_t len)
{
    struct loop *loop = process->pool->loop;
    int fd = process->spawned.fds[SPAWN_CHANNEL];
    bool waits = process->answer.len > 0;
    if (fd < 0 || buf_add(&process->answer, data, len) < 0)
        return -1;
    if (waits)
        return 0;
    loop_remove_fd(loop, fd);
    if (loop_add_fd(loop, fd, true, on_channel_room, process) == 0)
        return 0;
    close(fd);
    process->spawned.fds[SPAWN_CHANNEL] = -1;
    return -1;
}

static loop_fn *const pipe_readers[SPAWN_READ] = {on_stdout, on_stderr, on_status, on_progress};

/* ---- the end ---- */

static void process_unlink(struct process *process)
{
    struct processes *pool = process->pool;
    for (struct process **at = &pool->first; *at; at = &(*at)->next)
        if (*at == process) {
            *at = process->next;
            pool->count--;
            break;
        }
    for (enum spawn_pipe which = 0; which < SPAWN_PIPES; which++)
        pipe_close(process, which);
    loop_cancel(pool->loop, process->limit);
    buf_free(&process->answer);
    free(process);
}

/* gantry-run has ended: reads what the pipes still hold and reports. */
static void process_collect(struct process *process)
{
    for (enum spawn_pipe which = 0; which < SPAWN_READ; which++) {
        size_t total = 0, got;
        while (total < DRAIN_MAX && (got = pipe_read(process, which)) > 0)
            total += got;
    }
    while (pipe_read(process, SPAWN_CHANNEL) > 0)
        ;
    if (!process->end.started && !process->end.failure[0])
        snprintf(process->end.failure, sizeof(process->end.failure), "gantry-run ended before the program was started");
    for (enum spawn_pipe which = 0; which < SPAWN_PIPES; which++)
        pipe_close(process, which); /* its descriptors are free for what follows */
    if (process->events)
        process->events->ended(process->self, &process->end);
    process_unlink(process);
}

/* ---- orphans ---- */

static int pool_kill_orphans(struct processes *pool)
{
    pid_t *spare = calloc(pool->count + 1, sizeof(*spare));
    if (!spare)
        return -1;
    size_t count = 0;
    for (struct process *process = pool->first; process; process = process->next)
        if (!process->reaped)
            spare[count++] = process->spawned.pid;
    int found = tree_signal(getpid(), SIGKILL, spare, count);
    free(spare);
    return found;
}

static void pool_collect(struct processes *pool, bool vanished)
{
    for (struct process *process = pool->first, *next; process; process = next) {
        next = process->next;
        if (process->reaped && process->end.vanished == vanished)
            process_collect(process);
    }
}

static void on_sweep(void *arg)
{
    struct processes *pool = arg;
    if (pool_kill_orphans(pool) != 0)
        return;
    loop_cancel(pool->loop, pool->sweep);
    pool->sweep = -1;
    pool_collect(pool, true);
}

/* Takes in who has died. False when there is no child at all. */
static bool pool_reap(struct processes *pool)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
        struct process *process = pool->first;
        while (process && process->spawned.pid != pid)
            process = process->next;
        if (!process || process->reaped)
            continue; /* an orphan's zombie */
        process->reaped = true;
        while (pipe_read(process, SPAWN_STATUS) > 0)
            ;
        process->end.vanished = !process->clean;
        if (process->end.vanished)
            log_warn("GTY-RUN-VANISHED", "pid=%d gantry-run ended without a report; what it left is killed", (int)pid);
    }
    return pid == 0;
}

static bool pool_suspects(const struct processes *pool)
{
    for (const struct process *process = pool->first; process; process = process->next)
        if (process->reaped && process->end.vanished)
            return true;
    return false;
}

static void on_child(void *arg)
{
    struct processes *pool = arg;
    struct signalfd_siginfo info;
    while (read(pool->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        ;
    pool_reap(pool);
    pool_collect(pool, false);
    if (pool->sweep < 0 && pool_suspects(pool)) {
        pool->sweep = loop_every(pool->loop, SWEEP_MS, on_sweep, pool);
        pool_kill_orphans(pool);
    }
}

/* The run is over its limit and its grace, and gantry-run has not ended it: it dies, and what it leaves as any orphan does. */
static void on_overdue(void *arg)
{
    struct process *process = arg;
    process->limit = -1;
    if (process->reaped)
        return;
    log_warn("GTY-RUN-OVERDUE", "pid=%d gantry-run did not keep the time limit; it is killed", (int)process->spawned.pid);
    process->end.timed_out = process->end.overdue = true;
    kill(process->spawned.pid, SIGKILL);
}

/* ---- waking ---- */

/* A gantry-run that somebody stops (the run's own program can) does not read what it is told, nor see that its pipe ended. Others are
 * left alone: SIGCONT discards a SIGSTOP that is pending, and who attaches to a process (a debugger, the leak checker at a process's
 * end) waits for that one. Answers whether a run is ending. */
static bool pool_wake(struct processes *pool)
{
    bool ending = false;
    for (struct process *process = pool->first; process; process = process->next) {
        if (!process->ending || process->reaped)
            continue;
        ending = true;
        if (tree_stopped(process->spawned.pid))
            kill(process->spawned.pid, SIGCONT);
    }
    return ending;
}

static void on_wake(void *arg)
{
    struct processes *pool = arg;
    if (pool_wake(pool))
        return;
    loop_cancel(pool->loop, pool->wake);
    pool->wake = -1;
}

static void process_ends(struct process *process)
{
    struct processes *pool = process->pool;
    process->ending = true;
    pool_wake(pool);
    if (pool->wake < 0)
        pool->wake = loop_every(pool->loop, WAKE_MS, on_wake, pool); /* without memory for it, the next command tries again */
}

/* ---- the pool ---- */

struct processes *processes_new(struct loop *loop, const char *supervisor, struct err *err)
{
    struct processes *pool = calloc(1, sizeof(*pool));
    if (!pool)
        goto error;
    pool->loop = loop;
    pool->sweep = pool->wake = pool->signals = -1;
    pool->supervisor = strdup(supervisor);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* a command to a gantry-run that has just ended */
    pool->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (!pool->supervisor || pool->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
        loop_add_fd(loop, pool->signals, false, on_child, pool) < 0)
        goto error;
    return pool;
error:
    err_set(err, ERR_IO, "runs cannot be supervised: %s", strerror(errno));
    processes_free(pool);
    return NULL;
}

/* Waits for gantry-runs to kill their trees: their pipes are closed. SIGCHLD wakes it. */
static void pool_wait(struct processes *pool)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    while (pool_reap(pool)) {
        pool_wake(pool);
        if (pool_suspects(pool))
            pool_kill_orphans(pool);
        sigtimedwait(&set, NULL, &(struct timespec){.tv_nsec = SWEEP_MS * 1000000L});
    }
}

void processes_free(struct processes *pool)
{
    if (!pool)
        return;
    for (struct process *process = pool->first; process; process = process->next)
        process_forget(process);
    if (pool->first)
        pool_wait(pool);
    while (pool->first)
        process_unlink(pool->first);
    loop_cancel(pool->loop, pool->sweep);
    loop_cancel(pool->loop, pool->wake);
    if (pool->signals >= 0) {
        loop_remove_fd(pool->loop, pool->signals);
        close(pool->signals);
    }
    free(pool->supervisor);
    free(pool);
}

size_t processes_count(const struct processes *pool)
{
    return pool->count;
}

/* ---- one process ---- */

struct process *process_start(struct processes *pool, const struct job *job, const struct process_events *events, void *self,
                              struct err *err)
{
    struct process *process = calloc(1, sizeof(*process));
    if (!process) {
        err_set(err, ERR_NO_MEMORY, "no memory for a run");
        return NULL;
    }
    process->pool = pool;
    process->end.exit_code = -1;
    process->limit = -1;
    if (spawn(pool->supervisor, job, &process->spawned, err) < 0) {
        free(process);
        return NULL;
    }
    process->next = pool->first;
    pool->first = process;
    pool->count++;
    for (enum spawn_pipe which = 0; which < SPAWN_READ; which++)
        if (loop_add_fd(pool->loop, process->spawned.fds[which], false, pipe_readers[which], process) < 0) {
            err_set(err, ERR_NO_MEMORY, "no memory to watch a run");
            process_forget(process);
            return NULL;
        }
    if (job->channel && loop_add_fd(pool->loop, process->spawned.fds[SPAWN_CHANNEL], false, on_channel, process) < 0) {
        err_set(err, ERR_NO_MEMORY, "no memory to watch a run");
        process_forget(process);
        return NULL;
    }
    if (job->timeout_ms) {
        process->limit = loop_after(pool->loop, job->timeout_ms + job->grace_ms + OVERDUE_MS, on_overdue, process);
        if (process->limit < 0) {
            err_set(err, ERR_NO_MEMORY, "no memory to watch a run");
            process_forget(process);
            return NULL;
        }
    }
    process->events = events;
    process->self = self;
    return process;
}

static void process_command(struct process *process, char command)
{
    if (process->spawned.fds[SPAWN_CONTROL] < 0)
        return;
    if (write(process->spawned.fds[SPAWN_CONTROL], &command, 1) < 0)
        log_debug("GTY-RUN-COMMAND", "pid=%d gantry-run is already gone", (int)process->spawned.pid);
    process_ends(process);
}

void process_term(struct process *process)
{
    process_command(process, JOB_TERM);
}

void process_kill(struct process *process)
{
    process_command(process, JOB_KILL);
}

void process_forget(struct process *process)
{
    if (!process)
        return;
    process->events = NULL;
    pipe_close(process, SPAWN_CONTROL);
    process_ends(process);
}
