#include "gateway/auth_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/file.h"
#include "proto/ident.h"
#include "proto/messages.h"

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
    bool secret = file_read(path, &text, NULL) == 0 && text.len > 0 && memmem(text.data, text.len, "\"oct\"", 5) != NULL;

    if (text.len > 0)
        sodium_memzero(text.data, text.len);
    buf_free(&text);
    return secret && auth_file_exposed(path, out, size);
}

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
    int rc = file_read(paths->keys, &text, err);

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

    if (file_read(paths->used, &text, NULL) == 0)
        auth_used_parse(buf_str(&text), keys);
    buf_free(&text);
}

int auth_file_change(const struct settings *settings, const struct auth_paths *paths,
                     int (*change)(struct auth_keys *keys, void *arg, struct err *err), void *arg, struct err *err)
{
    struct auth_keys keys = {0};
    struct buf text = {0};
    char folder[PATH_MAX];
    int rc = -1;

    /* The data folder first, for it has another mode than what is made in it. */
    if (paths->own && ident_make_dirs(settings_text(settings, SET_DATA), IDENT_DATA_MODE, err) != 0)
        return -1;
    snprintf(folder, sizeof folder, "%s", paths->keys);
    if (file_folder(dirname(folder), err) != 0)
        return -1;
    int lock = open(paths->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        err_set(err, ERR_IO, "%s: cannot be locked: %s", paths->lock, strerror(errno));
        goto error;
    }
    if (file_give(lock, paths->lock) != 0) {
        err_set(err, ERR_IO, "%s: cannot be given to the farm's user: %s", paths->lock, strerror(errno));
        goto error;
    }
    if (auth_file_keys(paths, &keys, err) != 0 || change(&keys, arg, err) != 0)
        goto error;
    if (auth_keys_write(&keys, &text) != 0)
        err_set(err, ERR_NO_MEMORY, "no memory for the list of keys");
    else
        rc = file_replace(paths->keys, buf_str(&text), true, err);
error:
    if (lock >= 0)
        close(lock);
    buf_free(&text);
    auth_keys_free(&keys);
    return rc;
}
