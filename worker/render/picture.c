#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/render/child.h"
#include "worker/render/render.h"
#include "worker/video/words.h"

#define LOOK_MS 600000u

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
        out->thumbnail = json_is_true(json_object_get(object, "thumbnail"));
        out->black = json_is_true(json_object_get(object, "black"));
    }
    json_decref(object);
    return rc;
}

int picture_look(const struct render *it, const char *path, const char *thumbnail, struct picture *out)
{
    char answer[CHILD_LINE] = "";
    char *argv[] = {(char *)words_or(it->words, "picture", "gantry-picture"), (char *)path, (char *)thumbnail, NULL};
    struct child_end end;
    if (child_run(argv, NULL, LOOK_MS, keep_line, answer, &end, it->err) < 0)
        return -1;
    if (!answer[0])
        return err_set(it->err, ERR_INVALID, "engine: what it made crashes, or holds up, who looks at it");
    return take(answer, out, it->err);
}
