#include "worker/video/recipe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const recipe_engines[ENGINES + 1] = {"cpu", "nvenc", "qsv", "vpu", NULL};

enum recipe_engine recipe_engine(const char *name)
{
    for (enum recipe_engine i = 0; i < ENGINES; i++)
        if (strcmp(recipe_engines[i], name) == 0)
            return i;
    return ENGINES;
}

const char *recipe_encoder(enum recipe_engine engine, bool av1)
{
    static const char *const names[ENGINES] = {"libx265", "hevc_nvenc", "hevc_qsv", "hevc_ni_logan"};
    return av1 ? (engine == ENGINE_CPU ? "libsvtav1" : NULL) : engine < ENGINES ? names[engine] : NULL;
}

/* A codec that ffmpeg knows nothing of: it cannot copy what is in it. */
static bool unknown(const struct probe_stream *stream)
{
    return stream->codec[0] == '\0' || strcmp(stream->codec, "none") == 0;
}

/* What of its streams nothing made of it would have. Data streams and pictures are left out by design: note_left_out. */
static const char *stream_lost(const struct probe *probe)
{
    for (unsigned i = 0; i < probe->count; i++) {
        const struct probe_stream *stream = &probe->streams[i];
        if (stream->kind == PROBE_VIDEO && (int)i != probe->video)
            return "a further video stream would be lost";
        if (stream->kind == PROBE_AUDIO && unknown(stream))
            return "audio of an unknown codec would be lost";
        if (stream->kind == PROBE_SUBTITLE && unknown(stream))
            return "subtitles of an unknown codec would be lost";
    }
    return probe->more ? "some of its very many streams would be lost" : NULL;
}

const char *recipe_refusal(const struct probe *probe)
{
    const struct probe_stream *film = probe_film(probe);
    if (!film)
        return "it has no video stream";
    if (film->dolby_vision)
        return "Dolby Vision would be lost";
    return film->hdr10_plus ? "HDR10+ would be lost" : stream_lost(probe);
}

#define SEEK_BEFORE 0.5 /* s */

/* ---- arguments ---- */

static void add(struct recipe *recipe, const char *text)
{
    char *copy = recipe->count < RECIPE_ARGS ? strdup(text) : NULL;
    if (!copy) {
        recipe->failed = true;
        return;
    }
    recipe->argv[recipe->count++] = copy;
}

__attribute__((format(printf, 2, 3))) static void addf(struct recipe *recipe, const char *format, ...)
{
    char text[8192];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    recipe->failed = recipe->failed || len < 0 || len >= (int)sizeof(text);
    add(recipe, text);
}

static void add2(struct recipe *recipe, const char *name, const char *value)
{
    add(recipe, name);
    add(recipe, value);
}

static bool one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

/* ---- the container ---- */

static const char *const mp4_audio[] = {"aac", "ac3", "eac3", "mp3", "mp2", "alac", "opus", NULL};
static const char *const mp4_pictures[] = {"mjpeg", "png", NULL};
static const char *const text_subtitles[] = {"subrip", "mov_text", "webvtt", "text", NULL};

static bool mp4_holds(const struct probe_stream *stream)
{
    switch (stream->kind) {
    case PROBE_AUDIO:
        return one_of(stream->codec, mp4_audio);
    case PROBE_SUBTITLE:
        return one_of(stream->codec, text_subtitles);
    case PROBE_ATTACHMENT:
        return false;
    default:
        return true;
    }
}

const char *recipe_container(const struct probe *probe)
{
    for (unsigned i = 0; i < probe->count; i++)
        if (!mp4_holds(&probe->streams[i]))
            return "mkv";
    return "mp4";
}

static bool is_mp4(const struct recipe *recipe)
{
    return strcmp(recipe->format, "mp4") == 0;
}

/* ---- the film ---- */

/* What it has, where the encoder takes it; else the nearest with as many bits. */
static const char *pixels_of(const struct recipe *recipe, const struct probe_stream *film)
{
    static const char *const x265[] = {"yuv420p",     "yuv422p",     "yuv444p",     "yuv420p10le", "yuv422p10le",
                                       "yuv444p10le", "yuv420p12le", "yuv422p12le", "yuv444p12le", NULL};
    bool deep = film->depth > 8;
    if (strcmp(recipe->encoder, "libx265") == 0 && one_of(film->pixels, x265))
        return film->pixels;
    if (strcmp(recipe->encoder, "hevc_nvenc") == 0 || strcmp(recipe->encoder, "hevc_qsv") == 0)
        return deep ? "p010le" : "nv12";
    return deep ? "yuv420p10le" : "yuv420p";
}

static void colour(struct recipe *recipe, const struct probe_stream *film)
{
    if (film->primaries[0])
        add2(recipe, "-color_primaries", film->primaries);
    if (film->transfer[0])
        add2(recipe, "-color_trc", film->transfer);
    if (film->space[0])
        add2(recipe, "-colorspace", film->space);
    if (film->range[0])
        add2(recipe, "-color_range", film->range);
    else if (strncmp(film->pixels, "yuvj", 4) == 0)
        add2(recipe, "-color_range", "pc");
}

/* x265's own way to be told; its values contain neither colons nor quotes, as the probe wrote them. */
static void x265_params(struct recipe *recipe, const struct probe *probe, const struct wish *wish)
{
    const struct probe_stream *film = probe_film(probe);
    char text[1024];
    size_t len =
        (size_t)snprintf(text, sizeof(text), "log-level=error%s", wish->joins ? ":info=0" : ""); /* info tells of threads */
    if (wish->pools && wish->pools[0])
        len += (size_t)snprintf(text + len, sizeof(text) - len, ":pools=%.200s", wish->pools);
    else if (wish->threads)
        len += (size_t)snprintf(text + len, sizeof(text) - len, ":pools=%u", wish->threads);
    if (probe_is_pq(probe)) {
        len += (size_t)snprintf(
            text + len, sizeof(text) - len, ":hdr10=1:repeat-headers=1:colorprim=%s:transfer=%s:colormatrix=%s",
            film->primaries[0] ? film->primaries : "bt2020", film->transfer, film->space[0] ? film->space : "bt2020nc");
        if (film->master[0])
            len += (size_t)snprintf(text + len, sizeof(text) - len, ":master-display=%s", film->master);
        if (film->cll || film->fall)
            snprintf(text + len, sizeof(text) - len, ":max-cll=%u,%u", film->cll, film->fall);
    }
    add2(recipe, "-x265-params", text);
}

static void svtav1_params(struct recipe *recipe, const struct wish *wish)
{
    if (wish->threads) {
        add(recipe, "-svtav1-params");
        addf(recipe, "lp=%u", wish->threads);
    }
}

static void quality(struct recipe *recipe, const struct probe *probe, const struct wish *wish)
{
    switch (wish->engine) {
    case ENGINE_NVENC:
        add2(recipe, "-preset", recipe->preset);
        add2(recipe, "-rc", "vbr");
        add(recipe, "-cq");
        addf(recipe, "%u", recipe->crf);
        add2(recipe, "-b:v", "0");
        break;
    case ENGINE_QSV:
        add2(recipe, "-preset", recipe->preset);
        add(recipe, "-global_quality");
        addf(recipe, "%u", recipe->crf);
        break;
    case ENGINE_VPU:
        add(recipe, "-xcoder-params");
        addf(recipe, "RcEnable=0:intraQP=%u", recipe->crf);
        break;
    default:
        add2(recipe, "-preset", recipe->preset);
        add(recipe, "-crf");
        addf(recipe, "%u", recipe->crf);
        if (wish->av1)
            svtav1_params(recipe, wish);
        else
            x265_params(recipe, probe, wish);
    }
}

static void film_arguments(struct recipe *recipe, const struct probe *probe, const struct wish *wish)
{
    const struct probe_stream *film = probe_film(probe);
    add2(recipe, "-c:v:0", recipe->encoder);
    if (film->interlaced)
        add2(recipe, "-filter:v:0", "bwdif=mode=send_frame");
    add2(recipe, "-pix_fmt:v:0", pixels_of(recipe, film));
    quality(recipe, probe, wish);
    colour(recipe, film);
    if (wish->rate && film->fps > wish->rate * 1.03) {
        add(recipe, "-r:v:0");
        addf(recipe, "%u", wish->rate);
    } else {
        add2(recipe, "-vsync", "vfr"); /* each frame at its own time: for MP4 ffmpeg would fill up to a constant rate */
    }
    if (!wish->av1 && is_mp4(recipe))
        add2(recipe, "-tag:v:0", "hvc1");
}

/* ---- other streams ---- */

static const char *subtitle_codec(const struct recipe *recipe, const struct probe_stream *stream)
{
    if (is_mp4(recipe))
        return "mov_text";
    return strcmp(stream->codec, "mov_text") == 0 || strcmp(stream->codec, "text") == 0 ? "srt" : "copy";
}

static bool kept(const struct recipe *recipe, const struct probe_stream *stream)
{
    switch (stream->kind) {
    case PROBE_AUDIO:
    case PROBE_SUBTITLE:
        return true;
    case PROBE_ATTACHMENT:
        return !is_mp4(recipe);
    case PROBE_PICTURE:
        return is_mp4(recipe) && one_of(stream->codec, mp4_pictures);
    default:
        return false;
    }
}

static void map_stream(struct recipe *recipe, unsigned input, const struct probe_stream *stream)
{
    add(recipe, "-map");
    addf(recipe, "%u:%u", input, stream->index);
}

/* What the source says of the stream that became output stream number `at`. */
static void map_words(struct recipe *recipe, unsigned at, const struct probe_stream *stream)
{
    addf(recipe, "-map_metadata:s:%u", at);
    addf(recipe, "1:s:%u", stream->index);
}

/* The film first, then audio, subtitles, pictures, attachments, each as they stood. joined: the film comes from the first input, and the
 * source is the second. */
static void maps(struct recipe *recipe, const struct probe *probe, bool joined)
{
    static const enum probe_kind order[] = {PROBE_AUDIO, PROBE_SUBTITLE, PROBE_PICTURE, PROBE_ATTACHMENT};
    unsigned at = 1;
    if (joined) {
        add2(recipe, "-map", "0:v:0");
        map_words(recipe, 0, probe_film(probe));
    } else {
        map_stream(recipe, 0, probe_film(probe));
    }
    for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
        for (unsigned i = 0; i < probe->count; i++) {
            if (probe->streams[i].kind != order[k] || !kept(recipe, &probe->streams[i]))
                continue;
            map_stream(recipe, joined, &probe->streams[i]);
            if (joined)
                map_words(recipe, at++, &probe->streams[i]);
        }
    for (unsigned i = 0; i < probe->count; i++) {
        const struct probe_stream *stream = &probe->streams[i];
        if (!kept(recipe, stream))
            continue;
        if (stream->kind == PROBE_AUDIO) {
            addf(recipe, "-c:a:%u", recipe->audio++);
            add(recipe, "copy");
        } else if (stream->kind == PROBE_SUBTITLE) {
            addf(recipe, "-c:s:%u", recipe->subtitles++);
            add(recipe, subtitle_codec(recipe, stream));
        } else if (stream->kind == PROBE_PICTURE) {
            addf(recipe, "-c:v:%u", ++recipe->pictures);
            add(recipe, "copy");
            addf(recipe, "-disposition:v:%u", recipe->pictures);
            add(recipe, "attached_pic");
        } else {
            add2(recipe, "-c:t", "copy");
        }
    }
}

static void note_left_out(struct recipe *recipe, const struct probe *probe)
{
    unsigned pictures = probe_count(probe, PROBE_PICTURE) - recipe->pictures, data = probe_count(probe, PROBE_DATA);
    if (pictures + data)
        snprintf(recipe->left_out, sizeof(recipe->left_out), "%u pictures, %u data streams", pictures, data);
}

/* ---- all of it ---- */

static void choices(struct recipe *recipe, const struct probe *probe, const struct wish *wish)
{
    bool slow = wish->vr || wish->engine != ENGINE_CPU;
    recipe->extension = recipe_container(probe);
    recipe->format = strcmp(recipe->extension, "mp4") == 0 ? "mp4" : "matroska";
    recipe->codec = wish->av1 ? "av1" : "hevc";
    recipe->encoder = recipe_encoder(wish->engine, wish->av1);
    recipe->preset = wish->preset && wish->preset[0] ? wish->preset : wish->av1 ? (slow ? "5" : "7") : slow ? "slow" : "medium";
    if (wish->crf)
        recipe->crf = wish->crf;
    else if (wish->av1)
        recipe->crf = wish->vr ? 28 : 30;
    else if (wish->engine == ENGINE_CPU)
        recipe->crf = wish->vr ? 20 : 22;
    else
        recipe->crf = wish->engine == ENGINE_VPU ? 22 : 23;
}

/* -1: there is no encoder, or no film. */
static int begin(struct recipe *recipe, const struct probe *probe, const struct wish *wish)
{
    *recipe = (struct recipe){0};
    choices(recipe, probe, wish);
    recipe->failed = !recipe->encoder || !probe_film(probe);
    if (recipe->failed)
        return -1;
    add(recipe, "ffmpeg");
    add2(recipe, "-v", "warning");
    add(recipe, "-nostdin");
    add(recipe, "-nostats");
    add2(recipe, "-progress", "pipe:1");
    return 0;
}

static void input(struct recipe *recipe, const char *path)
{
    add2(recipe, "-protocol_whitelist", "file");
    add(recipe, "-i");
    addf(recipe, "file:%s", path);
}

static void threads(struct recipe *recipe, const struct wish *wish)
{
    if (!wish->threads)
        return;
    add(recipe, "-threads");
    addf(recipe, "%u", wish->threads);
}

/* Tags that mkvmerge has given a source's film are copied into Matroska, and are wrong of what was made of it. */
static void forget_rates(struct recipe *recipe)
{
    static const char *const tags[] = {"BPS=", "BPS-eng=", "NUMBER_OF_BYTES=", "NUMBER_OF_BYTES-eng="};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]) && !is_mp4(recipe); i++)
        add2(recipe, "-metadata:s:v:0", tags[i]);
}

/* played: it is a result that people play, not a part of one. */
static int finish(struct recipe *recipe, const char *target, bool played)
{
    add2(recipe, "-max_muxing_queue_size", "9999");
    if (is_mp4(recipe)) {
        add2(recipe, "-strict", "unofficial"); /* for spherical metadata */
        if (played)
            add2(recipe, "-movflags", "+faststart");
    }
    add2(recipe, "-f", recipe->format);
    add(recipe, "-y");
    addf(recipe, "file:%s", target);
    return recipe->failed ? -1 : 0;
}

int recipe_make(struct recipe *recipe, const struct probe *probe, const struct wish *wish, const char *source, const char *target)
{
    if (begin(recipe, probe, wish) < 0)
        return -1;
    if (wish->hardware_decode)
        add2(recipe, "-hwaccel", "auto");
    input(recipe, source);
    maps(recipe, probe, false);
    film_arguments(recipe, probe, wish);
    threads(recipe, wish);
    add2(recipe, "-map_metadata", "0");
    add2(recipe, "-map_chapters", "0");
    forget_rates(recipe);
    note_left_out(recipe, probe);
    return finish(recipe, target, true);
}

/* Frames are chosen by their time stamps as they stand in the file, which are whole numbers: so each is in one segment, and one only. The place
 * that is sought is some way before, as an index knows when frames are decoded, not when they are shown. */
int recipe_segment(struct recipe *recipe, const struct probe *probe, const struct wish *wish, const struct recipe_part *part,
                   const char *source, const char *target)
{
    double seconds = (double)part->from * (double)part->base_num / (double)part->base_den;
    if (begin(recipe, probe, wish) < 0)
        return -1;
    recipe->extension = recipe->format = "mp4"; /* keeps time stamps as they are, and what is said of the film */
    if (wish->hardware_decode)
        add2(recipe, "-hwaccel", "auto");
    add(recipe, "-copyts");
    if (!part->first) {
        add2(recipe, "-seek_timestamp", "1");
        add(recipe, "-noaccurate_seek");
        add(recipe, "-ss");
        addf(recipe, "%.6f", seconds - SEEK_BEFORE);
    }
    input(recipe, source);
    map_stream(recipe, 0, probe_film(probe));
    add(recipe, "-filter:v:0");
    if (part->last)
        addf(recipe, "trim=start_pts=%lld,setpts=PTS-(%lld)", (long long)part->from, (long long)part->from);
    else
        addf(recipe, "trim=start_pts=%lld:end_pts=%lld,setpts=PTS-(%lld)", (long long)part->from, (long long)part->to,
             (long long)part->from);
    film_arguments(recipe, probe, wish);
    threads(recipe, wish);
    add2(recipe, "-fps_mode:v:0", "passthrough");
    add2(recipe, "-enc_time_base", "-1");
    add2(recipe, "-map_metadata", "-1");
    add2(recipe, "-map_chapters", "-1");
    return finish(recipe, target, false);
}

int recipe_join(struct recipe *recipe, const struct probe *probe, const struct wish *wish, const char *list, int64_t offset_us,
                const char *source, const char *target)
{
    if (begin(recipe, probe, wish) < 0)
        return -1;
    recipe->joined = true;
    add(recipe, "-itsoffset");
    addf(recipe, "%.6f", (double)offset_us / 1e6);
    add2(recipe, "-f", "concat");
    add2(recipe, "-safe", "0");
    input(recipe, list);
    input(recipe, source);
    maps(recipe, probe, true);
    add2(recipe, "-c:v:0", "copy");
    if (!wish->av1 && is_mp4(recipe))
        add2(recipe, "-tag:v:0", "hvc1");
    add2(recipe, "-map_metadata", "1");
    add2(recipe, "-map_chapters", "1");
    forget_rates(recipe);
    note_left_out(recipe, probe);
    return finish(recipe, target, true);
}

void recipe_clear(struct recipe *recipe)
{
    for (unsigned i = 0; i < recipe->count; i++)
        free(recipe->argv[i]);
    recipe->count = 0;
}

/* Both of the film where both containers tell it, else both of the whole file. Matroska's tell it in a tag, if at all, which ffmpeg takes over
 * from the file that it made it of. */
static void rates_alike(const struct recipe *recipe, const struct probe *source, const struct probe *made, uint64_t *had,
                        uint64_t *has)
{
    const struct probe_stream *before = probe_film(source), *after = probe_film(made);
    bool told = is_mp4(recipe) && !strstr(source->format, "matroska") && before && after && before->bitrate && after->bitrate;
    *had = told ? before->bitrate : source->bitrate;
    *has = told ? after->bitrate : made->bitrate;
}

/* Whether it is worth it: three quarters of an H.264 source's bitrate at most, all of another's. */
static void judge_rate(const struct recipe *recipe, const struct probe *source, const struct probe *made, char *text, size_t size)
{
    const struct probe_stream *film = probe_film(source);
    uint64_t had, has;
    rates_alike(recipe, source, made, &had, &has);
    uint64_t most = film && strcmp(film->codec, "h264") == 0 ? had / 4 * 3 : had;
    if (most && has > most)
        snprintf(text, size, "it has %llu kbit/s, and %llu at most are worth it (its source has %llu)",
                 (unsigned long long)(has / 1000), (unsigned long long)(most / 1000), (unsigned long long)(had / 1000));
}

/* By what the source has, not by what ffmpeg was told. */
static void judge_streams(const struct recipe *recipe, const struct probe *source, const struct probe *made, char *text,
                          size_t size)
{
    const struct {
        const char *words;
        enum probe_kind kind;
        unsigned wanted;
    } all[] = {{"audio", PROBE_AUDIO, probe_count(source, PROBE_AUDIO)},
               {"subtitles", PROBE_SUBTITLE, probe_count(source, PROBE_SUBTITLE)},
               {"attachments", PROBE_ATTACHMENT, probe_count(source, PROBE_ATTACHMENT)},
               {"pictures", PROBE_PICTURE, recipe->pictures}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !text[0]; i++) {
        unsigned there = probe_count(made, all[i].kind);
        if (there < all[i].wanted)
            snprintf(text, size, "streams are missing: %u of %u %s", there, all[i].wanted, all[i].words);
    }
    if (!text[0] && made->chapters < source->chapters)
        snprintf(text, size, "chapters are missing: %u of %u", made->chapters, source->chapters);
}

const char *recipe_fault(const struct recipe *recipe, const struct probe *source, const struct probe *made, char *text,
                         size_t size)
{
    const struct probe_stream *film = probe_film(made);
    text[0] = '\0';
    if (made->error[0] || !film)
        snprintf(text, size, "what was made cannot be read: %s", made->error[0] ? made->error : "it has no video stream");
    else if (strcmp(film->codec, recipe->codec) != 0)
        snprintf(text, size, "encoder %s made %s, not %s", recipe->encoder, film->codec, recipe->codec);
    else if (fabs(made->duration - source->duration) > 1)
        snprintf(text, size, "what was made lasts %.2f s, its source %.2f s", made->duration, source->duration);
    else
        judge_streams(recipe, source, made, text, size);
    if (!text[0])
        judge_rate(recipe, source, made, text, size);
    return text[0] ? text : NULL;
}
