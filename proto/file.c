#include "proto/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"

int file_read(const char *path, struct buf *out, struct err *err)
{
    char block[4096];
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 1;
    out->limit = FILE_MAX;
    while (fd >= 0 && ((got = read(fd, block, sizeof block)) > 0 || (got < 0 && errno == EINTR))) {
        if (got > 0 && buf_add(out, block, (size_t)got) != 0)
            break;
    }
    int kept = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return err_set(err, ERR_IO, "%s: cannot be read: %s", path, strerror(kept));
    if (out->failed)
        return err_set(err, out->starved ? ERR_NO_MEMORY : ERR_LIMIT, "%s: %s", path,
                       out->starved ? "no memory to read it" : "larger than 1 MiB");
    return 0;
}

static bool write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t put = write(fd, text.ptr, text.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        text.ptr += put;
        text.len -= (uint32_t)put;
    }
    return true;
}

static bool folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    return str_copy(out, PATH_MAX, len > 0 ? (struct str){path, (uint32_t)len} : str_of(slash ? "/" : "."));
}

int file_give(int fd, const char *path)
{
    char folder[PATH_MAX];
    struct stat there;

    if (!folder_of(path, folder) || stat(folder, &there) != 0)
        return -1;
    return there.st_uid == geteuid() ? 0 : fchown(fd, there.st_uid, there.st_gid);
}

/* The new name itself is on disk only once its folder is. */
static bool folder_sync(const char *path)
{
    char folder[PATH_MAX];

    if (!folder_of(path, folder))
        return false;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return done;
}

/* Takes fd, of fresh; whole: what was to be written to it has been. */
static int place(int fd, const char *fresh, const char *path, bool whole, bool durable, struct err *err)
{
    whole = whole && file_give(fd, path) == 0 && (!durable || fsync(fd) == 0);
    whole = close(fd) == 0 && whole;
    if (whole && rename(fresh, path) == 0 && (!durable || folder_sync(path)))
        return 0;
    err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    unlink(fresh);
    return -1;
}

int file_replace(const char *path, struct str text, bool durable, struct err *err)
{
    char fresh[PATH_MAX];

    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return err_set(err, ERR_INVALID, "%s: the path is too long", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: cannot be written: %s", fresh, strerror(errno));
    return place(fd, fresh, path, write_all(fd, text), durable, err);
}

int file_place(const char *fresh, const char *path, bool durable, struct err *err)
{
    int fd = open(fresh, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return place(fd, fresh, path, true, durable, err);
}

int file_name_new(int folder, const char *fresh, const char *name)
{
    if (renameat2(folder, fresh, folder, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    return linkat(folder, fresh, folder, name, 0) == 0 ? unlinkat(folder, fresh, 0) : -1;
}

static bool is_seen(int folder, const char *name, const struct stat *seen)
{
    struct stat now;

    return fstatat(folder, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == seen->st_dev && now.st_ino == seen->st_ino &&
           now.st_size == seen->st_size && now.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
}

/* Both names change places at once, so that there is a whole file under the final one all the time, and what came out can be looked at.
 * Where the file system cannot do that, the name is free for a moment. */
int file_supplant(int folder, const char *fresh, const char *name, const struct stat *seen)
{
    if (renameat2(folder, fresh, folder, name, RENAME_EXCHANGE) == 0) {
        if (is_seen(folder, fresh, seen)) {
            unlinkat(folder, fresh, 0);
            return 0;
        }
        renameat2(folder, fresh, folder, name, RENAME_EXCHANGE); /* another had come there: back */
        errno = EEXIST;
        return -1;
    }
    if (errno == ENOENT)
        return file_name_new(folder, fresh, name);
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (!is_seen(folder, name, seen)) {
        errno = EEXIST;
        return -1;
    }
    return unlinkat(folder, name, 0) == 0 ? file_name_new(folder, fresh, name) : -1;
}

/* One that this makes is given away at once: what is made in it goes to the same owner. */
static int folder_make(const char *path)
{
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? 0 : -1;
    if (geteuid() != 0) /* only root makes what is another's */
        return 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 ? file_give(fd, path) : -1;
    int kept = errno;
    if (fd >= 0)
        close(fd);
    errno = kept;
    return rc;
}

int file_folder(const char *path, struct err *err)
{
    char part[PATH_MAX];
    struct stat info;

    if (path[0] == '\0' || !str_copy(part, sizeof part, str_of(path)))
        return err_set(err, ERR_INVALID, "the path of a folder has %zu bytes, expected 1..%d", strlen(path), PATH_MAX - 1);
    for (char *at = part + 1;; at++) {
        char kept = *at;
        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        if (folder_make(part) != 0)
            return err_set(err, ERR_IO, "%s: cannot be made: %s", part, strerror(errno));
        *at = kept;
        if (kept == '\0')
            break;
    }
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return err_set(err, ERR_IO, "%s is not a folder", path);
    return 0;
}
