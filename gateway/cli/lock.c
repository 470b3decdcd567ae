/* The file holds one line a process: its pid and its start time in clock ticks, as /proc/<pid>/stat has it, so that a pid which has
 * come to mean another process is never touched. The first line is `gantry up` itself. */
#include "gateway/cli/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define LEFT_MS 5000 /* that a child of a killed predecessor may take to go */

struct lock {
    int fd;
};

/* When a process started, in clock ticks since boot; 0 when there is none such. */
static unsigned long long process_started(pid_t pid)
{
    char path[64];
    char text[1024];
    unsigned long long started = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (got <= 0) {
        return 0;
    }
    text[got] = '\0';
    char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL && sscanf(at, "%llu", &started) == 1 ? started : 0;
}

/* PDEATHSIG has told it to go when its parent was killed; this waits until it is gone, so that what it held is free. */
static void process_end(pid_t pid, unsigned long long started)
{
    int fd = pidfd_open(pid, 0);

    if (fd < 0) {
        return;
    }
    if (process_started(pid) == started) {
        struct pollfd gone = {.fd = fd, .events = POLLIN};
        pidfd_send_signal(fd, SIGKILL, NULL, 0);
        poll(&gone, 1, LEFT_MS);
    }
    close(fd);
}

static void left_end(FILE *file)
{
    long long pid;
    unsigned long long started;
    bool first = true;

    while (fscanf(file, "%lld %llu", &pid, &started) == 2) {
        if (!first && pid > 1) {
            process_end((pid_t)pid, started);
        }
        first = false;
    }
}

struct lock *lock_take(const char *data_dir, struct err *err)
{
    char path[4200];
    char holder[32] = "";
    struct lock *lock = NULL;
    FILE *file = NULL;

    if (ident_make_dirs(data_dir, IDENT_DATA_MODE, err) != 0) {
        return NULL;
    }
    snprintf(path, sizeof path, "%s/up.lock", data_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_set(err, ERR_IO, "cannot write in the data folder %s: %s", data_dir, strerror(errno));
        return NULL;
    }
    file = fdopen(dup(fd), "r");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (file != NULL && fscanf(file, "%31s", holder) == 1) {
            err_set(err, ERR_CONFLICT, "another gantry up is running on %s already (pid %s)", data_dir, holder);
        } else {
            err_set(err, ERR_CONFLICT, "another gantry up is running on %s already", data_dir);
        }
        goto error;
    }
    lock = calloc(1, sizeof *lock);
    if (lock == NULL || file == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    left_end(file);
    fclose(file);
    lock->fd = fd;
    lock_note(lock, NULL, 0);
    return lock;
error:
    free(lock);
    if (file != NULL) {
        fclose(file);
    }
    close(fd);
    return NULL;
}

void lock_free(struct lock *lock)
{
    if (lock == NULL) {
        return;
    }
    if (ftruncate(lock->fd, 0) != 0) {
        /* An old list is harmless: its start times fit nobody. */
    }
    close(lock->fd);
    free(lock);
}

void lock_note(struct lock *lock, const pid_t *pids, size_t count)
{
    struct buf text = {0};

    buf_printf(&text, "%d %llu\n", (int)getpid(), process_started(getpid()));
    for (size_t i = 0; i < count; i++) {
        if (pids[i] > 0) {
            buf_printf(&text, "%d %llu\n", (int)pids[i], process_started(pids[i]));
        }
    }
    if (!text.failed && ftruncate(lock->fd, 0) == 0 && pwrite(lock->fd, text.data, text.len, 0) < 0) {
        /* Only a successor after a kill -9 reads it; the disk being full is told by the store. */
    }
    buf_free(&text);
}
