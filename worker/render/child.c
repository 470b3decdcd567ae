#include "worker/render/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "proto/subprocess.h"

#define TICK_MS 50 /* where the kernel does not tell of its end */

void reading_over(struct reading *reading)
{
    char clean[CHILD_LINE];
    if (reading->len == 0)
        return;
    size_t len = str_clean(clean, sizeof(clean) - 1, (struct str){reading->text, (uint32_t)reading->len});
    clean[len] = '\0';
    reading->len = 0;
    if (reading->line)
        reading->line(reading->self, clean);
}

void reading_take(struct reading *reading, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r')
            reading_over(reading);
        else if (reading->len < CHILD_LINE - 1)
            reading->text[reading->len++] = bytes[i];
    }
}

static int wait_ms(uint64_t until)
{
    uint64_t now = clock_mono_ms();
    if (!until)
        return -1;
    return now >= until ? 0 : until - now > 60000 ? 60000 : (int)(until - now);
}

/* A helper that it has left behind may keep the pipe open: what counts is its own end, and what is there to be read then. */
static int follow(int fd, pid_t pid, uint64_t limit_ms, struct reading *reading, struct child_end *end)
{
    char bytes[4096];
    int status = 0, process = pidfd_open(pid, 0), tick = process < 0 ? TICK_MS : -1;
    uint64_t until = limit_ms ? clock_mono_ms() + limit_ms : 0;
    bool open = true, over = false;
    while (!over) {
        int left = wait_ms(until);
        struct pollfd ready[] = {{.fd = open ? fd : -1, .events = POLLIN}, {.fd = process, .events = POLLIN}};
        poll(ready, 2, tick < 0 || (left >= 0 && left < tick) ? left : tick);
        ssize_t got = ready[0].revents ? read(fd, bytes, sizeof(bytes)) : -1;
        if (got > 0)
            reading_take(reading, bytes, (size_t)got);
        open = open && got != 0;
        if (until && clock_mono_ms() >= until && !end->late) {
            end->late = true;
            kill(pid, SIGKILL);
            until = 0;
        }
        over = got <= 0 && waitpid(pid, &status, WNOHANG) == pid;
    }
    if (process >= 0)
        close(process);
    while (open && poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0) {
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got <= 0)
            break;
        reading_take(reading, bytes, (size_t)got);
    }
    reading_over(reading);
    return status;
}

int child_run(char *const *argv, const char *folder, uint64_t limit_ms, void (*line)(void *self, const char *text), void *self,
              struct child_end *end, struct err *err)
{
    struct reading reading = {.line = line, .self = self};
    int ends[2];
    pid_t pid;
    *end = (struct child_end){.exit_code = -1};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, ERR_IO, "no descriptors for %.60s", argv[0]);
    const struct subprocess wish = {.argv = argv, .folder = folder, .in = SUBPROCESS_NULL, .out = ends[1], .err = ends[1]};
    int rc = subprocess_start(&wish, &pid);
    close(ends[1]);
    if (rc) {
        close(ends[0]);
        return err_set(err, rc == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%.150s cannot be started: %s", argv[0], strerror(rc));
    }
    int status = follow(ends[0], pid, limit_ms, &reading, end);
    close(ends[0]);
    end->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return 0;
}
