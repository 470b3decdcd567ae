/* Where the recorder's things are: its output folder, which an output_directory may not leave, and its configuration's file. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/recorder.h"

struct str recorder_trimmed(struct str directory)
{
    while (directory.len > 1 && directory.ptr[directory.len - 1] == '/')
        directory.len--;
    return directory;
}

/* Absolute, without links, "." or ".." and slashes at its end; its last parts need not be there yet. False: it is none, or too long. */
static bool real_path(const char *path, char out[4096])
{
    char whole[4096], found[PATH_MAX], rest[4096] = "";
    int len;
    if (path[0] == '/')
        len = snprintf(whole, sizeof whole, "%s", path);
    else if (getcwd(found, sizeof found))
        len = snprintf(whole, sizeof whole, "%s/%s", found, path);
    else
        return false;
    if (len <= 0 || (size_t)len >= sizeof whole)
        return false;
    for (;;) {
        char saved[4096];
        if (realpath(whole, found)) {
            len = snprintf(out, 4096, "%s%s", strcmp(found, "/") == 0 ? "" : found, rest);
            return len > 0 && len < 4096;
        }
        char *slash = strrchr(whole, '/');
        if (!slash)
            return false;
        const char *name = slash + 1;
        if (strcmp(name, "..") == 0)
            return false; /* of what is not there */
        if (name[0] && strcmp(name, ".") != 0) {
            snprintf(saved, sizeof saved, "%s", rest);
            len = snprintf(rest, sizeof rest, "/%s%s", name, saved);
            if (len <= 0 || (size_t)len >= sizeof rest)
                return false;
        }
        *slash = '\0';
        if (slash == whole)
            snprintf(whole, sizeof whole, "/");
    }
}

const char *recorder_output(const struct gateway *gateway, char out[4096])
{
    const char *output = settings_text(gateway->settings, SET_OUTPUT);
    char path[4096];
    if (output[0])
        snprintf(path, sizeof path, "%s", output);
    else
        snprintf(path, sizeof path, "%s/output", settings_text(gateway->settings, SET_DATA));
    if (!real_path(path, out))
        snprintf(out, 4096, "%s", path);
    return out;
}

static bool within(const char *folder, const char *path)
{
    size_t len = strlen(folder);
    return strncmp(folder, path, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* The name that the folder of the start has by itself, and what is below it, by that name. */
static bool by_start(const struct gateway *gateway, const char *directory, char out[4096])
{
    const char *output = settings_text(gateway->settings, SET_OUTPUT);
    char start[4096];
    const char *own = output[0] ? output : "./output", *rest;
    size_t len = strlen(own);
    while (len > 1 && own[len - 1] == '/')
        len--;
    if (strncmp(directory, own, len) != 0 || (directory[len] != '\0' && directory[len] != '/'))
        return false;
    rest = directory + len;
    int made = snprintf(out, 4096, "%s%s", recorder_output(gateway, start), rest);
    return made > 0 && made < 4096;
}

bool recorder_folder(const struct gateway *gateway, struct str directory, char out[4096])
{
    char path[4096], given[4096], start[4096], folder[4096], named[4096];
    struct str folders = str_of(settings_text(gateway->settings, SET_RECORDER_FOLDERS));
    if (!str_copy(given, sizeof given, directory) || strlen(given) != directory.len || !given[0])
        return false;
    if (!by_start(gateway, given, path))
        snprintf(path, sizeof path, "%s", given);
    if (!real_path(path, out))
        return false;
    if (within(recorder_output(gateway, start), out))
        return true;
    while (folders.len > 0) {
        const char *end = memchr(folders.ptr, ':', folders.len);
        uint32_t len = end ? (uint32_t)(end - folders.ptr) : folders.len, step = end ? len + 1 : len;
        if (len > 0 && str_copy(folder, sizeof folder, (struct str){folders.ptr, len}) && real_path(folder, named) &&
            within(named, out))
            return true;
        folders = (struct str){folders.ptr + step, folders.len - step};
    }
    return false;
}

void recorder_config_path(const struct gateway *gateway, char out[4096])
{
    const char *path = settings_text(gateway->settings, SET_RECORDER_CONFIG);
    if (path[0])
        snprintf(out, 4096, "%s", path);
    else
        snprintf(out, 4096, "%s/config.json", settings_text(gateway->settings, SET_DATA));
}
