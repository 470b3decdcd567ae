/* A scan that finds many videos: its worker says so in LIBRARY_FOUND, as many a message as fit, each committed before the next. So what
 * a library of a million costs scheduler and store, and how it comes into a farm that is measured further.
 *
 * The scan is one that waits for a worker; it is this process's from its ASSIGN to its RESULT_ACK. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bus.h"
#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/ident.h"
#include "tests/bench/bench.h"

#define EACH 256 /* videos a message */
#define DEADLINE_MS 60000
#define WAIT_MS 60000 /* for the scan */
#define BEAT_MS 2000

struct scan {
    struct loop *loop;
    struct bench *bench;
    struct bus_client *client;
    struct endpoint endpoint;
    char ident[33], root[4096];
    uint64_t run, attempt, seq, told, began_us, ended_us;
    int waits; /* the timer of WAIT_MS */
    bool failed;
};

static void fail(struct scan *scan, const char *what, struct str why)
{
    char text[256];

    str_copy(text, sizeof text, why);
    if (!scan->failed)
        bench_fail(what, text);
    scan->failed = true;
    loop_stop(scan->loop);
}

static void too_late(void *arg)
{
    fail(arg, "videos", STR_LIT("no scan came: is a library set, and has somebody asked for a scan?"));
}

/* ---- what is found ---- */

struct row { /* what the texts of one point at */
    char path[64], hash[16];
};

/* The same number is the same video. */
static struct rec_video_found video_of(uint64_t number, struct row *row)
{
    uint64_t dice = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(row->hash, &dice, 8);
    memcpy(row->hash + 8, &number, 8);
    snprintf(row->path, sizeof row->path, "folder %03u/a film with a name %08u.mp4", (unsigned)(number % 1000), (unsigned)number);
    struct rec_video_found found = {.path = str_of(row->path),
                                    .size = 1000000000 + number,
                                    .mtime_ns = UINT64_C(1700000000000000000) + number,
                                    .hash = {row->hash, sizeof row->hash},
                                    .codec = STR_LIT("h264"),
                                    .bitrate_k = 1000 + (dice >> 32) % 50000,
                                    .fps = 60,
                                    .width = 1920,
                                    .height = 1080,
                                    .duration_ms = 3600000,
                                    .container = STR_LIT("mov"),
                                    .wanted = true,
                                    .rules = 1};
    SET_HAS(&found, rec_video_found, wanted);
    return found;
}

static void tell_more(struct scan *scan);

static void on_found(void *arg, const struct msg *msg, const struct err *err)
{
    struct scan *scan = arg;

    if (!msg || msg->shape->id != MSG_LIBRARY_FOUND_ACK) {
        fail(scan, "what was found", msg && msg->shape->id == MSG_ERROR ? msg->u.error.text : str_of(msg ? "?" : err->text));
        return;
    }
    tell_more(scan);
}

static void end(struct scan *scan)
{
    struct rec_outcome outcome = {
        .run_id = scan->run, .attempt = scan->attempt, .outcome = OUTCOME_COMPLETED, .ended_at = clock_wall_ms()};
    struct msg_result result = {.items = {&outcome, 1}};
    struct err err = {0};

    scan->ended_us = clock_mono_us();
    SET_HAS(&outcome, rec_outcome, exit_code);
    if (bus_tell(scan->client, &shape_msg_result, &result, &err) != 0)
        fail(scan, "RESULT", str_of(err.text));
}

static void tell_more(struct scan *scan)
{
    static struct rec_video_found items[EACH];
    static struct row rows[EACH];
    uint64_t left = scan->bench->rows - scan->told;
    uint32_t count = left < EACH ? (uint32_t)left : EACH;

    if (count == 0) {
        end(scan);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        items[i] = video_of(scan->bench->keys + scan->told++, &rows[i]);
    struct msg_library_found found = {.run_id = scan->run,
                                      .attempt = scan->attempt,
                                      .seq = ++scan->seq,
                                      .root = str_of(scan->root),
                                      .videos = {items, count},
                                      .walked = scan->bench->rows};
    bus_ask(scan->client, &shape_msg_library_found, &found, (struct str){0}, DEADLINE_MS, on_found, scan);
}

/* ---- its worker ---- */

static void say_hello(void *self)
{
    struct scan *scan = self;
    struct str type = STR_LIT("scan");
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(scan->ident),
                              .boot = str_of(scan->ident),
                              .hostname = STR_LIT("bench"),
                              .task_types = {&type, 1},
                              .executors = {&type, 1},
                              .slots = 1,
                              .credit = 1};
    struct err err = {0};

    if (bus_tell(scan->client, &shape_msg_hello, &hello, &err) != 0)
        fail(scan, "the worker's HELLO", str_of(err.text));
}

static void say_beat(void *arg)
{
    struct scan *scan = arg;
    struct rec_lease lease = {.run_id = scan->run, .attempt = scan->attempt};
    struct msg_heartbeat beat = {.running = {&lease, scan->run != 0}};

    bus_tell(scan->client, &shape_msg_heartbeat, &beat, NULL);
}

static void take(struct scan *scan, const struct rec_assignment *given)
{
    struct rec_lease lease = {.run_id = given->run_id, .attempt = given->attempt};
    struct msg_accept accept = {.leases = {&lease, 1}};
    struct err err = {0};

    if (scan->run)
        return;
    loop_cancel(scan->loop, scan->waits);
    scan->run = given->run_id;
    scan->attempt = given->attempt;
    str_copy(scan->root, sizeof scan->root, given->spec.command);
    if (bus_tell(scan->client, &shape_msg_accept, &accept, &err) != 0)
        fail(scan, "ACCEPT", str_of(err.text));
    scan->began_us = clock_mono_us();
    tell_more(scan);
}

static void on_message(void *self, const struct msg *msg, struct str frame)
{
    struct scan *scan = self;

    (void)frame;
    if (msg->shape->id == MSG_ASSIGN)
        take(scan, &msg->u.assign.runs.items[0]);
    else if (msg->shape->id == MSG_RESULT_ACK)
        loop_stop(scan->loop);
    else if (msg->shape->id == MSG_ERROR)
        fail(scan, "the worker", msg->u.error.text);
}

static int measure(struct scan *scan)
{
    struct bench *bench = scan->bench;
    struct window window;

    scan->waits = loop_after(scan->loop, WAIT_MS, too_late, scan);
    int beat = loop_every(scan->loop, BEAT_MS, say_beat, scan);
    window_open(&window, bench);
    window_whole(&window);
    loop_run(scan->loop);
    window_whole(&window);
    loop_cancel(scan->loop, beat);
    if (scan->failed)
        return -1;
    if (window_report(&window, scan->told) != 0)
        return -1;
    bench_put(bench, "rate", (double)scan->told * 1e6 / (double)(scan->ended_us - scan->began_us + 1));
    return 0;
}

int videos_measure(struct bench *bench)
{
    struct bus_client_events events = {.up = say_hello, .message = on_message};
    struct scan scan = {.bench = bench, .loop = loop_new()};
    struct err err = {.text = "out of memory"};

    ident_random(scan.ident, 16);
    if (scan.loop && endpoint_of(bench->settings, SET_BUS_WORKERS, "workers", false, &scan.endpoint, &err) == 0)
        scan.client = bus_client_new(scan.loop, scan.endpoint.text, &scan.endpoint.curve, &events, &scan, &err);
    int rc = scan.client ? measure(&scan) : bench_fail("the farm", err.text);
    bus_client_free(scan.client);
    loop_free(scan.loop);
    return rc;
}
