/* `gantry record …`: the recorder's streams, and its start and stop. */
#include "gateway/cli/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "proto/messages.h"
#include "proto/url.h"

#define PATIENCE_MS 10000
#define SECONDS_DEFAULT "60"

void record_begin(struct cli *cli)
{
    client_set_base(cli->client, "/recorder/api");
    client_set_bare(cli->client);
    client_set_patience(cli->client, 0, PATIENCE_MS);
}

int record_get(struct cli *cli, const char *path, json_t **data)
{
    struct err err = {0};
    if (client_call(cli->client, "GET", path, NULL, data, &err) == 0)
        return EXIT_FINE;
    return err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
}

/* Asks for a change. The exit code; *data, owned by the caller, is what was answered. */
static int record_change(struct cli *cli, const char *method, const char *path, const json_t *body, json_t **data)
{
    struct err err = {0};
    record_begin(cli);
    if (client_call(cli->client, method, path, body, data, &err) != 0)
        return body && err.code == ERR_BAD_REQUEST ? show_usage(&err)
                                                   : show_error(&err); /* what options say is the farm's to judge */
    return cli->json ? show_json(*data) : EXIT_FINE;
}

void record_address_cell(struct table *table, const json_t *row)
{
    struct buf masked = {0};
    url_mask(&masked, str_of(show_text(row, "rtsp_url")));
    buf_add(&masked, "", 1);
    table_add(table, masked.failed ? NULL : masked.data);
    buf_free(&masked);
}

/* ---- gantry record add ---- */

static bool name_taken(const json_t *streams, const char *name)
{
    const json_t *stream;
    size_t index;
    json_array_foreach(streams, index, stream) if (strcmp(show_text(stream, "output_filename"), name) == 0) return true;
    return false;
}

/* A file that no stream has: stream1.mp4, or the next free number. */
static int name_make(struct cli *cli, char name[32])
{
    json_t *data = NULL;
    int code = record_get(cli, "/config/streams", &data);
    const json_t *streams = json_object_get(data, "streams");
    for (size_t number = json_array_size(streams) + 1; code == EXIT_FINE; number++) {
        snprintf(name, 32, "stream%zu.mp4", number);
        if (!name_taken(streams, name))
            break;
    }
    json_decref(data);
    return code;
}

/* A number that the farm judges; -1 with err when it is none at all. */
static int number_read(const struct cli *cli, const char *option, const char *fallback, double *out, struct err *err)
{
    const char *text = args_text(cli->args, option);
    char *end;
    text = text ? text : fallback;
    *out = strtod(text, &end);
    if (end == text || *end != '\0')
        return err_set(err, ERR_BAD_REQUEST, "--%s takes a number, not \"%.60s\"", option, text);
    return 0;
}

static json_t *stream_body(const struct cli *cli, const char *name, struct err *err)
{
    double seconds, weight;
    if (number_read(cli, "duration", SECONDS_DEFAULT, &seconds, err) != 0 || number_read(cli, "weight", "1", &weight, err) != 0)
        return NULL;
    json_t *body = json_pack("{s:s, s:f, s:f, s:s}", "rtsp_url", args_at(cli->args, 0), "duration_seconds", seconds, "weight",
                             weight, "output_filename", name);
    if (!body)
        err_set(err, ERR_BAD_REQUEST, "the address or the file's name is not UTF-8, or a number has no end");
    return body;
}

int record_add(struct cli *cli)
{
    const char *given = args_text(cli->args, "name");
    char made[32];
    struct err err = {0};
    json_t *data = NULL;
    record_begin(cli);
    int code = given ? EXIT_FINE : name_make(cli, made);
    if (code != EXIT_FINE)
        return code;
    json_t *body = stream_body(cli, given ? given : made, &err);
    if (!body)
        return show_usage(&err);
    code = record_change(cli, "POST", "/config/streams", body, &data);
    json_decref(body);
    if (code == EXIT_FINE && !cli->json)
        printf("stream %lld is recorded into %s from the next cycle on\n", show_number(data, "stream_index"),
               show_text(json_object_get(data, "added_stream"), "output_filename"));
    json_decref(data);
    return code;
}

/* ---- gantry record list ---- */

int record_list(struct cli *cli)
{
    static const char *const headings[] = {">INDEX", "FILE", ">SECONDS", ">WEIGHT", "ADDRESS"};
    json_t *data = NULL;
    const json_t *stream;
    size_t index;
    record_begin(cli);
    int code = record_get(cli, "/config/streams", &data);
    if (code != EXIT_FINE)
        return code;
    struct table *table = cli->json ? NULL : table_new(headings, sizeof headings / sizeof *headings);
    json_array_foreach(table ? json_object_get(data, "streams") : NULL, index, stream)
    {
        show_cell(table, stream, "index");
        show_cell(table, stream, "output_filename");
        show_cell(table, stream, "duration_seconds");
        table_addf(table, "%g", json_number_value(json_object_get(stream, "weight")));
        record_address_cell(table, stream);
    }
    code = cli->json ? show_json(data) : show_table(table, NULL);
    json_decref(data);
    return code;
}

/* ---- gantry record remove, save, start, stop ---- */

int record_remove(struct cli *cli)
{
    const char *index = args_at(cli->args, 0);
    char path[64];
    struct err err = {0};
    json_t *data = NULL;
    if (index[0] == '\0' || strspn(index, "0123456789") != strlen(index) || strlen(index) > 9) {
        err_set(&err, ERR_BAD_REQUEST, "a stream is known by its index, not \"%.60s\" (gantry record list)", index);
        return show_usage(&err);
    }
    snprintf(path, sizeof path, "/config/streams/%s", index);
    int code = record_change(cli, "DELETE", path, NULL, &data);
    if (code == EXIT_FINE && !cli->json)
        printf("stream %s is not recorded any more; those behind it have moved up\n", index);
    json_decref(data);
    return code;
}

int record_save(struct cli *cli)
{
    json_t *data = NULL;
    int code = record_change(cli, "POST", "/config/save", NULL, &data);
    if (code == EXIT_FINE && !cli->json)
        printf("the configuration is saved: %s\n", show_text(data, "saved_to"));
    json_decref(data);
    return code;
}

static int record_run(struct cli *cli, const char *path, const char *words)
{
    json_t *data = NULL;
    int code = record_change(cli, "POST", path, NULL, &data);
    if (code == EXIT_FINE && !cli->json)
        puts(words);
    json_decref(data);
    return code;
}

int record_start(struct cli *cli)
{
    return record_run(cli, "/scheduler/start", "the recorder is running");
}

int record_stop(struct cli *cli)
{
    return record_run(cli, "/scheduler/stop", "the recorder is stopped");
}
