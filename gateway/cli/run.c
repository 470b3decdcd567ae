/* `gantry run`: a program on the farm, as if it ran here. */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/watch.h"
#include "gateway/cli/work.h"
#include "proto/messages.h"

/* The body of POST /api/runs; NULL with err. */
static json_t *run_body(const struct cli *cli, struct err *err)
{
    const char *name = args_text(cli->args, "name");
    struct err why = {0};
    json_t *body = json_object();
    json_t *parameters = work_pairs(cli, "param", &why);

    if (parameters == NULL && why.text[0] != '\0') {
        err_set(err, why.code, "%s", why.text);
        goto error;
    }
    if (work_add(cli, 0, true, body, err) != 0) {
        goto error;
    }
    if (json_object_get(body, "command") == NULL) {
        err_set(err, ERR_BAD_REQUEST, "what is to be run? gantry run [OPTIONS] -- PROGRAM [ARG…], or --shell COMMAND");
        goto error;
    }
    if (!args_has(cli->args, "retries")) {
        json_object_set_new(body, "retry_count", json_integer(0));
    }
    if ((name != NULL && json_object_set_new(body, "name", json_string(name)) != 0) ||
        (parameters != NULL && json_object_set(body, "parameters", parameters) != 0)) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    json_decref(parameters);
    return body;
error:
    json_decref(parameters);
    json_decref(body);
    return NULL;
}

int run_command(struct cli *cli)
{
    struct err err = {0};
    json_t *body = run_body(cli, &err);

    if (body == NULL) {
        fprintf(stderr, "gantry: %s\n", err.text);
        return EXIT_USAGE;
    }
    int code = watch_submit(cli, "/runs", body);
    json_decref(body);
    return code;
}
