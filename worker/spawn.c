#include "worker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/messages.h"

#define FD_HIGH 16 /* above every number gantry-run is given, so that no dup2 hits another's source */

struct kit { /* what the child gets, by our numbers */
    int null, job;
    int theirs[SPAWN_PIPES];
};

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Moves a descriptor out of the way of the child's numbers. */
static int fd_raise(int fd)
{
    if (fd < 0 || fd >= FD_HIGH)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_HIGH), saved = errno;
    close(fd);
    errno = saved;
    return high;
}

static int pipe_make(enum spawn_pipe which, struct spawned *out, struct kit *kit)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    int ours = which == SPAWN_CONTROL ? 1 : 0;
    out->fds[which] = fd_raise(ends[ours]);
    kit->theirs[which] = fd_raise(ends[!ours]);
    if (out->fds[which] < 0 || kit->theirs[which] < 0)
        return -1;
    return fcntl(out->fds[which], F_SETFL, O_NONBLOCK);
}

static int channel_make(struct spawned *out, struct kit *kit)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    out->fds[SPAWN_CHANNEL] = fd_raise(ends[0]);
    kit->theirs[SPAWN_CHANNEL] = fd_raise(ends[1]);
    if (out->fds[SPAWN_CHANNEL] < 0 || kit->theirs[SPAWN_CHANNEL] < 0)
        return -1;
    return fcntl(out->fds[SPAWN_CHANNEL], F_SETFL, O_NONBLOCK);
}

static int job_file(const struct job *job)
{
    size_t len = 0;
    char *bytes = job_pack(job, &len);
    if (!bytes)
        return -1;
    int fd = fd_raise(memfd_create("gantry-job", MFD_CLOEXEC));
    size_t done = 0;
    while (fd >= 0 && done < len) {
        ssize_t put = write(fd, bytes + done, len - done);
        if (put < 0 && errno != EINTR)
            fd_close(&fd);
        done += put > 0 ? (size_t)put : 0;
    }
    int saved = errno;
    free(bytes);
    errno = saved;
    return fd;
}

static int kit_make(const struct job *job, struct spawned *out, struct kit *kit)
{
    kit->null = fd_raise(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (kit->null < 0)
        return -1;
    kit->job = job_file(job);
    if (kit->job < 0)
        return -1;
    for (enum spawn_pipe which = 0; which <= SPAWN_CONTROL; which++)
        if (pipe_make(which, out, kit) < 0)
            return -1;
    return job->channel ? channel_make(out, kit) : 0;
}

static int kit_actions(const struct kit *kit, posix_spawn_file_actions_t *actions)
{
    const int map[][2] = {
        {kit->null, STDIN_FILENO},
        {kit->theirs[SPAWN_STDOUT], STDOUT_FILENO},
        {kit->theirs[SPAWN_STDERR], STDERR_FILENO},
        {kit->theirs[SPAWN_CONTROL], JOB_FD_CONTROL},
        {kit->theirs[SPAWN_STATUS], JOB_FD_STATUS},
        {kit->theirs[SPAWN_PROGRESS], JOB_FD_PROGRESS},
        {kit->job, JOB_FD_JOB},
        {kit->theirs[SPAWN_CHANNEL], JOB_FD_CHANNEL},
    };
    bool channel = kit->theirs[SPAWN_CHANNEL] >= 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(map) / sizeof(map[0]) - !channel; i++)
        rc = posix_spawn_file_actions_adddup2(actions, map[i][0], map[i][1]);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(actions, channel ? JOB_FD_CHANNEL + 1 : JOB_FD_LAST + 1);
}

/* A session of its own, so that a terminal's signals do not reach it; no blocked signals and no handlers of ours. gantry-run's own
 * environment is empty: what a task asks for must not steer a process that may be root. */
static int kit_spawn(const char *supervisor, const struct kit *kit, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setsigdefault(&attr, &all);
        rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (rc == 0)
            rc = kit_actions(kit, &actions);
        char *const argv[] = {(char *)"gantry-run", NULL}, *const env[] = {NULL};
        if (rc == 0)
            rc = posix_spawn(pid, supervisor, &actions, &attr, argv, env);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int spawn(const char *supervisor, const struct job *job, struct spawned *out, struct err *err)
{
    struct kit kit = {.null = -1, .job = -1};
    for (int i = 0; i < SPAWN_PIPES; i++)
        kit.theirs[i] = out->fds[i] = -1;
    int rc = kit_make(job, out, &kit) < 0 ? errno : kit_spawn(supervisor, &kit, &out->pid);
    fd_close(&kit.null);
    fd_close(&kit.job);
    for (int i = 0; i < SPAWN_PIPES; i++)
        fd_close(&kit.theirs[i]);
    if (rc == 0)
        return 0;
    for (int i = 0; i < SPAWN_PIPES; i++)
        fd_close(&out->fds[i]);
    if (rc == E2BIG)
        return err_set(err, ERR_INVALID, "arguments and environment together are over %zu MiB", JOB_BYTES_MAX >> 20);
    return err_set(err, ERR_IO, "cannot start %s: %s", supervisor, strerror(rc));
}
