#include "gateway/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/open_beneath.h"

static int folder_open(const char *folder)
{
    return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int beneath_regular(int folder, const char *name, bool links)
{
    struct stat stat;
    int fd = open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, links);

    if (fd < 0 || (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)))
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

int beneath_open(const char *folder, struct str path)
{
    char name[PATH_MAX];

    if (!str_copy(name, sizeof name, path) || strlen(name) != path.len) {
        errno = EINVAL;
        return -1;
    }
    int at = folder_open(folder);
    if (at < 0)
        return -1;
    int fd = beneath_regular(at, name, true), cause = errno;
    close(at);
    errno = cause;
    return fd;
}

static bool name_plain(const char *name)
{
    return name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The folder of that name in the one that is open, which is closed. */
static int step_into(int at, const char *name)
{
    int made = name_plain(name) ? mkdirat(at, name, 0755) : -1, cause = name_plain(name) ? errno : EXDEV, fd = -1;

    if (made == 0 || cause == EEXIST) {
        fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        cause = errno;
    }
    close(at);
    errno = cause;
    return fd;
}

int beneath_folder(const char *folder, struct str path, uint32_t *base)
{
    char name[NAME_MAX + 1];
    uint32_t from = 0;
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (uint32_t i = 0; at >= 0 && i < path.len; i++) {
        if (path.ptr[i] != '/')
            continue;
        if (!str_copy(name, sizeof name, (struct str){path.ptr + from, i - from})) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        at = step_into(at, name);
        from = i + 1;
    }
    *base = from;
    bool whole = str_copy(name, sizeof name, (struct str){path.ptr + from, path.len - from});
    if (at >= 0 && (!whole || !name_plain(name) || strlen(name) != path.len - from)) {
        close(at);
        errno = EXDEV;
        return -1;
    }
    return at;
}
