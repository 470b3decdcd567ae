/* `gantry logs` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/lines.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/syslog.h"
#include "gateway/cli/watch.h"
#include "proto/messages.h"

/* The newest lines, or all that is kept. Answers the exit code; *after is where it ended. */
static int logs_print(struct cli *cli, long long run_id, long long tail, struct watch_how *how)
{
    const struct lines from = {.run_id = run_id, .segments = how->segments};
    struct err err = {0};
    bool more = true;

    while (more && stop_signal == 0) {
        json_t *data;
        int rc = tail > 0 ? lines_newest(cli->client, &from, (int)tail, &data, &err)
                          : lines_get(cli->client, &from, how->after, 1000, &data, &err);
        if (rc != 0) {
            return show_error(&err);
        }
        size_t count = json_array_size(json_object_get(data, "items"));
        watch_print(data, how);
        if (count > 0) {
            how->after = (uint64_t)show_number(data, "next");
        }
        more = tail == 0 && count > 0 && json_is_false(json_object_get(data, "end"));
        json_decref(data);
    }
    return EXIT_FINE;
}

static int system_print(struct cli *cli)
{
    struct err err = {0};

    if (args_count(cli->args) > 0) {
        err_set(&err, ERR_BAD_REQUEST, "--system is the log of no run: %s is too much", args_at(cli->args, 0));
        return show_usage(&err);
    }
    if (args_has(cli->args, "follow")) {
        stop_catch();
        client_set_interrupt(cli->client, &stop_signal);
    }
    return syslog_print(cli);
}

int logs_command(struct cli *cli)
{
    struct err err = {0};
    struct watch_how how = {.times = args_has(cli->args, "times"), .json = cli->json};
    long long tail, run_id;

    if (args_has(cli->args, "system")) {
        return system_print(cli);
    }
    if (args_has(cli->args, "service") || args_has(cli->args, "level")) {
        err_set(&err, ERR_BAD_REQUEST, "--service and --level go with --system");
        return show_usage(&err);
    }
    if (args_count(cli->args) == 0) {
        err_set(&err, ERR_BAD_REQUEST, "which log: the id of a run, or --system");
        return show_usage(&err);
    }
    if (args_run(cli->args, 0, &run_id, &err) != 0 || args_number(cli->args, "tail", 1, 1000, 0, &tail, &err) != 0) {
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 3000);
    bool follow = args_has(cli->args, "follow");
    if (follow) {
        stop_catch();
        client_set_interrupt(cli->client, &stop_signal);
    }
    how.segments = lines_in_segments(cli->client, run_id, follow);
    int code = logs_print(cli, run_id, tail, &how);
    if (stop_signal != 0) {
        return stop_code();
    }
    return follow && code == EXIT_FINE ? watch_run(cli, run_id, &how) : code;
}
