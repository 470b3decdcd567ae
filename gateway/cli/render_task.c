/* `gantry render list`, `show`, and what is done with tasks: `cancel`, `pause`, `resume`, `retry` */
#include "gateway/cli/render_task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

static int number_read(const char *word, const char *what, long long low, long long *out, struct err *err)
{
    char *end;

    errno = 0;
    *out = strtoll(word, &end, 10);
    if (errno != 0 || end == word || *end != '\0' || *out < low) {
        return err_set(err, ERR_BAD_REQUEST, "%s is a number, not \"%.60s\"", what, word);
    }
    return 0;
}

int render_task_id(const struct args *args, int index, long long *id, struct err *err)
{
    return number_read(args_at(args, index), "a render task", 1, id, err);
}

/* ---- gantry render list ---- */

static int list_path(const struct cli *cli, char *path, size_t size)
{
    static const struct {
        const char *option, *parameter;
    } plain[] = {{"status", "status"}, {"unionid", "unionid"}, {"engine", "engine"}, {"sort", "sort_by"},
                 {"order", "order"},   {"page", "page"},       {"size", "page_size"}};
    int rc = snprintf(path, size, "/tasks") < 0;

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const char *value = args_text(cli->args, plain[i].option);
        rc = rc != 0 || (value != NULL && client_query_add(path, size, plain[i].parameter, value) != 0);
    }
    return rc != 0 ? -1 : 0;
}

static void list_row(struct table *table, const json_t *task)
{
    show_cell(table, task, "id");
    show_cell(table, task, "status");
    table_addf(table, "%lld/%lld", show_number(task, "completed_frames"), show_number(task, "total_frames"));
    show_cell(table, task, "failed_frames");
    table_addf(table, "%.2f", json_number_value(json_object_get(task, "actual_cost")));
    show_cell(table, task, "render_engine");
    show_cell(table, task, "unionid");
    show_cell_time(table, task, "created_at");
    show_cell(table, task, json_is_string(json_object_get(task, "reason")) ? "reason" : "scene_file");
}

int render_list(struct cli *cli)
{
    static const char *const headings[] = {">ID",    "STATUS",  ">FRAMES", ">FAILED", ">COST",
                                           "ENGINE", "UNIONID", "CREATED", "SCENE"};
    char path[4096];
    struct err err = {0};
    json_t *data = NULL;
    const json_t *task;
    size_t index;

    if (list_path(cli, path, sizeof path) != 0) {
        err_set(&err, ERR_BAD_REQUEST, "the options are too long");
        return show_usage(&err);
    }
    client_set_base(cli->client, RENDER_BASE);
    client_set_patience(cli->client, 0, 3000);
    if (client_call(cli->client, "GET", path, NULL, &data, &err) != 0) {
        return err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
    }
    int code = cli->json ? show_json(data) : EXIT_FINE;
    if (!cli->json) {
        struct table *table = table_new(headings, sizeof headings / sizeof *headings);
        json_array_foreach(table != NULL ? json_object_get(data, "items") : NULL, index, task) list_row(table, task);
        code = show_table(table, data);
    }
    json_decref(data);
    return code;
}

/* ---- gantry render show ---- */

static void task_print(const json_t *task)
{
    long long first = show_number(task, "start_frame"), count = show_number(task, "total_frames");

    show_fieldf("task", "%lld", show_number(task, "id"));
    show_member("status", task, "status");
    show_member("reason", task, "reason");
    show_member("error", task, "error_message");
    show_member("unionid", task, "unionid");
    show_member("scene", task, "scene_file");
    show_member("md5", task, "scene_file_hash");
    show_fieldf("engine", "%s%s%s", show_text(task, "render_engine"),
                json_is_string(json_object_get(task, "cg_version")) ? " " : "",
                json_is_string(json_object_get(task, "cg_version")) ? show_text(task, "cg_version") : "");
    show_member("renderer", task, "renderer");
    show_fieldf("frames", "%lld-%lld: %lld completed, %lld failed, %lld rendering, %lld cancelled", first, first + count - 1,
                show_number(task, "completed_frames"), show_number(task, "failed_frames"), show_number(task, "rendering_frames"),
                show_number(task, "cancelled_frames"));
    show_member("test frames", task, "test_frames");
    show_member("tests", task, "test_frame_status");
    show_member("progress, %", task, "progress");
    show_member("priority", task, "priority");
    show_member("ram, GB", task, "ram");
    show_member("GPUs", task, "gpu_count");
    show_member("hardware", task, "hardware_config_id");
    show_fieldf("cost", "%.2f of %.2f", json_number_value(json_object_get(task, "actual_cost")),
                json_number_value(json_object_get(task, "estimated_cost")));
    show_member_time("created", task, "created_at");
    show_member_time("started", task, "started_at");
    show_member_time("ends about", task, "estimated_completion");
    show_member_time("completed", task, "completed_at");
}

int render_show(struct cli *cli)
{
    struct err err = {0};
    json_t *task = NULL;
    long long id;

    client_set_base(cli->client, RENDER_BASE);
    client_set_patience(cli->client, 0, 3000);
    if (render_task_id(cli->args, 0, &id, &err) != 0) {
        return show_usage(&err);
    }
    if (client_get(cli->client, &task, &err, "/tasks/%lld", id) != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        show_json(task);
    } else {
        task_print(task);
    }
    json_decref(task);
    return EXIT_FINE;
}

/* ---- what is done with them ---- */

/* Trouble with one of them outweighs a word that is none. */
static int code_worse(int before, int one)
{
    return one == EXIT_FINE || before == EXIT_TROUBLE ? before : one;
}

static int each(struct cli *cli, const char *verb)
{
    int code = EXIT_FINE;

    client_set_base(cli->client, RENDER_BASE);
    client_set_patience(cli->client, 0, 10000);
    for (int i = 0; i < args_count(cli->args); i++) {
        struct err err = {0}, why = {0};
        json_t *task = NULL;
        long long id;
        if (render_task_id(cli->args, i, &id, &err) != 0) {
            code = code_worse(code, show_usage(&err));
        } else if (client_post(cli->client, NULL, &task, &why, "/tasks/%lld/%s", id, verb) != 0) {
            err_set(&err, why.code, "task %lld: %s", id, why.text);
            code = code_worse(code, show_error(&err));
        } else if (cli->json) {
            show_json(task);
        } else {
            term_line(stdout, false, "task %lld %s", id, show_text(task, "status"));
        }
        json_decref(task);
    }
    return code;
}

int render_cancel(struct cli *cli)
{
    return each(cli, "cancel");
}

int render_pause(struct cli *cli)
{
    return each(cli, "pause");
}

int render_resume(struct cli *cli)
{
    return each(cli, "resume");
}

static int retry_frame(struct cli *cli, long long id, const char *word)
{
    struct err err = {0}, why = {0};
    json_t *data = NULL;
    long long frame;

    if (number_read(word, "a frame", 0, &frame, &err) != 0) {
        return show_usage(&err);
    }
    if (client_post(cli->client, NULL, &data, &why, "/tasks/%lld/frames/%lld/retry", id, frame) != 0) {
        err_set(&err, why.code, "frame %lld: %s", frame, why.text);
        return show_error(&err);
    }
    if (cli->json) {
        show_json(data);
    } else {
        printf("frame %lld is rendered again\n", frame);
    }
    json_decref(data);
    return EXIT_FINE;
}

int render_retry(struct cli *cli)
{
    int code = EXIT_FINE;
    struct err err = {0};
    json_t *data = NULL;
    long long id;

    client_set_base(cli->client, RENDER_BASE);
    client_set_patience(cli->client, 0, 10000);
    if (render_task_id(cli->args, 0, &id, &err) != 0) {
        return show_usage(&err);
    }
    for (int i = 1; i < args_count(cli->args); i++) {
        code = code_worse(code, retry_frame(cli, id, args_at(cli->args, i)));
    }
    if (args_count(cli->args) > 1) {
        return code;
    }
    if (client_post(cli->client, NULL, &data, &err, "/tasks/%lld/retry-failed", id) != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        show_json(data);
    } else {
        printf("task %lld: %lld frames are rendered again\n", id, show_number(data, "retried"));
    }
    json_decref(data);
    return EXIT_FINE;
}
