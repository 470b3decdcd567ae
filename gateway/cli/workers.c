/* `gantry workers` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/page.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/ident.h"
#include "proto/messages.h"

static void types_cell(struct table *table, const json_t *worker)
{
    char text[256] = "";
    size_t len = 0;
    const json_t *type;
    size_t index;

    json_array_foreach(json_object_get(worker, "task_types"), index, type)
    {
        if (len < sizeof text) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", index > 0 ? "," : "", json_string_value(type));
        }
    }
    table_add(table, text);
}

static void current_print(const json_t *worker)
{
    static const char *const headings[] = {">RUN", "TASK", "STATUS", "STARTED"};
    struct table *table = table_new(headings, 4);
    const json_t *run;
    size_t index;

    if (table == NULL || json_array_size(json_object_get(worker, "current_tasks")) == 0) {
        table_free(table);
        return;
    }
    json_array_foreach(json_object_get(worker, "current_tasks"), index, run)
    {
        show_cell(table, run, "run_id");
        show_cell(table, run, "task_name");
        show_cell(table, run, "status");
        show_cell_time(table, run, "started_at");
    }
    putchar('\n');
    table_print(table, term_columns(stdout), stdout);
    table_free(table);
}

static int worker_show(struct cli *cli, const char *id)
{
    struct err err = {0};
    char path[256];
    json_t *worker;

    snprintf(path, sizeof path, "/workers/%.200s", id);
    if (!ident_valid(str_of(id))) {
        err_set(&err, ERR_BAD_REQUEST, "a worker's id is like worker-001, not \"%s\"", id);
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 3000);
    if (client_call(cli->client, "GET", path, NULL, &worker, &err) != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        show_json(worker);
        json_decref(worker);
        return EXIT_FINE;
    }
    const json_t *counts = json_object_get(worker, "statistics");
    show_member("Worker:", worker, "id");
    show_member("Status:", worker, "status");
    show_member("Host:", worker, "hostname");
    show_member("Address:", worker, "ip_address");
    show_member("Types:", worker, "task_types");
    show_member("Labels:", worker, "labels");
    show_member("Link:", worker, "link");
    show_fieldf("Slots:", "%lld, %lld in use", show_number(worker, "max_concurrent_tasks"),
                show_number(worker, "current_task_count"));
    show_member("Load:", worker, "load_average");
    show_member("CPU, %:", worker, "cpu_usage");
    show_member("Memory, MB:", worker, "memory_usage");
    show_member_time("Registered:", worker, "registered_at");
    show_member_time("Last heard of:", worker, "last_heartbeat");
    if (counts != NULL) {
        show_fieldf("Done:", "%lld, %lld completed, %lld failed", show_number(counts, "total_tasks_executed"),
                    show_number(counts, "successful_tasks"), show_number(counts, "failed_tasks"));
    }
    current_print(worker);
    json_decref(worker);
    return EXIT_FINE;
}

int workers_command(struct cli *cli)
{
    static const struct page_filter filters[] = {
        {"status", "status"}, {"type", "task_type"}, {"hostname", "hostname"}, {NULL, NULL}};
    static const struct page_column columns[] = {
        {"ID", .member = "id"},
        {"STATUS", .member = "status"},
        {"HOST", .member = "hostname"},
        {">SLOTS", .member = "max_concurrent_tasks"},
        {">BUSY", .member = "current_task_count"},
        {">LOAD", .member = "load_average"},
        {">CPU %", .member = "cpu_usage"},
        {">MB", .member = "memory_usage"},
        {"LAST HEARD OF", .member = "last_heartbeat", .time = true},
        {"TYPES", .cell = types_cell},
        {NULL},
    };

    return args_count(cli->args) == 1 ? worker_show(cli, args_at(cli->args, 0)) : page_print(cli, "/workers", filters, columns);
}
