/* `gantry events` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

#define PAUSE_MS 500 /* between looks for new ones */
#define PAGE 200

/* Control characters are kept from the terminal. */
static void print_text(const char *text, const char *before)
{
    char out[1024];

    if (text != NULL && text[0] != '\0') {
        term_fit(text, 500, out, sizeof out);
        printf("%s%s", before, out);
    }
}

static void event_print(const struct cli *cli, const json_t *event)
{
    const json_t *data = json_object_get(event, "data"), *value;
    const char *name;
    char time[64];

    if (cli->json) {
        json_dumpf(event, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    printf("%s  %-20s", term_time(json_string_value(json_object_get(event, "timestamp")), time, sizeof time),
           show_text(event, "event"));
    json_object_foreach((json_t *)(uintptr_t)data, name, value)
    {
        printf(" %s=", name);
        if (json_is_integer(value)) {
            printf("%lld", (long long)json_integer_value(value));
        } else {
            print_text(json_string_value(value), "");
        }
    }
    putchar('\n');
}

/* Adds what is asked for to a path; -1 with err. */
static int filters_add(const struct cli *cli, char *path, size_t size, struct err *err)
{
    static const char *const names[][2] = {{"type", "type"}, {"task", "task_id"}, {"run", "run_id"}};

    for (size_t i = 0; i < 3; i++) {
        const char *value = args_text(cli->args, names[i][0]);
        if (value != NULL && client_query_add(path, size, names[i][1], value) != 0) {
            return err_set(err, ERR_BAD_REQUEST, "--%s is too long", names[i][0]);
        }
    }
    return 0;
}

static int trouble(const struct err *err)
{
    return err->code == ERR_BAD_REQUEST ? show_usage(err) : show_error(err); /* what options name is the farm's to judge */
}

/* The newest ones, oldest first; *after becomes the newest's id. */
static int newest_print(struct cli *cli, long long count, uint64_t *after)
{
    char path[2048];
    struct err err = {0};
    json_t *data;

    snprintf(path, sizeof path, "/events?follow=false&order=desc&size=%lld", count);
    if (filters_add(cli, path, sizeof path, &err) != 0 || client_call(cli->client, "GET", path, NULL, &data, &err) != 0) {
        return trouble(&err);
    }
    const json_t *items = json_object_get(data, "items");
    for (size_t i = json_array_size(items); i > 0; i--) {
        event_print(cli, json_array_get(items, i - 1));
    }
    *after = (uint64_t)show_number(json_array_get(items, 0), "id");
    json_decref(data);
    return EXIT_FINE;
}

/* Those that come; answers the exit code that it was stopped with. */
static int follow(struct cli *cli, uint64_t after)
{
    while (stop_signal == 0) {
        char path[2048];
        struct err err = {0};
        json_t *data;
        snprintf(path, sizeof path, "/events?follow=false&order=asc&size=%d&after=%llu", PAGE, (unsigned long long)after);
        if (filters_add(cli, path, sizeof path, &err) != 0 || client_call(cli->client, "GET", path, NULL, &data, &err) != 0) {
            return stop_signal != 0 ? stop_code() : trouble(&err);
        }
        const json_t *items = json_object_get(data, "items");
        size_t count = json_array_size(items);
        for (size_t i = 0; i < count; i++) {
            event_print(cli, json_array_get(items, i));
        }
        if (count > 0) {
            after = (uint64_t)show_number(json_array_get(items, count - 1), "id");
        }
        json_decref(data);
        if (fflush(stdout) != 0) {
            stop_unread();
        } else if (count < PAGE) {
            client_pause(PAUSE_MS);
        }
    }
    return stop_code();
}

int events_command(struct cli *cli)
{
    bool follows = args_has(cli->args, "follow");
    struct err err = {0};
    uint64_t after = 0;
    long long count;

    if (args_number(cli->args, "tail", 1, 1000, 20, &count, &err) != 0) {
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 3000);
    if (follows) {
        stop_catch();
        client_set_interrupt(cli->client, &stop_signal);
    }
    int code = newest_print(cli, count, &after);
    if (!follows || code != EXIT_FINE) {
        return stop_signal != 0 ? stop_code() : code;
    }
    client_set_patience(cli->client, CLIENT_FOR_EVER, CLIENT_FOR_EVER);
    fflush(stdout);
    return follow(cli, after);
}
