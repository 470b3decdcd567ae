#include "store/kv_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/messages.h"

int kv_file_lock(const char *folder, struct err *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char pid[24] = "";
        ssize_t n = errno == EWOULDBLOCK ? pread(fd, pid, sizeof pid - 1, 0) : 0;
        pid[n > 0 ? n : 0] = '\0';
        long holder = strtol(pid, NULL, 10);
        close(fd);
        if (holder > 0)
            return err_set(err, ERR_CONFLICT, "the database in %s is in use by process %ld", folder, holder);
        return err_set(err, ERR_CONFLICT, "the database in %s is in use by another process", folder);
    }
    /* For the message above only: the lock itself is the kernel's and goes with the process. */
    char pid[24];
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
        close(fd);
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return fd;
}

/* LMDB 0.9's file on a 64-bit machine: pages 0 and 1 hold a page header of 16 bytes and then the state as of the newest two
 * transactions: magic u32, version u32, address u64, map size u64, two trees of 48 bytes (the first begins with the page
 * size as u32), last page u64, transaction u64. */
#define META_MAGIC 0xBEEFC0DEu
#define META_AT 16
#define META_PAGE_SIZE_AT (META_AT + 24)
#define META_LAST_PAGE_AT (META_AT + 24 + 96)
#define META_TXN_AT (META_LAST_PAGE_AT + 8)
#define META_BYTES (META_TXN_AT + 8)

static uint32_t meta_u32(const unsigned char *page, size_t at)
{
    uint32_t value;
    memcpy(&value, page + at, sizeof value);
    return value;
}

static uint64_t meta_u64(const unsigned char *page, size_t at)
{
    uint64_t value;
    memcpy(&value, page + at, sizeof value);
    return value;
}

static int meta_check(const char *path, int fd, uint64_t size, struct err *err)
{
    unsigned char page[META_BYTES];
    uint64_t page_size = 0, last = 0, newest = 0;
    bool found = false;
    for (int i = 0; i < 2; i++) {
        if (pread(fd, page, sizeof page, (off_t)(page_size * (uint64_t)i)) != (ssize_t)sizeof page)
            return err_set(err, ERR_INVALID, "%s is truncated: %lu bytes do not hold its first pages; restore a backup", path,
                           (unsigned long)size);
        if (meta_u32(page, META_AT) != META_MAGIC)
            return err_set(err, ERR_INVALID, "%s is not a database of Gantry's", path);
        if (i == 0)
            page_size = meta_u32(page, META_PAGE_SIZE_AT);
        if (page_size < 512 || page_size > 65536)
            return err_set(err, ERR_INVALID, "%s is damaged: a page size of %lu; restore a backup", path,
                           (unsigned long)page_size);
        uint64_t txn = meta_u64(page, META_TXN_AT);
        if (!found || txn > newest) {
            newest = txn;
            last = meta_u64(page, META_LAST_PAGE_AT);
            found = true;
        }
    }
    if (last > (UINT64_MAX / page_size) - 1 || (last + 1) * page_size > size)
        return err_set(err, ERR_INVALID, "%s is truncated: it has %lu bytes and needs %lu; restore a backup", path,
                       (unsigned long)size, (unsigned long)((last + 1) * page_size));
    return 0;
}

int kv_file_check(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return 0;
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0)
        rc = err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    else if (st.st_size > 0) /* an empty one is made by a process that died at its very first step */
        rc = meta_check(path, fd, (uint64_t)st.st_size, err);
    close(fd);
    return rc;
}

#define BALLAST_ROOM 4 /* the disk must have this many times the reserve free before it is taken */

int kv_file_ballast_make(const char *path, uint64_t bytes)
{
    struct stat st;
    if (stat(path, &st) == 0 && (uint64_t)st.st_size == bytes && (uint64_t)st.st_blocks * 512 >= bytes)
        return 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    struct statvfs fs;
    int rc = -1;
    if (fstatvfs(fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize / BALLAST_ROOM >= bytes)
        rc = posix_fallocate(fd, 0, (off_t)bytes) == 0 && ftruncate(fd, (off_t)bytes) == 0 ? 0 : -1;
    close(fd);
    if (rc != 0)
        unlink(path);
    return rc;
}

int kv_file_ballast_drop(const char *path)
{
    return unlink(path);
}
