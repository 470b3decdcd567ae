/* `gantry fires`, `gantry preview` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/page.h"
#include "gateway/cli/show.h"
#include "gateway/cli/task.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

/* An entry may be several due times: up to when, and how many. */
static bool several(const json_t *fire)
{
    return show_number(fire, "count") > 1 || json_is_true(json_object_get(fire, "count_is_lower_bound"));
}

static void to_cell(struct table *table, const json_t *fire)
{
    if (several(fire)) {
        show_cell_time(table, fire, "last_due_at");
    } else {
        table_add(table, NULL);
    }
}

static void count_cell(struct table *table, const json_t *fire)
{
    table_addf(table, "%s%lld", json_is_true(json_object_get(fire, "count_is_lower_bound")) ? ">= " : "",
               show_number(fire, "count"));
}

static int fires_print(struct cli *cli, const char *path)
{
    static const struct page_filter filters[] = {
        {"outcome", "outcome"}, {"since", "start_date"}, {"until", "end_date"}, {NULL, NULL}};
    static const struct page_column columns[] = {
        {">ID", .member = "id"},
        {"DUE", .member = "due_at", .time = true},
        {"TO", .cell = to_cell},
        {">COUNT", .cell = count_cell},
        {"OUTCOME", .member = "outcome"},
        {"REASON", .member = "reason"},
        {">RUN", .member = "run_id"},
        {"DETAIL", .member = "detail"},
        {NULL},
    };

    return page_print(cli, path, filters, columns);
}

static int times_print(struct cli *cli, const char *path)
{
    static const struct page_filter filters[] = {
        {"count", "count"}, {"after", "after"}, {"timezone", "timezone"}, {"name", "name"}, {NULL, NULL}};
    const json_t *time;
    size_t index;
    int code;
    json_t *data = page_get(cli, path, filters, &code);

    if (data == NULL || cli->json) {
        return page_end(data, code);
    }
    json_array_foreach(json_object_get(data, "items"), index, time)
    {
        term_line(stdout, false, "%s  %s", show_text(time, "at"), show_text(time, "local"));
    }
    if (json_is_true(json_object_get(data, "paused"))) {
        fprintf(stderr, "gantry: the task is paused: nothing is due until it is resumed\n");
    } else if (json_is_true(json_object_get(data, "end"))) {
        fprintf(stderr, "gantry: it is never due again behind that\n");
    }
    return page_end(data, code);
}

int fires_command(struct cli *cli)
{
    static const struct {
        const char *option;
        bool next; /* it goes with --next, and else without */
    } only[] = {{"count", true}, {"after", true},  {"outcome", false}, {"since", false}, {"until", false},
                {"sort", false}, {"order", false}, {"page", false},    {"size", false}};
    struct err err = {0};
    char path[128];
    bool next = args_has(cli->args, "next");

    for (size_t i = 0; i < sizeof only / sizeof *only; i++) {
        if (args_has(cli->args, only[i].option) && next != only[i].next) {
            err_set(&err, ERR_BAD_REQUEST, "--%s %s --next", only[i].option, next ? "does not go with" : "goes with");
            return show_usage(&err);
        }
    }
    client_set_patience(cli->client, 0, 3000);
    long long id = task_find(cli, args_at(cli->args, 0), &err);
    if (id == 0) {
        return show_error(&err);
    }
    snprintf(path, sizeof path, "/tasks/%lld/%s", id, next ? "fire-times" : "fires");
    return next ? times_print(cli, path) : fires_print(cli, path);
}

int preview_command(struct cli *cli)
{
    struct err err = {0};
    char path[2048] = "/schedules/preview";

    if (client_query_add(path, sizeof path, "schedule", args_at(cli->args, 0)) != 0) {
        err_set(&err, ERR_BAD_REQUEST, "the schedule is too long");
        return show_usage(&err);
    }
    return times_print(cli, path);
}
