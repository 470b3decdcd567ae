#include "worker/record/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"
#include "worker/publish.h"

#define FOLDER (O_PATH | O_DIRECTORY)

static bool entered;

/* The folder above the one that is to be entered, opened; *last is that one's name in it. -1 with errno. */
static int above_open(const char *root, char *folder, const char **last)
{
    size_t len = strlen(root);
    char *slash = strrchr(folder, '/');
    *last = ".";
    if (!*folder)
        return open("/", FOLDER | O_CLOEXEC);
    *slash = '\0';
    *last = slash + 1;
    if (!len || strncmp(folder, root, len) != 0)
        return open(*folder ? folder : "/", FOLDER | O_CLOEXEC);
    int at = open(root, FOLDER | O_CLOEXEC);
    if (at < 0 || folder[len] != '/')
        return at;
    int fd = open_beneath(at, folder + len + 1, FOLDER, false), cause = errno;
    close(at);
    errno = cause;
    return fd;
}

int place_enter(const char *root, const char *output, bool make, struct err *err)
{
    char folder[PUBLISH_PATH];
    const char *last;
    if (entered)
        return 0;
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(output, '/') - output), output);
    for (size_t len = strlen(folder); len > 0 && folder[len - 1] == '/'; len--)
        folder[len - 1] = '\0';
    int above = above_open(root, folder, &last);
    bool made = above >= 0 && (!make || mkdirat(above, last, 0777) == 0 || errno == EEXIST);
    int fd = made ? open_beneath(above, last, O_RDONLY | O_DIRECTORY, false) : -1;
    entered = fd >= 0 && fchdir(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        close(fd);
    if (above >= 0)
        close(above);
    if (entered)
        return 0;
    if (!make && cause == ENOENT)
        return 1;
    bool link = cause == ELOOP || cause == EXDEV;
    return err_set(err, ERR_IO, "the folder of %.150s cannot be made: %s", output,
                   link ? "a link stands in its place" : strerror(cause));
}

int place_name(const char *output, char *name, size_t size)
{
    int len = snprintf(name, size, ".%s", strrchr(output, '/'));
    return len < 0 || (size_t)len >= size ? -1 : 0;
}
