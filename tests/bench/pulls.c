/* Workers of the transcode API, each on a connection that stays: it registers, asks for a task each --pace ms, and says at every fifth of
 * these times that it lives. With --status 404 it is to be told that nothing waits; with 201 it gets a task each time, and says at once
 * that it failed, so that as many wait as before. Without a pace each asks again as soon as it is answered, and does not beat. With --path
 * it asks that at the same times instead, of a server that knows nothing of workers.
 *
 * When who asks is drawn once and stays: at random over the time between two questions, as it is with workers that do not know each
 * other. A question that is due while the one before is open leaves behind its answer; how often that was is told (late). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/clock.h"
#include "tests/bench/swarm.h"

#define BEATS 5 /* questions for each heartbeat */
#define REGISTER_MS 60000
#define WAIT_US 20000 /* at most, between two looks at the clock */
#define NAME "bench"

enum asked { ASKED_NOTHING, ASKED_REGISTER, ASKED_PULL, ASKED_END, ASKED_BEAT, ASKS };

struct puller {
    uint64_t id;   /* as the farm numbers it */
    uint64_t task; /* that it has been given */
    enum asked open;
    bool pull, beat; /* due, and not asked yet */
};

struct due { /* once in each turn of a lane */
    uint64_t at_us;
    int who;
};

struct lane {
    struct due *dues; /* in the order of their times */
    uint64_t turn_us, began_us, done;
};

struct pulls {
    struct swarm swarm;
    struct puller *pullers;
    struct lane pulling, beating;
    struct samples samples[ASKS];
    uint64_t answers, given, late;
    int registered;
    unsigned mark; /* of this process, in the workers' names */
    char text[1024];
};

static struct pulls *pulls_of(const struct link *link)
{
    return link->swarm->self;
}

static struct puller *puller_of(const struct link *link)
{
    return &pulls_of(link)->pullers[link->number];
}

/* ---- questions ---- */

static void post(struct link *link, enum asked what, const char *method, const char *path, const char *body)
{
    struct pulls *pulls = pulls_of(link);
    int len = snprintf(pulls->text, sizeof pulls->text,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       method, path, strlen(body), body);

    puller_of(link)->open = what;
    swarm_send(link, pulls->text, (size_t)len);
}

/* A CPU's encoder takes every video, a graphics card's none of those that videos.c makes: they have 60 frames a second. */
static int type_of(const struct bench *bench)
{
    return bench->status == 201 ? 0 : 1;
}

static void ask_register(struct link *link)
{
    char body[128];

    snprintf(body, sizeof body, "{\"worker_name\":\"" NAME " %08x %d\",\"worker_type\":%d,\"support_vr\":0}",
             pulls_of(link)->mark, link->number, type_of(link->swarm->bench));
    post(link, ASKED_REGISTER, "POST", "/api/v1/workers", body);
}

static void ask_pull(struct link *link)
{
    char body[128];

    const struct bench *bench = link->swarm->bench;

    puller_of(link)->pull = false;
    snprintf(body, sizeof body, "{\"worker_id\":%llu,\"worker_type\":%d,\"support_vr\":0}",
             (unsigned long long)puller_of(link)->id, type_of(bench));
    post(link, ASKED_PULL, "POST", bench->path ? bench->path : "/api/v1/tasks", body);
}

static void ask_end(struct link *link)
{
    char body[160], path[64];
    struct puller *puller = puller_of(link);

    snprintf(path, sizeof path, "/api/v1/tasks/%llu", (unsigned long long)puller->task);
    snprintf(body, sizeof body, "{\"worker_id\":%llu,\"progress\":1,\"status\":3,\"error_message\":\"measured\"}",
             (unsigned long long)puller->id);
    puller->task = 0;
    post(link, ASKED_END, "PATCH", path, body);
}

static void ask_beat(struct link *link)
{
    char body[128];
    struct puller *puller = puller_of(link);

    puller->beat = false;
    snprintf(body, sizeof body, "{\"worker_name\":\"" NAME " %08x %d\",\"worker_id\":%llu}", pulls_of(link)->mark, link->number,
             (unsigned long long)puller->id);
    post(link, ASKED_BEAT, "POST", link->swarm->bench->path ? link->swarm->bench->path : "/api/v1/workers/heartbeat", body);
}

/* What it has to ask next, if anything. */
static void ask_next(struct link *link)
{
    const struct puller *puller = puller_of(link);

    if (puller->task)
        ask_end(link);
    else if (puller->beat)
        ask_beat(link);
    else if (puller->pull)
        ask_pull(link);
}

/* ---- answers ---- */

static uint64_t number_behind(const char *in, const char *word)
{
    const char *at = strstr(in, word);

    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

/* False: it is none that was wanted. */
static bool answer_take(struct link *link, const char *in, int status)
{
    struct pulls *pulls = pulls_of(link);
    struct puller *puller = puller_of(link);

    switch (puller->open) {
    case ASKED_REGISTER:
        puller->id = number_behind(in, "\"worker_id\":");
        pulls->registered++;
        return status == 201 && puller->id;
    case ASKED_PULL:
        if (status == 201 && !pulls->swarm.bench->path)
            puller->task = number_behind(in, "\"task_id\":\"");
        pulls->given += puller->task != 0;
        puller->pull = pulls->swarm.bench->pace_ms == 0; /* again, behind the task's end */
        return status == pulls->swarm.bench->status && (status != 201 || puller->task || pulls->swarm.bench->path);
    default:
        return status == (pulls->swarm.bench->path ? pulls->swarm.bench->status : 200);
    }
}

static size_t take(struct link *link, const char *in, size_t len)
{
    struct pulls *pulls = pulls_of(link);
    struct puller *puller = puller_of(link);
    const char *body = strstr(in, "\r\n\r\n"), *length = strcasestr(in, "content-length:");
    int status = 0;

    if (!body || !length || length > body)
        return 0;
    size_t size = (size_t)(body + 4 - in) + strtoul(length + 15, NULL, 10);
    if (len < size)
        return 0;
    if (pulls->swarm.window.phase == PHASE_COUNT) {
        samples_add(&pulls->samples[puller->open], clock_mono_us() - link->asked_us);
        pulls->answers++;
    }
    if (sscanf(in, "HTTP/1.1 %d", &status) != 1 || !answer_take(link, in, status))
        swarm_fail(link->swarm, in);
    bool registered = puller->open == ASKED_REGISTER;
    puller->open = ASKED_NOTHING;
    if (!link->swarm->failed && !registered)
        ask_next(link);
    return size;
}

/* ---- when who asks ---- */

static int by_time(const void *a, const void *b)
{
    const struct due *left = a, *right = b;

    return left->at_us < right->at_us ? -1 : left->at_us > right->at_us;
}

static int lane_open(struct lane *lane, int count, uint64_t turn_us)
{
    *lane = (struct lane){.dues = calloc((size_t)count, sizeof *lane->dues), .turn_us = turn_us, .began_us = clock_mono_us()};
    if (!lane->dues)
        return bench_fail("memory", "there is none");
    for (int i = 0; i < count; i++)
        lane->dues[i] = (struct due){.at_us = (uint64_t)(drand48() * (double)turn_us), .who = i};
    qsort(lane->dues, (size_t)count, sizeof *lane->dues, by_time);
    return 0;
}

/* Whose turn it is by now; -1: nobody's, and the next one's in so many microseconds. */
static int lane_next(struct lane *lane, int count, uint64_t *wait_us)
{
    const struct due *due = &lane->dues[lane->done % (uint64_t)count];
    uint64_t at = lane->began_us + lane->done / (uint64_t)count * lane->turn_us + due->at_us, now = clock_mono_us();

    if (at > now) {
        *wait_us = at - now < *wait_us ? at - now : *wait_us;
        return -1;
    }
    lane->done++;
    return due->who;
}

static void pulls_due(struct pulls *pulls, uint64_t *wait_us)
{
    int who;

    while ((who = lane_next(&pulls->pulling, pulls->swarm.count, wait_us)) >= 0) {
        pulls->late += pulls->pullers[who].pull;
        pulls->pullers[who].pull = true;
        if (pulls->pullers[who].open == ASKED_NOTHING)
            ask_next(&pulls->swarm.links[who]);
    }
    while ((who = lane_next(&pulls->beating, pulls->swarm.count, wait_us)) >= 0) {
        pulls->pullers[who].beat = true;
        if (pulls->pullers[who].open == ASKED_NOTHING)
            ask_next(&pulls->swarm.links[who]);
    }
}

static int run_paced(struct pulls *pulls)
{
    struct swarm *swarm = &pulls->swarm;
    uint64_t pace_us = swarm->bench->pace_ms * 1000;

    if (lane_open(&pulls->pulling, swarm->count, pace_us) != 0 || lane_open(&pulls->beating, swarm->count, pace_us * BEATS) != 0)
        return -1;
    window_open(&swarm->window, swarm->bench);
    while (!swarm->failed && window_tick(&swarm->window) != PHASE_OVER) {
        uint64_t wait_us = WAIT_US;
        pulls_due(pulls, &wait_us);
        swarm_turn_us(swarm, wait_us);
    }
    return swarm->failed ? -1 : 0;
}

static int run_at_once(struct pulls *pulls)
{
    window_open(&pulls->swarm.window, pulls->swarm.bench);
    for (int i = 0; i < pulls->swarm.count; i++)
        ask_pull(&pulls->swarm.links[i]);
    return swarm_run(&pulls->swarm);
}

/* ---- the course of it ---- */

static int all_register(struct pulls *pulls)
{
    struct swarm *swarm = &pulls->swarm;

    for (int i = 0; i < swarm->count; i++)
        ask_register(&swarm->links[i]);
    while (!swarm->failed && pulls->registered < swarm->count)
        if (swarm_turn(swarm, REGISTER_MS) == 0)
            swarm_fail(swarm, "a worker was not registered in time");
    return swarm->failed ? -1 : 0;
}

static int measure(struct pulls *pulls)
{
    struct bench *bench = pulls->swarm.bench;

    if ((!bench->path && all_register(pulls) != 0) || (bench->pace_ms ? run_paced(pulls) : run_at_once(pulls)) != 0 ||
        window_report(&pulls->swarm.window, pulls->answers) != 0)
        return -1;
    bench_put(bench, "given", (double)pulls->given);
    bench_put(bench, "late", (double)pulls->late);
    if (bench->status == 201 && !bench->path && samples_report(&pulls->samples[ASKED_END], bench, "end") != 0)
        return -1;
    if (bench->pace_ms && samples_report(&pulls->samples[ASKED_BEAT], bench, "beat") != 0)
        return -1;
    bench_put(bench, "pulls", (double)pulls->samples[ASKED_PULL].count);
    return samples_report(&pulls->samples[ASKED_PULL], bench, "pull");
}

int pulls_measure(struct bench *bench)
{
    struct pulls pulls = {.swarm = {.self = &pulls, .take = take}};

    pulls.mark = (unsigned)(clock_mono_us() ^ clock_wall_ms());
    srand48((long)bench->clients);
    pulls.pullers = calloc((size_t)bench->clients, sizeof *pulls.pullers);
    int rc = pulls.pullers ? swarm_open(&pulls.swarm, bench, bench->at, bench->clients) : bench_fail("memory", "there is none");
    if (rc == 0)
        rc = measure(&pulls);
    swarm_close(&pulls.swarm);
    for (int i = 0; i < ASKS; i++)
        samples_free(&pulls.samples[i]);
    free(pulls.pulling.dues);
    free(pulls.beating.dues);
    free(pulls.pullers);
    return rc;
}
