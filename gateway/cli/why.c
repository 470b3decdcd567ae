/* `gantry why` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"

static void workers_show(const json_t *workers)
{
    const json_t *label;
    size_t index;

    show_fieldf("Workers:", "%lld of its type, %lld of these with its executor, %lld of these can take it",
                show_number(workers, "serve_type"), show_number(workers, "serve_executor"), show_number(workers, "can_take"));
    if (show_number(workers, "can_take") > 0) {
        show_fieldf("Of those:", "%lld with room, %lld busy, %lld resting, %lld draining", show_number(workers, "with_room"),
                    show_number(workers, "busy"), show_number(workers, "resting"), show_number(workers, "draining"));
    }
    json_array_foreach(json_object_get(workers, "missing_labels"), index, label)
    {
        show_fieldf("Label:", "%s=%s is missing on %lld of them", show_text(label, "name"), show_text(label, "value"),
                    show_number(label, "workers"));
    }
}

static void dependency_show(const json_t *dependency)
{
    long long run = show_number(dependency, "run_id"), more = show_number(dependency, "open") - 1;

    show_fieldf("Waits for:", "task %lld %s", show_number(dependency, "task_id"), show_text(dependency, "task_name"));
    if (run > 0) {
        show_fieldf("Its run:", "%lld", run);
    }
    if (more > 0) {
        show_fieldf("And for:", "%lld more", more);
    }
}

int why_command(struct cli *cli)
{
    struct err err = {0};
    long long id;
    json_t *why;

    client_set_patience(cli->client, 0, 3000);
    if (args_run(cli->args, 0, &id, &err) != 0) {
        return show_usage(&err);
    }
    if (client_get(cli->client, &why, &err, "/runs/%lld/why", id) != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        show_json(why);
        json_decref(why);
        return EXIT_FINE;
    }
    const json_t *queue = json_object_get(why, "queue");
    show_fieldf("Run:", "%lld", id);
    show_member("Status:", why, "status");
    show_member("Why:", why, "code");
    show_member("Reason:", why, "reason");
    show_member_time("Until:", why, "until");
    show_member("Worker:", why, "worker_id");
    show_member_time("Since:", why, "since");
    if (json_is_object(json_object_get(why, "dependency"))) {
        dependency_show(json_object_get(why, "dependency"));
    }
    if (json_is_object(queue)) {
        show_fieldf("Ahead:", "%lld runs%s", show_number(queue, "ahead"),
                    json_is_true(json_object_get(queue, "ahead_is_lower_bound")) ? " or more" : "");
    }
    if (json_is_object(json_object_get(why, "workers"))) {
        workers_show(json_object_get(why, "workers"));
    }
    json_decref(why);
    return EXIT_FINE;
}
