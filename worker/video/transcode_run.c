#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "worker/job.h"
#include "worker/video/ffmpeg.h"
#include "worker/video/made.h"
#include "worker/video/prober.h"
#include "worker/video/recipe.h"
#include "worker/video/segment.h"
#include "worker/video/transcode.h"
#include "worker/video/words.h"

#define COPY_CHUNK ((size_t)16 << 20)

/* ---- progress ---- */

struct watching {
    struct transcode *it;
    double duration; /* s; 0: unknown */
    double from, to; /* percent that this part of the work goes through */
    uint64_t begun, bytes_max;
    const char *why; /* it was ended */
    uint64_t out_us; /* as far as it was */
};

static bool on_report(void *self, const struct ffmpeg_report *report)
{
    struct watching *watching = self;
    double done = watching->duration > 0 ? (double)report->out_us / 1e6 / watching->duration : 0;
    done = done > 1 ? 1 : done;
    watching->out_us = report->out_us;
    if (done > 0) {
        double gone = (double)(clock_mono_ms() - watching->begun) / 1000;
        dprintf(JOB_FD_PROGRAM, "percent=%.2f\nnote=eta=%.0f\n", watching->from + (watching->to - watching->from) * done,
                gone / done * (1 - done));
    }
    if (watching->bytes_max && report->bytes > watching->bytes_max) {
        watching->why = "what is made is larger than its source already";
        return false;
    }
    return true;
}

static void on_line(void *self, const char *text)
{
    (void)self;
    fprintf(stderr, "%s\n", text);
}

static void on_error_line(void *self, const char *text)
{
    (void)self, (void)text; /* counted; the first is told */
}

uint64_t transcode_stall_ms(const struct transcode *it)
{
    uint64_t seconds = words_number(it->words, "stall");
    return (seconds ? seconds : 300) * 1000;
}

/* ---- does it decode ---- */

static int decode(struct transcode *it, char *const *argv, const struct watching *watching, struct ffmpeg_end *end)
{
    const struct ffmpeg_watch watch = {
        .report = on_report, .line = on_error_line, .self = (void *)watching, .stall_ms = transcode_stall_ms(it)};
    return ffmpeg_run(argv, &watch, end, it->err);
}

static int decode_judge(struct transcode *it, const struct ffmpeg_end *end)
{
    if (end->stalled)
        return err_set(it->err, ERR_INVALID, "what was made does not decode: it makes no progress");
    if (end->exit_code != 0 || end->lines)
        return err_set(it->err, ERR_INVALID, "what was made does not decode: %.180s",
                       end->lines ? end->first : "ffmpeg was ended");
    return 0;
}

int transcode_decodes(struct transcode *it, const char *path, bool full, double duration)
{
    char file[PATH_MAX + 8];
    struct ffmpeg_end end;
    struct watching watching = {.it = it, .duration = duration, .from = 97, .to = 99, .begun = clock_mono_ms()};
    snprintf(file, sizeof(file), "file:%s", path);
#define S(text) ((char *)(text))
    char *whole[] = {S("ffmpeg"), S("-v"), S("error"), S("-nostdin"), S("-nostats"), S("-progress"),
                     S("pipe:1"), S("-i"), file,       S("-map"),     S("0:v:0"),    S("-map"),
                     S("0:a?"),   S("-f"), S("null"),  S("-"),        NULL};
    char *keys[] = {S("ffmpeg"),      S("-v"),    S("error"), S("-nostdin"), S("-nostats"), S("-progress"), S("pipe:1"),
                    S("-skip_frame"), S("nokey"), S("-i"),    file,          S("-map"),     S("0:v:0"),     S("-vsync"),
                    S("passthrough"), S("-f"),    S("null"),  S("-"),        S("-map"),     S("0:v:0"),     S("-c"),
                    S("copy"),        S("-f"),    S("null"),  S("-"),        NULL}; /* the copy says where the film ends */
    char *tail[] = {S("ffmpeg"), S("-v"),     S("error"), S("-nostdin"), S("-nostats"), S("-progress"),
                    S("pipe:1"), S("-sseof"), S("-3"),    S("-i"),       file,          S("-map"),
                    S("0:v:0"),  S("-f"),     S("null"),  S("-"),        NULL};
#undef S
    char *const *const passes[] = {full ? whole : keys, full || duration < 6 ? NULL : tail};
    for (size_t i = 0; i < 2 && passes[i]; i++) {
        if (decode(it, passes[i], &watching, &end) < 0 || decode_judge(it, &end) < 0)
            return -1;
        if (i == 0)
            it->film_seconds = full ? 0 : (double)watching.out_us / 1e6;
    }
    return 0;
}

/* What a decoder says of a damaged file may be no text. */
static void health_write(bool healthy, unsigned errors, const char *first)
{
    json_t *error = json_string(first);
    json_t *object =
        json_pack("{s:b, s:i, s:o?}", "healthy", healthy, "errors", (int)errors, "error", error ? error : json_string(""));
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text)
        transcode_result(text);
    free(text);
    json_decref(object);
}

int transcode_health(struct transcode *it)
{
    static struct probe probe;
    char file[PATH_MAX + 8];
    struct ffmpeg_end end = {.exit_code = 0};
    if (transcode_source(it) < 0 || prober_one(words_or(it->words, "probe", "gantry-probe"), it->source, &probe, it->err) < 0)
        return -1;
    bool healthy = !probe.error[0];
    if (healthy) {
        struct watching watching = {.it = it, .duration = probe.duration, .to = 100, .begun = clock_mono_ms()};
        const struct ffmpeg_watch watch = {
            .report = on_report, .line = on_line, .self = &watching, .stall_ms = transcode_stall_ms(it)};
        snprintf(file, sizeof(file), "file:%s", it->source);
        char *argv[] = {(char *)"ffmpeg",
                        (char *)"-v",
                        (char *)"error",
                        (char *)"-nostdin",
                        (char *)"-nostats",
                        (char *)"-progress",
                        (char *)"pipe:1",
                        (char *)"-protocol_whitelist",
                        (char *)"file",
                        (char *)"-i",
                        file,
                        (char *)"-map",
                        (char *)"0:v?",
                        (char *)"-map",
                        (char *)"0:a?",
                        (char *)"-f",
                        (char *)"null",
                        (char *)"-",
                        NULL};
        if (ffmpeg_run(argv, &watch, &end, it->err) < 0)
            return -1;
        healthy = end.exit_code == 0 && end.lines == 0 && !end.stalled;
    }
    health_write(healthy, end.lines + (probe.error[0] || end.stalled),
                 probe.error[0] ? probe.error
                 : end.stalled  ? "it makes no progress"
                                : end.first);
    printf("%s: %s\n", it->path, healthy ? "healthy" : "damaged");
    return 0;
}

/* ---- what came of it ---- */

char *transcode_command(const struct recipe *recipe)
{
    struct buf text = {.limit = 32768};
    for (unsigned i = 0; i < recipe->count; i++) {
        const char *arg = recipe->argv[i];
        bool plain =
            *arg && strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=+./:,@%") == strlen(arg);
        buf_text(&text, i ? plain ? " " : " '" : plain ? "" : "'");
        for (; *arg; arg++)
            *arg == '\'' ? buf_text(&text, "'\\''") : buf_add(&text, arg, 1);
        buf_text(&text, plain ? "" : "'");
    }
    buf_add(&text, "", 1);
    return text.data; /* the caller's to free */
}

/* What people know them by: of a library that is not here, the farm's names. */
static const char *source_name(const struct transcode *it, char out[PATH_MAX])
{
    if (!it->remote)
        return it->source;
    return snprintf(out, PATH_MAX, "%s/%s", it->library, it->path) < PATH_MAX ? out : it->path;
}

static const char *dest_name(const struct transcode *it, char out[PATH_MAX])
{
    const char *slash = strrchr(it->path, '/');
    if (!it->remote)
        return it->final;
    snprintf(out, PATH_MAX, "%.*s%s", slash ? (int)(slash + 1 - it->path) : 0, it->path, strrchr(it->final, '/') + 1);
    return out;
}

static void result_write(const struct transcode *it, const struct recipe *recipe, const struct probe *made, double seconds,
                         bool adopted, const char *command)
{
    char source[PATH_MAX], dest[PATH_MAX];
    json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:i, s:s, s:f, s:b, s:b, s:s, s:s}", "source",
                               source_name(it, source), "dest", dest_name(it, dest), "size_before", (json_int_t)it->size,
                               "size_after", (json_int_t)made->size, "saved", (json_int_t)it->size - (json_int_t)made->size,
                               "encoder", recipe->encoder, "codec", recipe->codec, "preset", recipe->preset, "crf",
                               (int)recipe->crf, "container", recipe->extension, "seconds", seconds, "replaced", it->replace,
                               "adopted", adopted, "bak", it->bak, "command", command ? command : "");
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text)
        transcode_result(text);
    free(text);
    json_decref(object);
}

static int skip(const char *why)
{
    char text[256];
    snprintf(text, sizeof(text), "{\"skipped\":\"%s\"}\n", why);
    transcode_result(text);
    printf("skipped: %s\n", why);
    return 0;
}

/* ---- the work ---- */

struct wish transcode_wish(const struct transcode *it)
{
    char *const *words = it->words;
    return (struct wish){.engine = recipe_engine(words_or(words, "encoder", "cpu")),
                         .av1 = strcmp(words_or(words, "codec", "hevc"), "av1") == 0,
                         .vr = words_number(words, "is_vr"),
                         .crf = (unsigned)words_number(words, "crf"),
                         .preset = words_or(words, "preset", ""),
                         .rate = (unsigned)words_number(words, "rate"),
                         .threads = (unsigned)words_number(words, "threads"),
                         .pools = words_or(words, "pools", ""),
                         .hardware_decode = words_number(words, "hardware_decode")};
}

/* What ffmpeg's words come to, where they say that the disk is full or the source has gone. */
static int encode_failed(struct transcode *it, const struct ffmpeg_end *end, const struct watching *watching)
{
    char text[600];
    struct stat info;
    ffmpeg_well(end, text, sizeof(text));
    if (end->stalled)
        return err_set(it->err, ERR_INVALID, "ffmpeg made no progress for %" PRIu64 " s, and was ended",
                       transcode_stall_ms(it) / 1000);
    if (watching->why)
        return err_set(it->err, ERR_INVALID, "%s", watching->why);
    if (stat(it->source, &info) < 0)
        return err_set(it->err, ERR_NOT_FOUND, "the source went away while it was read");
    return err_set(it->err, ERR_INVALID, "%.250s", text);
}

int transcode_encode(struct transcode *it, const struct recipe *recipe, double duration, const char *target,
                     struct ffmpeg_end *end)
{
    struct watching watching = {.it = it,
                                .duration = duration,
                                .from = recipe->joined ? SEGMENT_PERCENT : 0,
                                .to = 97,
                                .begun = clock_mono_ms(),
                                .bytes_max = it->size};
    const struct ffmpeg_watch watch = {
        .report = on_report, .line = on_line, .self = &watching, .stall_ms = transcode_stall_ms(it)};
    char text[600];
    unlink(target);
    if (ffmpeg_run(recipe->argv, &watch, end, it->err) < 0)
        return -1;
    return ffmpeg_well(end, text, sizeof(text)) ? 0 : encode_failed(it, end, &watching);
}

static int verify(struct transcode *it, const struct recipe *recipe, const struct probe *source, const char *path,
                  struct probe *made)
{
    char text[256];
    if (prober_one(words_or(it->words, "probe", "gantry-probe"), path, made, it->err) < 0)
        return -1;
    if (recipe_fault(recipe, source, made, text, sizeof(text)))
        return err_set(it->err, ERR_INVALID, "%s", text);
    bool full = strcmp(words_or(it->words, "verify", "sampled"), "full") == 0;
    return transcode_decodes(it, path, full, made->duration) < 0 ? -1 : transcode_lasts(it, path, source);
}

int transcode_bring(struct transcode *it, const char *from)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(it->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    char *chunk = malloc(COPY_CHUNK);
    bool well = in >= 0 && out >= 0 && chunk;
    while (well) {
        ssize_t got = read(in, chunk, COPY_CHUNK), put = 0;
        for (ssize_t done = 0; well && done < got; done += put)
            well = (put = write(out, chunk + done, (size_t)(got - done))) > 0;
        if (got <= 0) {
            well = got == 0;
            break;
        }
    }
    int saved = errno;
    free(chunk);
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) < 0)
        well = false;
    return well ? 0 : err_set(it->err, ERR_IO, "what was made cannot be brought to %.100s: %s", it->temporary, strerror(saved));
}

/* The original's rights, for who takes its place. */
static void rights_keep(const struct transcode *it)
{
    struct stat info;
    if (!it->replace || stat(it->source, &info) < 0)
        return;
    if (chown(it->temporary, info.st_uid, info.st_gid) < 0)
        fprintf(stderr, "the owner of the original cannot be kept: %s\n", strerror(errno));
    chmod(it->temporary, info.st_mode & 07777);
}

/* What an earlier attempt of this run was granted may stand already. 1: it does, and is taken; 0: go on. What was made of an older version of
 * the video gives way when the new result gets its name; what somebody else has put there does not. */
static int adopt(struct transcode *it, struct probe *made)
{
    struct stat info;
    if (it->remote)
        return transcode_stands(it, &made->size);
    if (lstat(it->final, &info) < 0 || (it->replace && strcmp(it->final, it->source) == 0))
        return 0;
    if (!it->replace && made_stands(words_or(it->words, "published", ""), it->final, &info))
        return prober_one(words_or(it->words, "probe", "gantry-probe"), it->final, made, it->err) < 0 ? -1 : 1;
    if (!it->replace && made_stands(words_or(it->words, "made", ""), it->final, &info))
        return 0;
    return err_set(it->err, ERR_CONFLICT, "%.150s is there already, and is no result of this video", it->final);
}

int transcode_room(struct transcode *it, const char *folder)
{
    struct statvfs info;
    char path[PATH_MAX];
    const char *slash = strrchr(folder, '/');
    snprintf(path, sizeof(path), "%.*s", (int)(slash - folder) + 1, folder);
    if (statvfs(path, &info) == 0 && (uint64_t)info.f_bavail * info.f_frsize < it->size / 4)
        return err_set(it->err, ERR_IO, "the disk is full: %.120s has %" PRIu64 " MiB left", path,
                       (uint64_t)info.f_bavail * info.f_frsize >> 20);
    return 0;
}

static int make(struct transcode *it, const struct recipe *recipe, const struct probe *source, const char *target,
                struct probe *made)
{
    struct ffmpeg_end end = {0};
    if (transcode_room(it, target) < 0 || transcode_encode(it, recipe, source->duration, target, &end) < 0)
        return -1;
    if (verify(it, recipe, source, target, made) < 0) {
        struct err why = *it->err; /* ffmpeg may have ended well, and have said what went wrong */
        return end.lines ? err_set(it->err, why.code, "%.140s; ffmpeg said: %.90s", why.text, end.last) : -1;
    }
    if (transcode_still(it) < 0)
        return -1;
    if (it->remote)
        return transcode_send(it);
    if (strcmp(target, it->temporary) == 0)
        return 0;
    return farm_say(&it->line, CHANNEL_TEMPORARY, it->temporary, it->err) < 0 ? -1 : transcode_bring(it, target);
}

static int work(struct transcode *it, struct recipe *recipe, const struct probe *source, const char *target)
{
    static struct probe made;
    uint64_t begun = clock_mono_ms();
    char *command = transcode_command(recipe);
    int there = adopt(it, &made), rc = there < 0 ? -1 : 0;
    if (recipe->left_out[0])
        fprintf(stderr, "not kept: %s\n", recipe->left_out);
    if (there == 0) {
        printf("%s\n", command ? command : recipe->encoder);
        fflush(stdout);
        rc = make(it, recipe, source, target, &made);
        if (strcmp(target, it->temporary) != 0)
            unlink(target);
    }
    if (rc == 0 && there == 0) {
        rights_keep(it);
        rc = farm_say(&it->line, CHANNEL_FINAL, it->final, it->err);
    }
    if (rc == 0) {
        result_write(it, recipe, &made, (double)(clock_mono_ms() - begun) / 1000, there == 1, command);
        printf("%.1f MiB became %.1f MiB%s\n", (double)it->size / 1048576, (double)made.size / 1048576,
               there == 1 ? ", which an earlier attempt had made" : "");
    }
    free(command);
    return rc;
}

/* Here, or at the farm's gateway. */
static int find(struct transcode *it)
{
    bool reaches = *words_or(it->words, "gateway", "");
    if (transcode_source(it) == 0)
        return 0;
    return reaches && it->err->code == ERR_NOT_FOUND ? transcode_fetch(it) : -1;
}

void transcode_target(const struct transcode *it, char target[PATH_MAX])
{
    const char *tmp = words_text(it->words, "tmp");
    snprintf(target, PATH_MAX, "%s", it->temporary);
    if (tmp && *tmp)
        snprintf(target, PATH_MAX, "%.3000s%s", tmp, strrchr(it->temporary, '/'));
}

int transcode_look(struct transcode *it, const struct wish *wish, struct probe *source)
{
    struct err none = {0};
    if (find(it) < 0) {
        farm_hint(&it->line, it->library, &none); /* the farm looks again */
        return -1;
    }
    if (prober_one(words_or(it->words, "probe", "gantry-probe"), it->source, source, it->err) < 0)
        return -1;
    if (transcode_fetched(it, source) < 0)
        return -1;
    if (source->error[0])
        return err_set(it->err, ERR_INVALID, "the source cannot be read: %s", source->error);
    if (wish->engine == ENGINES)
        return err_set(it->err, ERR_INVALID, "there is no encoder %.40s", words_or(it->words, "encoder", ""));
    return 0;
}

/* Its segments are there: what is made is joined of them. */
static int joined(struct transcode *it, const struct probe *source, const char *target, const struct rec_transcode_cut *cut)
{
    struct recipe recipe = {0};
    int rc = segment_recipe(it, source, cut, target, &recipe);
    if (rc == 0)
        rc = work(it, &recipe, source, target);
    recipe_clear(&recipe);
    return rc;
}

static int whole(struct transcode *it, const struct probe *source, const char *target, const struct wish *wish)
{
    struct recipe recipe = {0};
    int rc = recipe_make(&recipe, source, wish, it->source, target) < 0
                 ? err_set(it->err, ERR_INVALID, "no command line can be made of these settings")
                 : work(it, &recipe, source, target);
    recipe_clear(&recipe);
    return rc;
}

int transcode_run(struct transcode *it)
{
    static struct probe source;
    static struct rec_transcode_cut cut;
    const struct wish wish = transcode_wish(it);
    char target[PATH_MAX];
    const char *why;
    if (words_number(it->words, "segment"))
        return segment_run(it);
    if (transcode_look(it, &wish, &source) < 0)
        return -1;
    if ((why = recipe_refusal(&source)))
        return skip(why);
    if (transcode_places(it, recipe_container(&source)) < 0)
        return -1;
    transcode_target(it, target);
    int there = it->remote ? 0 : segment_cut(it, &source, &wish, &cut);
    if (there < 0 || farm_say(&it->line, CHANNEL_TEMPORARY, target, it->err) < 0)
        return -1;
    return there ? joined(it, &source, target, &cut) : whole(it, &source, target, &wish);
}
