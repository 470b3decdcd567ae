/* Whether a film was made to its end.
 *
 * A container lasts as long as the longest of what is in it: one whose audio, subtitles or chapters are all there says that it lasts four
 * seconds although its film ends after two. So the film's own packets count. Where a source's film is shorter than its container says, which
 * may be as it was made, its packets are read too; and a source that holds nothing at all up to the end it promises was cut off.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "worker/video/ffmpeg.h"
#include "worker/video/transcode.h"

#define SLACK 1.0      /* s */
#define SLACK_FRAMES 8 /* packets are counted by when they are decoded: behind by as many as are put in another order */

static bool on_report(void *self, const struct ffmpeg_report *report)
{
    *(uint64_t *)self = report->out_us;
    return true;
}

static void on_line(void *self, const char *text)
{
    (void)self, (void)text;
}

/* Where the last packet of these streams ends. all: what is heard and read, too. -1 with err. */
static int ends_at(struct transcode *it, const char *path, bool all, double *seconds)
{
    char file[PATH_MAX + 8];
    struct ffmpeg_end end;
    uint64_t out_us = 0;
    const struct ffmpeg_watch watch = {.report = on_report, .line = on_line, .self = &out_us, .stall_ms = transcode_stall_ms(it)};
#define S(text) ((char *)(text))
    char *argv[] = {S("ffmpeg"),
                    S("-v"),
                    S("fatal"),
                    S("-nostdin"),
                    S("-nostats"),
                    S("-progress"),
                    S("pipe:1"),
                    S("-protocol_whitelist"),
                    S("file"),
                    S("-i"),
                    file,
                    S("-map"),
                    S("0:v:0"),
                    S("-map"),
                    all ? S("0:a?") : S("0:v:0"),
                    S("-map"),
                    all ? S("0:s?") : S("0:v:0"),
                    S("-c"),
                    S("copy"),
                    S("-f"),
                    S("null"),
                    S("-"),
                    NULL};
#undef S
    snprintf(file, sizeof(file), "file:%s", path);
    if (ffmpeg_run(argv, &watch, &end, it->err) < 0)
        return -1;
    *seconds = (double)out_us / 1e6;
    return 0;
}

int transcode_lasts(struct transcode *it, const char *path, const struct probe *source)
{
    const struct probe_stream *film = probe_film(source);
    double slack = SLACK + (film && film->fps > 0 ? SLACK_FRAMES / film->fps : 0), its, all;
    if (it->film_seconds <= 0 && ends_at(it, path, false, &it->film_seconds) < 0)
        return -1;
    if (source->duration <= 0 || fabs(it->film_seconds - source->duration) <= slack)
        return 0;
    if (ends_at(it, it->source, false, &its) < 0 || ends_at(it, it->source, true, &all) < 0)
        return -1;
    if (fabs(it->film_seconds - its) > slack)
        return err_set(it->err, ERR_INVALID, "the film that was made lasts %.2f s, its source's %.2f s", it->film_seconds, its);
    if (source->duration - all > slack)
        return err_set(it->err, ERR_INVALID, "the source is cut off: it is to last %.2f s, and ends after %.2f s",
                       source->duration, all);
    return 0;
}
