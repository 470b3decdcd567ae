/* Following is asking for what is younger than the newest line known, some seconds before it included: lines of several processes do
 * not arrive in the order of their times. What was printed is known by its id. */
#include "gateway/cli/syslog.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/messages.h"

#define TAIL 100
#define PAGE 1000
#define PAUSE_MS 1000
#define LATE_MS 10000 /* how much later than others a line may arrive */
#define IDS 16384     /* printed lately */
#define ID_SIZE 24

struct syslog {
    struct cli *cli;
    uint64_t newest_ms; /* of the lines printed */
    char ids[IDS][ID_SIZE];
    uint32_t at;
};

/* True the first time. */
static bool id_new(struct syslog *syslog, const char *id)
{
    for (uint32_t i = 0; i < IDS; i++) {
        if (strcmp(syslog->ids[i], id) == 0)
            return false;
    }
    str_copy(syslog->ids[syslog->at++ % IDS], ID_SIZE, str_of(id));
    return true;
}

static void line_print(struct syslog *syslog, const json_t *line)
{
    const json_t *metadata = json_object_get(line, "metadata");
    const char *said = show_text(line, "timestamp"), *worker = json_string_value(json_object_get(metadata, "worker_id"));
    uint64_t at;
    char time[64];
    int rc;

    if (!id_new(syslog, show_text(line, "id")))
        return;
    if (clock_parse_iso(said, strlen(said), &at) == 0 && at > syslog->newest_ms)
        syslog->newest_ms = at;
    if (syslog->cli->json)
        rc = show_dump(line, JSON_COMPACT, stdout);
    else
        rc = term_line(stdout, false, "%s %-5s %-10s %s %s", term_time(said, time, sizeof time), show_text(line, "level"),
                       worker ? worker : show_text(line, "service"), show_text(metadata, "code"), show_text(line, "message"));
    if (rc < 0 && errno == EPIPE)
        stop_unread();
    else if (rc < 0)
        show_lost(errno);
}

static void lines_print(struct syslog *syslog, const json_t *data, bool backwards)
{
    const json_t *items = json_object_get(data, "items");
    size_t count = json_array_size(items);

    for (size_t i = 0; i < count && stop_signal == 0; i++)
        line_print(syslog, json_array_get(items, backwards ? count - 1 - i : i));
    if (fflush(stdout) != 0 && errno == EPIPE)
        stop_unread();
}

/* The data of one question; NULL with *code. */
static json_t *ask(struct syslog *syslog, const char *order, long long size, long long page, const char *since, int *code)
{
    static const char *const filters[] = {"level", "service", NULL};
    const struct args *args = syslog->cli->args;
    struct err err = {0};
    char path[1024];
    json_t *data;

    snprintf(path, sizeof path, "/system/logs?order=%s&size=%lld&page=%lld", order, size, page);
    bool fits = !since || client_query_add(path, sizeof path, "start_time", since) == 0;
    for (int i = 0; fits && filters[i]; i++) {
        const char *value = args_text(args, filters[i]);
        fits = !value || client_query_add(path, sizeof path, filters[i], value) == 0;
    }
    if (!fits) {
        err_set(&err, ERR_BAD_REQUEST, "--service or --level is too long");
        *code = show_usage(&err);
        return NULL;
    }
    if (client_call(syslog->cli->client, "GET", path, NULL, &data, &err) == 0)
        return data;
    *code = stop_signal != 0 ? stop_code() : err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
    return NULL;
}

/* What has come since; false with *code. */
static bool more_print(struct syslog *syslog, int *code)
{
    char since[CLOCK_ISO_SIZE];
    size_t count = PAGE;

    clock_iso(syslog->newest_ms > LATE_MS ? syslog->newest_ms - LATE_MS : 0, 0, since);
    for (long long page = 1; count == PAGE && stop_signal == 0; page++) {
        json_t *data = ask(syslog, "asc", PAGE, page, since, code);
        if (data == NULL)
            return false;
        count = json_array_size(json_object_get(data, "items"));
        lines_print(syslog, data, false);
        json_decref(data);
    }
    return true;
}

int syslog_print(struct cli *cli)
{
    static struct syslog syslog;
    struct err err = {0};
    long long tail;
    int code = EXIT_FINE;
    bool follow = args_has(cli->args, "follow");

    if (args_number(cli->args, "tail", 1, PAGE, TAIL, &tail, &err) != 0)
        return show_usage(&err);
    syslog = (struct syslog){.cli = cli, .newest_ms = clock_wall_ms()};
    client_set_patience(cli->client, 0, 3000);
    json_t *data = ask(&syslog, "desc", tail, 1, NULL, &code);
    if (data == NULL)
        return code;
    if (json_array_size(json_object_get(data, "items")) > 0)
        syslog.newest_ms = 0;
    lines_print(&syslog, data, true);
    json_decref(data);
    if (!follow)
        return stop_signal != 0 ? stop_code() : EXIT_FINE;
    client_set_patience(cli->client, CLIENT_FOR_EVER, CLIENT_FOR_EVER);
    while (stop_signal == 0 && more_print(&syslog, &code)) {
        if (stop_signal == 0)
            client_pause(PAUSE_MS);
    }
    return stop_signal != 0 ? stop_code() : code;
}
