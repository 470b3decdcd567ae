#include "store/kv_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct guard {
    uintptr_t from;
    size_t len; /* 0: free */
    char path[512];
} guards[KV_GUARDS];

static struct sigaction before_segv, before_bus;

/* Only what may be called in a signal handler. */
_Noreturn void kv_guard_end(const char *path, const char *why)
{
    char line[1024];
    size_t len = 0;
    const char *parts[] = {"gantry-store: the database ", path, " ", why,
                           "; `gantry fsck` says more, `gantry restore` takes a backup\n"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t part = strlen(parts[i]);
        part = part < sizeof line - len ? part : sizeof line - len;
        memcpy(line + len, parts[i], part);
        len += part;
    }
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR) {}
    _exit(1);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;
    (void)context;
    for (int i = 0; i < KV_GUARDS; i++) {
        if (guards[i].len > 0 && at >= guards[i].from && at - guards[i].from < guards[i].len)
            kv_guard_end(guards[i].path, "is damaged or cannot be read from the disk");
    }
    sigaction(signal, signal == SIGSEGV ? &before_segv : &before_bus,
              NULL); /* a fault of our own: again, for whoever had it before */
}

static void fault_handle(int signal, struct sigaction *before)
{
    struct sigaction now, ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&ours.sa_mask);
    if (sigaction(signal, NULL, &now) == 0 && now.sa_sigaction != on_fault) {
        *before = now;
        sigaction(signal, &ours, NULL);
    }
}

void kv_guard_add(const char *path, const void *map, size_t len)
{
    for (int i = 0; i < KV_GUARDS; i++) {
        if (guards[i].len > 0)
            continue;
        snprintf(guards[i].path, sizeof guards[i].path, "%s", path);
        guards[i].from = (uintptr_t)map;
        guards[i].len = len;
        break;
    }
    fault_handle(SIGSEGV, &before_segv);
    fault_handle(SIGBUS, &before_bus);
}

void kv_guard_remove(const void *map)
{
    for (int i = 0; i < KV_GUARDS; i++) {
        if (guards[i].len > 0 && guards[i].from == (uintptr_t)map)
            guards[i].len = 0;
    }
}
