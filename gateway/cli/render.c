/* `gantry render analyze` */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/scene.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

/* ---- showing it ---- */

static void show_size(const char *label, long long bytes)
{
    char text[32];
    show_field(label, term_size((uint64_t)bytes, text, sizeof text));
}

/* A list of texts on one line. */
static void show_list(const char *label, const json_t *list)
{
    char text[512] = "";
    size_t index;
    json_t *one;
    json_array_foreach(list, index, one)
    {
        if (!str_append(text, sizeof text - 8, ", ", json_string_value(one))) {
            str_append(text, sizeof text, ", ", "…");
            break;
        }
    }
    show_field(label, text);
}

static void show_range(const json_t *info)
{
    const json_t *first = json_object_get(info, "start_frame"), *last = json_object_get(info, "end_frame");
    const json_t *step = json_object_get(info, "frame_step");
    if (!json_is_number(first) || !json_is_number(last))
        return;
    if (json_is_number(step) && json_number_value(step) != 1)
        show_fieldf("frames", "%.10g-%.10g, each %.10g", json_number_value(first), json_number_value(last),
                    json_number_value(step));
    else
        show_fieldf("frames", "%.10g-%.10g", json_number_value(first), json_number_value(last));
}

static void show_picture(const json_t *info)
{
    const json_t *percentage = json_object_get(info, "resolution_percentage");
    double share = json_is_number(percentage) ? json_number_value(percentage) / 100 : 1;
    double width = json_number_value(json_object_get(info, "width")), height = json_number_value(json_object_get(info, "height"));
    if (width > 0 && height > 0)
        show_fieldf("pictures", "%.0fx%.0f %s", width * share, height * share, show_text(info, "image_format"));
}

static void show_scene(const json_t *row)
{
    const json_t *info = json_object_get(row, "scene_info"), *summary = json_object_get(row, "asset_summary");
    show_fieldf("format", "%s %s", show_text(row, "format"), show_text(row, "version"));
    show_size("size", show_number(row, "scene_file_size"));
    show_member("md5", row, "scene_file_hash");
    show_member("scene", info, "scene");
    show_member("renderer", info, "renderer");
    show_range(info);
    show_member("fps", info, "fps");
    show_picture(info);
    show_member("output", info, "output");
    show_list("rendered from", json_object_get(info, "render_camera"));
    show_list("cameras", json_object_get(info, "cameras"));
    show_member("sampling", info, "sampling");
    show_member("plug-ins", info, "plugins");
    show_list("by default", json_object_get(info, "assumed"));
    show_fieldf("files", "%lld, %lld of them missing", show_number(summary, "total_count"),
                show_number(summary, "missing_count"));
    size_t index;
    json_t *note;
    json_array_foreach(json_object_get(row, "not_read"), index, note) show_field("not read", json_string_value(note));
}

static int show_assets(const struct cli *cli, const json_t *row)
{
    static const char *const headings[] = {"TYPE", ">SIZE", "THERE", "FILE"};
    struct table *table = table_new(headings, sizeof headings / sizeof *headings);
    struct err err = {0};
    size_t index;
    json_t *asset;
    if (!table) {
        err_set(&err, ERR_NO_MEMORY, "out of memory");
        return show_error(&err);
    }
    json_array_foreach(json_object_get(row, "assets"), index, asset)
    {
        bool exists = json_is_true(json_object_get(asset, "exists"));
        if (exists && args_has(cli->args, "missing"))
            continue;
        show_cell(table, asset, "type");
        show_cell(table, asset, "size");
        table_add(table, json_is_true(json_object_get(asset, "packed")) ? "packed" : exists ? "yes" : "no");
        show_cell(table, asset, "path");
    }
    return show_table(table, NULL);
}

int render_analyze(struct cli *cli)
{
    struct err err = {0};
    json_t *row = scene_read(cli, args_at(cli->args, 0), false, &err);
    if (!row)
        return show_error(&err);
    const char *wrong = json_string_value(json_object_get(row, "error"));
    int code = EXIT_FINE;
    if (cli->json)
        code = show_json(row);
    else if (!wrong) {
        show_scene(row);
        if (json_array_size(json_object_get(row, "assets")) > 0) {
            printf("\n");
            code = show_assets(cli, row);
        }
    }
    if (wrong && !cli->json) {
        err_set(&err, ERR_INVALID, "%s: %s", args_at(cli->args, 0), wrong);
        code = show_error(&err);
    }
    json_decref(row);
    return wrong ? EXIT_TROUBLE : code;
}
