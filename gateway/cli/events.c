/* `gantry events` */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/outage.h"
#include "gateway/cli/show.h"
#include "gateway/cli/sse.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

#define WAIT_LEAST_MS 100 /* before the farm is asked again, once the stream has ended */
#define WAIT_MOST_MS 2000

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
        show_dump(event, JSON_COMPACT, stdout);
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
    const char *word = args_text(cli->args, "type");
    char type[128];
    size_t len = word != NULL ? strlen(word) : 0;

    if (len + 2 > sizeof type || (len > 0 && strchr(word, ',') != NULL)) { /* a page takes no list of them */
        return err_set(err, ERR_BAD_REQUEST, "--type takes one type, or what several begin with, as task.");
    }
    snprintf(type, sizeof type, "%s%s", len > 0 ? word : "",
             len > 0 && word[len - 1] == '.' ? "*" : ""); /* "task." is the farm's "task.*" */
    for (size_t i = 0; i < 3; i++) {
        const char *value = i == 0 && len > 0 ? type : args_text(cli->args, names[i][0]);
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

/* The newest of all: what comes behind it is followed, whatever of it is asked for. */
static int head_find(struct cli *cli, uint64_t *head)
{
    struct err err = {0};
    json_t *data;

    if (client_call(cli->client, "GET", "/events?follow=false&order=desc&size=1", NULL, &data, &err) != 0) {
        return trouble(&err);
    }
    *head = (uint64_t)show_number(json_array_get(json_object_get(data, "items"), 0), "id");
    json_decref(data);
    return EXIT_FINE;
}

/* The newest ones that are asked for, oldest first; *after becomes the newest's id, if that is newer. */
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
    uint64_t newest = (uint64_t)show_number(json_array_get(items, 0), "id");
    *after = newest > *after ? newest : *after;
    json_decref(data);
    return EXIT_FINE;
}

/* ---- those that come ---- */

struct following {
    struct cli *cli;
    struct sse sse;
    char last[24]; /* id of the newest that was shown, or passed over */
    struct outage outage;
    bool flowed; /* something came over this connection */
    bool failed; /* what came is no stream of events */
};

static void gap_print(const json_t *data)
{
    long long missing = show_number(data, "missing");

    fflush(stdout); /* on a terminal it stands where they would */
    fprintf(stderr, "gantry: %lld event%s no longer kept\n", missing, missing == 1 ? " is" : "s are");
}

static void on_event(void *arg, const struct sse_event *event)
{
    struct following *following = arg;
    json_t *data = json_loadb(event->data.ptr, event->data.len, JSON_REJECT_DUPLICATES, NULL);
    bool whole = json_is_object(data);

    if (event->id.len > 0 && event->id.len < sizeof following->last) {
        str_copy(following->last, sizeof following->last, event->id);
    }
    if (whole && str_is(event->type, "cut")) {
        gap_print(data);
    } else if (whole) {
        json_t *shown = json_object();
        if (event->id.len > 0) { /* first, as in a list */
            json_object_set_new(shown, "id", json_integer(strtoll(following->last, NULL, 10)));
        }
        json_object_update(shown, data);
        event_print(following->cli, shown);
        json_decref(shown);
    }
    json_decref(data);
}

static int on_bytes(void *arg, const char *bytes, size_t len)
{
    struct following *following = arg;

    outage_tell(&following->outage, NULL);
    following->flowed = true;
    following->failed = sse_take(&following->sse, bytes, len) != 0;
    if (fflush(stdout) != 0) {
        stop_unread();
    }
    return following->failed || stop_signal != 0 ? -1 : 0;
}

/* One connection. True: another may be tried; else *code is what the command ends with. */
static bool follow_once(struct following *following, const char *path, int *code)
{
    struct err err = {0};

    sse_begin(&following->sse);
    following->flowed = false;
    int rc = client_stream(following->cli->client, path, following->last, on_bytes, following, &err);
    if (stop_signal != 0) {
        *code = stop_code();
        return false;
    }
    if (following->failed) {
        err_set(&err, ERR_LIMIT, "what the farm sends is no stream of events");
    } else if (rc == 0 || err.code == ERR_UNAVAILABLE || err.code == ERR_UNKNOWN_OUTCOME) {
        if (rc != 0) {
            outage_tell(&following->outage, &err);
        }
        return true;
    }
    *code = trouble(&err);
    return false;
}

/* The stream of the farm, resumed behind the last event whenever it ends; answers the exit code that it was stopped with. */
static int follow(struct cli *cli, uint64_t after)
{
    struct following following = {.cli = cli, .sse = {.fn = on_event, .arg = &following}};
    uint64_t wait = WAIT_LEAST_MS;
    char path[2048] = "/events";
    struct err err = {0};
    int code;

    if (filters_add(cli, path, sizeof path, &err) != 0) {
        return trouble(&err);
    }
    snprintf(following.last, sizeof following.last, "%llu", (unsigned long long)after);
    while (follow_once(&following, path, &code)) {
        wait = following.flowed ? WAIT_LEAST_MS : wait * 2 < WAIT_MOST_MS ? wait * 2 : WAIT_MOST_MS;
        client_pause(wait);
    }
    sse_free(&following.sse);
    return code;
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
    int code = follows ? head_find(cli, &after) : EXIT_FINE;
    code = code == EXIT_FINE ? newest_print(cli, count, &after) : code;
    if (!follows || code != EXIT_FINE) {
        return stop_signal != 0 ? stop_code() : code;
    }
    fflush(stdout);
    return follow(cli, after);
}
