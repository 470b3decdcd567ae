/* A scene that was uploaded as .ma.gz: Blender reads such files itself, other engines want them unpacked. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/render/child.h"
#include "worker/render/render.h"

#define TIMES_MAX 250u                  /* as the readers of scenes have it: what unpacks to more is a bomb */
#define FREE_BYTES ((uint64_t)64 << 20) /* beside that */

static bool is_packed(const char *path, uint64_t *size)
{
    unsigned char magic[2] = {0};
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool packed = fd >= 0 && fstat(fd, &info) == 0 && read(fd, magic, 2) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (fd >= 0)
        close(fd);
    *size = packed ? (uint64_t)info.st_size : 0;
    return packed;
}

static void keep_line(void *self, const char *text)
{
    snprintf(self, CHILD_LINE, "%s", text);
}

/* gzip with a limit to the file that it writes. */
static int unpack(const struct render *it, char *path, uint64_t size)
{
    char said[CHILD_LINE] = "";
    char *argv[] = {(char *)"gzip", (char *)"-df", (char *)"--", path, NULL};
    struct child_end end;
    struct rlimit before, bound;
    if (getrlimit(RLIMIT_FSIZE, &before) < 0)
        return err_set(it->err, ERR_IO, "a limit cannot be read");
    bound = before;
    uint64_t most = size * TIMES_MAX + FREE_BYTES;
    if (bound.rlim_cur == RLIM_INFINITY || bound.rlim_cur > most)
        bound.rlim_cur = most;
    setrlimit(RLIMIT_FSIZE, &bound);
    int rc = child_run(argv, NULL, 0, keep_line, said, &end, it->err);
    setrlimit(RLIMIT_FSIZE, &before);
    if (rc == 0 && end.exit_code != 0)
        rc = err_set(it->err, ERR_INVALID, "scene: it cannot be unpacked: %.150s",
                     end.signal ? "it becomes more than 250 times as large" : said);
    return rc;
}

int unpack_scene(struct render *it)
{
    char path[PATH_MAX];
    const char *base = strrchr(it->scene, '/') + 1;
    size_t len = strlen(base);
    uint64_t size;
    if (it->engine->prepares || !is_packed(it->scene, &size))
        return 0;
    if (len > 3 && strcmp(base + len - 3, ".gz") == 0)
        len -= 3;
    if (snprintf(path, sizeof(path), "%s/unpacked/%.*s.gz", it->place, (int)len, base) >= PATH_MAX)
        return err_set(it->err, ERR_INVALID, "the name of the scene is too long");
    if (layout_bring(it->scene, path, BRING_LINK, it->err) < 0 || unpack(it, path, size) < 0)
        return -1;
    path[strlen(path) - 3] = '\0';
    snprintf(it->scene, sizeof(it->scene), "%s", path);
    return 0;
}
