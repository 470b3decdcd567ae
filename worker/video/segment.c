#include "worker/video/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "worker/publish.h"
#include "worker/video/ffmpeg.h"
#include "worker/video/prober.h"
#include "worker/video/words.h"

#define START_US 1000 /* time stamps of a file are exact; its own idea of them is rounded */

/* ---- where it stands ---- */

/* With a slash at its end. */
static int folder_of(struct transcode *it, char folder[PATH_MAX])
{
    const char *save = it->replace ? it->root : words_or(it->words, "save", ""), *slash = strrchr(it->path, '/');
    int len = slash ? (int)(slash - it->path) : 0;
    if (save[0] != '/' || snprintf(folder, PATH_MAX, "%s/%.*s%s", save, len, it->path, len ? "/" : "") >= PATH_MAX)
        return err_set(it->err, ERR_INVALID, "transcode.save is no absolute folder, or the name is too long");
    return 0;
}

int segment_path(struct transcode *it, uint64_t task, uint64_t number, char path[PATH_MAX])
{
    char folder[PATH_MAX];
    if (folder_of(it, folder) < 0)
        return -1;
    uint64_t version = it->size * UINT64_C(0x9E3779B97F4A7C15) ^ it->mtime_ns;
    if (snprintf(path, PATH_MAX, "%s" PUBLISH_PREFIX "%" PRIu64 ".%016" PRIx64 ".%04" PRIu64 ".mp4", folder, task, version,
                 number) >= PATH_MAX)
        return err_set(it->err, ERR_INVALID, "the name of a segment is too long");
    return 0;
}

static int places(struct transcode *it)
{
    if (segment_path(it, words_number(it->words, "task"), words_number(it->words, "segment"), it->final) < 0)
        return -1;
    const char *base = strrchr(it->final, '/') + 1;
    if (snprintf(it->temporary, sizeof(it->temporary), "%.*s" PUBLISH_PREFIX "%" PRIu64 "-%" PRIu64 ".%s",
                 (int)(base - it->final), it->final, it->run, it->attempt, base) >= PATH_MAX)
        return err_set(it->err, ERR_INVALID, "the name of a segment is too long");
    return 0;
}

/* ---- what is wanted ---- */

static int64_t number_of(const struct transcode *it, const char *name)
{
    return strtoll(words_or(it->words, name, "0"), NULL, 10);
}

static int part_of(const struct transcode *it, struct recipe_part *part)
{
    const char *base = words_or(it->words, "base", ""), *slash = strchr(base, '/'), *to = words_or(it->words, "to", "");
    *part = (struct recipe_part){.from = number_of(it, "from"),
                                 .to = number_of(it, "to"),
                                 .first = words_number(it->words, "segment") == 1,
                                 .last = *to == '\0',
                                 .base_num = strtoll(base, NULL, 10),
                                 .base_den = slash ? strtoll(slash + 1, NULL, 10) : 0};
    if (part->base_num > 0 && part->base_den > 0 && (part->last || part->to > part->from))
        return 0;
    return err_set(it->err, ERR_INVALID, "it needs the parameters base, from and to of its segment");
}

/* Of the last one only the source's length says how long it is, at most. */
static double seconds_of(const struct recipe_part *part, const struct probe *source)
{
    double unit = (double)part->base_num / (double)part->base_den;
    if (!part->last)
        return (double)(part->to - part->from) * unit;
    return source->duration - ((double)part->from * unit - (double)source->start_us / 1e6);
}

/* ---- what came of it ---- */

int segment_verify(struct transcode *it, const char *path, const char *codec, double seconds, bool last, struct probe *made)
{
    if (prober_one(words_or(it->words, "probe", "gantry-probe"), path, made, it->err) < 0)
        return -1;
    const struct probe_stream *film = probe_film(made);
    if (made->error[0] || !film)
        return err_set(it->err, ERR_INVALID, "a segment cannot be read: %s", made->error[0] ? made->error : "it has no film");
    if (strcmp(film->codec, codec) != 0)
        return err_set(it->err, ERR_INVALID, "a segment is %s, not %s", film->codec, codec);
    if (made->start_us > START_US || made->start_us < -START_US)
        return err_set(it->err, ERR_INVALID, "a segment begins %.3f s late: its first frames are missing",
                       (double)made->start_us / 1e6);
    if (made->duration - seconds > 1 || (!last && seconds - made->duration > 1))
        return err_set(it->err, ERR_INVALID, "a segment lasts %.2f s, and should %.2f s", made->duration, seconds);
    return 0;
}

static void result_write(const struct recipe *recipe, const struct probe *made, double seconds)
{
    json_t *object = json_pack("{s:I, s:f, s:f, s:s, s:s, s:i}", "bytes", (json_int_t)made->size, "film", made->duration,
                               "seconds", seconds, "encoder", recipe->encoder, "preset", recipe->preset, "crf", (int)recipe->crf);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text)
        transcode_result(text);
    free(text);
    json_decref(object);
}

/* What an earlier run of this segment made, and the farm did not hear of. 1: it is taken, 0: there is none. */
static int adopt(struct transcode *it, const struct recipe *recipe, double seconds, bool last, struct probe *made)
{
    struct stat info;
    if (lstat(it->final, &info) < 0)
        return 0;
    return S_ISREG(info.st_mode) && segment_verify(it, it->final, recipe->codec, seconds, last, made) == 0
               ? 1
               : err_set(it->err, ERR_CONFLICT, "%.150s is there already, and is not this segment", it->final);
}

/* ---- the work ---- */

static int make(struct transcode *it, const struct recipe *recipe, double seconds, bool last, const char *target,
                struct probe *made)
{
    struct ffmpeg_end end = {0};
    char *command = transcode_command(recipe);
    printf("%s\n", command ? command : recipe->encoder);
    fflush(stdout);
    free(command);
    if (transcode_room(it, target) < 0 || transcode_encode(it, recipe, seconds, target, &end) < 0 ||
        segment_verify(it, target, recipe->codec, seconds, last, made) < 0 || transcode_source(it) < 0)
        return -1;
    if (strcmp(target, it->temporary) == 0)
        return 0;
    return farm_say(&it->line, CHANNEL_TEMPORARY, it->temporary, it->err) < 0 ? -1 : transcode_bring(it, target);
}

static int work(struct transcode *it, const struct recipe *recipe, double seconds, bool last, const char *target)
{
    static struct probe made;
    uint64_t begun = clock_mono_ms();
    int there = adopt(it, recipe, seconds, last, &made), rc = there < 0 ? -1 : 0;
    if (there == 0) {
        rc = make(it, recipe, seconds, last, target, &made);
        if (strcmp(target, it->temporary) != 0)
            unlink(target);
        rc = rc == 0 ? farm_say(&it->line, CHANNEL_FINAL, it->final, it->err) : rc;
    }
    if (rc == 0)
        result_write(recipe, &made, there ? 0 : (double)(clock_mono_ms() - begun) / 1000);
    return rc;
}

int segment_run(struct transcode *it)
{
    static struct probe source;
    struct recipe recipe = {0};
    struct recipe_part part;
    struct wish wish = transcode_wish(it);
    char target[PATH_MAX];
    wish.joins = true;
    if (part_of(it, &part) < 0 || transcode_look(it, &wish, &source) < 0 || places(it) < 0)
        return -1;
    transcode_target(it, target);
    int rc = recipe_segment(&recipe, &source, &wish, &part, it->source, target) < 0
                 ? err_set(it->err, ERR_INVALID, "no command line can be made of these settings")
                 : farm_say(&it->line, CHANNEL_TEMPORARY, target, it->err);
    if (rc == 0)
        rc = work(it, &recipe, seconds_of(&part, &source), part.last, target);
    recipe_clear(&recipe);
    return rc;
}

/* ---- what they leave ---- */

/* A segment of the task; one that was being made: `.gantry-RUN-ATTEMPT.` stands before its name then; or what was being joined by a worker that
 * is gone: `.gantry-TASK-ATTEMPT.` */
static bool is_its(const char *name, uint64_t task)
{
    char made[64], joined[64];
    snprintf(made, sizeof(made), PUBLISH_PREFIX "%" PRIu64 ".", task);
    snprintf(joined, sizeof(joined), PUBLISH_PREFIX "%" PRIu64 "-", task);
    if (strncmp(name, joined, strlen(joined)) == 0)
        return true;
    const char *at = strncmp(name, PUBLISH_PREFIX, strlen(PUBLISH_PREFIX)) == 0 ? strstr(name, made) : NULL;
    return at && (at == name || at[-1] == '.');
}

int segment_clear(struct transcode *it)
{
    char folder[PATH_MAX];
    unsigned removed = 0;
    int rc = 0;
    uint64_t task = words_number(it->words, "task");
    if (!task || folder_of(it, folder) < 0)
        return task ? -1 : err_set(it->err, ERR_INVALID, "it needs the parameter task");
    DIR *dir = opendir(folder);
    struct dirent *entry;
    if (!dir && errno != ENOENT)
        return err_set(it->err, ERR_IO, "cannot look into %.150s: %s", folder, strerror(errno));
    while (dir && (entry = readdir(dir))) {
        if (!is_its(entry->d_name, task))
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
            removed++;
        else if (errno != ENOENT)
            rc = err_set(it->err, ERR_IO, "cannot remove %.100s: %s", entry->d_name, strerror(errno));
    }
    if (dir)
        closedir(dir);
    printf("%u files of segments removed\n", removed);
    return rc;
}
