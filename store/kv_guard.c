#include "store/kv_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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
    sigaction(signal, signal == SIGSEGV ? &before_segv : &before_bus, NULL); /* it comes again, to whoever had it before */
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

/* Where a file is mapped; LMDB does not say. */
static bool map_find(int fd, uintptr_t *from, size_t *len)
{
    char line[4400];
    struct stat st;
    FILE *maps = fopen("/proc/self/maps", "re");
    bool found = false;
    if (!maps)
        return false;
    while (fstat(fd, &st) == 0 && fgets(line, sizeof line, maps)) {
        unsigned long start, end, inode;
        /* The device is not compared: layered file systems show another one here. */
        if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &start, &end, &inode) != 3 || inode != st.st_ino)
            continue;
        *len = found ? *len + (end - start) : end - start; /* in more than one piece they follow each other */
        *from = found ? *from : start;
        found = true;
    }
    fclose(maps);
    return found;
}

int kv_guard_add(const char *path, int fd)
{
    uintptr_t from;
    size_t len;
    for (int i = 0; i < KV_GUARDS; i++) {
        if (guards[i].len > 0)
            continue;
        if (!map_find(fd, &from, &len))
            break;
        snprintf(guards[i].path, sizeof guards[i].path, "%s", path);
        guards[i].from = from;
        guards[i].len = len;
        fault_handle(SIGSEGV, &before_segv);
        fault_handle(SIGBUS, &before_bus);
        return i;
    }
    return -1;
}

void kv_guard_remove(int guard)
{
    if (guard >= 0)
        guards[guard].len = 0;
}
