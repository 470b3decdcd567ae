/* `gantry library …`, and what of `gantry transcode …` is about videos */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "proto/messages.h"

static const char *const healths[] = {"unchecked", "healthy", "damaged"};
static const char *const states[] = {"not-needed", "waiting", "created", "running", "completed", "failed"};

/* ---- gantry library scan ---- */

int library_scan(struct cli *cli)
{
    const char *folder = args_at(cli->args, 0);
    json_t *body = folder ? json_pack("{s:s}", "library", folder) : json_object();
    json_t *data = NULL, *run;
    struct err err = {0};
    size_t index;

    if (!body) {
        err_set(&err, ERR_BAD_REQUEST, "the folder's name is not UTF-8, or there is no memory");
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 10000);
    int rc = client_call(cli->client, "POST", "/v1/videos/scan", body, &data, &err);
    json_decref(body);
    if (rc != 0)
        return show_error(&err);
    if (cli->json)
        show_json(data);
    json_array_foreach(cli->json ? NULL : json_object_get(data, "run_ids"), index, run)
        printf("run %lld looks through it: gantry logs -f %lld\n", (long long)json_integer_value(run),
               (long long)json_integer_value(run));
    json_decref(data);
    return EXIT_FINE;
}

/* ---- gantry library list ---- */

/* A word of an option as the API has it; -1: it is none of them (args.c refuses those). */
static int number_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0)
            return (int)i;
    }
    return -1;
}

static int add_word(char *path, size_t size, const char *parameter, const char *word, const char *const *words, size_t count)
{
    char number[12];

    if (!word)
        return 0;
    snprintf(number, sizeof number, "%d", number_of(word, words, count));
    return client_query_add(path, size, parameter, number);
}

static int list_path(const struct cli *cli, char *path, size_t size)
{
    static const struct {
        const char *option, *parameter;
    } plain[] = {{"codec", "codec[]"}, {"search", "search"}, {"sort", "sort_by"},
                 {"order", "order"},   {"page", "page"},     {"size", "per_page"}};
    const char *status = args_text(cli->args, "status"), *health = args_text(cli->args, "health");

    snprintf(path, size, "/v1/videos");
    int rc = add_word(path, size, "transcode_status[]", status, states, sizeof states / sizeof *states);
    rc = rc || add_word(path, size, "health[]", health, healths, sizeof healths / sizeof *healths);
    if (args_has(cli->args, "vr"))
        rc = rc || client_query_add(path, size, "is_vr", "1");
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const char *value = args_text(cli->args, plain[i].option);
        rc = rc || (value && client_query_add(path, size, plain[i].parameter, value));
    }
    return rc ? -1 : 0;
}

/* Hours and minutes, or seconds; empty where nothing is known. */
static void list_time(struct table *table, const json_t *video)
{
    const json_t *value = json_object_get(video, "estimated_time");
    long long seconds = (long long)json_integer_value(value);

    if (!json_is_integer(value))
        table_add(table, "");
    else if (seconds < 60)
        table_addf(table, "%llds", seconds);
    else
        table_addf(table, "%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
}

static void list_row(struct table *table, const json_t *video)
{
    const json_t *resolution = json_object_get(video, "resolution");
    long long status = show_number(video, "transcode_status");

    show_cell(table, video, "id");
    table_add(table, status >= 0 && status < (long long)(sizeof states / sizeof *states) ? states[status] : "?");
    show_cell(table, video, "codec");
    table_addf(table, "%lldx%lld", show_number(resolution, "width"), show_number(resolution, "height"));
    show_cell(table, video, "bitrate_k");
    table_addf(table, "%.0f", json_number_value(json_object_get(video, "video_size")));
    list_time(table, video);
    show_cell(table, video, "transcode_task_id");
    long long health = show_number(video, "health");
    table_add(table, health > 0 && health < (long long)(sizeof healths / sizeof *healths) ? healths[health] : "-");
    show_cell(table, video, "video_path");
}

/* What all transcodes have come to. */
static void list_saved(struct cli *cli)
{
    struct err err = {0};
    json_t *stats = NULL;

    if (client_call(cli->client, "GET", "/v1/statistics", NULL, &stats, &err) == 0 && show_number(stats, "results") > 0)
        printf("%lld results save %.1f MB\n", show_number(stats, "results"), (double)show_number(stats, "saved_bytes") / 1048576);
    json_decref(stats);
}

int library_list(struct cli *cli)
{
    static const char *const headings[] = {">ID", "STATUS", "CODEC", "SIZE",   ">KBIT/S",
                                           ">MB", ">TAKES", ">TASK", "HEALTH", "PATH"};
    char path[4096];
    struct err err = {0};
    json_t *data = NULL;
    const json_t *video;
    size_t index;

    if (list_path(cli, path, sizeof path) != 0) {
        err_set(&err, ERR_BAD_REQUEST, "the options are too long");
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 3000);
    if (client_call(cli->client, "GET", path, NULL, &data, &err) != 0)
        return err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
    int code = cli->json ? show_json(data) : EXIT_FINE;
    struct table *table = cli->json ? NULL : table_new(headings, sizeof headings / sizeof *headings);
    json_array_foreach(table ? json_object_get(data, "videos") : NULL, index, video) list_row(table, video);
    if (!cli->json) /* it says how many of how many these are */
        json_object_set(data, "items", json_object_get(data, "videos"));
    if (!cli->json)
        json_object_set(data, "total", json_object_get(json_object_get(data, "pagination"), "total"));
    code = cli->json ? code : show_table(table, data);
    if (!cli->json && code == EXIT_FINE)
        list_saved(cli);
    json_decref(data);
    return code;
}

/* ---- gantry transcode queue, skip, bump ---- */

/* Changes each video that is named; words: what became of it. */
static int change_each(struct cli *cli, const json_t *change, const char *words)
{
    int code = EXIT_FINE;

    client_set_patience(cli->client, 0, 10000);
    for (int i = 0; i < args_count(cli->args); i++) {
        const char *id = args_at(cli->args, i);
        struct err err = {0};
        char path[64];
        json_t *data = NULL;
        if (id[0] == '\0' || strspn(id, "0123456789") != strlen(id) || strlen(id) > 19) {
            err_set(&err, ERR_BAD_REQUEST, "a video is known by its number, not \"%.60s\" (gantry library list)", id);
            code = show_usage(&err);
            continue;
        }
        snprintf(path, sizeof path, "/v1/videos/%s", id);
        if (client_call(cli->client, "PATCH", path, change, &data, &err) != 0)
            code = show_error(&err);
        else if (cli->json)
            show_json(data);
        else
            printf("video %s %s: %s\n", id, words, show_text(data, "video_path"));
        json_decref(data);
    }
    return code;
}

static int change_all(struct cli *cli, json_t *change, const char *words)
{
    struct err err = {0};

    if (!change) {
        err_set(&err, ERR_NO_MEMORY, "out of memory");
        return show_error(&err);
    }
    int code = change_each(cli, change, words);
    json_decref(change);
    return code;
}

int transcode_queue(struct cli *cli)
{
    return change_all(cli, json_pack("{s:i}", "transcode_status", 1), "waits");
}

int transcode_skip(struct cli *cli)
{
    return change_all(cli, json_pack("{s:i}", "transcode_status", 0), "is left alone");
}

int transcode_bump(struct cli *cli)
{
    return change_all(cli, json_pack("{s:b}", "bumped", 1), "goes before the others");
}
