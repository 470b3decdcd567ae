/* `gantry transcode health`: whether videos decode. */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/watch.h"
#include "proto/messages.h"

/* ---- videos that are named ---- */

static const char *word_of(long long health)
{
    return health == VIDEO_HEALTHY ? "healthy" : health == VIDEO_DAMAGED ? "damaged" : "not checked";
}

/* Has one checked; answers its run, 0 when that was refused, with the exit code. */
static long long begin(struct cli *cli, const char *id, int *code)
{
    struct err err = {0};
    json_t *data = NULL;

    if (id[0] == '\0' || strspn(id, "0123456789") != strlen(id) || strlen(id) > 19) {
        err_set(&err, ERR_BAD_REQUEST, "a video is known by its number, not \"%.60s\" (gantry library list)", id);
        *code = show_usage(&err);
        return 0;
    }
    if (client_post(cli->client, NULL, &data, &err, "/v1/videos/%s/health", id) != 0) {
        *code = show_error(&err);
        return 0;
    }
    long long run = show_number(data, "run_id");
    bool wait = args_has(cli->args, "wait");
    if (cli->json && !wait)
        show_json(data);
    else if (!cli->json)
        printf("video %s is checked by run %lld: gantry logs -f %lld\n", id, run, run);
    json_decref(data);
    return run;
}

/* Waits for the end of its check, and tells what came of it. */
static int conclude(struct cli *cli, const char *id, long long run)
{
    const struct watch_how how = {.all_stderr = true};
    struct err err = {0};
    json_t *data = NULL;

    fflush(stdout);
    int code = watch_run(cli, run, &how);
    if (code != EXIT_FINE)
        return code;
    if (client_get(cli->client, &data, &err, "/v1/videos/%s", id) != 0)
        return show_error(&err);
    const json_t *check = json_object_get(data, "health_check");
    long long health = show_number(check, "run_id") == run ? show_number(data, "health") : VIDEO_UNCHECKED;
    if (cli->json)
        show_json(data);
    else
        printf("video %s is %s%s%s: %s\n", id, word_of(health), health == VIDEO_DAMAGED ? ", " : "",
               health == VIDEO_DAMAGED ? show_text(check, "error") : "", show_text(data, "video_path"));
    json_decref(data);
    return health == VIDEO_HEALTHY ? EXIT_FINE : EXIT_TROUBLE;
}

static int check_each(struct cli *cli)
{
    int code = EXIT_FINE;

    for (int i = 0; i < args_count(cli->args); i++) {
        const char *id = args_at(cli->args, i);
        long long run = begin(cli, id, &code);
        if (run && args_has(cli->args, "wait")) {
            int its = conclude(cli, id, run);
            code = its == EXIT_FINE ? code : its;
        }
    }
    return code;
}

/* ---- all of them ---- */

static int tell_all(const struct cli *cli, json_t *data)
{
    const char *state = show_text(data, "state");

    if (cli->json) {
        show_json(data);
    } else if (strcmp(state, "none") == 0) {
        puts("all videos were never checked: gantry transcode health --all");
    } else {
        printf("the check of all videos %s: %lld healthy, %lld damaged, %lld that could not be checked; %lld running, %lld to "
               "come\n",
               strcmp(state, "running") == 0   ? "goes on"
               : strcmp(state, "stopped") == 0 ? "was stopped"
                                               : "has ended",
               show_number(data, "healthy"), show_number(data, "damaged"), show_number(data, "failed"),
               show_number(data, "running"), show_number(data, "left"));
    }
    json_decref(data);
    return EXIT_FINE;
}

static int check_all(struct cli *cli)
{
    bool all = args_has(cli->args, "all");
    json_t *body = all ? json_pack("{s:b}", "unchecked", args_has(cli->args, "unchecked")) : NULL;
    json_t *data = NULL;
    struct err err = {0};
    const char *method = all ? "POST" : args_has(cli->args, "stop") ? "DELETE" : "GET";

    int rc = all && !body ? err_set(&err, ERR_NO_MEMORY, "out of memory")
                          : client_call(cli->client, method, "/v1/videos/health", body, &data, &err);
    json_decref(body);
    return rc != 0 ? show_error(&err) : tell_all(cli, data);
}

int transcode_health(struct cli *cli)
{
    bool all = args_has(cli->args, "all"), stop = args_has(cli->args, "stop");
    struct err err = {0};

    client_set_patience(cli->client, 0, 10000);
    if ((all && stop) || ((all || stop) && args_count(cli->args) > 0) || (args_has(cli->args, "unchecked") && !all) ||
        (args_has(cli->args, "wait") && args_count(cli->args) == 0)) {
        err_set(&err, ERR_BAD_REQUEST,
                "name videos, with or without --wait; or say --all, with or without --unchecked; or --stop");
        return show_usage(&err);
    }
    return args_count(cli->args) > 0 ? check_each(cli) : check_all(cli);
}
