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

int kv_file_folder_sync(const char *folder, struct err *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL); /* EINVAL: this file system has no such thing */
    int rc = synced ? 0 : err_set(err, ERR_IO, "cannot write %s to disk: %s", folder, strerror(errno));
    if (fd >= 0)
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
