/* `gantry transcode …` */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/watch.h"
#include "proto/messages.h"

/* What a transcode's result says of where its files are, and the library they belong to: what the run that undoes it is told. */
static json_t *undo_parameters(const json_t *run)
{
    static const char *const names[] = {"source", "dest", "bak", "size_before", "size_after"};
    const char *text = json_string_value(json_object_get(run, "result"));
    const json_t *given = json_object_get(run, "parameters");
    json_t *result = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *parameters = json_object();
    bool well = result && parameters && json_object_set(parameters, "root", json_object_get(given, "root")) == 0 &&
                json_object_set(parameters, "video_id", json_object_get(given, "video_id")) == 0;
    for (size_t i = 0; well && i < sizeof(names) / sizeof(names[0]); i++)
        well = json_object_set(parameters, names[i], json_object_get(result, names[i])) == 0;
    json_decref(result);
    if (well)
        return parameters;
    json_decref(parameters);
    return NULL;
}

/* The body of POST /api/runs; NULL with err. */
static json_t *undo_body(struct client *client, const char *task, struct err *err)
{
    json_t *run = NULL, *body = NULL;
    if (task[0] == '\0' || strspn(task, "0123456789") != strlen(task)) {
        err_set(err, ERR_BAD_REQUEST, "a task is known by its number, not \"%.60s\"", task);
        return NULL;
    }
    if (client_get(client, &run, err, "/runs/%s", task) != 0)
        return NULL;
    json_t *parameters = undo_parameters(run);
    const char *path = json_string_value(json_object_get(json_object_get(run, "parameters"), "path"));
    if (!parameters || !path)
        err_set(err, ERR_CONFLICT, "task %s is no transcode of a Gantry worker that made something", task);
    else
        body = json_pack("{s:s, s:s, s:s, s:i, s:O}", "task_type", "transcode", "executor", "undo", "command", path,
                         "retry_count", 0, "parameters", parameters);
    if (!body && err->text[0] == '\0')
        err_set(err, ERR_NO_MEMORY, "out of memory");
    json_decref(parameters);
    json_decref(run);
    return body;
}

/* While its video is being transcoded nothing is undone: what is read would change. The farm excludes it with what the run says. One that the
 * farm does not list any more is none that is. */
static int check_idle(struct client *client, const json_t *body, struct err *err)
{
    long long number = show_number(json_object_get(body, "parameters"), "video_id");
    json_t *video = NULL;
    int rc = client_get(client, &video, err, "/v1/videos/%lld", number);
    if (rc != 0)
        return err->code == ERR_NOT_FOUND ? 0 : rc;
    long long status = show_number(video, "transcode_status"), task = show_number(video, "transcode_task_id");
    json_decref(video);
    if (status != VIDEO_CREATED && status != VIDEO_RUNNING)
        return 0;
    return err_set(err, ERR_CONFLICT, "video %lld is being transcoded again, by task %lld: abort that first (gantry abort %lld)",
                   number, task, task);
}

int transcode_undo(struct cli *cli)
{
    struct err err = {0};
    client_set_patience(cli->client, 0, 10000);
    json_t *body = undo_body(cli->client, args_at(cli->args, 0), &err);
    if (!body)
        return err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
    int code = check_idle(cli->client, body, &err) != 0 ? show_error(&err) : watch_submit(cli, "/runs", body);
    json_decref(body);
    return code;
}
