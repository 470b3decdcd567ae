#include "gateway/put_at.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int put_at(int folder, const char *name, struct str text)
{
    char fresh[300];
    uint32_t done = 0;
    snprintf(fresh, sizeof fresh, ".%.240s.new", name);
    int fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    while (done < text.len) {
        ssize_t wrote = write(fd, text.ptr + done, text.len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            break;
        done += (uint32_t)wrote;
    }
    int result = done == text.len && fsync(fd) == 0 && renameat(folder, fresh, folder, name) == 0 ? 0 : -1, cause = errno;
    close(fd);
    if (result != 0)
        unlinkat(folder, fresh, 0);
    errno = cause;
    return result;
}
