/* `gantry status` */
#include <stdio.h>

#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

static void component_line(const char *name, const json_t *component)
{
    const json_t *took = json_object_get(component, "response_time");

    if (component == NULL) {
        return;
    }
    if (json_is_number(took)) {
        show_fieldf(name, "%s (answers in %.1f ms)", show_text(component, "status"), json_number_value(took) * 1000);
    } else {
        show_field(name, show_text(component, "status"));
    }
}

/* The newest runs, below; what cannot be had is left out. */
static void newest_print(struct cli *cli)
{
    static const char *const headings[] = {">RUN", "TASK", "STATUS", "WORKER", "CREATED"};
    json_t *page;
    const json_t *run;
    size_t index;

    if (client_get(cli->client, &page, NULL, "/runs?size=5") != 0) {
        return;
    }
    struct table *table = table_new(headings, 5);
    if (table != NULL && json_array_size(json_object_get(page, "items")) > 0) {
        json_array_foreach(json_object_get(page, "items"), index, run)
        {
            show_cell(table, run, "id");
            show_cell(table, run, "task_name");
            show_cell(table, run, "status");
            show_cell(table, run, "worker_id");
            show_cell_time(table, run, "created_at");
        }
        putchar('\n');
        table_print(table, term_columns(stdout), stdout);
    }
    table_free(table);
    json_decref(page);
}

int status_command(struct cli *cli)
{
    struct err err = {0};
    json_t *health;

    if (client_get(cli->client, &health, &err, "/system/health") != 0) {
        return show_error(&err);
    }
    bool healthy = strcmp(show_text(health, "status"), "healthy") == 0;
    if (cli->json) {
        show_json(health);
    } else {
        const json_t *components = json_object_get(health, "components");
        const json_t *scheduler = json_object_get(components, "scheduler");
        show_field("Farm:", client_url(cli->client));
        show_field("Health:", show_text(health, "status"));
        component_line("Store:", json_object_get(components, "database"));
        component_line("Bus:", json_object_get(components, "message_queue"));
        component_line("Scheduler:", scheduler);
        component_line("Gateway:", json_object_get(components, "api"));
        show_fieldf("Workers:", "%lld active", show_number(scheduler, "active_workers"));
        show_fieldf("Queue:", "%lld waiting", show_number(scheduler, "pending_tasks"));
        show_member("Version:", health, "version");
        newest_print(cli);
    }
    json_decref(health);
    return healthy ? EXIT_FINE : EXIT_TROUBLE;
}
