#include "worker/video/prober.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/messages.h"

#define KEYS_SECONDS "600" /* to look for key frames: a group of frames is read for each, maybe over a network */

static int spawn_with(struct prober *prober, char *const *argv, int in, int out)
{
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return rc;
    rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    rc = rc ? rc : posix_spawn(&prober->pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int begin(struct prober *prober, char *const *argv, struct err *err)
{
    int in[2], out[2];
    *prober = (struct prober){.in = -1, .out = -1};
    if (pipe2(in, O_CLOEXEC) < 0)
        return err_set(err, ERR_IO, "no descriptors for the prober");
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        close(in[1]);
        return err_set(err, ERR_IO, "no descriptors for the prober");
    }
    int rc = spawn_with(prober, argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    prober->in = in[1];
    prober->out = out[0];
    fcntl(prober->in, F_SETFL, O_NONBLOCK);
    if (rc == 0)
        return 0;
    prober->pid = 0;
    prober_end(prober);
    return err_set(err, ERR_IO, "%.150s cannot be started: %s", argv[0], strerror(rc));
}

int prober_start(struct prober *prober, const char *program, const char *root, unsigned jobs, struct err *err)
{
    char count[16];
    snprintf(count, sizeof(count), "%u", jobs);
    char *argv[] = {(char *)program, (char *)"-0", (char *)"--jobs", count, root ? (char *)"--root" : NULL, (char *)root, NULL};
    return begin(prober, argv, err);
}

bool prober_give(struct prober *prober, const char *name)
{
    if (prober->given - prober->taken >= PROBER_AHEAD || buf_add(&prober->names, name, strlen(name) + 1) < 0)
        return false;
    prober->given++;
    return true;
}

static void names_write(struct prober *prober)
{
    ssize_t put = write(prober->in, prober->names.data, prober->names.len);
    if (put <= 0)
        return; /* full, or it has ended, which its output tells */
    prober->names.len -= (size_t)put;
    memmove(prober->names.data, prober->names.data + put, prober->names.len);
}

/* Reads more; -1: it has ended. */
static int lines_read(struct prober *prober)
{
    char bytes[65536];
    for (;;) {
        struct pollfd fds[] = {{.fd = prober->out, .events = POLLIN},
                               {.fd = prober->names.len ? prober->in : -1, .events = POLLOUT}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -1;
        if (fds[1].revents)
            names_write(prober);
        if (!fds[0].revents)
            continue;
        ssize_t got = read(prober->out, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        return got > 0 ? buf_add(&prober->lines, bytes, (size_t)got) : -1;
    }
}

/* The next line, which stays in the buffer. -1 with err. */
static int line_wait(struct prober *prober, struct str *line, struct err *err)
{
    const char *end;
    while (!(end = prober->lines.len ? memchr(prober->lines.data, '\n', prober->lines.len) : NULL))
        if (lines_read(prober) < 0)
            return err_set(err, ERR_IO, "gantry-probe ended before it had answered");
    *line = (struct str){prober->lines.data, (uint32_t)(end - prober->lines.data)};
    return 0;
}

int prober_take(struct prober *prober, struct probe *probe, uint64_t *number, struct err *err)
{
    struct str line;
    if (prober->given == prober->taken)
        return 0;
    if (line_wait(prober, &line, err) < 0)
        return -1;
    int rc = probe_parse(line, probe, number, err);
    size_t used = (size_t)line.len + 1;
    prober->lines.len -= used;
    memmove(prober->lines.data, prober->lines.data + used, prober->lines.len);
    prober->taken++;
    return rc < 0 ? -1 : 1;
}

void prober_end(struct prober *prober)
{
    if (prober->in >= 0)
        close(prober->in);
    if (prober->out >= 0)
        close(prober->out);
    if (prober->pid > 0) {
        if (prober->given != prober->taken)
            kill(prober->pid, SIGKILL);
        while (waitpid(prober->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    buf_free(&prober->names);
    buf_free(&prober->lines);
    *prober = (struct prober){.in = -1, .out = -1};
}

int prober_one(const char *program, const char *path, struct probe *probe, struct err *err)
{
    struct prober prober;
    uint64_t number;
    if (prober_start(&prober, program, NULL, 1, err) < 0)
        return -1;
    int rc = prober_give(&prober, path) ? prober_take(&prober, probe, &number, err) : err_set(err, ERR_NO_MEMORY, "no memory");
    prober_end(&prober);
    return rc == 1 ? 0 : -1;
}

int prober_keys(const char *program, const char *path, uint64_t every_ms, struct cut_places *places, struct err *err)
{
    struct prober prober;
    struct str line;
    char every[24];
    snprintf(every, sizeof(every), "%" PRIu64, every_ms);
    char *argv[] = {
        (char *)program, (char *)"-0", (char *)"--jobs", (char *)"1", (char *)"--seconds", (char *)KEYS_SECONDS, (char *)"--keys",
        every,           NULL};
    if (begin(&prober, argv, err) < 0)
        return -1;
    int rc = prober_give(&prober, path) ? line_wait(&prober, &line, err) : err_set(err, ERR_NO_MEMORY, "no memory");
    rc = rc < 0 ? rc : cuts_parse(line, places, err);
    if (rc == 0)
        prober.taken++;
    prober_end(&prober);
    return rc;
}
