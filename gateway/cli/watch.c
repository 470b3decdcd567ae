/* Following is asking: the log by position, then the run. Each question stands for itself, so whatever process is killed and started
 * again between two of them, the next goes on where the last one ended: no line is lost or shown twice. The run is asked for before
 * the log, so that once it is final the log read behind that is whole. */
#include "gateway/cli/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/lines.h"
#include "gateway/cli/outage.h"
#include "gateway/cli/progress.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define PAUSE_LEAST_MS 50 /* between questions; none behind lines, as more may come than are kept */
#define PAUSE_MOST_MS 500
#define LINES_AT_ONCE 1000
#define STOP_MS 20000 /* for what a stopped command still asks of the farm; a second signal ends that at once */

struct watch {
    struct cli *cli;
    const struct watch_how *how;
    long long run_id;
    uint64_t after;
    uint64_t began_ms; /* when this watcher first saw it running; 0 before */
    struct progress progress;
    char said[1024]; /* Gantry's newest line in the log */
};

int watch_exit_code(const json_t *run)
{
    const json_t *attempts = json_object_get(run, "attempts");
    const json_t *last = json_array_get(attempts, json_array_size(attempts) - 1);
    long long code = show_number(last, "exit_code");
    long long number = show_number(last, "signal");

    if (strcmp(show_text(run, "status"), "completed") == 0) {
        return EXIT_FINE;
    }
    if (number > 0 && number < 128) {
        return 128 + (int)number;
    }
    return code > 0 && code < 256 ? (int)code : EXIT_TROUBLE;
}

/* ---- the log ---- */

/* Whether a print went through. A reader of stdout that is gone stops the command; without one of stderr it goes on. */
static void printed(int rc, bool out)
{
    int number = errno;

    if (rc >= 0 || !out) {
        return;
    }
    if (number == EPIPE) {
        stop_unread();
    } else {
        show_lost(number);
    }
}

static void line_print(const json_t *line, const struct watch_how *how)
{
    const char *stream = show_text(line, "stream");
    const char *text = show_text(line, "message");
    bool out = how->json || (strcmp(stream, "stdout") == 0 && !how->all_stderr);
    FILE *to = out ? stdout : stderr;
    char time[64];
    int rc;

    if (how->json) {
        rc = show_dump(line, JSON_COMPACT, to);
    } else if (how->times) {
        rc = term_line(to, true, "%s %-5s %-6s %s",
                       term_time(json_string_value(json_object_get(line, "timestamp")), time, sizeof time),
                       show_text(line, "level"), stream, text);
    } else {
        rc = term_line(to, true, "%s%s", strcmp(stream, "system") == 0 ? "gantry: " : "", text);
    }
    printed(rc, out);
}

static void gap_print(long long missing)
{
    if (missing > 0) {
        printed(fflush(stdout), true); /* on a terminal it stands where the lines would */
        fprintf(stderr, "gantry: %lld line%s no longer kept\n", missing, missing == 1 ? " is" : "s are");
    }
}

void watch_print(const json_t *data, const struct watch_how *how)
{
    const json_t *line;
    size_t index;

    json_array_foreach(json_object_get(data, "items"), index, line)
    {
        gap_print(show_number(line, "missing"));
        line_print(line, how);
        if (stop_signal != 0) {
            return;
        }
    }
    printed(fflush(stdout), true);
}

static void said_keep(struct watch *watch, const json_t *data)
{
    const json_t *line;
    size_t index;

    json_array_foreach(json_object_get(data, "items"), index, line)
    {
        if (strcmp(show_text(line, "stream"), "system") == 0) {
            snprintf(watch->said, sizeof watch->said, "%s", show_text(line, "message"));
        }
    }
}

/* The worker writes why a run failed into its log, where a long sentence may be cut. */
static bool said_already(const struct watch *watch, const char *error)
{
    size_t len = strlen(watch->said);

    return len > 0 && strncmp(error, watch->said, len) == 0;
}

/* Prints what is new of the log. Answers how many lines, -1 with err. */
static int log_go_on(struct watch *watch, struct err *err)
{
    const struct lines from = {.run_id = watch->run_id, .segments = watch->how->segments};
    int lines = 0;

    for (;;) {
        json_t *data;
        if (lines_get(watch->cli->client, &from, watch->after, LINES_AT_ONCE, &data, err) != 0) {
            return -1;
        }
        size_t count = json_array_size(json_object_get(data, "items"));
        if (count > 0) {
            progress_hide(&watch->progress);
            watch_print(data, watch->how);
            progress_show(&watch->progress);
            said_keep(watch, data);
            watch->after = (uint64_t)show_number(data, "next");
        }
        lines += (int)count;
        bool more = count > 0 && json_is_false(json_object_get(data, "end"));
        json_decref(data);
        if (!more || stop_signal != 0) {
            return lines;
        }
    }
}

/* ---- the run ---- */

static void run_show(struct watch *watch, const json_t *run)
{
    const json_t *told = json_object_get(run, "progress"); /* null while nobody told one: no bar then */
    double percent = json_is_number(told) ? json_number_value(told) : -1;
    const char *status = show_text(run, "status");
    const char *reason = json_string_value(json_object_get(run, "reason"));
    bool running = strcmp(status, "running") == 0;
    char words[400];

    if (running && watch->began_ms == 0) {
        watch->began_ms = clock_mono_ms();
    }
    if (!running) {
        watch->began_ms = 0;
    }
    if (!running && reason != NULL) {
        char clean[300];
        term_fit(reason, 200, clean, sizeof clean);
        snprintf(words, sizeof words, "run %lld waits: %s", watch->run_id, clean);
    } else {
        snprintf(words, sizeof words, "run %lld %s", watch->run_id, status);
    }
    double seconds = running ? (double)(clock_mono_ms() - watch->began_ms) / 1000.0 : 0;
    progress_set(&watch->progress, running ? percent : -1, seconds, words);
}

/* Until the run is final and its log printed, or it is stopped. 0: *run is the final run, owned by the caller. */
static int watch_loop(struct watch *watch, json_t **run, struct err *err)
{
    uint64_t pause = PAUSE_LEAST_MS;

    while (stop_signal == 0) {
        if (client_get(watch->cli->client, run, err, "/runs/%lld", watch->run_id) != 0) {
            return -1;
        }
        const char *status = show_text(*run, "status");
        bool final = strcmp(status, "pending") != 0 && strcmp(status, "running") != 0;
        int lines = log_go_on(watch, err);
        if (lines < 0 || final) {
            return lines < 0 ? -1 : 0;
        }
        run_show(watch, *run);
        json_decref(*run);
        *run = NULL;
        if (lines > 0) {
            pause = PAUSE_LEAST_MS;
            continue;
        }
        client_pause(pause);
        pause = pause * 2 > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause * 2;
    }
    return -1;
}

/* ---- the end before the end ---- */

/* What is still asked of the farm is not stopped, but it is short; a second signal leaves at once. */
static void stop_begin(struct cli *cli)
{
    stop_release();
    client_set_interrupt(cli->client, NULL);
    client_set_timeout(cli->client, STOP_MS);
    client_set_patience(cli->client, STOP_MS, STOP_MS);
}

static int run_abandon(struct cli *cli, long long run_id)
{
    struct err err = {0};

    fprintf(stderr, "gantry: aborting run %lld\n", run_id);
    stop_begin(cli);
    if (client_post(cli->client, NULL, NULL, &err, "/runs/%lld/abort", run_id) != 0 && err.code != ERR_CONFLICT) {
        term_line(stderr, false, "gantry: run %lld goes on: %s", run_id, err.text);
    }
    return stop_code();
}

/* It was stopped while the farm had not answered: the same key again tells which run it is, if there is one. */
static int submit_abandon(struct cli *cli, const char *path, const json_t *body, const char *key)
{
    struct err err = {0};
    json_t *data = NULL;

    if (!client_reached(cli->client)) {
        return stop_code();
    }
    stop_begin(cli);
    client_use_key(cli->client, key);
    if (client_call(cli->client, "POST", path, body, &data, &err) != 0) {
        term_line(stderr, false, "gantry: the run may exist: %s", err.text);
        return stop_code();
    }
    long long run_id = show_number(data, "run_id");
    json_decref(data);
    return run_abandon(cli, run_id);
}

/* ---- watching ---- */

/* The run has ended by itself. */
static int run_end(const struct watch *watch, const json_t *run)
{
    const char *error = show_text(run, "error_message");

    if (!watch->how->whole) {
        return EXIT_FINE;
    }
    int code = watch_exit_code(run);
    if (watch->cli->json) {
        show_json(run);
    } else if (code != EXIT_FINE && !said_already(watch, error)) {
        term_line(stderr, false, "gantry: run %lld %s: %s", watch->run_id, show_text(run, "status"), error);
    }
    return code;
}

int watch_run(struct cli *cli, long long run_id, const struct watch_how *how)
{
    struct watch watch = {.cli = cli, .how = how, .run_id = run_id, .after = how->after};
    struct outage outage = {.bar = &watch.progress};
    struct err err = {0};
    json_t *run = NULL;
    int code;

    stop_catch();
    progress_init(&watch.progress, stderr);
    client_set_interrupt(cli->client, &stop_signal);
    client_set_patience(cli->client, CLIENT_FOR_EVER, CLIENT_FOR_EVER);
    client_on_retry(cli->client, outage_tell, &outage);
    int rc = watch_loop(&watch, &run, &err);
    client_on_retry(cli->client, NULL, NULL);
    progress_hide(&watch.progress);
    if (stop_signal != 0) {
        code = rc != 0 && how->whole ? run_abandon(cli, run_id) : stop_code();
    } else {
        code = rc == 0 ? run_end(&watch, run) : show_error(&err);
    }
    json_decref(run);
    client_set_interrupt(cli->client, NULL);
    return code;
}

int watch_submit(struct cli *cli, const char *path, const json_t *body)
{
    const char *given = args_text(cli->args, "key");
    bool wait = args_has(cli->args, "wait");
    struct err err = {0};
    char made[33];
    json_t *data = NULL;

    ident_random(made, 16);
    const char *key = given != NULL ? given : made;
    client_set_patience(cli->client, 2000, 30000);
    client_use_key(cli->client, key);
    if (wait) {
        stop_catch();
        client_set_interrupt(cli->client, &stop_signal);
    }
    if (client_call(cli->client, "POST", path, body, &data, &err) != 0) {
        return stop_signal != 0 ? submit_abandon(cli, path, body, key) : show_error(&err);
    }
    long long run_id = show_number(data, "run_id");
    if (!wait && cli->json) {
        show_json(data);
    } else if (!wait) {
        printf("%lld\n", run_id);
    }
    json_decref(data);
    if (!wait) {
        return EXIT_FINE;
    }
    fprintf(stderr, "gantry: run %lld\n", run_id);
    return watch_run(cli, run_id, &(struct watch_how){.whole = true, .all_stderr = cli->json});
}
