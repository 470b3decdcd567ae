#include "gateway/blob_tidy.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/blob.h"
#include "proto/log.h"

#define LOOK_MS 600000
#define CACHE_SECONDS 86400 /* of a file that was fetched from an S3-compatible store, since it was used last */
#define AGE_SECONDS 600     /* of a file whose sender is gone: one that has just been made has no lock yet */

struct blob_tidy {
    struct file_job job;
    struct gateway *gateway;
    int timer;
    bool working, first;
    /* for the thread */
    char folder[BLOB_PATH], cache[BLOB_PATH];
    time_t now, expire;
    unsigned gone;
};

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static bool ends(const char *name, const char *with)
{
    size_t len = strlen(name), tail = strlen(with);
    return len > tail && strcmp(name + len - tail, with) == 0;
}

/* Removes it unless somebody is writing to it. */
static bool remove_unused(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool gone = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0;

    if (fd >= 0)
        close(fd);
    return gone;
}

static void look_at(struct blob_tidy *tidy, int folder, const char *name)
{
    char other[NAME_MAX + 1 + sizeof BLOB_INFO];
    struct stat stat, beside;

    if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(stat.st_mode))
        return;
    time_t age = tidy->now - stat.st_mtime;
    if (!begins(name, BLOB_RESUMED)) {
        if (tidy->first || age > AGE_SECONDS)
            tidy->gone += remove_unused(folder, name);
    } else if (ends(name, BLOB_INFO)) {
        snprintf(other, sizeof other, "%.*s", (int)(strlen(name) - strlen(BLOB_INFO)), name);
        if (age > tidy->expire && fstatat(folder, other, &beside, AT_SYMLINK_NOFOLLOW) != 0)
            tidy->gone += unlinkat(folder, name, 0) == 0;
    } else if (age > tidy->expire && remove_unused(folder, name)) {
        tidy->gone++;
        snprintf(other, sizeof other, "%s%s", name, BLOB_INFO);
        unlinkat(folder, other, 0);
    }
}

static void cache_look(struct blob_tidy *tidy)
{
    DIR *dir = opendir(tidy->cache);
    struct stat stat;

    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(stat.st_mode) &&
            tidy->now - stat.st_mtime > CACHE_SECONDS)
            tidy->gone += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
    closedir(dir);
}

static void tidy_work(struct file_job *job)
{
    struct blob_tidy *tidy = (struct blob_tidy *)(void *)job;
    DIR *dir = opendir(tidy->folder);

    cache_look(tidy);
    if (!dir)
        return; /* nothing has ever come */
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        look_at(tidy, dirfd(dir), entry->d_name);
    closedir(dir);
}

static void tidy_done(struct file_job *job)
{
    struct blob_tidy *tidy = (struct blob_tidy *)(void *)job;

    if (tidy->gone)
        log_info("GTY-BLOB-TIDY", "removed=%u folder=%s", tidy->gone, tidy->folder);
    tidy->working = tidy->first = false;
    if (!tidy->gateway)
        free(tidy);
}

static void look(void *arg)
{
    struct blob_tidy *tidy = arg;
    char root[4096];

    if (tidy->working || !blob_root(tidy->gateway->settings, root))
        return;
    snprintf(tidy->folder, sizeof tidy->folder, "%s/incoming", root);
    snprintf(tidy->cache, sizeof tidy->cache, "%s/cache", root);
    tidy->working = true;
    tidy->gone = 0;
    tidy->now = time(NULL);
    tidy->expire = (time_t)settings_count_of(tidy->gateway->settings, SET_BLOB_EXPIRE_HOURS) * 3600;
    tidy->job = (struct file_job){.work = tidy_work, .done = tidy_done};
    files_do(tidy->gateway->files, &tidy->job);
}

struct blob_tidy *blob_tidy_new(struct gateway *gateway)
{
    struct blob_tidy *tidy = calloc(1, sizeof *tidy);

    if (!tidy)
        return NULL;
    tidy->gateway = gateway;
    tidy->first = true;
    tidy->timer = loop_every(gateway->loop, LOOK_MS, look, tidy);
    if (tidy->timer < 0) {
        free(tidy);
        return NULL;
    }
    look(tidy);
    return tidy;
}

void blob_tidy_free(struct blob_tidy *tidy)
{
    if (!tidy)
        return;
    loop_cancel(tidy->gateway->loop, tidy->timer);
    tidy->gateway = NULL;
    if (!tidy->working)
        free(tidy);
}
