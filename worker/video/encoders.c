#include "worker/video/encoders.h"

#include <stdio.h>

#include "proto/log.h"
#include "proto/messages.h"
#include "worker/video/ffmpeg.h"
#include "worker/video/recipe.h"

#define PROBE_MS 20000u

/* One frame: an encoder that is compiled in says nothing of a card that is there, or of a driver that fits. */
static bool works(const char *encoder)
{
    char text[600];
    char *argv[] = {(char *)"ffmpeg",    (char *)"-v",    (char *)"error", (char *)"-nostdin",
                    (char *)"-f",        (char *)"lavfi", (char *)"-i",    (char *)"color=size=256x256:rate=25:duration=1",
                    (char *)"-frames:v", (char *)"1",     (char *)"-c:v",  (char *)encoder,
                    (char *)"-f",        (char *)"null",  (char *)"-",     NULL};
    const struct ffmpeg_watch watch = {.stall_ms = PROBE_MS};
    struct ffmpeg_end end;
    struct err err = {0};
    if (ffmpeg_run(argv, &watch, &end, &err) < 0) {
        log_info("GTY-WORKER-ENCODER", "encoder=%s not offered: %s", encoder, err.text);
        return false;
    }
    if (!ffmpeg_well(&end, text, sizeof(text))) {
        log_info("GTY-WORKER-ENCODER", "encoder=%s not offered: %.300s", encoder,
                 end.stalled    ? "it does not answer"
                 : end.first[0] ? end.first
                                : text);
        return false;
    }
    log_info("GTY-WORKER-ENCODER", "encoder=%s works", encoder);
    return true;
}

int encoders_probe(const char *wanted, bool av1, char out[ENCODERS_TEXT], struct err *err)
{
    out[0] = '\0';
    for (const char *at = wanted; *at; at += *at == ',') {
        char name[16];
        at += strspn(at, " ");
        size_t len = strcspn(at, ", ");
        snprintf(name, sizeof(name), "%.*s", (int)(len < 15 ? len : 15), at);
        at += len;
        at += strspn(at, " ");
        enum recipe_engine engine = recipe_engine(name);
        if (engine == ENGINES)
            return err_set(err, ERR_INVALID, "transcode.encoders: '%s' is none of cpu, nvenc, qsv, vpu", name);
        const char *encoder = recipe_encoder(engine, av1);
        if (encoder && !strstr(out, name) && works(encoder))
            str_append(out, ENCODERS_TEXT, ",", name);
    }
    return 0;
}
