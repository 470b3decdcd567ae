/* `gantry restart --failed`, `gantry abort --pending`, `gantry prune`: many runs at once, found by a filter. */
#include "gateway/cli/bulk.h"

#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/task.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/messages.h"

#define PART_MOST 1000 /* runs of one call */

bool bulk_wanted(const struct cli *cli)
{
    return args_has(cli->args, "failed") || args_has(cli->args, "pending") || args_has(cli->args, "status");
}

static const char *status_wanted(const struct cli *cli)
{
    return args_has(cli->args, "failed") ? "failed" : args_has(cli->args, "pending") ? "pending" : args_text(cli->args, "status");
}

/* The filter, without where it goes on. Runs that are made from now on are not meant: what a restart makes may fail again. NULL with
 * err. */
static json_t *filter_new(const struct cli *cli, struct err *err)
{
    const char *before = args_text(cli->args, "before"), *task = args_text(cli->args, "task");
    const char *reason = args_has(cli->args, "reason") ? args_text(cli->args, "reason") : NULL;
    char now[CLOCK_ISO_SIZE];
    json_t *body = json_object();
    long long id = task != NULL ? task_find(cli, task, err) : 0;

    if (before == NULL) {
        before = clock_iso(clock_wall_ms(), 1, now);
    }
    if (task != NULL && id == 0) {
        json_decref(body);
        return NULL;
    }
    if (json_object_set_new(body, "status", json_string(status_wanted(cli))) != 0 ||
        json_object_set_new(body, "before", json_string(before)) != 0 ||
        (id > 0 && json_object_set_new(body, "task_id", json_integer(id)) != 0) ||
        (reason != NULL && json_object_set_new(body, "reason", json_string(reason)) != 0)) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        json_decref(body);
        return NULL;
    }
    return body;
}

/* Tells of each run; false when some could not be done. */
static bool results_print(const json_t *data, bool restart)
{
    const json_t *result;
    size_t index;
    bool fine = true;

    json_array_foreach(json_object_get(data, "results"), index, result)
    {
        const json_t *error = json_object_get(result, "error");
        if (json_is_object(error)) {
            term_line(stderr, false, "gantry: run %lld: %s", show_number(result, "id"), show_text(error, "message"));
            fine = false;
        } else if (restart) {
            printf("%lld\n", show_number(result, "new_run_id"));
        } else {
            term_line(stdout, false, "run %lld %s", show_number(result, "id"), show_text(result, "status"));
        }
    }
    return fine;
}

int bulk_runs(struct cli *cli, const char *verb)
{
    struct err err = {0};
    long long left;
    bool fine = true, more = true;
    char path[64];

    if (args_count(cli->args) > 0) {
        err_set(&err, ERR_BAD_REQUEST, "give runs, or say which are meant (--status), not both");
        return show_usage(&err);
    }
    if (args_number(cli->args, "limit", 1, 1000000000, 1000000000, &left, &err) != 0) {
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 10000);
    json_t *body = filter_new(cli, &err), *all = cli->json ? json_array() : NULL;
    if (body == NULL) {
        return show_error(&err);
    }
    snprintf(path, sizeof path, "/runs/%s", verb);
    while (more && left > 0 && err.code == 0) {
        json_t *data = NULL;
        json_object_set_new(body, "limit", json_integer(left < PART_MOST ? left : PART_MOST));
        if (client_call(cli->client, "POST", path, body, &data, &err) != 0) {
            break;
        }
        fine = (cli->json ? json_array_extend(all, json_object_get(data, "results")) == 0 : true) && fine;
        fine = (cli->json || results_print(data, strcmp(verb, "restart") == 0)) && fine;
        left -= show_number(data, "total");
        more = json_is_true(json_object_get(data, "more")) && show_number(data, "total") > 0;
        json_object_set_new(body, "after", json_integer(show_number(data, "last_id")));
        json_decref(data);
    }
    if (cli->json) {
        show_json(all);
    }
    json_decref(all);
    json_decref(body);
    if (err.code != 0) {
        return err.code == ERR_BAD_REQUEST || err.code == ERR_INVALID ? show_usage(&err) : show_error(&err);
    }
    return fine ? EXIT_FINE : EXIT_TROUBLE;
}

int prune_command(struct cli *cli)
{
    const char *before = args_text(cli->args, "before"), *status = args_text(cli->args, "status");
    const char *task = args_text(cli->args, "task");
    struct err err = {0};
    char path[1024] = "/runs", number[24];
    json_t *data = NULL;

    if (before == NULL) {
        err_set(&err, ERR_BAD_REQUEST, "until when? --before TIME");
        return show_usage(&err);
    }
    long long id = task != NULL ? task_find(cli, task, &err) : 0;
    if (task != NULL && id == 0) {
        return show_error(&err);
    }
    snprintf(number, sizeof number, "%lld", id);
    client_set_patience(cli->client, 0, 10000);
    if (client_query_add(path, sizeof path, "before", before) != 0 ||
        (status != NULL && client_query_add(path, sizeof path, "status", status) != 0) ||
        (id > 0 && client_query_add(path, sizeof path, "task_id", number) != 0)) {
        err_set(&err, ERR_BAD_REQUEST, "--before is too long");
        return show_usage(&err);
    }
    if (client_call(cli->client, "DELETE", path, NULL, &data, &err) != 0) {
        return err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
    }
    if (cli->json) {
        show_json(data);
    } else {
        printf("%lld%s ended runs are being removed\n", show_number(data, "matched"),
               json_is_true(json_object_get(data, "matched_is_lower_bound")) ? " or more" : "");
    }
    json_decref(data);
    return EXIT_FINE;
}
