#include "gateway/auth_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/ident.h"
#include "proto/messages.h"

#define SETTLED_S 1 /* a file's time is older than this before it is trusted to tell of the next change */

int auth_file_read(const char *path, struct buf *out, struct err *err)
{
    char block[4096];
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 1;
    out->limit = AUTH_FILE_MAX;
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

bool auth_file_exposed(const char *path, char *out, size_t size)
{
    struct stat info;

    if (stat(path, &info) != 0 || (info.st_mode & (S_IRGRP | S_IROTH)) == 0)
        return false;
    snprintf(out, size, "%s holds a secret, and %s may read it (mode %04o): chmod 600 lets only its owner", path,
             info.st_mode & S_IROTH ? "everybody on this machine" : "its group", info.st_mode & 07777);
    return true;
}

bool auth_file_tokens_exposed(const char *path, char *out, size_t size)
{
    struct buf text = {0};
    bool secret = auth_file_read(path, &text, NULL) == 0 && text.len > 0 && memmem(text.data, text.len, "\"oct\"", 5) != NULL;

    if (text.len > 0)
        sodium_memzero(text.data, text.len);
    buf_free(&text);
    return secret && auth_file_exposed(path, out, size);
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

/* Whose farm it is decides whose its files are, whoever runs the command: a gateway that could not read what root has written would go on
 * with the keys that it had. Gives what is open as fd, and belongs at path, to the owner of the folder that it is in. */
static bool owner_keep(int fd, const char *path)
{
    char folder[PATH_MAX];
    struct stat there;

    if (!folder_of(path, folder) || stat(folder, &there) != 0)
        return false;
    return there.st_uid == geteuid() || fchown(fd, there.st_uid, there.st_gid) == 0;
}

int auth_file_replace(const char *path, struct str text, bool durable, struct err *err)
{
    char fresh[PATH_MAX];

    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return err_set(err, ERR_INVALID, "%s: the path is too long", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: cannot be written: %s", fresh, strerror(errno));
    bool whole = owner_keep(fd, path) && write_all(fd, text) && (!durable || fsync(fd) == 0);
    whole = close(fd) == 0 && whole;
    if (whole && rename(fresh, path) == 0 && (!durable || folder_sync(path)))
        return 0;
    err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    unlink(fresh);
    return -1;
}

/* ---- following ---- */

bool auth_watch_changed(struct auth_watch *watch, uint64_t mono_ms)
{
    struct stat info = {0};
    struct timespec now;

    if (watch->known && mono_ms - watch->looked_ms < AUTH_WATCH_MS)
        return false;
    watch->looked_ms = mono_ms;
    if (stat(watch->path, &info) != 0)
        info = (struct stat){0};
    bool same = watch->known && info.st_ino == watch->inode && info.st_size == watch->size &&
                info.st_ctim.tv_sec == watch->changed.tv_sec && info.st_ctim.tv_nsec == watch->changed.tv_nsec;
    if (same && watch->settled)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    watch->known = true;
    watch->inode = info.st_ino;
    watch->size = info.st_size;
    watch->changed = info.st_ctim;
    watch->settled = info.st_ctim.tv_sec + SETTLED_S < now.tv_sec;
    return true;
}

void auth_watch_again(struct auth_watch *watch)
{
    watch->settled = false;
}

/* ---- the keys file ---- */

int auth_paths_of(const struct settings *settings, struct auth_paths *paths, struct err *err)
{
    const char *set = settings_text(settings, SET_AUTH_KEYS_FILE);

    paths->own = set[0] == '\0';
    int keys = paths->own ? snprintf(paths->keys, PATH_MAX, "%s/auth/keys", settings_text(settings, SET_DATA))
                          : snprintf(paths->keys, PATH_MAX, "%s", set);
    int used = snprintf(paths->used, PATH_MAX, "%s.used", paths->keys);
    int lock = snprintf(paths->lock, PATH_MAX, "%s.lock", paths->keys);
    if (keys >= PATH_MAX || used >= PATH_MAX || lock >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the path of the keys file is too long");
    return 0;
}

int auth_file_keys(const struct auth_paths *paths, struct auth_keys *keys, struct err *err)
{
    struct buf text = {0};
    struct err why = {0};
    int rc = auth_file_read(paths->keys, &text, err);

    if (rc > 0) {
        auth_keys_free(keys);
        rc = 0;
    } else if (rc == 0 && auth_keys_parse(buf_str(&text), keys, &why) != 0) {
        rc = err_set(err, why.code, "%s: %s", paths->keys, why.text);
    }
    buf_free(&text);
    return rc;
}

void auth_file_used(const struct auth_paths *paths, struct auth_keys *keys)
{
    struct buf text = {0};

    if (auth_file_read(paths->used, &text, NULL) == 0)
        auth_used_parse(buf_str(&text), keys);
    buf_free(&text);
}

static int folder_make(const struct settings *settings, const struct auth_paths *paths, struct err *err)
{
    char folder[PATH_MAX];

    /* The data folder first, for it has another mode than what is made in it. */
    if (paths->own && ident_make_dirs(settings_text(settings, SET_DATA), IDENT_DATA_MODE, err) != 0)
        return -1;
    if (!folder_of(paths->keys, folder))
        return err_set(err, ERR_INVALID, "the path of the keys file is too long");
    if (access(folder, F_OK) == 0)
        return 0;
    if (ident_make_dirs(folder, 0700, err) != 0)
        return -1;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool kept = fd >= 0 && owner_keep(fd, folder);
    if (!kept)
        err_set(err, ERR_IO, "%s: cannot be given to the farm's user: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    return kept ? 0 : -1;
}

int auth_file_change(const struct settings *settings, const struct auth_paths *paths,
                     int (*change)(struct auth_keys *keys, void *arg, struct err *err), void *arg, struct err *err)
{
    struct auth_keys keys = {0};
    struct buf text = {0};
    int rc = -1;

    if (folder_make(settings, paths, err) != 0)
        return -1;
    int lock = open(paths->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        err_set(err, ERR_IO, "%s: cannot be locked: %s", paths->lock, strerror(errno));
        goto error;
    }
    if (!owner_keep(lock, paths->lock)) {
        err_set(err, ERR_IO, "%s: cannot be given to the farm's user: %s", paths->lock, strerror(errno));
        goto error;
    }
    if (auth_file_keys(paths, &keys, err) != 0 || change(&keys, arg, err) != 0)
        goto error;
    if (auth_keys_write(&keys, &text) != 0)
        err_set(err, ERR_NO_MEMORY, "no memory for the list of keys");
    else
        rc = auth_file_replace(paths->keys, buf_str(&text), true, err);
error:
    if (lock >= 0)
        close(lock);
    buf_free(&text);
    auth_keys_free(&keys);
    return rc;
}
