#include "gateway/cli/render_frames.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "proto/messages.h"

static int range_set(long long first, long long last, struct frame_range *out, struct err *err)
{
    if (first < 0 || first > RENDER_FRAME_MOST) {
        return err_set(err, ERR_BAD_REQUEST, "frames begin at 0 to %d, not at %lld", RENDER_FRAME_MOST, first);
    }
    if (last < first) {
        return err_set(err, ERR_BAD_REQUEST, "frames %lld-%lld end before they begin", first, last);
    }
    if (last - first >= RENDER_COUNT_MOST) {
        return err_set(err, ERR_BAD_REQUEST, "a task has %d frames at most, and %lld-%lld are %lld: make several of it",
                       RENDER_COUNT_MOST, first, last, last - first + 1);
    }
    *out = (struct frame_range){first, last - first + 1};
    return 0;
}

int frame_range_read(const char *text, struct frame_range *out, struct err *err)
{
    char *end = (char *)(uintptr_t)text;
    bool digit = text[0] >= '0' && text[0] <= '9';

    errno = 0;
    long long first = digit ? strtoll(text, &end, 10) : 0, last = first;
    if (digit && end[0] == '-' && end[1] >= '0' && end[1] <= '9') {
        last = strtoll(end + 1, &end, 10);
    }
    if (digit && *end == 'x') {
        return err_set(err, ERR_BAD_REQUEST, "--frames %.40s: a task renders each frame of its range, so there are no steps",
                       text);
    }
    if (!digit || *end != '\0' || errno != 0) {
        return err_set(err, ERR_BAD_REQUEST, "--frames is a number or two, as in 1-100, not \"%.40s\"", text);
    }
    return range_set(first, last, out, err);
}

int frame_range_of(const json_t *scene, struct frame_range *out, struct err *err)
{
    const json_t *info = json_object_get(scene, "scene_info");
    const json_t *first = json_object_get(info, "start_frame"), *last = json_object_get(info, "end_frame");
    double from = json_number_value(first), to = json_number_value(last);

    if (!json_is_number(first) || !json_is_number(last) || fabs(from) > 1e9 || fabs(to) > 1e9 || from != floor(from)) {
        return err_set(err, ERR_BAD_REQUEST, "the scene does not say which frames it has: --frames 1-100 does");
    }
    if (range_set((long long)from, (long long)floor(to), out, err) != 0) {
        return -1;
    }
    return 0;
}
