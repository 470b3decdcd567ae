/* Whole lives of runs over the workers' socket: RUN_TRIGGER, ASSIGN, ACCEPT, RESULT, RESULT_ACK.
 *
 * Each submitter has one request under way, and waits while OPEN_MOST runs are open. Each worker accepts and reports at once what it is
 * assigned, a message of either for all runs of an ASSIGN; it holds as many as --credit says, one when a message is about one. Submitters
 * and workers live in this process, on cores the farm needs too. A measure is shorter than a lease, so there are no heartbeats in it.
 *
 * A measure has three parts: warming up, the window that is counted, and draining, in which nothing is submitted and every run that was
 * is waited for. It fails if one is missing: a rate of lost work is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bus.h"
#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/ident.h"
#include "tests/bench/bench.h"

#define TICK_MS 5
#define DRAIN_MS 60000
#define DEADLINE_MS 60000
#define LEAVE_MS 2000
#define RING (1U << 17) /* runs under way whose times are kept, by id */
#define BATCH_MAX 1000

struct life { /* of a run, until both its answer and its acknowledgement are in */
    uint64_t run_id;
    uint64_t asked_us; /* 0: not answered yet */
    uint64_t acked_us; /* 0: not acknowledged yet */
};

struct measure;

struct submitter {
    struct measure *measure;
    struct bus_client *client;
    uint64_t asked_us;
    bool busy;
};

struct worker {
    struct measure *measure;
    struct bus_client *client;
    char ident[33];
    char boot[33];
    bool welcome;
};

struct measure {
    struct loop *loop;
    struct bench *bench;
    struct submitter *submitters;
    struct worker *workers;
    int submitter_count, worker_count;
    unsigned batch;
    uint64_t task_id, payloads;
    char (*payload)[PAYLOAD_BYTES]; /* of the message being made */
    uint64_t slots, credit;
    struct life *ring;
    struct window window;
    struct submitter **held; /* who wait for room */
    int held_count;
    bool idle; /* the next is submitted when there is nothing left to do */
    bool submitting, failed;
    int welcome;
    uint64_t asked, submitted, acked;        /* in all; asked: as it leaves, submitted: as it is answered */
    uint64_t window_acked, window_submitted; /* while counting */
    struct samples answers, lives, dispatches;
    struct endpoint endpoint;
    unsigned char scope[16]; /* of idempotency keys: random, then counted */
};

static void lives_fail(struct measure *measure, const char *what, const char *why)
{
    if (!measure->failed) {
        bench_fail(what, why);
    }
    measure->failed = true;
    loop_stop(measure->loop);
}

static bool counting(const struct measure *measure)
{
    return measure->window.phase == PHASE_COUNT;
}

static void drained(struct measure *measure)
{
    if (!measure->submitting && measure->acked >= measure->asked)
        loop_stop(measure->loop);
}

/* ---- lives ---- */

static struct life *life_of(struct measure *measure, uint64_t run_id)
{
    struct life *life = &measure->ring[run_id % RING];

    if (life->run_id != run_id) {
        *life = (struct life){.run_id = run_id};
    }
    return life;
}

static void life_count(struct measure *measure, const struct life *life)
{
    if (life->asked_us != 0 && life->acked_us != 0 && counting(measure)) {
        samples_add(&measure->lives, life->acked_us - life->asked_us);
    }
}

/* ---- submitters ---- */

static void submit(struct submitter *submitter);

static uint64_t open_runs(const struct measure *measure)
{
    return measure->asked - measure->acked;
}

/* Now, or once there is room, or when the one before has come to its end. */
static void submit_next(struct submitter *submitter)
{
    struct measure *measure = submitter->measure;

    if (!measure->submitting) {
        drained(measure);
    } else if (measure->idle ? open_runs(measure) == 0 : open_runs(measure) < OPEN_MOST) {
        submit(submitter);
    } else if (!measure->idle) {
        measure->held[measure->held_count++] = submitter;
    }
}

static void submitted(void *arg, const struct msg *msg, const struct err *err)
{
    struct submitter *submitter = arg;
    struct measure *measure = submitter->measure;
    const uint64_t *ids = NULL;
    uint32_t count = 0;

    if (msg != NULL && msg->shape->id == MSG_RUN_ANSWER) {
        ids = &msg->u.run_answer.run.id;
        count = 1;
    } else if (msg != NULL && msg->shape->id == MSG_RUN_BATCH_ANSWER) {
        ids = msg->u.run_batch_answer.run_ids.items;
        count = msg->u.run_batch_answer.run_ids.count;
    } else {
        char text[256];
        struct str said = msg != NULL && msg->shape->id == MSG_ERROR ? msg->u.error.text : str_of(msg == NULL ? err->text : "?");
        str_copy(text, sizeof text, said);
        lives_fail(measure, "a submit was not accepted", text);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct life *life = life_of(measure, ids[i]);
        life->asked_us = submitter->asked_us;
        life_count(measure, life);
    }
    measure->submitted += count;
    if (counting(measure)) {
        measure->window_submitted += count;
        samples_add(&measure->answers, clock_mono_us() - submitter->asked_us);
    }
    submitter->busy = false;
    submit_next(submitter);
}

static struct rec_idem idem_next(struct measure *measure)
{
    for (int i = 15; i >= 8 && ++measure->scope[i] == 0; i--) {}
    struct str scope = {(const char *)measure->scope, sizeof measure->scope};
    return (struct rec_idem){.scope = scope, .body = scope};
}

static void trigger_fill(struct rec_trigger *trigger, char *payload, uint64_t number)
{
    payload_map(payload, number);
    trigger->parameters = (struct str){payload, PAYLOAD_BYTES};
    SET_HAS(trigger, rec_trigger, parameters);
}

static void submit(struct submitter *submitter)
{
    struct measure *measure = submitter->measure;

    measure->asked += measure->batch;
    window_queue(&measure->window, open_runs(measure));
    submitter->asked_us = clock_mono_us();
    submitter->busy = true;
    if (measure->batch == 1) {
        struct msg_run_trigger trigger = {.idem = idem_next(measure), .task_id = measure->task_id};
        trigger_fill(&trigger.trigger, measure->payload[0], ++measure->payloads);
        bus_ask(submitter->client, &shape_msg_run_trigger, &trigger, (struct str){0}, DEADLINE_MS, submitted, submitter);
    } else {
        struct rec_trigger items[BATCH_MAX] = {0};
        for (unsigned i = 0; i < measure->batch; i++) {
            trigger_fill(&items[i], measure->payload[i], ++measure->payloads);
        }
        struct msg_run_trigger_batch trigger = {
            .idem = idem_next(measure), .task_id = measure->task_id, .items = {items, measure->batch}};
        bus_ask(submitter->client, &shape_msg_run_trigger_batch, &trigger, (struct str){0}, DEADLINE_MS, submitted, submitter);
    }
}

/* ---- workers ---- */

static void say_hello(void *self)
{
    struct worker *worker = self;
    struct str type = STR_LIT("bench");
    struct str executor = STR_LIT("shell");
    struct err err = {0};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(worker->ident),
                              .boot = str_of(worker->boot),
                              .hostname = STR_LIT("bench"),
                              .task_types = {&type, 1},
                              .executors = {&executor, 1},
                              .slots = worker->measure->slots,
                              .credit = worker->measure->credit};

    if (bus_tell(worker->client, &shape_msg_hello, &hello, &err) != 0) {
        lives_fail(worker->measure, "a worker's HELLO", err.text);
    }
}

/* Accepted and done in one go. */
static void take_assignments(struct worker *worker, const struct rec_assignment_list *runs)
{
    if (worker->measure->idle && counting(worker->measure)) {
        samples_add(&worker->measure->dispatches, clock_mono_us() - worker->measure->submitters[0].asked_us);
    }
    struct rec_lease *leases = calloc(runs->count, sizeof *leases);
    struct rec_outcome *outcomes = calloc(runs->count, sizeof *outcomes);
    uint64_t now = clock_wall_ms();
    struct err err = {0};

    for (uint32_t i = 0; leases != NULL && outcomes != NULL && i < runs->count; i++) {
        leases[i] = (struct rec_lease){.run_id = runs->items[i].run_id, .attempt = runs->items[i].attempt};
        outcomes[i] = (struct rec_outcome){.run_id = runs->items[i].run_id,
                                           .attempt = runs->items[i].attempt,
                                           .outcome = OUTCOME_COMPLETED,
                                           .started_at = now,
                                           .ended_at = now};
        SET_HAS(&outcomes[i], rec_outcome, exit_code);
    }
    struct msg_accept accept = {.leases = {leases, runs->count}};
    struct msg_result result = {.items = {outcomes, runs->count}};
    if (leases == NULL || outcomes == NULL || bus_tell(worker->client, &shape_msg_accept, &accept, &err) != 0 ||
        bus_tell(worker->client, &shape_msg_result, &result, &err) != 0) {
        lives_fail(worker->measure, "a worker's RESULT", err.text);
    }
    free(leases);
    free(outcomes);
}

static void take_acks(struct measure *measure, const struct rec_lease_list *leases)
{
    uint64_t now = clock_mono_us();

    for (uint32_t i = 0; i < leases->count; i++) {
        struct life *life = life_of(measure, leases->items[i].run_id);
        if (life->acked_us != 0) {
            lives_fail(measure, "a run", "its result was acknowledged twice");
            return;
        }
        life->acked_us = now;
        life_count(measure, life);
    }
    measure->acked += leases->count;
    measure->window_acked += counting(measure) ? leases->count : 0;
    window_queue(&measure->window, open_runs(measure));
    if (measure->idle && measure->submitting && open_runs(measure) == 0 && !measure->submitters[0].busy) {
        submit(&measure->submitters[0]);
    }
    while (measure->submitting && measure->held_count > 0 && open_runs(measure) < OPEN_MOST) {
        submit(measure->held[--measure->held_count]);
    }
    drained(measure);
}

static void begin(struct measure *measure);

static void worker_message(void *self, const struct msg *msg, struct str frame)
{
    struct worker *worker = self;
    char text[256];

    (void)frame;
    switch (msg->shape->id) {
    case MSG_WELCOME:
        if (!worker->welcome) {
            worker->welcome = true;
            worker->measure->welcome++;
            begin(worker->measure);
        }
        break;
    case MSG_ASSIGN:
        take_assignments(worker, &msg->u.assign.runs);
        break;
    case MSG_RESULT_ACK:
        take_acks(worker->measure, &msg->u.result_ack.leases);
        break;
    case MSG_REFUSED:
        lives_fail(worker->measure, "a result", "it was refused");
        break;
    case MSG_ERROR:
        str_copy(text, sizeof text, msg->u.error.text);
        lives_fail(worker->measure, "a worker", text);
        break;
    default:
        break;
    }
}

/* ---- the course of a measure ---- */

static void tick(void *arg)
{
    struct measure *measure = arg;

    if (measure->submitting && window_tick(&measure->window) == PHASE_OVER) {
        measure->submitting = false;
        drained(measure);
    }
}

static void too_late(void *arg)
{
    struct measure *measure = arg;
    char text[128];

    snprintf(text, sizeof text, "%lu submitted, %lu acknowledged", (unsigned long)measure->submitted,
             (unsigned long)measure->acked);
    lives_fail(measure, "not every run came to its end in time", text);
}

/* Once every worker is known. */
static void begin(struct measure *measure)
{
    if (measure->welcome < measure->worker_count) {
        return;
    }
    measure->submitting = true;
    window_open(&measure->window, measure->bench);
    for (int i = 0; i < measure->submitter_count; i++) {
        submit(&measure->submitters[i]);
    }
    loop_every(measure->loop, TICK_MS, tick, measure);
}

static int measure_open(struct measure *measure, struct bench *bench, int submitters, int workers, struct err *err)
{
    measure->bench = bench;
    measure->submitter_count = submitters;
    measure->worker_count = workers;
    measure->loop = loop_new();
    measure->ring = calloc(RING, sizeof *measure->ring);
    measure->submitters = calloc((size_t)submitters + 1, sizeof *measure->submitters);
    measure->held = calloc((size_t)submitters + 1, sizeof *measure->held);
    measure->workers = calloc((size_t)workers + 1, sizeof *measure->workers);
    measure->payload = calloc(measure->batch, sizeof *measure->payload);
    char random[33];
    ident_random(random, 16);
    memcpy(measure->scope, random, sizeof measure->scope);
    if (measure->loop == NULL || measure->ring == NULL || measure->submitters == NULL || measure->held == NULL ||
        measure->workers == NULL || measure->payload == NULL) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    if (endpoint_of(bench->settings, SET_BUS_WORKERS, "workers", false, &measure->endpoint, err) != 0) {
        return -1;
    }
    for (int i = 0; i < submitters; i++) {
        struct submitter *submitter = &measure->submitters[i];
        submitter->measure = measure;
        submitter->client = bus_client_new(measure->loop, measure->endpoint.text, &measure->endpoint.curve,
                                           &(struct bus_client_events){0}, submitter, err);
        if (submitter->client == NULL) {
            return -1;
        }
    }
    return 0;
}

static int workers_open(struct measure *measure)
{
    struct bus_client_events events = {.up = say_hello, .message = worker_message};
    struct err err = {0};

    for (int i = 0; i < measure->worker_count; i++) {
        struct worker *worker = &measure->workers[i];
        worker->measure = measure;
        ident_random(worker->ident, 16);
        ident_random(worker->boot, 16);
        worker->client = bus_client_new(measure->loop, measure->endpoint.text, &measure->endpoint.curve, &events, worker, &err);
        if (worker->client == NULL) {
            return bench_fail("a worker", err.text);
        }
    }
    return 0;
}

static void left(void *arg, const struct msg *msg, const struct err *err)
{
    struct measure *measure = arg;

    (void)msg, (void)err;
    if (--measure->welcome == 0) {
        loop_stop(measure->loop);
    }
}

/* BYE, and a question behind it whose answer proves that it was read: a worker that only vanished would be given the next measure's
 * first run. */
static void workers_leave(struct measure *measure)
{
    int leaving = measure->welcome;

    for (int i = 0; i < measure->worker_count && measure->workers != NULL; i++) {
        struct worker *worker = &measure->workers[i];
        if (worker->welcome) {
            bus_tell(worker->client, &shape_msg_bye, &(struct msg_bye){0}, NULL);
            bus_ask(worker->client, &shape_msg_ping, &(struct msg_ping){0}, (struct str){0}, LEAVE_MS, left, measure);
        }
    }
    if (leaving > 0) {
        loop_run(measure->loop);
    }
}

static void measure_close(struct measure *measure)
{
    workers_leave(measure);
    for (int i = 0; i < measure->worker_count && measure->workers != NULL; i++) {
        bus_client_free(measure->workers[i].client);
    }
    for (int i = 0; i < measure->submitter_count && measure->submitters != NULL; i++) {
        bus_client_free(measure->submitters[i].client);
    }
    loop_free(measure->loop);
    free(measure->ring);
    free(measure->submitters);
    free(measure->held);
    free(measure->workers);
    free(measure->payload);
    samples_free(&measure->answers);
    samples_free(&measure->lives);
    samples_free(&measure->dispatches);
}

/* ---- the task ---- */

static void task_made(void *arg, const struct msg *msg, const struct err *err)
{
    struct measure *measure = arg;
    char text[256];

    if (msg != NULL && msg->shape->id == MSG_TASK_ANSWER) {
        measure->task_id = msg->u.task_answer.task.id;
        loop_stop(measure->loop);
        return;
    }
    str_copy(text, sizeof text,
             msg != NULL && msg->shape->id == MSG_ERROR ? msg->u.error.text : str_of(msg == NULL ? err->text : "?"));
    lives_fail(measure, "the task", text);
}

/* Makes the task whose runs are measured. */
static int task_make(struct measure *measure)
{
    char name[64] = "bench-";

    ident_random(name + strlen(name), 8);
    struct msg_task_create create = {.idem = idem_next(measure),
                                     .spec = {.name = str_of(name),
                                              .task_type = STR_LIT("bench"),
                                              .executor = STR_LIT("shell"),
                                              .command = STR_LIT("true"),
                                              .priority = PRIORITY_NORMAL}};
    SET_HAS(&create.spec, rec_task_spec, name);
    SET_HAS(&create.spec, rec_task_spec, task_type);
    SET_HAS(&create.spec, rec_task_spec, executor);
    SET_HAS(&create.spec, rec_task_spec, command);
    SET_HAS(&create.spec, rec_task_spec, priority);
    bus_ask(measure->submitters[0].client, &shape_msg_task_create, &create, (struct str){0}, DEADLINE_MS, task_made, measure);
    loop_run(measure->loop);
    return measure->failed || measure->task_id == 0 ? -1 : 0;
}

static int measure_run(struct measure *measure)
{
    struct bench *bench = measure->bench;

    if (task_make(measure) != 0 || workers_open(measure) != 0) {
        return -1;
    }
    loop_after(measure->loop, WARM_MOST_MS + (uint64_t)(bench->seconds * 1000) + DRAIN_MS, too_late, measure);
    loop_run(measure->loop);
    if (measure->failed) {
        return -1;
    }
    bench_put(bench, "submits", (double)measure->window_submitted / (bench->seconds));
    if (window_report(&measure->window, measure->window_acked) != 0 || samples_report(&measure->lives, bench, "life") != 0 ||
        samples_report(&measure->answers, bench, "submit") != 0) {
        return -1;
    }
    return measure->idle ? samples_report(&measure->dispatches, bench, "dispatch") : 0;
}

static int measure_go(struct bench *bench, int submitters, int workers, bool idle)
{
    struct measure measure = {.batch = bench->batch, .idle = idle, .slots = bench->slots};
    struct err err = {0};

    if (measure.slots == 0) {
        measure.slots = bench->batch > 1 ? 128 : 1;
    }
    measure.credit = bench->credit != 0 ? bench->credit : bench->batch > 1 ? measure.slots * 4 : measure.slots;
    int rc = measure_open(&measure, bench, submitters, workers, &err);
    rc = rc != 0 ? bench_fail("the farm", err.text) : measure_run(&measure);
    measure_close(&measure);
    return rc;
}

int lives_measure(struct bench *bench)
{
    return measure_go(bench, bench->clients, bench->workers, false);
}

int dispatch_measure(struct bench *bench)
{
    bench->batch = 1;
    return measure_go(bench, 1, 1, true);
}
