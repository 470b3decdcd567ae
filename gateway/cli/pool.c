/* `gantry pool …` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/page.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/ident.h"
#include "proto/messages.h"

/* The path of a pool; -1 with err for a name that none can have. */
static int pool_path(const char *name, char *out, size_t size, struct err *err)
{
    if (!ident_valid(str_of(name))) {
        return err_set(err, ERR_BAD_REQUEST, "a pool's name is 1 to 64 of letters, digits and . _ : -, not \"%s\"", name);
    }
    snprintf(out, size, "/pools/%s", name);
    return 0;
}

int pool_list(struct cli *cli)
{
    static const struct page_filter filters[] = {{NULL, NULL}};
    static const struct page_column columns[] = {
        {"NAME", .member = "name"},
        {">LIMIT", .member = "limit"},
        {">RUNNING", .member = "running"},
        {">WAITING", .member = "waiting"},
        {"DESCRIPTION", .member = "description"},
        {NULL},
    };

    return page_print(cli, "/pools", filters, columns);
}

/* The body of a change; NULL with err. */
static json_t *pool_body(const struct cli *cli, struct err *err)
{
    const char *description = args_text(cli->args, "description");
    long long limit;
    json_t *body;

    if (args_number(cli->args, "limit", 0, 1000000, -1, &limit, err) != 0) {
        return NULL;
    }
    body = json_object();
    if (body == NULL || (limit >= 0 && json_object_set_new(body, "limit", json_integer(limit)) != 0) ||
        (description != NULL && json_object_set_new(body, "description", json_string(description)) != 0)) {
        json_decref(body);
        err_set(err, ERR_BAD_REQUEST, "--description is not UTF-8, or there is no memory");
        return NULL;
    }
    return body;
}

int pool_set(struct cli *cli)
{
    struct err err = {0};
    char path[128];
    json_t *data = NULL;
    json_t *body = pool_body(cli, &err);

    if (body == NULL || pool_path(args_at(cli->args, 0), path, sizeof path, &err) != 0) {
        json_decref(body);
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 10000);
    int rc = client_call(cli->client, "PUT", path, body, &data, &err);
    json_decref(body);
    if (rc != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        show_json(data);
    } else {
        term_line(stdout, false, "pool %s: at most %lld at once, %lld run", show_text(data, "name"), show_number(data, "limit"),
                  show_number(data, "running"));
    }
    json_decref(data);
    return EXIT_FINE;
}

int pool_delete(struct cli *cli)
{
    int code = EXIT_FINE;

    client_set_patience(cli->client, 0, 10000);
    for (int i = 0; i < args_count(cli->args); i++) {
        struct err err = {0};
        char path[128];
        json_t *data = NULL;
        if (pool_path(args_at(cli->args, i), path, sizeof path, &err) != 0) {
            code = show_usage(&err);
        } else if (client_call(cli->client, "DELETE", path, NULL, &data, &err) != 0) {
            code = show_error(&err);
        } else if (cli->json) {
            show_json(data);
        } else {
            printf("pool %s deleted\n", args_at(cli->args, i));
        }
        json_decref(data);
    }
    return code;
}
