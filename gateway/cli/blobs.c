/* `gantry blobs …` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/outage.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

#define WAIT_SECONDS 20 /* that the farm waits for the end of it before it answers */
#define LOOK_MS 500
#define GRACE_MOST_MS (UINT64_C(36500) * 86400000)

static json_t *gc_body(const struct cli *cli, struct err *err)
{
    const char *grace = args_text(cli->args, "grace");
    uint64_t ms = 0;

    if (grace && !args_span(grace, GRACE_MOST_MS, &ms)) {
        err_set(err, ERR_BAD_REQUEST, "--grace is a time (7d; also s, m, h, w), not \"%.60s\"", grace);
        return NULL;
    }
    json_t *body = json_pack("{s:b, s:i}", "dry_run", args_has(cli->args, "dry-run"), "wait_seconds", WAIT_SECONDS);
    if (!body || (grace && json_object_set_new(body, "grace_seconds", json_integer((json_int_t)(ms / 1000))) != 0)) {
        json_decref(body);
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    return body;
}

static int gc_show(const struct cli *cli, const json_t *state)
{
    bool dry = json_is_true(json_object_get(state, "dry_run"));
    char size[32];

    if (cli->json)
        return show_json(state);
    printf("%lld files (%s) %s: %lld were known, by %lld paths\n", show_number(state, "files"),
           term_size((uint64_t)show_number(state, "bytes"), size, sizeof size), dry ? "would go" : "have gone",
           show_number(state, "assets"), show_number(state, "paths"));
    return EXIT_FINE;
}

/* One that takes longer than an answer may. */
static int gc_follow(struct cli *cli, json_t **state, struct err *err)
{
    while (json_is_true(json_object_get(*state, "running"))) {
        json_decref(*state);
        *state = NULL;
        client_pause(LOOK_MS);
        if (client_call(cli->client, "GET", "/files/gc", NULL, state, err) != 0)
            return -1;
    }
    if (json_is_true(json_object_get(*state, "failed")))
        return err_set(err, ERR_UNAVAILABLE, "it broke off (the gateway's log says why): the next one does the rest");
    return json_is_null(json_object_get(*state, "ended_at"))
               ? err_set(err, ERR_UNAVAILABLE, "the gateway was started anew meanwhile: the next one does the rest")
               : 0;
}

int blobs_gc(struct cli *cli)
{
    struct err err = {0};
    struct outage outage = {0};
    json_t *state = NULL, *body = gc_body(cli, &err);

    if (!body)
        return show_usage(&err);
    client_set_base(cli->client, "/render/api");
    client_set_patience(cli->client, 0, 10000);
    client_set_timeout(cli->client, 60000);
    client_on_retry(cli->client, outage_tell, &outage);
    int rc = client_call(cli->client, "POST", "/files/gc", body, &state, &err);
    json_decref(body);
    if (rc == 0)
        rc = gc_follow(cli, &state, &err);
    int code = rc == 0 ? gc_show(cli, state) : show_error(&err);
    json_decref(state);
    return code;
}
