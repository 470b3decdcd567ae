/* `gantry record status` and `gantry record coverage`: what is being recorded, and what was. */
#include <stdio.h>
#include <time.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/record.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

#define LOOK_MS 2000            /* between two looks of --watch */
#define WATCH_PATIENCE_MS 60000 /* processes of the farm may be starting anew */
#define ROWS 500                /* of a page */
#define ROWS_MAX 250000         /* that are kept in memory */
#define DAYS_DEFAULT 7

/* ---- gantry record status ---- */

/* All there is to be shown; NULL, with the exit code, when it cannot be had. */
static json_t *status_get(struct cli *cli, int *code)
{
    json_t *scheduler = NULL, *cycle = NULL, *tasks = NULL, *all = NULL;
    *code = record_get(cli, "/scheduler/status", &scheduler);
    if (*code == EXIT_FINE)
        *code = record_get(cli, "/scheduler/cycle", &cycle);
    if (*code == EXIT_FINE)
        *code = record_get(cli, "/tasks", &tasks);
    if (*code == EXIT_FINE) {
        all = json_pack("{s:O, s:O, s:O}", "scheduler", scheduler, "cycle", cycle, "tasks", json_object_get(tasks, "tasks"));
        *code = all ? EXIT_FINE : show_error(&(struct err){.text = "out of memory"});
    }
    json_decref(scheduler);
    json_decref(cycle);
    json_decref(tasks);
    return all;
}

static void show_cycle(const json_t *scheduler, const json_t *cycle)
{
    const json_t *progress = json_object_get(cycle, "cycle_progress");
    const char *next = show_text(scheduler, "next_cycle_time");
    long long number = show_number(cycle, "current_cycle");
    if (json_is_true(json_object_get(scheduler, "is_running")))
        show_fieldf("Recorder:", "running since %s", show_text(scheduler, "start_time"));
    else
        show_field("Recorder:", "stopped");
    if (number > 0)
        show_fieldf("Cycle:", "%lld, begun at %s: %lld of %lld s (%.0f%%)", number,
                    show_text(json_object_get(cycle, "cycle_info"), "start_time"), show_number(progress, "elapsed_seconds"),
                    show_number(progress, "total_seconds"), json_number_value(json_object_get(progress, "progress_percentage")));
    show_field("Next cycle:", next);
    show_fieldf("Recordings:", "%lld: %lld completed, %lld failed, %lld cancelled; %lld at once at most",
                show_number(scheduler, "total_tasks"), show_number(scheduler, "completed_tasks"),
                show_number(scheduler, "failed_tasks"), show_number(scheduler, "cancelled_tasks"),
                show_number(scheduler, "max_concurrent_used"));
}

static int show_tasks(const json_t *tasks)
{
    static const char *const headings[] = {">STREAM", "STATUS", ">SECONDS", ">OF", ">BYTES", ">FRAMES", "FILE", "ERROR"};
    const json_t *task;
    size_t index;
    if (json_array_size(tasks) == 0)
        return EXIT_FINE;
    struct table *table = table_new(headings, sizeof headings / sizeof *headings);
    putchar('\n');
    json_array_foreach(table ? tasks : NULL, index, task)
    {
        show_cell(table, task, "stream_index");
        show_cell(table, task, "status_text");
        show_cell(table, task, "progress");
        show_cell(table, task, "duration_seconds");
        show_cell(table, task, "bytes_received");
        show_cell(table, task, "frames_received");
        show_cell(table, task, "output_file");
        show_cell(table, task, "error_message");
    }
    return show_table(table, NULL);
}

static int status_show(const struct cli *cli, const json_t *all, bool line)
{
    if (cli->json && line)
        return show_dump(all, JSON_COMPACT | JSON_REAL_PRECISION(15), stdout) == 0 ? EXIT_FINE : EXIT_TROUBLE;
    if (cli->json)
        return show_json(all);
    show_cycle(json_object_get(all, "scheduler"), json_object_get(all, "cycle"));
    return show_tasks(json_object_get(all, "tasks"));
}

/* Whether it records, or will. */
static bool goes_on(const json_t *all)
{
    return json_is_true(json_object_get(json_object_get(all, "scheduler"), "is_running")) ||
           json_array_size(json_object_get(json_object_get(all, "cycle"), "active_tasks")) > 0;
}

static int status_watch(struct cli *cli)
{
    bool terminal = term_columns(stdout) > 0, on = true;
    int code = EXIT_FINE;
    stop_catch();
    client_set_interrupt(cli->client, &stop_signal);
    client_set_patience(cli->client, WATCH_PATIENCE_MS, WATCH_PATIENCE_MS);
    for (int look = 0; on && code == EXIT_FINE && stop_signal == 0; look++) {
        if (look > 0)
            client_pause(LOOK_MS);
        json_t *all = stop_signal == 0 ? status_get(cli, &code) : NULL;
        if (!all)
            break;
        if (terminal && !cli->json)
            fputs("\033[H\033[2J", stdout);
        else if (look > 0 && !cli->json)
            putchar('\n');
        code = status_show(cli, all, true);
        if (fflush(stdout) != 0)
            stop_unread();
        on = goes_on(all);
        json_decref(all);
    }
    client_set_interrupt(cli->client, NULL);
    return stop_signal != 0 ? stop_code() : code;
}

int record_status(struct cli *cli)
{
    int code;
    record_begin(cli);
    if (args_has(cli->args, "watch"))
        return status_watch(cli);
    json_t *all = status_get(cli, &code);
    if (all)
        code = status_show(cli, all, false);
    json_decref(all);
    return code;
}

/* ---- gantry record coverage ---- */

/* The local day, as YYYYMMDD, so many days before that time's. */
static long long day_before(time_t now, long long days)
{
    struct tm tm;
    localtime_r(&now, &tm);
    tm.tm_hour = 12; /* whatever an hour of summer time does */
    tm.tm_mday -= (int)days;
    mktime(&tm);
    return (tm.tm_year + 1900) * 10000LL + (tm.tm_mon + 1) * 100 + tm.tm_mday;
}

struct listing {
    struct cli *cli;
    const char *list, *name; /* its path, and what its rows are called */
    json_t *rows;
};

static int trouble(const char *text)
{
    struct err err;
    err_set(&err, ERR_INTERNAL, "%s", text);
    return show_error(&err);
}

/* Adds all rows that this asks for, page by page. The exit code. */
static int rows_add(const struct listing *listing, const char *which, long long day)
{
    char path[96];
    int code = EXIT_FINE;
    bool last = false;
    for (int number = 1; code == EXIT_FINE && !last; number++) {
        json_t *page = NULL;
        snprintf(path, sizeof path, "%s?%s=%lld&page=%d&per_page=%d", listing->list, which, day, number, ROWS);
        code = record_get(listing->cli, path, &page);
        const json_t *items = json_object_get(page, listing->name);
        last = json_array_size(items) < ROWS;
        if (code == EXIT_FINE && json_array_extend(listing->rows, (json_t *)(uintptr_t)items) != 0)
            code = trouble("out of memory");
        else if (code == EXIT_FINE && json_array_size(listing->rows) > ROWS_MAX)
            code = trouble("there are more than 250000 rows: ask for fewer days (--days)");
        json_decref(page);
    }
    return code;
}

/* How many there are from that day on, and whether there may be more. The exit code. */
static int rows_count(const struct listing *listing, long long since, size_t *total, bool *more)
{
    char path[96];
    json_t *page = NULL;
    snprintf(path, sizeof path, "%s?since=%lld&per_page=1", listing->list, since);
    int code = record_get(listing->cli, path, &page);
    *total = (size_t)show_number(page, "total");
    *more = json_is_true(json_object_get(page, "total_is_lower_bound"));
    json_decref(page);
    return code;
}

/* Whether there are rows of those days that lie before that one, which was empty. What comes meanwhile is of later days, and those are counted first:
 * at worst it is asked for in vain. The exit code. */
static int rows_left(const struct listing *listing, long long since, long long day, bool *left)
{
    size_t nearer = 0, total = 0;
    bool more = false, still = false;
    int code = rows_count(listing, day, &nearer, &more);
    if (code == EXIT_FINE)
        code = rows_count(listing, since, &total, &still);
    *left = more || still || total > nearer;
    return code;
}

/* All rows of the last so many days, as {count, name: […]}; NULL, with the exit code, when they cannot be had. They are asked for day by day: a
 * day is found by an index, and of no list of all days are more than 100,000 rows gone through. Behind 1, 2, 4, … days without any it is asked
 * whether there are others: days go while this asks, and the last one has more of them. */
static json_t *rows_get(struct cli *cli, const char *list, const char *name, long long days, int *code)
{
    struct listing listing = {cli, list, name, json_array()};
    time_t now = time(NULL);
    unsigned empty = 0;
    bool left = true;
    *code = listing.rows ? EXIT_FINE : trouble("out of memory");
    if (*code == EXIT_FINE)
        *code = rows_add(&listing, "since", day_before(now, -1)); /* where the farm is it may be tomorrow */
    for (long long at = 0; *code == EXIT_FINE && at < days && left; at++) {
        size_t before = json_array_size(listing.rows);
        *code = rows_add(&listing, "day", day_before(now, at));
        empty = json_array_size(listing.rows) > before ? 0 : empty + 1;
        if (*code == EXIT_FINE && empty > 0 && (empty & (empty - 1)) == 0)
            *code = rows_left(&listing, day_before(now, days - 1), day_before(now, at), &left);
    }
    json_t *all = *code == EXIT_FINE
                      ? json_pack("{s:I, s:O}", "count", (json_int_t)json_array_size(listing.rows), name, listing.rows)
                      : NULL;
    json_decref(listing.rows);
    return all;
}

static void seconds_cell(struct table *table, const json_t *row, const char *name)
{
    table_addf(table, "%.1f", json_number_value(json_object_get(row, name)));
}

static int days_show(const json_t *days)
{
    static const char *const headings[] = {">DAY",   ">STREAM",  "FILE",  ">DUE",       ">RECORDED",
                                           ">EXTRA", ">IN GAPS", ">LOST", ">UNPLANNED", ">%"};
    static const char *const seconds[] = {"due_seconds", "recorded_seconds", "extra_seconds",
                                          "gap_seconds", "lost_seconds",     "unplanned_seconds"};
    struct table *table = table_new(headings, sizeof headings / sizeof *headings);
    const json_t *day;
    size_t index;
    json_array_foreach(table ? days : NULL, index, day)
    {
        show_cell(table, day, "day");
        show_cell(table, day, "stream_id");
        show_cell(table, day, "output_filename");
        for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
            seconds_cell(table, day, seconds[i]);
        table_addf(table, "%.2f", 100 * json_number_value(json_object_get(day, "coverage")));
    }
    return show_table(table, NULL);
}

static int gaps_show(const json_t *recordings)
{
    static const char *const headings[] = {"BEGUN", ">STREAM", "FILE", ">AT", ">SECONDS", "CAUSE"};
    struct table *table = table_new(headings, sizeof headings / sizeof *headings);
    const json_t *recording, *gap;
    size_t index, at;
    json_array_foreach(table ? recordings : NULL, index, recording)
    {
        json_array_foreach(json_object_get(recording, "gaps"), at, gap)
        {
            show_cell(table, recording, "start_time");
            show_cell(table, recording, "stream_id");
            table_addf(table, "%s/%s", show_text(recording, "timestamp"), show_text(recording, "output_filename"));
            seconds_cell(table, gap, "at");
            seconds_cell(table, gap, "seconds");
            show_cell(table, gap, "cause");
        }
    }
    return show_table(table, NULL);
}

int record_coverage(struct cli *cli)
{
    bool gaps = args_has(cli->args, "gaps");
    const char *name = gaps ? "recordings" : "days";
    long long days;
    struct err err = {0};
    int code;
    if (args_number(cli->args, "days", 1, 36500, DAYS_DEFAULT, &days, &err) != 0)
        return show_usage(&err);
    record_begin(cli);
    json_t *all = rows_get(cli, gaps ? "/coverage/gaps" : "/coverage", name, days, &code);
    if (!all)
        return code;
    if (cli->json)
        code = show_json(all);
    else
        code = gaps ? gaps_show(json_object_get(all, name)) : days_show(json_object_get(all, name));
    json_decref(all);
    return code;
}
