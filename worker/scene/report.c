#include "worker/scene/report.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>

#include "proto/messages.h"

/* ---- JSON ---- */

static void text(struct buf *out, struct str value)
{
    buf_add(out, "\"", 1);
    for (uint32_t i = 0, from = 0; i <= value.len; i++) {
        unsigned char c = i < value.len ? (unsigned char)value.ptr[i] : '"';
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        buf_add(out, value.ptr + from, i - from);
        from = i + 1;
        if (i < value.len && (c == '"' || c == '\\'))
            buf_printf(out, "\\%c", c);
        else if (i < value.len)
            buf_printf(out, "\\u%04x", c);
    }
    buf_add(out, "\"", 1);
}

/* The name of a member of an object, which is open. */
static void name(struct buf *out, const char *member)
{
    char last = out->len ? out->data[out->len - 1] : '{';
    buf_printf(out, "%s\"%s\":", last == '{' ? "" : ",", member);
}

static void comma(struct buf *out)
{
    if (out->len && out->data[out->len - 1] != '[')
        buf_add(out, ",", 1);
}

static void text_member(struct buf *out, const char *member, struct str value)
{
    name(out, member);
    if (value.len)
        text(out, value);
    else
        buf_text(out, "null");
}

static void number_member(struct buf *out, const char *member, const struct scene_number *number)
{
    name(out, member);
    if (number->has)
        buf_printf(out, fabs(number->value) < 1e15 && number->value == floor(number->value) ? "%.0f" : "%.10g", number->value);
    else
        buf_text(out, "null");
}

/* ---- what there is ---- */

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"start_frame", offsetof(struct scene, start_frame)},
    {"end_frame", offsetof(struct scene, end_frame)},
    {"frame_step", offsetof(struct scene, frame_step)},
    {"fps", offsetof(struct scene, fps)},
    {"width", offsetof(struct scene, width)},
    {"height", offsetof(struct scene, height)},
    {"resolution_percentage", offsetof(struct scene, percentage)},
};

static const struct scene_number *number_at(const struct scene *scene, size_t i)
{
    return (const struct scene_number *)((const char *)scene + numbers[i].offset);
}

static void names(struct buf *out, const char *member, const struct scene_pairs *pairs)
{
    name(out, member);
    buf_text(out, "[");
    for (uint32_t i = 0; i < pairs->count; i++) {
        comma(out);
        text(out, pairs->items[i].name);
    }
    if (pairs->left_out) {
        comma(out);
        buf_printf(out, "\"… and %u more\"", pairs->left_out);
    }
    buf_text(out, "]");
}

static void map(struct buf *out, const char *member, const struct scene_pairs *pairs, bool numeric)
{
    name(out, member);
    buf_text(out, "{");
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (out->data && out->data[out->len - 1] != '{')
            buf_add(out, ",", 1);
        text(out, pairs->items[i].name);
        buf_text(out, ":");
        if (numeric)
            buf_add(out, pairs->items[i].value.ptr, pairs->items[i].value.len);
        else
            text(out, pairs->items[i].value);
    }
    buf_text(out, "}");
}

static void assumed(struct buf *out, const struct scene *scene)
{
    name(out, "assumed");
    buf_text(out, "[");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (number_at(scene, i)->assumed) {
            comma(out);
            text(out, str_of(numbers[i].name));
        }
    for (uint32_t i = 0; i < scene->assumed.count; i++) {
        comma(out);
        text(out, scene->assumed.items[i].name);
    }
    buf_text(out, "]");
}

static void info(struct buf *out, const struct scene *scene)
{
    name(out, "scene_info");
    buf_text(out, "{");
    text_member(out, "scene", scene->name);
    text_member(out, "renderer", scene->renderer);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        number_member(out, numbers[i].name, number_at(scene, i));
    text_member(out, "image_format", scene->image_format);
    text_member(out, "output", scene->output);
    names(out, "render_camera", &scene->render_cameras);
    names(out, "cameras", &scene->cameras);
    map(out, "sampling", &scene->sampling, true);
    map(out, "plugins", &scene->plugins, false);
    assumed(out, scene);
    buf_text(out, "}");
}

static void summary(struct buf *out, const struct scene *scene)
{
    uint64_t size = 0;
    uint32_t gone = 0;
    for (uint32_t i = 0; i < scene->count; i++) {
        size += scene->assets[i].size;
        gone += !scene->assets[i].exists;
    }
    name(out, "asset_summary");
    buf_printf(out, "{\"total_count\":%u,\"total_size\":%" PRIu64 ",\"missing_count\":%u}", scene->count + scene->left_out, size,
               gone);
}

static void asset(struct buf *out, const struct scene_asset *asset)
{
    comma(out);
    buf_text(out, "{");
    text_member(out, "path", asset->path);
    name(out, "size");
    if (asset->exists && !asset->packed && !asset->folder)
        buf_printf(out, "%" PRIu64, asset->size);
    else
        buf_text(out, "null");
    buf_printf(out, ",\"type\":\"%s\",\"exists\":%s", asset_kind_name(asset->kind), asset->exists ? "true" : "false");
    text_member(out, "node", asset->node);
    text_member(out, "file", asset->file);
    if (asset->packed)
        buf_text(out, ",\"packed\":true");
    if (asset->folder)
        buf_text(out, ",\"folder\":true");
    if (asset->files)
        buf_printf(out, ",\"files\":%u", asset->files);
    buf_text(out, "}");
}

static void assets(struct buf *out, const struct scene *scene, uint32_t most)
{
    uint32_t gone = 0;
    name(out, "assets");
    buf_text(out, "[");
    for (uint32_t i = 0; i < scene->count && i < most; i++)
        asset(out, &scene->assets[i]);
    buf_text(out, "]");
    name(out, "missing");
    buf_text(out, "[");
    for (uint32_t i = 0; i < scene->count && gone < most; i++) {
        const struct scene_asset *one = &scene->assets[i];
        if (one->exists)
            continue;
        gone++;
        comma(out);
        buf_text(out, "{");
        text_member(out, "node", one->node);
        text_member(out, "path", one->path);
        text_member(out, "reason", str_of(one->reason ? one->reason : "not_looked_up"));
        buf_text(out, "}");
    }
    buf_text(out, "]");
    name(out, "assets_left_out");
    buf_printf(out, "%u", scene->left_out + (scene->count > most ? scene->count - most : 0));
}

static const char *error_word(int code)
{
    switch (code) {
    case ERR_NOT_FOUND:
        return "not_found";
    case ERR_FORBIDDEN:
        return "forbidden";
    case ERR_NO_MEMORY:
        return "no_memory";
    case ERR_IO:
        return "unreadable";
    }
    return "invalid";
}

static void all(struct buf *out, const struct scene *scene, const struct report *report, uint32_t most)
{
    char path[SCENE_TEXT];
    struct str clean = {path, (uint32_t)str_clean(path, sizeof(path), str_of(report->path))};
    buf_text(out, "{");
    text_member(out, "scene_file", clean);
    name(out, "scene_file_size");
    buf_printf(out, scene->md5[0] ? "%" PRIu64 : "null", scene->size);
    text_member(out, "scene_file_hash", str_of(scene->md5));
    if (report->err) {
        text_member(out, "error", str_of(report->err->text));
        text_member(out, "error_kind", str_of(error_word(report->err->code)));
    }
    text_member(out, "format", str_of(scene_format_name(scene->format)));
    text_member(out, "version", scene->version);
    text_member(out, "compression", str_of(scene->compression));
    info(out, scene);
    summary(out, scene);
    assets(out, scene, most);
    names(out, "not_read", &scene->notes);
    if (report->read_at)
        text_member(out, "analyzed_at", str_of(report->read_at));
    buf_text(out, "}");
}

int report_write(const struct scene *scene, const struct report *report, size_t limit, struct buf *out)
{
    for (uint32_t most = scene->count;; most /= 2) {
        buf_reset(out);
        all(out, scene, report, most);
        if (out->failed)
            return -1;
        if (out->len <= limit)
            return 0;
        if (most == 0)
            return -1;
    }
}
