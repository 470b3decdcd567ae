/* Heartbeats and reports of progress, by workers that hold a run each: frames made once, sent as fast as the scheduler takes them.
 *
 * A heartbeat counts when it has been acknowledged. Reports of progress are soft and have no acknowledgement: every MARK reports a
 * heartbeat follows on the same connection, and its acknowledgement says that those before it were handled. A report carries the time it
 * was made at as its note; meanwhile the run is read over HTTP, and what is read tells its age.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/ident.h"
#include "proto/messages.h"
#include "tests/bench/bench.h"
#include "tests/bench/swarm.h"

#define WORKERS_MOST 64
#define BURST 64
#define MARK 512
#define UNACKED_MOST 4096 /* messages of a worker that were sent and not acknowledged */
#define READ_MS 20        /* between one read and the next */
#define NOTE "0000000000000"

struct worker {
    void *socket;
    struct rec_lease lease;
    struct buf heartbeat, progress;
    char *note; /* in progress */
    uint64_t open, unmarked;
    uint64_t marks; /* heartbeats that stand for MARK reports */
};

struct reports {
    struct bench *bench;
    void *context;
    struct endpoint endpoint;
    struct worker workers[WORKERS_MOST];
    struct arena *arena;
    struct msg msg; /* the last that was received */
    struct buf out;
    struct window window;
    uint64_t counted;
    char type[40];
    bool progress;
    struct swarm reader; /* one connection; open when progress is measured */
    char request[256];
    size_t request_len;
    bool reading;
};

/* ---- one message at a time, for what comes before and after ---- */

static int tell(struct reports *reports, struct worker *worker, const struct shape *shape, const void *value, uint64_t corr)
{
    struct err err = {0};

    buf_reset(&reports->out);
    if (codec_encode(&reports->out, shape, value, corr, (struct str){0}, &err) != 0)
        return bench_fail(shape->name, err.text);
    if (zmq_send(worker->socket, reports->out.data, reports->out.len, 0) < 0)
        return bench_fail(shape->name, strerror(errno));
    return 0;
}

/* Waits for a message of that kind into reports->msg; others are passed over. */
static int expect(struct reports *reports, struct worker *worker, const struct shape *shape)
{
    static char frame[65536];
    struct err err = {0};

    for (;;) {
        int len = zmq_recv(worker->socket, frame, sizeof frame, 0);
        if (len < 0)
            return bench_fail(shape->name, "it did not come");
        arena_reset(reports->arena);
        if (msg_decode(reports->arena, (struct str){frame, (uint32_t)len}, &reports->msg, &err) != 0)
            return bench_fail(shape->name, err.text);
        if (reports->msg.shape->id == MSG_ERROR)
            return bench_fail(shape->name, "an error came instead");
        if (reports->msg.shape == shape)
            return 0;
    }
}

static struct rec_idem idem_new(char scope[33])
{
    ident_random(scope, 16);
    return (struct rec_idem){.scope = {scope, 16}, .body = {scope, 16}};
}

static int worker_hello(struct reports *reports, struct worker *worker)
{
    char ident[33];
    struct str type = str_of(reports->type);
    int limit = 60000;
    int none = 0;
    int mark = 100000;

    ident_random(ident, 16);
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = str_of(ident),
                              .hostname = STR_LIT("bench"),
                              .task_types = {&type, 1},
                              .executors = {&type, 1},
                              .slots = 1,
                              .credit = 1};
    worker->socket = zmq_socket(reports->context, ZMQ_DEALER);
    if (!worker->socket)
        return bench_fail("ZeroMQ", strerror(errno));
    zmq_setsockopt(worker->socket, ZMQ_RCVTIMEO, &limit, sizeof limit);
    zmq_setsockopt(worker->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(worker->socket, ZMQ_SNDHWM, &mark, sizeof mark);
    zmq_setsockopt(worker->socket, ZMQ_RCVHWM, &mark, sizeof mark);
    if (zmq_connect(worker->socket, reports->endpoint.text) != 0)
        return bench_fail(reports->endpoint.text, strerror(errno));
    return tell(reports, worker, &shape_msg_hello, &hello, 0) != 0 ? -1 : expect(reports, worker, &shape_msg_welcome);
}

/* A task that only we serve, and a run of it for each worker. */
static int runs_make(struct reports *reports)
{
    struct worker *first = &reports->workers[0];
    char scope[33];
    struct msg_task_create create = {.idem = idem_new(scope),
                                     .spec = {.name = str_of(reports->type),
                                              .task_type = str_of(reports->type),
                                              .executor = str_of(reports->type),
                                              .command = STR_LIT("true")}};

    SET_HAS(&create.spec, rec_task_spec, name);
    SET_HAS(&create.spec, rec_task_spec, task_type);
    SET_HAS(&create.spec, rec_task_spec, executor);
    SET_HAS(&create.spec, rec_task_spec, command);
    if (tell(reports, first, &shape_msg_task_create, &create, 1) != 0 || expect(reports, first, &shape_msg_task_answer) != 0)
        return -1;
    uint64_t task_id = reports->msg.u.task_answer.task.id;
    for (int i = 0; i < reports->bench->workers; i++) {
        struct msg_run_trigger trigger = {.idem = idem_new(scope), .task_id = task_id};
        if (tell(reports, first, &shape_msg_run_trigger, &trigger, (uint64_t)i + 2) != 0)
            return -1;
    }
    return 0;
}

static int worker_take(struct reports *reports, struct worker *worker)
{
    struct msg_accept accept = {.leases = {&worker->lease, 1}};
    struct err err = {0};

    if (expect(reports, worker, &shape_msg_assign) != 0)
        return -1;
    const struct rec_assignment *run = &reports->msg.u.assign.runs.items[0];
    worker->lease = (struct rec_lease){.run_id = run->run_id, .attempt = run->attempt, .started_at = clock_wall_ms()};
    struct msg_heartbeat heartbeat = {
        .load_average = 1.25, .memory_mb = 1024, .cpu_percent = 50.5, .running = {&worker->lease, 1}};
    struct rec_progress item = {.run_id = run->run_id, .attempt = run->attempt, .percent = 50.5, .note = STR_LIT(NOTE)};
    SET_HAS(&item, rec_progress, percent);
    struct msg_progress progress = {.items = {&item, 1}};
    if (msg_encode_heartbeat(&worker->heartbeat, &heartbeat, 0, (struct str){0}, &err) != 0 ||
        msg_encode_progress(&worker->progress, &progress, 0, (struct str){0}, &err) != 0)
        return bench_fail("a report", err.text);
    worker->note = memmem(worker->progress.data, worker->progress.len, NOTE, strlen(NOTE));
    worker->lease.started_at = 0; /* ACCEPT has none */
    return tell(reports, worker, &shape_msg_accept, &accept, 0);
}

static int worker_finish(struct reports *reports, struct worker *worker)
{
    struct rec_outcome outcome = {.run_id = worker->lease.run_id, .attempt = worker->lease.attempt, .outcome = OUTCOME_COMPLETED};
    struct msg_result result = {.items = {&outcome, 1}};

    return tell(reports, worker, &shape_msg_result, &result, 0) != 0 ? -1 : expect(reports, worker, &shape_msg_result_ack);
}

/* ---- the flood ---- */

static void flood_send(struct reports *reports, struct worker *worker)
{
    char digits[21];

    if (reports->progress) {
        snprintf(digits, sizeof digits, "%013lu", (unsigned long)clock_wall_ms());
        memcpy(worker->note, digits, strlen(NOTE));
    }
    for (int i = 0; i < BURST && worker->open < UNACKED_MOST; i++) {
        bool marks = !reports->progress || worker->unmarked == MARK;
        const struct buf *frame = marks ? &worker->heartbeat : &worker->progress;
        if (zmq_send(worker->socket, frame->data, frame->len, ZMQ_DONTWAIT) < 0)
            return;
        if (reports->progress && marks) {
            worker->unmarked = 0;
        } else {
            worker->open++;
            worker->unmarked++;
        }
    }
}

static void flood_receive(struct reports *reports, struct worker *worker)
{
    /* [0x0404, …: what else may come here is none of our business */
    static const unsigned char ack[] = {0x92, 0xcd, 0x04, 0x04};
    char frame[256];
    int len;

    while ((len = zmq_recv(worker->socket, frame, sizeof frame, ZMQ_DONTWAIT)) >= 0) {
        if (len < (int)sizeof ack || memcmp(frame, ack, sizeof ack) != 0)
            continue;
        uint64_t count = reports->progress ? MARK : 1;
        worker->open -= count;
        if (reports->window.phase == PHASE_COUNT)
            reports->counted += count;
    }
}

/* ---- what a reader sees meanwhile ---- */

static size_t reader_take(struct link *link, const char *in, size_t len)
{
    struct reports *reports = link->swarm->self;
    const char *body = strstr(in, "\r\n\r\n");
    const char *length = strcasestr(in, "content-length:");

    if (!body || !length)
        return 0;
    size_t size = (size_t)(body + 4 - in) + strtoul(length + 15, NULL, 10);
    if (len < size)
        return 0;
    const char *note = strstr(body, "\"progress_note\":\"");
    reports->reading = false;
    if (note && link->swarm->window.phase == PHASE_COUNT) {
        uint64_t made = strtoull(note + strlen("\"progress_note\":\""), NULL, 10);
        uint64_t now = clock_wall_ms();
        samples_add(&link->swarm->samples, now > made ? (now - made) * 1000 : 0);
    }
    return size;
}

static void reader_go(struct reports *reports)
{
    struct link *link = &reports->reader.links[0];

    if (!reports->reading && clock_mono_us() >= link->asked_us + READ_MS * 1000) {
        swarm_send(link, reports->request, reports->request_len);
        reports->reading = true;
    }
    reports->reader.window.phase = reports->window.phase;
    swarm_turn(&reports->reader, 0);
}

static int reader_open(struct reports *reports)
{
    reports->reader.self = reports;
    reports->reader.take = reader_take;
    if (swarm_open(&reports->reader, reports->bench, reports->bench->at, 1) != 0)
        return -1;
    reports->request_len =
        (size_t)snprintf(reports->request, sizeof reports->request, "GET /api/runs/%lu HTTP/1.1\r\nHost: localhost\r\n\r\n",
                         (unsigned long)reports->workers[0].lease.run_id);
    return 0;
}

/* ---- the whole ---- */

static int flood(struct reports *reports)
{
    zmq_pollitem_t items[WORKERS_MOST];
    int count = reports->bench->workers;

    for (int i = 0; i < count; i++)
        items[i] = (zmq_pollitem_t){.socket = reports->workers[i].socket, .events = ZMQ_POLLIN};
    window_open(&reports->window, reports->bench);
    while (window_tick(&reports->window) != PHASE_OVER && !reports->reader.failed) {
        bool full = true;
        for (int i = 0; i < count; i++) {
            flood_receive(reports, &reports->workers[i]);
            flood_send(reports, &reports->workers[i]);
            full = full && reports->workers[i].open >= UNACKED_MOST;
        }
        if (reports->progress)
            reader_go(reports);
        if (full)
            zmq_poll(items, count, reports->progress ? READ_MS : 100);
    }
    return reports->reader.failed ? -1 : 0;
}

static int reports_run(struct reports *reports)
{
    int count = reports->bench->workers;

    for (int i = 0; i < count; i++)
        if (worker_hello(reports, &reports->workers[i]) != 0)
            return -1;
    if (runs_make(reports) != 0)
        return -1;
    for (int i = 0; i < count; i++)
        if (worker_take(reports, &reports->workers[i]) != 0)
            return -1;
    if ((reports->progress && reader_open(reports) != 0) || flood(reports) != 0)
        return -1;
    for (int i = 0; i < count; i++)
        if (worker_finish(reports, &reports->workers[i]) != 0)
            return -1;
    if (window_report(&reports->window, reports->counted) != 0)
        return -1;
    return reports->progress ? samples_report(&reports->reader.samples, reports->bench, "age") : 0;
}

static int reports_measure(struct bench *bench, bool progress)
{
    struct reports *reports = calloc(1, sizeof *reports);
    struct err err = {0};
    int rc = -1;

    if (!reports || bench->workers > WORKERS_MOST || bench->workers < 1)
        return bench_fail("--workers", "1 to 64");
    reports->bench = bench;
    reports->progress = progress;
    reports->context = zmq_ctx_new();
    reports->arena = arena_new((size_t)16 << 20);
    snprintf(reports->type, sizeof reports->type, "bench-");
    ident_random(reports->type + strlen(reports->type), 8);
    if (endpoint_of(bench->settings, SET_BUS_WORKERS, "workers", false, &reports->endpoint, &err) != 0)
        bench_fail("the farm", err.text);
    else
        rc = reports_run(reports);
    for (int i = 0; i < bench->workers; i++) {
        if (reports->workers[i].socket)
            zmq_close(reports->workers[i].socket);
        buf_free(&reports->workers[i].heartbeat);
        buf_free(&reports->workers[i].progress);
    }
    if (progress)
        swarm_close(&reports->reader);
    zmq_ctx_term(reports->context);
    arena_free(reports->arena);
    buf_free(&reports->out);
    free(reports);
    return rc;
}

int heartbeats_measure(struct bench *bench)
{
    return reports_measure(bench, false);
}

int progress_measure(struct bench *bench)
{
    return reports_measure(bench, true);
}
