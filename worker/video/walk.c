#include "worker/video/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"
#include "worker/publish.h"

struct level {
    DIR *dir;
    size_t len; /* of the path up to it */
    bool entries;
};

struct walk {
    const char *extensions;
    const struct walk_events *events;
    struct level at[WALK_DEPTH];
    int depth; /* -1: over */
    char path[WALK_PATH];
};

/* One step down, never through a link. */
static DIR *folder_open(int parent, const char *name)
{
    int fd = open_beneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, false);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return dir;
}

bool walk_is_video(const char *extensions, const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || dot[1] == '\0')
        return false;
    size_t len = strlen(dot + 1);
    for (const char *at = extensions; *at; at += strcspn(at, ","), at += *at == ',') {
        at += strspn(at, " .");
        if (strcspn(at, ", ") == len && strncasecmp(at, dot + 1, len) == 0)
            return true;
    }
    return false;
}

/* The path of a name in the folder at hand; false when it is too long. */
static bool path_set(struct walk *walk, const char *name)
{
    size_t at = walk->at[walk->depth].len, len = strlen(name);
    if (at + 1 + len >= sizeof(walk->path))
        return false;
    if (at)
        walk->path[at++] = '/';
    memcpy(walk->path + at, name, len + 1);
    return true;
}

static int go_down(struct walk *walk, const char *name)
{
    DIR *dir = walk->depth + 1 < WALK_DEPTH ? folder_open(dirfd(walk->at[walk->depth].dir), name) : NULL;
    if (!dir) {
        walk->events->unreadable(walk->events->self, walk->path, walk->depth + 1 < WALK_DEPTH ? errno : ELOOP);
        return 0;
    }
    walk->at[++walk->depth] = (struct level){.dir = dir, .len = strlen(walk->path)};
    return walk->events->folder ? walk->events->folder(walk->events->self, walk->path, dirfd(dir)) : 0;
}

static int look(struct walk *walk, const struct dirent *entry)
{
    struct stat info;
    bool folder = entry->d_type == DT_DIR, unknown = entry->d_type == DT_UNKNOWN;
    bool video = (entry->d_type == DT_REG || unknown) && walk_is_video(walk->extensions, entry->d_name);
    if (!folder && !unknown && !video)
        return 0;
    if (!path_set(walk, entry->d_name)) {
        walk->events->unreadable(walk->events->self, walk->path, ENAMETOOLONG);
        return 0;
    }
    if (folder)
        return go_down(walk, entry->d_name);
    if (fstatat(dirfd(walk->at[walk->depth].dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT) /* it went in this moment */
            walk->events->unreadable(walk->events->self, walk->path, errno);
        return 0;
    }
    if (S_ISDIR(info.st_mode))
        return go_down(walk, entry->d_name);
    if (!S_ISREG(info.st_mode) || !video)
        return 0;
    struct walk_file file = {.path = walk->path, .size = (uint64_t)info.st_size};
    if (info.st_mtim.tv_sec >= 0)
        file.mtime_ns = (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
    return walk->events->file(walk->events->self, &file);
}

static int go_up(struct walk *walk)
{
    struct level *level = &walk->at[walk->depth];
    closedir(level->dir);
    walk->path[level->len] = '\0';
    bool empty = !level->entries && walk->depth > 0;
    walk->depth--;
    return empty ? walk->events->empty(walk->events->self, walk->path) : 0;
}

static int step(struct walk *walk)
{
    struct level *level = &walk->at[walk->depth];
    errno = 0;
    const struct dirent *entry = readdir(level->dir);
    if (!entry && errno) {
        level->entries = true;
        walk->path[level->len] = '\0';
        walk->events->unreadable(walk->events->self, walk->path, errno);
    }
    if (!entry)
        return go_up(walk);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return 0;
    level->entries = true;
    if (strncmp(entry->d_name, PUBLISH_PREFIX, strlen(PUBLISH_PREFIX)) == 0)
        return 0;
    return look(walk, entry);
}

int walk_root(const char *root, const char *extensions, const struct walk_events *events, struct err *err)
{
    struct walk walk = {.extensions = extensions, .events = events};
    int rc = 0;
    walk.at[0].dir = opendir(root);
    if (!walk.at[0].dir)
        return err_set(err, ERR_IO, "%.150s cannot be opened: %s", root, strerror(errno));
    if (events->folder)
        rc = events->folder(events->self, "", dirfd(walk.at[0].dir));
    while (rc == 0 && walk.depth >= 0)
        rc = step(&walk);
    while (walk.depth >= 0)
        closedir(walk.at[walk.depth--].dir);
    return rc < 0 ? err_set(err, ERR_NO_MEMORY, "the walk was given up") : 0;
}
