#include "worker/video/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "worker/job.h"
#include "worker/publish.h"
#include "worker/video/farm.h"
#include "worker/video/scan.h"
#include "worker/video/walk.h"
#include "worker/video/words.h"

#define QUIET_MS 2000u /* behind a change before it is told */
#define LATE_MS 30000u /* but no later than this behind the first */
#define EVENTS                                                                                                                   \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |         \
     IN_EXCL_UNLINK)

struct watch {
    const char *root, *folder; /* the farm's name of it, and where it is here */
    const char *extensions;
    int fd;
    unsigned folders;
    bool again;           /* folders have come: they are watched, too */
    bool over;            /* the root is gone */
    uint64_t first, last; /* of the changes that are not told yet; 0: there are none */
    struct farm_line line;
};

static int on_folder(void *self, const char *path, int fd)
{
    struct watch *watch = self;
    char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (inotify_add_watch(watch->fd, name, EVENTS) < 0) {
        fprintf(stderr, "%s is not watched: %s%s\n", *path ? path : watch->folder, strerror(errno),
                errno == ENOSPC ? " (fs.inotify.max_user_watches)" : "");
        return errno == ENOSPC || errno == ENOMEM ? -1 : 0;
    }
    watch->folders++;
    return 0;
}

static int on_file(void *self, const struct walk_file *file)
{
    (void)self, (void)file;
    return 0;
}

static int on_empty(void *self, const char *folder)
{
    (void)self, (void)folder;
    return 0;
}

static void on_unreadable(void *self, const char *path, int error)
{
    (void)self, (void)path, (void)error; /* scans tell */
}

/* A folder that is watched already stays so: it is the same inode. */
static int watch_all(struct watch *watch, struct err *err)
{
    const struct walk_events events = {
        .folder = on_folder, .file = on_file, .empty = on_empty, .unreadable = on_unreadable, .self = watch};
    watch->again = false;
    return walk_root(watch->folder, "", &events, err);
}

static bool matters(const struct watch *watch, const struct inotify_event *event)
{
    if (event->mask & (IN_Q_OVERFLOW | IN_UNMOUNT | IN_ISDIR))
        return true;
    return event->len && strncmp(event->name, PUBLISH_PREFIX, strlen(PUBLISH_PREFIX)) != 0 &&
           walk_is_video(watch->extensions, event->name);
}

static void take(struct watch *watch, const struct inotify_event *event)
{
    if (event->mask & (IN_Q_OVERFLOW | IN_ISDIR))
        watch->again = true;
    if (event->mask & IN_IGNORED) {
        watch->folders -= watch->folders > 0;
        watch->over = watch->folders == 0;
    }
    if (!matters(watch, event))
        return;
    watch->last = clock_mono_ms();
    watch->first = watch->first ? watch->first : watch->last;
}

static int events_read(struct watch *watch)
{
    _Alignas(struct inotify_event) char bytes[65536];
    ssize_t got = read(watch->fd, bytes, sizeof(bytes));
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    for (char *at = bytes; at < bytes + got;) {
        const struct inotify_event *event = (const struct inotify_event *)(void *)at;
        take(watch, event);
        at += sizeof(*event) + event->len;
    }
    return 0;
}

static int tell_when_due(struct watch *watch, struct err *err)
{
    uint64_t now = clock_mono_ms();
    if (!watch->first || (now - watch->last < QUIET_MS && now - watch->first < LATE_MS))
        return 0;
    watch->first = watch->last = 0;
    if (watch->again && watch_all(watch, err) < 0)
        return -1;
    return farm_hint(&watch->line, watch->root, err);
}

static int work(struct watch *watch, struct err *err)
{
    if (watch_all(watch, err) < 0)
        return -1;
    while (!watch->over) {
        struct pollfd fds[] = {{.fd = watch->fd, .events = POLLIN}};
        if (poll(fds, 1, watch->first ? 500 : -1) < 0 && errno != EINTR)
            return err_set(err, ERR_IO, "poll: %s", strerror(errno));
        if ((fds[0].revents && events_read(watch) < 0) || tell_when_due(watch, err) < 0)
            return -1;
    }
    return farm_hint(&watch->line, watch->root, err);
}

int watch_main(char *const *argv)
{
    struct err err = {0};
    struct watch watch = {.root = words_or(argv, "root", ""),
                          .extensions = words_or(argv, "extensions", SCAN_EXTENSIONS),
                          .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
                          .line = {.fd = JOB_FD_PROGRAM_CHANNEL}};
    watch.folder = words_or(argv, "prefix", watch.root);
    int rc = watch.fd < 0 ? err_set(&err, ERR_IO, "inotify: %s", strerror(errno)) : work(&watch, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    if (watch.fd >= 0)
        close(watch.fd);
    farm_clear(&watch.line);
    return rc < 0 ? 1 : 0;
}
