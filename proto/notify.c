/* The protocol is a documented one and small, so no library stands behind it. */
#include "proto/notify.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 500 /* with a manager that is behind, for what it has to know */

static struct {
    int fd; /* 0: nobody listens */
    struct sockaddr_un address;
    socklen_t length;
    uint64_t alive_ms;
    bool ready, stopping;
} told;

/* An absolute path, or @name for an abstract socket. */
static int address_read(const char *name)
{
    size_t len = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof told.address.sun_path)
        return -1;
    told.address.sun_family = AF_UNIX;
    memcpy(told.address.sun_path, name, len);
    if (name[0] == '@')
        told.address.sun_path[0] = '\0';
    told.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

/* The watchdog of another process may have been left in the environment. */
static uint64_t watchdog_read(void)
{
    const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");

    if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    uint64_t half_ms = strtoull(usec, NULL, 10) / 2000;
    return half_ms > 0 ? half_ms : 1;
}

void notify_open(void)
{
    const char *name = getenv("NOTIFY_SOCKET");

    notify_close();
    if (name && address_read(name) == 0) {
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bool there = fd > 0 && connect(fd, (const struct sockaddr *)&told.address, told.length) == 0;
        if (fd >= 0 && !there)
            close(fd);
        told.fd = there ? fd : 0;
        told.alive_ms = told.fd > 0 ? watchdog_read() : 0;
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_close(void)
{
    if (told.fd > 0)
        close(told.fd);
    memset(&told, 0, sizeof told);
}

uint64_t notify_alive_ms(void)
{
    return told.alive_ms;
}

static bool sent(const char *words)
{
    return send(told.fd, words, strlen(words), MSG_NOSIGNAL) >= 0;
}

/* What changes nothing is lost on a manager that is behind. */
static void mention(const char *words)
{
    if (told.fd > 0)
        (void)!sent(words);
}

/* Without READY a unit would start for ever; but a manager that has gone away holds nobody up. */
static void tell(const char *words)
{
    struct pollfd manager = {.fd = told.fd, .events = POLLOUT};

    if (told.fd > 0 && !sent(words) && poll(&manager, 1, PATIENCE_MS) > 0)
        (void)!sent(words);
}

void notify_ready(const char *status)
{
    char words[256];

    if (told.stopping) /* a worker that finishes what it has may be taken in once more */
        return;
    told.ready = true;
    snprintf(words, sizeof words, "READY=1\nSTATUS=%s", status);
    tell(words);
}

void notify_status(const char *status)
{
    char words[256];

    snprintf(words, sizeof words, "STATUS=%s", status);
    mention(words);
}

void notify_reloading(void)
{
    struct timespec now;
    char words[64];

    if (!told.ready || told.stopping) /* what has not begun cannot begin anew */
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(words);
}

void notify_reloaded(void)
{
    if (told.ready && !told.stopping)
        tell("READY=1");
}

void notify_stopping(void)
{
    told.stopping = true;
    tell("STOPPING=1\nSTATUS=stopping");
}

void notify_alive(void)
{
    mention("WATCHDOG=1");
}
