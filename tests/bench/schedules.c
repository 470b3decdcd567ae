/* Many tasks with schedules, of which --batch are due in one second: how long after it each run is with a worker. With --pending none is
 * due: the tasks are made, and what they cost while nothing happens is for the caller to look at.
 *
 * Tasks are made over the workers' socket, so many requests under way at once. The worker, in this process too, has room for all runs, and
 * accepts and reports at once what it is assigned. A measure is shorter than a lease, so there are no heartbeats in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bus.h"
#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/ident.h"
#include "tests/bench/bench.h"

#define OPEN_REQUESTS 1000
#define DEADLINE_MS 60000
#define MAKE_MS 600000 /* for all tasks */
#define AHEAD_MS 5000  /* of the due second when the first task that is due then is made */
#define LATE_MS 20000  /* behind it, until nobody waits any more */
#define FAR "0 0 1 1 *"

struct measure {
    struct loop *loop;
    struct bench *bench;
    struct bus_client *asker, *worker;
    struct endpoint endpoint;
    unsigned char scope[16]; /* of idempotency keys: random, then counted */
    char prefix[20], ident[33];
    uint64_t wanted, asked, made; /* tasks */
    uint64_t due_ms;
    char due[64]; /* the schedule that is due then */
    uint64_t assigned, in_second;
    struct samples late;
    uint64_t began_us;
    bool failed;
};

static void fail(struct measure *measure, const char *what, struct str why)
{
    char text[256];

    str_copy(text, sizeof text, why);
    if (!measure->failed)
        bench_fail(what, text);
    measure->failed = true;
    loop_stop(measure->loop);
}

/* ---- the tasks ---- */

static void make_some(struct measure *measure);

static void on_made(void *arg, const struct msg *msg, const struct err *err)
{
    struct measure *measure = arg;

    if (!msg || msg->shape->id != MSG_TASK_ANSWER) {
        fail(measure, "a task was not made",
             msg && msg->shape->id == MSG_ERROR ? msg->u.error.text : str_of(msg ? "?" : err->text));
        return;
    }
    measure->made++;
    make_some(measure);
    if (measure->made == measure->wanted)
        loop_stop(measure->loop);
}

static void task_make(struct measure *measure, const char *schedule)
{
    char name[64];

    for (int i = 15; i >= 8 && ++measure->scope[i] == 0; i--) {}
    struct str scope = {(const char *)measure->scope, sizeof measure->scope};
    snprintf(name, sizeof name, "%s-%llu", measure->prefix, (unsigned long long)++measure->asked);
    struct msg_task_create create = {.idem = {.scope = scope, .body = scope},
                                     .spec = {.name = str_of(name),
                                              .task_type = STR_LIT("bench"),
                                              .executor = STR_LIT("shell"),
                                              .command = STR_LIT("true"),
                                              .schedule = str_of(schedule)}};
    SET_HAS(&create.spec, rec_task_spec, name);
    SET_HAS(&create.spec, rec_task_spec, task_type);
    SET_HAS(&create.spec, rec_task_spec, executor);
    SET_HAS(&create.spec, rec_task_spec, command);
    SET_HAS(&create.spec, rec_task_spec, schedule);
    bus_ask(measure->asker, &shape_msg_task_create, &create, (struct str){0}, DEADLINE_MS, on_made, measure);
}

static void make_some(struct measure *measure)
{
    while (!measure->failed && measure->asked < measure->wanted && measure->asked - measure->made < OPEN_REQUESTS)
        task_make(measure, measure->due_ms ? measure->due : FAR);
}

/* So many more; -1 when they could not all be made. */
static int tasks_make(struct measure *measure, uint64_t count)
{
    measure->wanted += count;
    if (count == 0)
        return 0;
    make_some(measure);
    loop_run(measure->loop);
    return measure->failed ? -1 : 0;
}

static void too_late(void *arg)
{
    fail(arg, "schedules", STR_LIT("not all tasks were made, or not all runs assigned, in time"));
}

/* ---- the worker ---- */

static void say_hello(void *self)
{
    struct measure *measure = self;
    struct str type = STR_LIT("bench"), executor = STR_LIT("shell");
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(measure->ident),
                              .boot = str_of(measure->ident),
                              .hostname = STR_LIT("bench"),
                              .task_types = {&type, 1},
                              .executors = {&executor, 1},
                              .slots = 4096,
                              .credit = 4096};
    struct err err = {0};

    if (bus_tell(measure->worker, &shape_msg_hello, &hello, &err) != 0)
        fail(measure, "the worker's HELLO", str_of(err.text));
}

static void take_assignments(struct measure *measure, const struct rec_assignment_list *runs)
{
    struct rec_lease *leases = calloc(runs->count, sizeof *leases);
    struct rec_outcome *outcomes = calloc(runs->count, sizeof *outcomes);
    uint64_t now = clock_wall_ms();
    struct err err = {.text = "out of memory"};

    for (uint32_t i = 0; leases && outcomes && i < runs->count; i++) {
        const struct rec_assignment *run = &runs->items[i];
        leases[i] = (struct rec_lease){.run_id = run->run_id, .attempt = run->attempt};
        outcomes[i] = (struct rec_outcome){
            .run_id = run->run_id, .attempt = run->attempt, .outcome = OUTCOME_COMPLETED, .started_at = now, .ended_at = now};
        SET_HAS(&outcomes[i], rec_outcome, exit_code);
        samples_add(&measure->late, (now - measure->due_ms) * 1000);
        measure->in_second += now - measure->due_ms < 1000;
    }
    struct msg_accept accept = {.leases = {leases, runs->count}};
    struct msg_result result = {.items = {outcomes, runs->count}};
    if (!leases || !outcomes || bus_tell(measure->worker, &shape_msg_accept, &accept, &err) != 0 ||
        bus_tell(measure->worker, &shape_msg_result, &result, &err) != 0)
        fail(measure, "the worker's RESULT", str_of(err.text));
    free(leases);
    free(outcomes);
    measure->assigned += runs->count;
    if (measure->assigned >= measure->bench->batch)
        loop_stop(measure->loop);
}

static void on_message(void *self, const struct msg *msg, struct str frame)
{
    struct measure *measure = self;

    (void)frame;
    if (msg->shape->id == MSG_WELCOME)
        loop_stop(measure->loop);
    else if (msg->shape->id == MSG_ASSIGN)
        take_assignments(measure, &msg->u.assign.runs);
    else if (msg->shape->id == MSG_ERROR)
        fail(measure, "the worker", msg->u.error.text);
}

static int worker_come(struct measure *measure)
{
    struct bus_client_events events = {.up = say_hello, .message = on_message};
    struct err err = {0};

    measure->worker = bus_client_new(measure->loop, measure->endpoint.text, &measure->endpoint.curve, &events, measure, &err);
    if (!measure->worker)
        return bench_fail("the worker", err.text);
    loop_run(measure->loop);
    return measure->failed ? -1 : 0;
}

/* ---- the course of it ---- */

/* A second that is still to come, and the schedule of it. */
static void due_choose(struct measure *measure)
{
    measure->due_ms = (clock_wall_ms() + AHEAD_MS) / 1000 * 1000;
    uint64_t second = measure->due_ms / 1000;
    snprintf(measure->due, sizeof measure->due, "%u %u %u * * *", (unsigned)(second % 60), (unsigned)(second / 60 % 60),
             (unsigned)(second / 3600 % 24));
}

static int due_measure(struct measure *measure)
{
    struct bench *bench = measure->bench;

    due_choose(measure);
    if (tasks_make(measure, bench->batch) != 0 || worker_come(measure) != 0)
        return -1;
    if (clock_wall_ms() >= measure->due_ms)
        return bench_fail("the tasks", "they were not made before they were due");
    int timer = loop_after(measure->loop, AHEAD_MS + LATE_MS, too_late, measure);
    loop_run(measure->loop);
    loop_cancel(measure->loop, timer);
    if (measure->failed)
        return -1;
    bench_put(bench, "due", bench->batch);
    bench_put(bench, "rate", (double)measure->in_second);
    return samples_report(&measure->late, bench, "late");
}

static int measure_run(struct measure *measure)
{
    struct bench *bench = measure->bench;
    uint64_t due = bench->pending ? 0 : bench->batch;

    int timer = loop_after(measure->loop, MAKE_MS, too_late, measure);
    measure->began_us = clock_mono_us();
    if (tasks_make(measure, bench->rows > due ? bench->rows - due : 0) != 0)
        return -1;
    loop_cancel(measure->loop, timer);
    bench_put(bench, "tasks", (double)measure->made);
    bench_put(bench, "made_per_second", (double)measure->made * 1e6 / (double)(clock_mono_us() - measure->began_us + 1));
    return bench->pending ? 0 : due_measure(measure);
}

int schedules_measure(struct bench *bench)
{
    struct measure measure = {.bench = bench, .loop = loop_new()};
    struct err err = {0};
    int rc = -1;

    ident_random(measure.prefix, 8);
    ident_random(measure.ident, 16);
    memcpy(measure.scope, measure.ident, sizeof measure.scope);
    if (measure.loop && endpoint_of(bench->settings, SET_BUS_WORKERS, "workers", false, &measure.endpoint, &err) == 0)
        measure.asker = bus_client_new(measure.loop, measure.endpoint.text, &measure.endpoint.curve,
                                       &(struct bus_client_events){0}, &measure, &err);
    rc = measure.asker ? measure_run(&measure) : bench_fail("the farm", err.text);
    bus_client_free(measure.worker);
    bus_client_free(measure.asker);
    loop_free(measure.loop);
    samples_free(&measure.late);
    return rc;
}
