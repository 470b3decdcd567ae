#include "worker/video/transcode.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"
#include "worker/job.h"
#include "worker/publish.h"
#include "worker/video/replace.h"
#include "worker/video/segment.h"
#include "worker/video/words.h"

int transcode_begin(struct transcode *it, char *const *words, struct err *err)
{
    *it = (struct transcode){.words = words, .line = {.fd = JOB_FD_PROGRAM_CHANNEL}, .err = err};
    it->library = words_or(words, "root", "");
    it->root = words_or(words, "prefix", it->library);
    it->path = words_or(words, "path", "");
    it->run = words_number(words, "run");
    it->attempt = words_number(words, "attempt");
    it->video = words_number(words, "video_id");
    it->size = words_number(words, "size");
    it->mtime_ns = words_number(words, "mtime_ns");
    it->replace = strcmp(words_or(words, "save", ""), TRANSCODE_REPLACE) == 0;
    if (it->root[0] != '/' || !it->path[0])
        return err_set(err, ERR_INVALID, "it needs the parameters root, an absolute folder, and path, a file below it");
    if (snprintf(it->source, sizeof(it->source), "%s/%s", it->root, it->path) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the source's name is too long");
    return 0;
}

/* Opened below the library's folder, so that no link and no `..` leads out of it. */
static int source_open(const struct transcode *it)
{
    int root = open(it->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd =
        root < 0 || publish_parent_step(it->path) ? -1 : open_beneath(root, it->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, true);
    int saved = errno;
    if (root >= 0)
        close(root);
    errno = saved;
    return fd;
}

int transcode_source(struct transcode *it)
{
    struct stat info = {0};
    int fd = source_open(it);
    int saved = errno;
    bool there = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    if (fd >= 0)
        close(fd);
    if (!there)
        return err_set(it->err, ERR_NOT_FOUND, "the source %.150s is not there, or is no file below its library: %s", it->path,
                       fd < 0 ? strerror(saved) : "not a regular file");
    uint64_t mtime = (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
    if (it->size && ((uint64_t)info.st_size != it->size || (it->mtime_ns && mtime != it->mtime_ns)))
        return err_set(it->err, ERR_CONFLICT, "the source has changed since it was looked at; it is left as it is");
    it->size = (uint64_t)info.st_size;
    it->mtime_ns = mtime;
    return 0;
}

/* ---- where it goes ---- */

static int folders_make(char *path)
{
    for (char *at = path + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        int rc = mkdir(path, 0777) < 0 && errno != EEXIST ? -1 : 0;
        *at = '/';
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* How much of the path stays before the new ending: all but its own, and what a file name has no room for. */
static int stem_len(const char *path, const char *extension)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    size_t len = dot && dot > base ? (size_t)(dot - base) : strlen(base), most = NAME_MAX - 1 - strlen(extension);
    return (int)((size_t)(base - path) + str_cut((struct str){base, (uint32_t)len}, most).len);
}

int transcode_places(struct transcode *it, const char *extension)
{
    const char *slash = strrchr(it->path, '/'), *path = it->remote && slash ? slash + 1 : it->path;
    const char *save = it->remote ? transcode_workshop(it) : it->replace ? it->root : words_or(it->words, "save", "");
    if (save[0] != '/')
        return err_set(it->err, ERR_INVALID, "transcode.save is to be an absolute folder, or %s", TRANSCODE_REPLACE);
    if (snprintf(it->final, sizeof(it->final), "%s/%.*s.%s", save, stem_len(path, extension), path, extension) >= PATH_MAX)
        return err_set(it->err, ERR_INVALID, "the name of what is to be made is too long");
    if (publish_beside(it->final, it->run, it->attempt, it->temporary) < 0)
        return err_set(it->err, ERR_INVALID, "the path is too long for a temporary name: %.150s", it->final);
    if (it->remote)
        return 0;
    if (!it->replace && folders_make(it->final) < 0)
        return err_set(it->err, ERR_IO, "no folder can be made for %.150s: %s", it->final, strerror(errno));
    bool keeps = it->replace || words_number(it->words, "remove_original");
    if (keeps && replace_bak(it->source, it->run, it->bak) < 0)
        return err_set(it->err, ERR_CONFLICT, "there is no free name to keep the original under: %.150s.bak stands", it->source);
    return 0;
}

void transcode_result(const char *text)
{
    const char *path = getenv("GANTRY_RESULT");
    FILE *file = path ? fopen(path, "we") : NULL;
    if (!file)
        return;
    fputs(text, file);
    fclose(file);
}

bool transcode_tmp(const struct settings *settings, const char *ident, char path[PATH_MAX])
{
    const char *tmp = settings ? settings_text(settings, SET_TRANSCODE_TMP) : "";
    return *tmp == '/' && snprintf(path, PATH_MAX, "%s/gantry-%s", tmp, ident) < PATH_MAX;
}

int transcode_main(char *const *argv)
{
    static const struct {
        const char *name;
        int (*run)(struct transcode *it);
        bool helper; /* answers on stdout, in one line (worker/phase.c) */
    } steps[] = {{"run", transcode_run, false},       {"name", transcode_name, true},  {"mend", transcode_mend, true},
                 {"health", transcode_health, false}, {"undo", transcode_undo, false}, {"clear", segment_clear, false}};
    struct err err = {0};
    struct transcode it;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (strcmp(steps[i].name, argv[0]) != 0)
            continue;
        int rc = transcode_begin(&it, argv + 1, &err);
        if (rc == 0)
            rc = steps[i].run(&it);
        if (rc < 0 && steps[i].helper)
            printf("error %s\n", err.text);
        else if (rc < 0)
            fprintf(stderr, "%s\n", err.text);
        farm_clear(&it.line);
        return rc < 0 ? 1 : 0;
    }
    fprintf(stderr, "unknown step %s\n", argv[0]);
    return 1;
}
