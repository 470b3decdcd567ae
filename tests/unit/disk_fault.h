/* A disk that fails when told to. These stand in for libc's calls, for LMDB's use of them too: one test program includes this. */
#ifndef GANTRY_TESTS_DISK_FAULT_H
#define GANTRY_TESTS_DISK_FAULT_H

#include "unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <time.h>

/* Set by the loop's thread, seen by the one that writes. */
static _Atomic int fail_write, fail_sync, fail_allocate; /* errno, or 0; of files named data.mdb or redo */
static _Atomic bool cut_write;                           /* writes half of what is asked */
static _Atomic bool spare_redo;                          /* it is on a disk that does not fail */
static _Atomic unsigned slow_redo_ms, slow_data_ms;      /* how long a sync of theirs takes longer */
static _Atomic bool hold_data;                           /* a sync of data.mdb does not end before this does */

enum disk_file { FILE_OTHER, FILE_DATA, FILE_REDO };

static enum disk_file file_kind(int fd)
{
    char link[64], path[4200];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len > 5 && memcmp(path + len - 5, "/redo", 5) == 0)
        return FILE_REDO;
    return len > 8 && memcmp(path + len - 8, "data.mdb", 8) == 0 ? FILE_DATA : FILE_OTHER;
}

static bool is_data(int fd)
{
    enum disk_file kind = file_kind(fd);
    return kind == FILE_DATA || (kind == FILE_REDO && !spare_redo);
}

static void sync_slow(int fd)
{
    if (slow_redo_ms == 0 && slow_data_ms == 0 && !hold_data)
        return;
    enum disk_file kind = file_kind(fd);
    unsigned ms = kind == FILE_REDO ? slow_redo_ms : kind == FILE_DATA ? slow_data_ms : 0;
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
    while (kind == FILE_DATA && hold_data)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool write_fails(int fd)
{
    if (fail_write == 0 || !is_data(fd))
        return false;
    errno = fail_write;
    return true;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    if (write_fails(fd))
        return -1;
    return real(fd, data, cut_write && is_data(fd) ? len / 2 : len, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    static ssize_t (*real)(int, const struct iovec *, int, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pwritev");
    if (write_fails(fd))
        return -1;
    return real(fd, parts, cut_write && is_data(fd) ? (count + 1) / 2 : count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "writev");
    if (write_fails(fd))
        return -1;
    return real(fd, parts, cut_write && is_data(fd) ? (count + 1) / 2 : count);
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    if (fail_sync && is_data(fd)) {
        errno = fail_sync;
        return -1;
    }
    sync_slow(fd);
    return real(fd);
}

static _Atomic unsigned names_synced; /* how often a folder that had data.mdb and redo in it was synced */

int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    names_synced += faccessat(fd, "data.mdb", F_OK, 0) == 0 && faccessat(fd, "redo", F_OK, 0) == 0;
    return real(fd);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    static int (*real)(int, int, off_t, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fallocate");
    if (fail_allocate) {
        errno = fail_allocate;
        return -1;
    }
    return real(fd, mode, at, len);
}

#endif
