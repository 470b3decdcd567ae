/* `gantry worker …`: what workers are told to do */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "proto/ident.h"
#include "proto/messages.h"

/* The same for each worker among the arguments; done: what is said of one behind it. Goes on behind one that is refused. */
static int workers_each(struct cli *cli, const char *method, const char *query, const json_t *body, const char *done)
{
    int code = EXIT_FINE;

    client_set_patience(cli->client, 0, 10000);
    for (int i = 0; i < args_count(cli->args); i++) {
        const char *id = args_at(cli->args, i);
        struct err err = {0};
        char path[256];
        json_t *data = NULL;
        if (!ident_valid(str_of(id))) {
            err_set(&err, ERR_BAD_REQUEST, "a worker's id is like worker-001, not \"%s\"", id);
            return show_usage(&err);
        }
        snprintf(path, sizeof path, "/workers/%.200s%s", id, query);
        if (client_call(cli->client, method, path, body, &data, &err) != 0) {
            code = show_error(&err);
        } else if (cli->json) {
            show_json(data);
        } else {
            printf("worker %s %s\n", id, done);
        }
        json_decref(data);
    }
    return code;
}

static int status_set(struct cli *cli, const char *status)
{
    struct err err = {0};
    json_t *body = json_pack("{s:s}", "status", status);

    if (body == NULL) {
        err_set(&err, ERR_NO_MEMORY, "out of memory");
        return show_error(&err);
    }
    int code = workers_each(cli, "PUT", "", body, status);
    json_decref(body);
    return code;
}

int worker_drain(struct cli *cli)
{
    return status_set(cli, "draining");
}

int worker_resume(struct cli *cli)
{
    return status_set(cli, "active");
}

int worker_remove(struct cli *cli)
{
    return workers_each(cli, "DELETE", args_has(cli->args, "force") ? "?force=true" : "", NULL, "removed");
}
