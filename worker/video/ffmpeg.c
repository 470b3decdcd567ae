#include "worker/video/ffmpeg.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"

#define LINE 2048
#define KILL_MS 5000u /* between asking it to end and making it */

struct stream { /* lines of one of its outputs */
    int fd;
    size_t len;
    char line[LINE];
};

struct run {
    const struct ffmpeg_watch *watch;
    struct ffmpeg_end *end;
    struct ffmpeg_report report;
    uint64_t moved_at, bytes, out_us, frame; /* when it last got on, and where it was then */
    uint64_t ending_at;                      /* it was told to end; 0: not */
    pid_t pid;
    struct stream out, err;
};

static uint64_t number(const char *text)
{
    return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

static void stop(struct run *run)
{
    if (run->ending_at)
        return;
    run->ending_at = clock_mono_ms();
    kill(run->pid, SIGTERM);
}

static void report_over(struct run *run)
{
    const struct ffmpeg_report *now = &run->report;
    if (now->out_us > run->out_us || now->frame > run->frame || now->bytes > run->bytes) {
        run->moved_at = clock_mono_ms();
        run->out_us = now->out_us;
        run->frame = now->frame;
        run->bytes = now->bytes;
    }
    if (!run->ending_at && run->watch->report && !run->watch->report(run->watch->self, now)) {
        run->end->given_up = true;
        stop(run);
    }
}

static void out_line(struct run *run, char *line)
{
    char *value = strchr(line, '=');
    if (!value)
        return;
    *value++ = '\0';
    value += strspn(value, " ");
    if (strcmp(line, "out_time_us") == 0)
        run->report.out_us = number(value);
    else if (strcmp(line, "frame") == 0)
        run->report.frame = number(value);
    else if (strcmp(line, "total_size") == 0)
        run->report.bytes = number(value);
    else if (strcmp(line, "speed") == 0)
        snprintf(run->report.speed, sizeof(run->report.speed), "%s", value);
    else if (strcmp(line, "progress") == 0)
        report_over(run);
}

static void err_line(struct run *run, const char *line)
{
    struct ffmpeg_end *end = run->end;
    if (line[strspn(line, " \t")] == '\0')
        return;
    if (end->lines++ == 0)
        end->first[str_clean(end->first, sizeof(end->first) - 1, str_of(line))] = '\0';
    end->last[str_clean(end->last, sizeof(end->last) - 1, str_of(line))] = '\0';
    if (run->watch->line)
        run->watch->line(run->watch->self, line);
}

/* False at its end. */
static bool stream_read(struct run *run, struct stream *stream)
{
    char bytes[4096];
    ssize_t got = read(stream->fd, bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR)
        return true;
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            if (stream->len < LINE - 1 && bytes[i])
                stream->line[stream->len++] = bytes[i];
            continue;
        }
        stream->line[stream->len] = '\0';
        stream->len = 0;
        if (stream == &run->out)
            out_line(run, stream->line);
        else
            err_line(run, stream->line);
    }
    return got > 0;
}

static void clock_look(struct run *run)
{
    uint64_t now = clock_mono_ms();
    if (run->ending_at && now - run->ending_at >= KILL_MS)
        kill(run->pid, SIGKILL);
    if (!run->ending_at && run->watch->stall_ms && now - run->moved_at >= run->watch->stall_ms) {
        run->end->stalled = true;
        stop(run);
    }
}

static void follow(struct run *run)
{
    bool out = true, err = true;
    run->moved_at = clock_mono_ms();
    while (out || err) {
        struct pollfd fds[] = {{.fd = out ? run->out.fd : -1, .events = POLLIN},
                               {.fd = err ? run->err.fd : -1, .events = POLLIN}};
        if (poll(fds, 2, 500) >= 0) {
            if (fds[0].revents)
                out = stream_read(run, &run->out);
            if (fds[1].revents)
                err = stream_read(run, &run->err);
        }
        clock_look(run);
    }
}

static int start(struct run *run, char *const *argv, struct err *err)
{
    int out[2], errors[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(out, O_CLOEXEC) < 0)
        return err_set(err, ERR_IO, "no descriptors for ffmpeg");
    if (pipe2(errors, O_CLOEXEC) < 0) {
        close(out[0]);
        close(out[1]);
        return err_set(err, ERR_IO, "no descriptors for ffmpeg");
    }
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc == 0) {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, errors[1], STDERR_FILENO);
        posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        rc = posix_spawnp(&run->pid, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(out[1]);
    close(errors[1]);
    run->out.fd = out[0];
    run->err.fd = errors[0];
    return rc == 0 ? 0 : err_set(err, ERR_IO, "%.60s cannot be started: %s", argv[0], strerror(rc));
}

int ffmpeg_run(char *const *argv, const struct ffmpeg_watch *watch, struct ffmpeg_end *end, struct err *err)
{
    struct run run = {.watch = watch, .end = end};
    int status = 0;
    *end = (struct ffmpeg_end){.exit_code = -1};
    int rc = start(&run, argv, err);
    if (rc == 0) {
        follow(&run);
        while (waitpid(run.pid, &status, 0) < 0 && errno == EINTR)
            ;
        end->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        close(run.out.fd);
        close(run.err.fd);
    } else if (run.out.fd > 0) {
        close(run.out.fd);
        close(run.err.fd);
    }
    return rc;
}

bool ffmpeg_well(const struct ffmpeg_end *end, char *text, size_t size)
{
    if (end->exit_code == 0 && !end->stalled && !end->given_up)
        return true;
    if (end->signal)
        snprintf(text, size, "ffmpeg was ended by signal %d (%s)", end->signal, strsignal(end->signal));
    else
        snprintf(text, size, "ffmpeg failed (exit code %d): %.400s", end->exit_code,
                 end->last[0] ? end->last : "it does not say why");
    return false;
}
