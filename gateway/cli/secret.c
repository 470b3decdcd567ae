#include "gateway/cli/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/messages.h"

static int check(const char *key, const char *from, struct err *err)
{
    for (const char *at = key; *at; at++) {
        if (*at <= ' ' || *at > '~') /* it becomes part of a header */
            return err_set(err, ERR_BAD_REQUEST, "%s holds no key: a key has no spaces, control or special characters", from);
    }
    return 0;
}

static int line_read(FILE *file, const char *path, char out[SECRET_SIZE], struct err *err)
{
    struct stat info;

    if (fstat(fileno(file), &info) != 0 || S_ISDIR(info.st_mode))
        return err_set(err, ERR_IO, "%s cannot be read", path);
    if (S_ISREG(info.st_mode) && (info.st_mode & 07) != 0)
        return err_set(err, ERR_FORBIDDEN, "%s can be read by everybody, so its key is none: chmod o= %s, and make a new key",
                       path, path);
    if (!fgets(out, SECRET_SIZE, file))
        return err_set(err, ERR_BAD_REQUEST, "%s holds no key", path);
    size_t len = strcspn(out, "\n");
    bool whole = out[len] == '\n' || len < SECRET_SIZE - 1;
    while (len > 0 && strchr(" \t\r", out[len - 1]))
        len--;
    out[len] = '\0';
    if (len == 0 || !whole)
        return err_set(err, ERR_BAD_REQUEST, "%s holds no key", path);
    return check(out, path, err);
}

int secret_find(const struct settings *settings, char out[SECRET_SIZE], struct err *err)
{
    const char *given = getenv("GANTRY_KEY"), *path = settings_text(settings, SET_CLI_KEY_FILE);

    out[0] = '\0';
    if (given && given[0]) {
        if ((size_t)snprintf(out, SECRET_SIZE, "%s", given) >= SECRET_SIZE)
            return err_set(err, ERR_BAD_REQUEST, "GANTRY_KEY is too long for a key");
        return check(out, "GANTRY_KEY", err);
    }
    if (path[0] == '\0')
        return 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    int rc = line_read(file, path, out, err);
    fclose(file);
    return rc;
}
