/* The folder of the blob store as a collection sees it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/blob_gc.h"
#include "proto/clock.h"

#define LIST_MAX (1u << 20) /* files of a shard that are looked at: further ones wait for the next collection */

/* ---- read ---- */

static int md5_add(struct blob_gc_folder *folder, const unsigned char *md5)
{
    if (folder->count == folder->size) {
        uint32_t size = folder->size ? 2 * folder->size : 1024;
        unsigned char *md5s = realloc(folder->md5s, (size_t)size * BLOB_MD5);
        if (!md5s) {
            errno = ENOMEM;
            return -1;
        }
        folder->md5s = md5s;
        folder->size = size;
    }
    memcpy(folder->md5s + (size_t)folder->count++ * BLOB_MD5, md5, BLOB_MD5);
    return 0;
}

/* A name that the store gives; others are not its own. */
static bool name_read(const struct blob_gc_folder *folder, const char *name, unsigned char md5[BLOB_MD5])
{
    char hex[BLOB_HEX];

    if (!blob_read_hex(str_of(name), md5) || md5[0] != folder->shard)
        return false;
    blob_hex(md5, hex);
    return strcmp(hex, name) == 0;
}

void blob_gc_list(struct file_job *job)
{
    struct blob_gc_folder *folder = (struct blob_gc_folder *)(void *)job;
    unsigned char md5[BLOB_MD5];
    char path[BLOB_PATH];

    folder->count = folder->from = folder->asked = 0;
    snprintf(path, sizeof path, "%s/assets/%02x", folder->root, folder->shard);
    DIR *dir = opendir(path);
    if (!dir) {
        folder->cause = errno == ENOENT ? 0 : errno;
        return;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry || folder->count == LIST_MAX)
            break;
        if (name_read(folder, entry->d_name, md5) && md5_add(folder, md5) != 0)
            break;
    }
    folder->cause = errno;
    closedir(dir);
}

/* ---- removed ---- */

static bool is_young(const struct blob_gc_folder *folder, const struct stat *stat)
{
    int64_t at = (int64_t)stat->st_ctim.tv_sec * 1000 + stat->st_ctim.tv_nsec / 1000000;

    return folder->young_ms && at + (int64_t)folder->young_ms > (int64_t)clock_wall_ms();
}

static void remove_one(struct blob_gc_folder *folder, const unsigned char *md5)
{
    char path[BLOB_PATH], hex[BLOB_HEX];
    struct stat stat;

    blob_hex(md5, hex);
    snprintf(path, sizeof path, "%s/assets/%.2s/%s", folder->root, hex, hex);
    if (lstat(path, &stat) != 0 || !S_ISREG(stat.st_mode) || is_young(folder, &stat))
        return;
    if (!folder->dry && unlink(path) != 0) {
        folder->cause = errno;
        return;
    }
    folder->files++;
    folder->bytes += (uint64_t)stat.st_size;
}

void blob_gc_remove(struct file_job *job)
{
    struct blob_gc_folder *folder = (struct blob_gc_folder *)(void *)job;

    for (uint32_t i = 0; i < folder->asked; i++)
        if (folder->unknown[i])
            remove_one(folder, folder->md5s + (size_t)(folder->from + i) * BLOB_MD5);
}

/* ---- noted ---- */

static void stamp_path(const char *root, char out[BLOB_PATH])
{
    snprintf(out, BLOB_PATH, "%s/gc.stamp", root);
}

void blob_gc_stamp(struct file_job *job)
{
    struct blob_gc_folder *folder = (struct blob_gc_folder *)(void *)job;
    char path[BLOB_PATH];

    stamp_path(folder->root, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        folder->cause = errno == ENOENT ? 0 : errno; /* 0: there is no store yet */
        return;
    }
    if (futimens(fd, NULL) != 0)
        folder->cause = errno;
    close(fd);
}

uint64_t blob_gc_stamped(const char *root, bool *there)
{
    char path[BLOB_PATH];
    struct stat stat;

    *there = access(root, X_OK) == 0;
    stamp_path(root, path);
    return lstat(path, &stat) == 0 ? (uint64_t)stat.st_mtim.tv_sec * 1000 : 0;
}
