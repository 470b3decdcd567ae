/* Addresses that come back as they were shown, without their credentials, stand for what they were. Streams that are shown alike are told
 * apart by their files, those that share one by their order; where that leaves a choice, nobody is given the password of another. */
#include "proto/url.h"
#include "scheduler/farms/record/record.h"

int recorder_masks_make(struct core *core, const struct rec_recorder_config *before, struct recorder_masks *masks)
{
    masks->before = before;
    for (uint32_t i = 0; i < before->streams.count; i++) {
        masks->shown[i] = recorder_mask(core, before->streams.items[i].rtsp_url);
        if (!masks->shown[i].ptr)
            return -1;
    }
    return 0;
}

static int nobodys(struct fault *fault)
{
    return fault_set(fault, ERR_INVALID, "rtsp_url", "recorder_stream_value", (struct str){0}, "rtsp://, rtsps://",
                     "no stream has the address that is shown so");
}

static int several(struct fault *fault)
{
    return fault_set(fault, ERR_INVALID, "rtsp_url", "recorder_masked", (struct str){0}, NULL,
                     "addresses of several streams are shown so: give this one with its credentials");
}

/* Streams of before whose addresses are shown so. */
struct alike {
    const struct rec_recorder_stream *streams[RECORDER_STREAMS];
    uint32_t count;
};

static bool alike_one(const struct alike *alike)
{
    for (uint32_t i = 1; i < alike->count; i++)
        if (!str_eq(alike->streams[i]->rtsp_url, alike->streams[0]->rtsp_url))
            return false;
    return alike->count > 0;
}

static void alike_find(const struct recorder_masks *masks, struct str shown, struct alike *alike)
{
    alike->count = 0;
    for (uint32_t i = 0; i < masks->before->streams.count; i++)
        if (str_eq(masks->shown[i], shown))
            alike->streams[alike->count++] = &masks->before->streams.items[i];
}

/* Those of them with this file. */
static void alike_of_file(const struct alike *alike, struct str file, struct alike *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < alike->count; i++)
        if (str_eq(alike->streams[i]->output_filename, file))
            out->streams[out->count++] = alike->streams[i];
}

int recorder_unmask_one(struct core *core, const struct rec_recorder_config *before, const struct rec_recorder_stream *own,
                        struct rec_recorder_stream *stream, struct fault *fault)
{
    struct recorder_masks masks;
    struct alike alike;
    if (!url_is_masked(stream->rtsp_url))
        return 0;
    if (recorder_masks_make(core, before, &masks))
        return fault_memory(fault);
    if (own && str_eq(masks.shown[own - before->streams.items], stream->rtsp_url)) {
        stream->rtsp_url = own->rtsp_url;
        return 0;
    }
    alike_find(&masks, stream->rtsp_url, &alike);
    if (!alike_one(&alike))
        return alike.count ? several(fault) : nobodys(fault);
    stream->rtsp_url = alike.streams[0]->rtsp_url;
    return 0;
}

/* ---- a whole list ---- */

/* How many streams of the list come with the address and the file of the at-th, and how many of them before it. */
static uint32_t asked_alike(const struct rec_recorder_stream_list *asked, uint32_t at, uint32_t *before)
{
    const struct rec_recorder_stream *stream = &asked->items[at];
    uint32_t count = 0;
    for (uint32_t i = 0; i < asked->count; i++) {
        if (i == at)
            *before = count;
        count += str_eq(asked->items[i].rtsp_url, stream->rtsp_url) &&
                 str_eq(asked->items[i].output_filename, stream->output_filename);
    }
    return count;
}

static bool asked_for(const struct rec_recorder_stream_list *asked, struct str shown, struct str file)
{
    for (uint32_t i = 0; i < asked->count; i++)
        if (str_eq(asked->items[i].rtsp_url, shown) && str_eq(asked->items[i].output_filename, file))
            return true;
    return false;
}

/* One stream of the list has a file that none of them had, and one of them has a file that no stream of the list has any more: it has another
 * name now. NULL: it is not so. */
static const struct rec_recorder_stream *alike_renamed(const struct alike *alike, const struct rec_recorder_stream_list *asked,
                                                       struct str shown)
{
    const struct rec_recorder_stream *left = NULL;
    struct alike same;
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < asked->count && fresh < 2; i++) {
        if (!str_eq(asked->items[i].rtsp_url, shown))
            continue;
        alike_of_file(alike, asked->items[i].output_filename, &same);
        fresh += same.count == 0;
    }
    for (uint32_t i = 0; i < alike->count && fresh == 1; i++) {
        if (asked_for(asked, shown, alike->streams[i]->output_filename))
            continue;
        if (left)
            return NULL;
        left = alike->streams[i];
    }
    return left;
}

int recorder_unmask(const struct recorder_masks *masks, const struct rec_recorder_stream_list *asked, uint32_t at,
                    struct rec_recorder_stream *stream, struct fault *fault)
{
    const struct rec_recorder_stream *found = NULL;
    struct alike alike, same;
    uint32_t place = 0;
    if (!url_is_masked(stream->rtsp_url))
        return 0;
    alike_find(masks, stream->rtsp_url, &alike);
    if (!alike.count)
        return nobodys(fault);
    alike_of_file(&alike, stream->output_filename, &same);
    if (alike_one(&alike))
        found = alike.streams[0];
    else if (alike_one(&same))
        found = same.streams[0];
    else if (!same.count)
        found = alike_renamed(&alike, asked, stream->rtsp_url);
    else if (asked_alike(asked, at, &place) == same.count)
        found = same.streams[place];
    if (!found)
        return several(fault);
    stream->rtsp_url = found->rtsp_url;
    return 0;
}
