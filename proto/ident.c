/* Names of things. */
#include "proto/ident.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"

void ident_random(char *out, size_t bytes)
{
    unsigned char raw[32];
    if (bytes > sizeof(raw))
        bytes = sizeof(raw);
    randombytes_buf(raw, bytes);
    sodium_bin2hex(out, 2 * bytes + 1, raw, bytes);
    sodium_memzero(raw, sizeof(raw));
}

void ident_hash(unsigned char out[IDENT_HASH], const struct str *parts, size_t count)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, IDENT_HASH);
    for (size_t i = 0; i < count; i++) {
        unsigned char len[4] = {(unsigned char)(parts[i].len >> 24), (unsigned char)(parts[i].len >> 16),
                                (unsigned char)(parts[i].len >> 8), (unsigned char)parts[i].len};
        crypto_generichash_update(&state, len, sizeof(len));
        if (parts[i].len > 0)
            crypto_generichash_update(&state, (const unsigned char *)parts[i].ptr, parts[i].len);
    }
    crypto_generichash_final(&state, out, IDENT_HASH);
}

bool ident_valid(struct str text)
{
    if (text.len < 1 || text.len > 64)
        return false;
    for (uint32_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != ':' && c != '-')
            return false;
    }
    return true;
}

/* The name comes from the data folder alone, never from the environment: processes of one farm must meet however they were started. */
int ident_runtime_path(const char *data_dir, char *out, size_t size, struct err *err)
{
    char real[PATH_MAX], hex[17];
    unsigned char hash[IDENT_HASH];
    if (!realpath(data_dir, real))
        return err_set(err, ERR_IO, "cannot resolve the data folder %s: %s", data_dir, strerror(errno));
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)real, strlen(real), NULL, 0);
    sodium_bin2hex(hex, sizeof(hex), hash, (sizeof(hex) - 1) / 2);
    int len = snprintf(out, size, "/tmp/gantry-%s", hex);
    if (len < 0 || (size_t)len >= size)
        return err_set(err, ERR_LIMIT, "no room for the name of the runtime folder");
    return 0;
}

/* Who may enter the runtime folder may speak to the farm, so a folder that somebody else put there is refused. */
int ident_runtime_dir(const char *data_dir, char *out, size_t size, struct err *err)
{
    struct stat info;
    if (ident_make_dirs(data_dir, IDENT_DATA_MODE, err) < 0 || ident_runtime_path(data_dir, out, size, err) < 0)
        return -1;
    if (mkdir(out, 0700) < 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the runtime folder %s: %s", out, strerror(errno));
    if (lstat(out, &info) < 0)
        return err_set(err, ERR_IO, "cannot look at the runtime folder %s: %s", out, strerror(errno));
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0)
        return err_set(err, ERR_FORBIDDEN, "the runtime folder %s is not a folder of mode 0700 that belongs to this user", out);
    return 0;
}

int ident_make_dirs(const char *path, unsigned mode, struct err *err)
{
    char part[PATH_MAX];
    struct stat info;
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part))
        return err_set(err, ERR_INVALID, "the path of a folder has %zu bytes, expected 1..%zu", len, sizeof(part) - 1);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, (mode_t)mode) < 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "cannot make the folder %s: %s", part, strerror(errno));
        part[i] = kept;
    }
    if (stat(path, &info) < 0)
        return err_set(err, ERR_IO, "cannot look at the folder %s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return err_set(err, ERR_IO, "%s is not a folder", path);
    return 0;
}
