#include "tests/bench/bench.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"

#define SECONDS_MOST 60

static const struct {
    const char *name;
    bench_measure *measure;
    const char *doc;
} measures[] = {
    {"sync", sync_measure, "appends of 4 KiB, each made durable by fdatasync, in --data"},
    {"commit", commit_measure, "the puts of a life of a run in a bare database, --batch lives a commit"},
    {"trip", trip_measure, "ZeroMQ there and back, two processes"},
    {"router", router_measure, "what a bare ROUTER receives of 4 DEALERs in another process"},
    {"constant", constant_serve, "libmicrohttpd answering a constant; prints its port, ends at SIGTERM"},
    {"lives", lives_measure,
     "submit, assignment, acceptance, result, acknowledgement: --clients and --workers, --batch runs a message, --slots and "
     "--credit of a "
     "worker"},
    {"dispatch", dispatch_measure, "from a submit until an idle worker holds the run"},
    {"heartbeats", heartbeats_measure, "heartbeats of --workers that hold a run each, acknowledged"},
    {"progress", progress_measure, "reports of progress by --workers that hold a run each"},
    {"requests", requests_measure, "--path (with --body a POST) at --at over --clients connections, one at a time on each"},
    {"beanstalk", beanstalk_measure, "put, reserve, delete at --at"},
    {"redis", redis_measure, "LPUSH, BLMOVE, SET and LREM at --at"},
    {"schedules", schedules_measure,
     "--rows tasks with schedules, --batch of them due in one second: until a worker holds their runs; --pending: none is due"},
    {"videos", videos_measure, "a scan that finds --rows videos behind --keys others; it is to wait for a worker"},
    {"pulls", pulls_measure,
     "--clients workers of the transcode API at --at: each asks for a task every --pace ms and beats every fifth time; --status "
     "404: "
     "nothing waits for them, 201: each gets one, and fails it at once"},
    {"fill", fill_measure, "--rows final runs (--pending: waiting ones) into the database in --data"},
};

#define MEASURES (sizeof measures / sizeof measures[0])

int bench_fail(const char *what, const char *why)
{
    fprintf(stderr, "gantry-bench: %s: %s\n", what, why);
    return -1;
}

void bench_put(struct bench *bench, const char *name, double value)
{
    json_object_set_new(bench->result, name, json_real(value));
}

static int usage(const char *text)
{
    fprintf(
        stderr,
        "gantry-bench: %s\nusage: gantry-bench MEASURE [--seconds N] [--clients N] [--workers N] [--batch N] [--slots N] "
        "[--credit N]\n"
        "    [--rows N] [--keys N] [--tasks N] [--pending] [--pace MS] [--at HOST:PORT] [--path PATH] [--body JSON] [--status N] "
        "[--watch NAME=PID]… "
        "[settings of the farm]\n",
        text);
    for (size_t i = 0; i < MEASURES; i++)
        fprintf(stderr, "  %-10s  %s\n", measures[i].name, measures[i].doc);
    return 2;
}

static bool watch_add(struct bench *bench, const char *words)
{
    const char *equals = strchr(words, '=');
    struct watch *watch = &bench->watches[bench->watch_count];

    if (!equals || bench->watch_count == WATCHES_MAX || (size_t)(equals - words) >= sizeof watch->name)
        return false;
    memcpy(watch->name, words, (size_t)(equals - words));
    if (clock_getcpuclockid((pid_t)strtol(equals + 1, NULL, 10), &watch->clock) != 0)
        return false;
    bench->watch_count++;
    return true;
}

/* How many arguments an option of ours takes with its value; 0 when it is none. */
static int option_take(struct bench *bench, const char *name, const char *value)
{
    if (strcmp(name, "--pending") == 0) {
        bench->pending = true;
        return 1;
    }
    if (!value)
        return 0;
    if (strcmp(name, "--seconds") == 0)
        bench->seconds = strtod(value, NULL);
    else if (strcmp(name, "--clients") == 0)
        bench->clients = atoi(value);
    else if (strcmp(name, "--workers") == 0)
        bench->workers = atoi(value);
    else if (strcmp(name, "--batch") == 0)
        bench->batch = (unsigned)atoi(value);
    else if (strcmp(name, "--slots") == 0)
        bench->slots = strtoull(value, NULL, 10);
    else if (strcmp(name, "--credit") == 0)
        bench->credit = strtoull(value, NULL, 10);
    else if (strcmp(name, "--rows") == 0)
        bench->rows = strtoull(value, NULL, 10);
    else if (strcmp(name, "--keys") == 0)
        bench->keys = strtoull(value, NULL, 10);
    else if (strcmp(name, "--tasks") == 0)
        bench->tasks = strtoull(value, NULL, 10);
    else if (strcmp(name, "--pace") == 0)
        bench->pace_ms = strtoull(value, NULL, 10);
    else if (strcmp(name, "--at") == 0)
        bench->at = value;
    else if (strcmp(name, "--path") == 0)
        bench->path = value;
    else if (strcmp(name, "--body") == 0)
        bench->body = value;
    else if (strcmp(name, "--status") == 0)
        bench->status = atoi(value);
    else if (strcmp(name, "--watch") != 0 || !watch_add(bench, value))
        return 0;
    return 2;
}

/* Takes our options; the farm's settings stay in flags. -1 with the argument that is neither. */
static int options_read(struct bench *bench, int argc, char **argv, char **flags, int *count)
{
    flags[0] = argv[0];
    *count = 1;
    for (int i = 2; i < argc;) {
        int span = option_take(bench, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (span == 0) {
            span = settings_flag_span(argv[i]);
            if (span == 0 || i + span > argc)
                return i;
            for (int word = 0; word < span; word++)
                flags[(*count)++] = argv[i + word];
        }
        i += span;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct bench bench = {.seconds = 3, .clients = 4, .workers = 4, .batch = 1, .status = 200, .result = json_object()};
    char **flags = calloc((size_t)argc + 1, sizeof *flags);
    struct err err = {0};
    int count = 0;
    size_t which = 0;

    if (!flags || !bench.result || sodium_init() < 0)
        return usage("out of memory");
    while (which < MEASURES && (argc < 2 || strcmp(argv[1], measures[which].name) != 0))
        which++;
    int wrong = which < MEASURES ? options_read(&bench, argc, argv, flags, &count) : 1;
    struct settings *settings = wrong == 0 ? settings_load(count, flags, NULL, &err) : NULL;
    free(flags);
    if (!settings)
        return usage(wrong == 0 ? err.text : argc > wrong ? argv[wrong] : "which measure?");
    bool sane = bench.seconds > 0 && bench.seconds <= SECONDS_MOST && bench.clients >= 0 && bench.clients <= 10000 &&
                bench.workers >= 0 && bench.workers <= 1000 && bench.batch >= 1 && bench.batch <= 1000;
    if (!sane)
        return usage("an option is out of its range");
    bench.settings = settings;
    log_init("bench", LOG_WARN);
    int rc = measures[which].measure(&bench);
    if (rc == 0) {
        json_dumpf(bench.result, stdout, JSON_SORT_KEYS);
        putchar('\n');
    }
    json_decref(bench.result);
    settings_free(settings);
    return rc == 0 ? 0 : 1;
}
