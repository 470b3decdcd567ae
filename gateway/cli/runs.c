/* `gantry runs`, `gantry abort`, `gantry restart` */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/bulk.h"
#include "gateway/cli/client.h"
#include "gateway/cli/page.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/messages.h"

/* How an attempt went, in a few words. */
static void attempt_cell(struct table *table, const json_t *attempt)
{
    const char *outcome = show_text(attempt, "outcome");
    const json_t *code = json_object_get(attempt, "exit_code");
    long long number = show_number(attempt, "signal");

    if (number > 0) {
        table_addf(table, "%s, signal %lld", outcome, number);
    } else if (json_is_integer(code)) {
        table_addf(table, "%s, code %lld", outcome, (long long)json_integer_value(code));
    } else {
        table_add(table, outcome);
    }
}

static void attempts_print(const json_t *run)
{
    static const char *const headings[] = {">TRY", "WORKER", "STARTED", "ENDED", "OUTCOME", "ERROR"};
    struct table *table = table_new(headings, 6);
    const json_t *attempt;
    size_t index;

    if (table == NULL || json_array_size(json_object_get(run, "attempts")) == 0) {
        table_free(table);
        return;
    }
    json_array_foreach(json_object_get(run, "attempts"), index, attempt)
    {
        show_cell(table, attempt, "attempt");
        show_cell(table, attempt, "worker_id");
        show_cell_time(table, attempt, "started_at");
        show_cell_time(table, attempt, "ended_at");
        attempt_cell(table, attempt);
        show_cell(table, attempt, "error");
    }
    putchar('\n');
    table_print(table, term_columns(stdout), stdout);
    table_free(table);
}

/* How long a run took. Rows of a list have only its times, in whole seconds. NULL: not known, or it has not ended. */
static const char *took_words(const json_t *run, char *out, size_t size)
{
    const json_t *took = json_object_get(run, "execution_time");
    const char *began = json_string_value(json_object_get(run, "started_at"));
    const char *ended = json_string_value(json_object_get(run, "completed_at"));
    uint64_t from, to;

    if (json_is_number(took)) {
        return term_duration(json_number_value(took), out, size);
    }
    if (began == NULL || ended == NULL || clock_parse_iso(began, strlen(began), &from) != 0 ||
        clock_parse_iso(ended, strlen(ended), &to) != 0 || to < from) {
        return NULL;
    }
    if (to - from < 60000) {
        snprintf(out, size, "%u s", (unsigned)((to - from) / 1000));
        return out;
    }
    return term_duration((double)(to - from) / 1000, out, size);
}

static int run_show(struct cli *cli)
{
    struct err err = {0};
    char took[32];
    long long id;
    json_t *run;

    client_set_patience(cli->client, 0, 3000);
    if (args_run(cli->args, 0, &id, &err) != 0) {
        return show_usage(&err);
    }
    if (client_get(cli->client, &run, &err, "/runs/%lld", id) != 0) {
        return show_error(&err);
    }
    if (cli->json) {
        show_json(run);
        json_decref(run);
        return EXIT_FINE;
    }
    show_fieldf("Run:", "%lld", show_number(run, "id"));
    show_fieldf("Task:", "%lld %s", show_number(run, "task_id"), show_text(run, "task_name"));
    show_member("Status:", run, "status");
    show_member("Reason:", run, "reason");
    show_member("Progress, %:", run, "progress");
    show_member("Worker:", run, "worker_id");
    show_member_time("Created:", run, "created_at");
    show_member_time("Started:", run, "started_at");
    show_member_time("Completed:", run, "completed_at");
    if (took_words(run, took, sizeof took) != NULL) {
        show_field("Took:", took);
    }
    show_member("Parameters:", run, "parameters");
    show_member("Result:", run, "result");
    show_member("Error:", run, "error_message");
    attempts_print(run);
    json_decref(run);
    return EXIT_FINE;
}

static void status_cell(struct table *table, const json_t *run)
{
    const json_t *percent = json_object_get(run, "progress");
    const char *status = show_text(run, "status");

    if (strcmp(status, "running") == 0 && json_is_number(percent)) {
        table_addf(table, "running %.0f%%", json_number_value(percent));
    } else {
        table_add(table, status);
    }
}

static void took_cell(struct table *table, const json_t *run)
{
    char text[32];

    table_add(table, took_words(run, text, sizeof text));
}

/* What came of it, or why not yet. */
static void result_cell(struct table *table, const json_t *run)
{
    const char *error = json_string_value(json_object_get(run, "error_message"));
    bool failed = error != NULL && error[0] != '\0', waits = json_is_string(json_object_get(run, "reason"));

    show_cell(table, run, failed ? "error_message" : waits ? "reason" : "result");
}

int run_list(struct cli *cli)
{
    static const struct page_filter filters[] = {
        {"status", "status"}, {"task", "task_id"}, {"worker", "worker_id"}, {"since", "start_date"}, {"until", "end_date"},
        {"final", "final"},   {NULL, NULL}};
    static const struct page_column columns[] = {
        {">ID", .member = "id"},
        {"TASK", .member = "task_name"},
        {"STATUS", .cell = status_cell},
        {"WORKER", .member = "worker_id"},
        {"STARTED", .member = "started_at", .time = true},
        {">TOOK", .cell = took_cell},
        {"RESULT", .cell = result_cell},
        {NULL},
    };

    if (args_count(cli->args) == 1) {
        return run_show(cli);
    }
    return page_print(cli, args_has(cli->args, "failed") ? "/runs?status=failed&final=true" : "/runs", filters, columns);
}

/* POST /runs/ID/verb for an argument. Answers the exit code; *data is the answer, owned by the caller, or NULL with the error printed. */
static int run_verb(struct cli *cli, int index, const char *verb, json_t **data)
{
    struct err err = {0};
    long long id;

    *data = NULL;
    client_set_patience(cli->client, 0, 10000);
    if (args_run(cli->args, index, &id, &err) != 0) {
        return show_usage(&err);
    }
    if (client_post(cli->client, NULL, data, &err, "/runs/%lld/%s", id, verb) != 0) {
        return show_error(&err);
    }
    return cli->json ? show_json(*data) : EXIT_FINE;
}

static int runs_missing(const char *words)
{
    struct err err = {0};

    err_set(&err, ERR_BAD_REQUEST, "%s", words);
    return show_usage(&err);
}

int run_abort(struct cli *cli)
{
    int code = EXIT_FINE;

    if (bulk_wanted(cli)) {
        return bulk_runs(cli, "abort");
    }
    if (args_count(cli->args) == 0) {
        return runs_missing("which runs? name their ids, or --pending or --status");
    }
    for (int i = 0; i < args_count(cli->args); i++) {
        json_t *data;
        int one = run_verb(cli, i, "abort", &data);
        if (one != EXIT_FINE && code != EXIT_TROUBLE) {
            code = one; /* trouble with one of them outweighs a word that is none */
        }
        if (data != NULL && !cli->json) {
            term_line(stdout, false, "run %s %s", args_at(cli->args, i), show_text(data, "status"));
        }
        json_decref(data);
    }
    return code;
}

int run_restart(struct cli *cli)
{
    json_t *data;

    if (bulk_wanted(cli)) {
        return bulk_runs(cli, "restart");
    }
    if (args_count(cli->args) == 0) {
        return runs_missing("which run? name its id, or --failed or --status");
    }
    int code = run_verb(cli, 0, "restart", &data);

    if (data != NULL && !cli->json) {
        printf("%lld\n", show_number(data, "new_run_id"));
    }
    json_decref(data);
    return code;
}
