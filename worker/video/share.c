#include "worker/video/share.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "proto/ident.h"
#include "proto/log.h"
#include "worker/video/ffmpeg.h"
#include "worker/video/transcode.h"

#define MARK_BYTES 16
#define VERSION_SIZE 48
#define ASK_MS 20000u

/* Reads the mark; false: there is none, or it is none of ours. */
static bool mark_read(const char *path, char mark[2 * MARK_BYTES + 1])
{
    ssize_t got = readlink(path, mark, (size_t)2 * MARK_BYTES);
    if (got < 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        got = fd >= 0 ? read(fd, mark, (size_t)2 * MARK_BYTES) : -1;
        if (fd >= 0)
            close(fd);
    }
    mark[got > 0 ? got : 0] = '\0';
    return got == 2 * MARK_BYTES && strspn(mark, "0123456789abcdef") == (size_t)got;
}

/* A link is there whole or not at all, and who comes second finds the first one's. Where there are no links it is a file. */
static bool mark_make(const char *path, char mark[2 * MARK_BYTES + 1])
{
    char name[2 * MARK_BYTES + 1];
    ident_random(name, MARK_BYTES);
    if (symlink(name, path) == 0 || errno == EEXIST)
        return mark_read(path, mark);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0 && write(fd, name, strlen(name)) != (ssize_t)strlen(name))
        unlink(path);
    if (fd >= 0)
        close(fd);
    return mark_read(path, mark);
}

/* The folder of results, made if need be; false: there is none. */
static bool folder_open(const struct settings *settings, char folder[PATH_MAX])
{
    char real[PATH_MAX];
    const char *save = settings_text(settings, SET_TRANSCODE_SAVE);
    struct err err = {0};
    if (!*save && !realpath(settings_text(settings, SET_DATA), real))
        return false;
    int len = *save ? snprintf(folder, PATH_MAX, "%s", save) : snprintf(folder, PATH_MAX, "%s/transcoded", real);
    return len < PATH_MAX - 64 && folder[0] == '/' && ident_make_dirs(folder, 0777, &err) == 0;
}

/* Which programs make it: ffmpeg says so before it does anything. */
static void on_line(void *self, const char *text)
{
    static const char before[] = "ffmpeg version ";
    char *version = self;
    size_t len = 0;
    if (version[0] || strncmp(text, before, strlen(before)) != 0)
        return;
    for (text += strlen(before); len < VERSION_SIZE - 1 && isgraph((unsigned char)text[len]); len++)
        version[len] = text[len];
    version[len] = '\0';
}

static void version_read(char version[VERSION_SIZE])
{
    char *argv[] = {(char *)"ffmpeg", (char *)"-nostdin",
                    (char *)"-f",     (char *)"lavfi",
                    (char *)"-i",     (char *)"color=size=16x16:duration=0.1",
                    (char *)"-f",     (char *)"null",
                    (char *)"-",      NULL};
    const struct ffmpeg_watch watch = {.line = on_line, .self = version, .stall_ms = ASK_MS};
    struct ffmpeg_end end;
    struct err err = {0};
    version[0] = '\0';
    ffmpeg_run(argv, &watch, &end, &err);
}

bool share_apart(const struct settings *settings)
{
    const char *pools = settings_text(settings, SET_TRANSCODE_POOLS);
    return *pools && strcasecmp(pools, "NULL") != 0 && !strpbrk(pools, "+*123456789"); /* NULL, to x265: all there are */
}

void share_label(const struct settings *settings, char out[SHARE_TEXT])
{
    char folder[PATH_MAX], path[PATH_MAX + 16], mark[2 * MARK_BYTES + 1], version[VERSION_SIZE];
    bool replace = strcmp(settings_text(settings, SET_TRANSCODE_SAVE), TRANSCODE_REPLACE) == 0;
    out[0] = '\0';
    if (*settings_text(settings, SET_WORKER_GATEWAY)) /* it may have to fetch its sources, whole */
        return;
    if (!replace) {
        if (!folder_open(settings, folder))
            return;
        snprintf(path, sizeof(path), "%s/" SHARE_MARK, folder);
        if (!mark_read(path, mark) && !mark_make(path, mark)) {
            log_info("GTY-TRANSCODE-ALONE", "no file can be made in %s: this worker takes no part in videos that are cut",
                     folder);
            return;
        }
    }
    version_read(version);
    if (*version)
        snprintf(out, SHARE_TEXT, "%s %s %s", replace ? "library" : mark, settings_text(settings, SET_TRANSCODE_CODEC), version);
}
