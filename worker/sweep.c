#include "worker/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"

static int sweep_at(int parent, const char *name, unsigned *budget, int depth);

/* Empties an open folder; takes fd. 1 when it is empty, 0 when the budget ran out, -1 with errno. */
static int sweep_inside(int fd, unsigned *budget, int depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    int rc = 1;
    struct dirent *entry;
    while (rc == 1 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = sweep_at(dirfd(dir), entry->d_name, budget, depth);
    }
    int saved = errno;
    closedir(dir);
    errno = saved;
    return rc;
}

/* Removes one entry of a folder with all that is in it. */
static int sweep_at(int parent, const char *name, unsigned *budget, int depth)
{
    if (*budget == 0)
        return 0;
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
        (*budget)--;
        return 1;
    }
    if (errno != EISDIR && errno != EPERM)
        return -1;
    if (depth >= SWEEP_DEPTH) {
        errno = ELOOP;
        return -1;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = fd < 0 ? -1 : sweep_inside(fd, budget, depth + 1);
    if (rc != 1)
        return rc;
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0)
        return -1;
    *budget -= *budget > 0;
    return 1;
}

int sweep_folder(const char *path, unsigned budget, struct err *err)
{
    int rc = sweep_at(AT_FDCWD, path, &budget, 0);
    if (rc < 0)
        err_set(err, ERR_IO, "cannot remove %.150s: %s", path, strerror(errno));
    return rc;
}
