#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/render/child.h"
#include "worker/render/render.h"
#include "worker/video/words.h"

#define LOOK_MS 600000u
#define THUMBNAIL_MS 120000u

static void keep_line(void *self, const char *text)
{
    char *first = self;
    if (!*first)
        snprintf(first, CHILD_LINE, "%s", text);
}

static int take(const char *answer, struct picture *out, struct err *err)
{
    json_t *object = json_loads(answer, 0, NULL);
    const char *error = json_string_value(json_object_get(object, "error")),
               *md5 = json_string_value(json_object_get(object, "md5"));
    int rc = 0;
    if (error)
        rc = err_set(err, ERR_INVALID, "engine: what it made is no picture: %.180s", error);
    else if (!md5 || strlen(md5) != sizeof(out->md5) - 1)
        rc = err_set(err, ERR_INVALID, "engine: what it made cannot be looked at: %.120s", answer);
    else {
        snprintf(out->md5, sizeof(out->md5), "%s", md5);
        out->width = (uint64_t)json_integer_value(json_object_get(object, "width"));
        out->height = (uint64_t)json_integer_value(json_object_get(object, "height"));
        out->size = (uint64_t)json_integer_value(json_object_get(object, "size"));
        out->black = json_is_true(json_object_get(object, "black"));
    }
    json_decref(object);
    return rc;
}

int picture_look(const struct render *it, const char *path, struct picture *out)
{
    char answer[CHILD_LINE] = "";
    char *argv[] = {(char *)words_or(it->words, "picture", "gantry-picture"), (char *)path, NULL};
    struct child_end end;
    if (child_run(argv, NULL, LOOK_MS, keep_line, answer, &end, it->err) < 0)
        return -1;
    if (!answer[0])
        return err_set(it->err, ERR_INVALID, "engine: what it made crashes, or holds up, who looks at it");
    return take(answer, out, it->err);
}

bool picture_thumbnail(const struct render *it, const char *path, const char *thumbnail)
{
    char from[PATH_MAX + 8], to[PATH_MAX + 8], first[CHILD_LINE] = "";
    bool linear = strcasecmp(it->extension, "exr") == 0;
    struct child_end end;
    struct err err = {0};
    snprintf(from, sizeof(from), "file:%s", path);
    snprintf(to, sizeof(to), "file:%s", thumbnail);
#define S(text) ((char *)(text))
    char *argv[] = {S("ffmpeg"),
                    S("-v"),
                    S("error"),
                    S("-nostdin"),
                    S("-y"),
                    linear ? S("-apply_trc") : S("-threads"),
                    linear ? S("iec61966_2_1") : S("1"),
                    S("-i"),
                    from,
                    S("-frames:v"),
                    S("1"),
                    S("-vf"),
                    S("scale=w='min(320,iw)':h='min(320,ih)':force_original_aspect_ratio=decrease:flags=area"),
                    S("-c:v"),
                    S("png"),
                    S("-pix_fmt"),
                    S("rgb24"),
                    S("-f"),
                    S("image2"),
                    S("-update"),
                    S("1"),
                    to,
                    NULL};
#undef S
    bool well = child_run(argv, NULL, THUMBNAIL_MS, keep_line, first, &end, &err) == 0 && end.exit_code == 0;
    if (!well)
        printf("ffmpeg makes no thumbnail: %s\n", first[0] ? first : err.text);
    return well;
}
