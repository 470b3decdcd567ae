/* `gantry webhook …` */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/page.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

static json_t *texts(const struct cli *cli, const char *option)
{
    json_t *list = json_array();
    const char *text;
    size_t at = 0;

    while (list != NULL && (text = args_each(cli->args, option, &at)) != NULL) {
        json_array_append_new(list, json_string(text));
    }
    return list;
}

static int webhook_print(struct cli *cli, json_t *webhook)
{
    const json_t *counts = json_object_get(webhook, "statistics");

    if (cli->json) {
        show_json(webhook);
        json_decref(webhook);
        return EXIT_FINE;
    }
    show_fieldf("Webhook:", "%lld", show_number(webhook, "id"));
    show_member("URL:", webhook, "url");
    show_member("Secret:", webhook, "secret");
    show_member("Description:", webhook, "description");
    show_member("Events:", webhook, "events");
    show_member("Task:", webhook, "task_id");
    show_member("Active:", webhook, "active");
    show_member_time("Created:", webhook, "created_at");
    show_fieldf("Deliveries:", "%lld arrived, %lld given up, %lld to be tried again", show_number(counts, "delivered"),
                show_number(counts, "failed"), show_number(counts, "pending"));
    if (show_number(counts, "missed") > 0) {
        show_fieldf("Missed:", "%lld events that were no longer kept", show_number(counts, "missed"));
    }
    json_decref(webhook);
    return EXIT_FINE;
}

/* The fields that options name, into body; -1 with err when one cannot be. */
static int fields_read(const struct cli *cli, json_t *body, struct err *err)
{
    static const char *const words[] = {"secret", "description"};
    const char *active = args_text(cli->args, "active");
    long long task;

    if (args_number(cli->args, "task", 1, INT64_MAX, 0, &task, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *text = args_text(cli->args, words[i]);
        if (text != NULL) {
            json_object_set_new(body, words[i], json_string(text));
        }
    }
    if (args_has(cli->args, "event")) {
        json_object_set_new(body, "events", texts(cli, "event"));
    }
    if (task > 0) {
        json_object_set_new(body, "task_id", json_integer(task));
    }
    if (active != NULL) {
        json_object_set_new(body, "active", json_boolean(strcmp(active, "true") == 0));
    }
    return 0;
}

int webhook_create(struct cli *cli)
{
    struct err err = {0};
    json_t *data, *body = json_pack("{s:s}", "url", args_at(cli->args, 0));

    if (body == NULL) {
        err_set(&err, ERR_NO_MEMORY, "out of memory");
        return show_error(&err);
    }
    if (fields_read(cli, body, &err) != 0) {
        json_decref(body);
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 10000);
    int rc = client_post(cli->client, body, &data, &err, "/webhooks");
    json_decref(body);
    return rc == 0 ? webhook_print(cli, data) : show_error(&err);
}

static void active_cell(struct table *table, const json_t *webhook)
{
    table_add(table, json_is_true(json_object_get(webhook, "active")) ? "yes" : "no");
}

int webhook_list(struct cli *cli)
{
    static const struct page_filter filters[] = {{NULL, NULL}};
    static const struct page_column columns[] = {
        {">ID", .member = "id"},
        {"URL", .member = "url"},
        {"ACTIVE", .cell = active_cell},
        {">ARRIVED", .member = "statistics.delivered"},
        {">PENDING", .member = "statistics.pending"},
        {">GIVEN UP", .member = "statistics.failed"},
        {"DESCRIPTION", .member = "description"},
        {NULL},
    };

    return page_print(cli, "/webhooks", filters, columns);
}

/* The webhook's id among the arguments; -1 with the error printed and the exit code. */
static long long id_of(struct cli *cli, int index, int *code)
{
    struct err err = {0};
    long long id;

    client_set_patience(cli->client, 0, 10000);
    if (args_run(cli->args, index, &id, &err) == 0) {
        return id;
    }
    err_set(&err, ERR_BAD_REQUEST, "a webhook's id is a number, not \"%s\"", args_at(cli->args, index));
    *code = show_usage(&err);
    return -1;
}

int webhook_show(struct cli *cli)
{
    struct err err = {0};
    int code = EXIT_TROUBLE;
    json_t *data;
    long long id = id_of(cli, 0, &code);

    if (id < 0) {
        return code;
    }
    if (client_get(cli->client, &data, &err, "/webhooks/%lld", id) != 0) {
        return show_error(&err);
    }
    return webhook_print(cli, data);
}

int webhook_update(struct cli *cli)
{
    struct err err = {0};
    char path[64];
    int code = EXIT_TROUBLE;
    json_t *data, *body;
    long long id = id_of(cli, 0, &code);

    if (id < 0) {
        return code;
    }
    body = json_object();
    if (body == NULL) {
        err_set(&err, ERR_NO_MEMORY, "out of memory");
        return show_error(&err);
    }
    if (args_count(cli->args) > 1) {
        json_object_set_new(body, "url", json_string(args_at(cli->args, 1)));
    }
    if (fields_read(cli, body, &err) == 0 && json_object_size(body) == 0) {
        err_set(&err, ERR_BAD_REQUEST, "nothing to change: an option says what");
    }
    if (err.code != 0) {
        json_decref(body);
        return show_usage(&err);
    }
    snprintf(path, sizeof path, "/webhooks/%lld", id);
    int rc = client_call(cli->client, "PUT", path, body, &data, &err);
    json_decref(body);
    return rc == 0 ? webhook_print(cli, data) : show_error(&err);
}

int webhook_delete(struct cli *cli)
{
    int code = EXIT_FINE;

    for (int i = 0; i < args_count(cli->args); i++) {
        struct err err = {0};
        char path[64];
        long long id = id_of(cli, i, &code);
        if (id < 0) {
            return code;
        }
        snprintf(path, sizeof path, "/webhooks/%lld", id);
        if (client_call(cli->client, "DELETE", path, NULL, NULL, &err) != 0) {
            code = show_error(&err);
        } else if (!cli->json) {
            printf("webhook %lld deleted\n", id);
        }
    }
    return code;
}

int webhook_ping(struct cli *cli)
{
    struct err err = {0};
    int code = EXIT_TROUBLE;
    json_t *data;
    long long id = id_of(cli, 0, &code);

    if (id < 0) {
        return code;
    }
    if (client_post(cli->client, NULL, &data, &err, "/webhooks/%lld/ping", id) != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        show_json(data);
    } else {
        printf("%lld\n", show_number(data, "id"));
    }
    json_decref(data);
    return EXIT_FINE;
}

int webhook_redeliver(struct cli *cli)
{
    int code = EXIT_FINE;
    long long id = id_of(cli, 0, &code);

    for (int i = 1; id > 0 && i < args_count(cli->args); i++) {
        struct err err = {0};
        json_t *data = NULL;
        long long delivery;
        if (args_run(cli->args, i, &delivery, &err) != 0) {
            err_set(&err, ERR_BAD_REQUEST, "a delivery's id is a number, not \"%s\"", args_at(cli->args, i));
            return show_usage(&err);
        }
        if (client_post(cli->client, NULL, &data, &err, "/webhooks/%lld/deliveries/%lld/redeliver", id, delivery) != 0) {
            code = show_error(&err);
        } else if (cli->json) {
            show_json(data);
        } else {
            printf("delivery %lld %s\n", delivery, show_text(data, "status"));
        }
        json_decref(data);
    }
    return code;
}

int webhook_deliveries(struct cli *cli)
{
    static const struct page_filter filters[] = {{"status", "status"}, {NULL, NULL}};
    static const struct page_column columns[] = {
        {">ID", .member = "id"},
        {"EVENT", .member = "event"},
        {"STATUS", .member = "status"},
        {">TRIES", .member = "attempts"},
        {">HTTP", .member = "status_code"},
        {">MS", .member = "duration_ms"},
        {"NEXT TRY", .member = "next_at", .time = true},
        {"CREATED", .member = "created_at", .time = true},
        {"ERROR", .member = "error"},
        {NULL},
    };
    int code = EXIT_TROUBLE;
    char path[64];
    long long id = id_of(cli, 0, &code);

    if (id < 0) {
        return code;
    }
    snprintf(path, sizeof path, "/webhooks/%lld/deliveries", id);
    return page_print(cli, path, filters, columns);
}
