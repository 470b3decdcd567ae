/* gantry-sim: worlds by seed.
 *
 *   gantry-sim [--seed N] [--seeds N] [--world week|hour|all|night|crowd|small] [--runs N] [--limit S] [--trace RUN]
 *
 * A broken promise is told with its seed, the simulated time and the run; the same seed is then run again, telling everything about
 * that run. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "scheduler/core_state.h"
#include "tests/sim/sim.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)

struct sim sim;

static const struct shape_of_world worlds[] = {
    {"week",      100,  24, 60, 4, 500000, 168 * HOUR, 600000, 5000, 30000, 2 * MINUTE,
     30 * MINUTE, 1500, 1,  6,  6, 200,    2 * MINUTE, 30000,  0,    0},
    {"hour", 10000, 48, 120, 3, 500000, HOUR, 60000, 5000, 30000, 2000, 5 * MINUTE, 4000, 20, 60, 200, 2000, 1000, 5000, 0, 0},
    {"crowd", 300, 12, 40, 2, 4000, 5 * MINUTE, 20000, 5000, 30000, 1000, 30000, 2000, 10, 8, 20, 100, 2000, 2000, 0, 0},
    {"night", 10, 3, 10, 3, 400, 10 * HOUR, 5000, 5000, 30000, 20000, 4 * MINUTE, 1500, 1, 1, 1, 4, 10 * MINUTE, 60000, 3, 12},
    {"small", 12, 6, 20, 3, 3000, 20 * MINUTE, 20000, 2000, 10000, 1500, 12000, 500, 1, 4, 5, 40, 4000, 1500, 0, 0},
};

static char **arguments;

uint64_t wall_now(void)
{
    return (uint64_t)((int64_t)(WALL_START + sim.now) + sim.wall);
}

/* ---- telling ---- */

static const char *when(void)
{
    static char text[64];
    snprintf(text, sizeof text, "day %lu %02lu:%02lu:%02lu.%03lu", (unsigned long)(sim.now / (24 * HOUR)),
             (unsigned long)(sim.now / HOUR % 24), (unsigned long)(sim.now / MINUTE % 60), (unsigned long)(sim.now / 1000 % 60),
             (unsigned long)(sim.now % 1000));
    return text;
}

bool tells(uint64_t run)
{
    return sim.trace && run == sim.trace;
}

void tell(uint64_t run, const char *format, ...)
{
    va_list args;
    if (!tells(run))
        return;
    va_start(args, format);
    printf("  %s  ", when());
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

static bool names_lease(const struct rec_lease_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].run_id == sim.trace)
            return true;
    return false;
}

/* Whether the message is about the run that is traced. */
static bool names(const struct msg *msg)
{
    bool found = false;
    switch (msg->shape->id) {
    case MSG_ASSIGN:
        for (uint32_t i = 0; i < msg->u.assign.runs.count; i++)
            found = found || msg->u.assign.runs.items[i].run_id == sim.trace;
        return found;
    case MSG_ACCEPT:
    case MSG_REJECT:
    case MSG_REFUSED:
    case MSG_CANCEL:
    case MSG_RESULT_ACK:
        return names_lease(&msg->u.accept.leases); /* all have the same members */
    case MSG_HELLO:
        return names_lease(&msg->u.hello.running);
    case MSG_WELCOME:
        return names_lease(&msg->u.welcome.drop);
    case MSG_HEARTBEAT:
        return names_lease(&msg->u.heartbeat.running);
    case MSG_HEARTBEAT_ACK:
        return names_lease(&msg->u.heartbeat_ack.drop);
    case MSG_RESULT:
        for (uint32_t i = 0; i < msg->u.result.items.count; i++)
            found = found || msg->u.result.items.items[i].run_id == sim.trace;
        return found;
    case MSG_PROGRESS:
        for (uint32_t i = 0; i < msg->u.progress.items.count; i++)
            found = found || msg->u.progress.items.items[i].run_id == sim.trace;
        return found;
    case MSG_LOG:
        return msg->u.log.chunk.run_id == sim.trace;
    case MSG_LOG_ACK:
        return msg->u.log_ack.run_id == sim.trace;
    case MSG_PUBLISH:
        return msg->u.publish.run_id == sim.trace;
    case MSG_PUBLISH_GRANT:
        return msg->u.publish_grant.run_id == sim.trace;
    case MSG_TRANSCODE_PULLED:
        return msg->u.transcode_pulled.task.id == sim.trace;
    case MSG_TRANSCODE_REPORT:
        return msg->u.transcode_report.task_id == sim.trace;
    case MSG_LIBRARY_KNOWN:
    case MSG_LIBRARY_KNOWN_ROWS:
    case MSG_LIBRARY_FOUND:
    case MSG_LIBRARY_FOUND_ACK:
        return msg->u.library_known.run_id == sim.trace; /* the first member of all */
    case MSG_RUN_ANSWER:
        return msg->u.run_answer.run.id == sim.trace;
    case MSG_RUN_ABORT:
        return msg->u.run_abort.id == sim.trace;
    case MSG_RUN_RESTART:
        return msg->u.run_restart.id == sim.trace;
    case MSG_RUN_BATCH_ANSWER:
        for (uint32_t i = 0; i < msg->u.run_batch_answer.run_ids.count; i++)
            found = found || msg->u.run_batch_answer.run_ids.items[i] == sim.trace;
        return found;
    default:
        return false;
    }
}

void tell_message(const char *from, uint32_t who, const struct msg *msg)
{
    struct buf text = {0};
    if (!names(msg))
        return;
    codec_print(&text, msg->shape, &msg->u);
    tell(sim.trace, "%s %u: %.*s", from, who, (int)text.len, text.data);
    buf_free(&text);
}

_Noreturn void broken(uint64_t run, const char *format, ...)
{
    char seed[32], runs[32], traced[32];
    va_list args;
    snprintf(seed, sizeof seed, "%lu", (unsigned long)sim.seed);
    snprintf(runs, sizeof runs, "%lu", (unsigned long)sim.world->runs);
    snprintf(traced, sizeof traced, "%lu", (unsigned long)run);
    va_start(args, format);
    printf("BROKEN seed %lu, world %s, %s", (unsigned long)sim.seed, sim.world->name, when());
    if (run)
        printf(", run %lu", (unsigned long)run);
    printf(": ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    if (run && !sim.trace) {
        printf("its history, again with `./dev sim --seed %s --world %s --runs %s --trace %s`:\n", seed, sim.world->name, runs,
               traced);
        fflush(stdout);
        execl("/proc/self/exe", arguments[0], "--seed", seed, "--world", sim.world->name, "--runs", runs, "--trace", traced,
              (char *)NULL);
    } else if (!run) {
        printf("again with `./dev sim --seed %s --world %s --runs %s`\n", seed, sim.world->name, runs);
    }
    fflush(stdout);
    _exit(1);
}

/* ---- the world goes on ---- */

static void deliver_up(struct event *event)
{
    struct packet *packet = event->arg.packet;
    struct connection *from = net_of(packet->from);
    struct sched *sched = &scheds[from->sched];
    if (!from->up || !sched->alive || !sched->open || sched->start != from->epoch)
        free(packet);
    else
        ground_message(sched->loop, packet);
}

static void deliver_down(struct event *event)
{
    struct packet *packet = event->arg.packet;
    const struct connection *to = net_of(packet->from);
    uint64_t at;
    bool thawed = to->kind == PEER_WORKER ? worker_thawed(to->who, &at) : to->kind != PEER_API || api_thawed(to->who, &at);
    if (to->up && !thawed) {
        wheel_add(at, EVENT_DOWN, to->who, packet, 0);
        return;
    }
    if (to->up && to->kind == PEER_WORKER)
        worker_message(to->who, packet, packet->from);
    else if (to->up && to->kind == PEER_API)
        api_message(to->who, packet, packet->from);
    else if (to->up)
        client_message(to->who, packet, packet->from);
    free(packet);
}

static void handle(struct event *event)
{
    struct sched *sched = event->who < SCHEDS ? &scheds[event->who] : NULL;
    switch (event->kind) {
    case EVENT_TURN:
        if (sched->alive && event->arg.number == sched->start)
            sched_turn(event->who);
        break;
    case EVENT_LOOP:
        if (sched->alive && event->arg.number == sched->start)
            ground_timer(sched->loop);
        break;
    case EVENT_LINK:
        if (sched->alive && event->arg.number >> 32 == sched->start)
            ground_link_try(sched->loop, event->arg.number & UINT32_MAX);
        break;
    case EVENT_REPLY:
        if (sched->alive)
            ground_reply(sched->loop, event->arg.packet);
        else
            free(event->arg.packet);
        break;
    case EVENT_UP:
        deliver_up(event);
        break;
    case EVENT_DOWN:
        deliver_down(event);
        break;
    case EVENT_STORE:
        store_packet(event->arg.packet);
        break;
    case EVENT_COMMIT:
        store_commit(event->arg.number);
        break;
    case EVENT_BACK:
        store_back();
        break;
    case EVENT_START:
        sched_start(event->who);
        break;
    case EVENT_WORKER:
        worker_event(event->who);
        break;
    case EVENT_CLIENT:
        client_event(event->who);
        break;
    case EVENT_API:
        api_event(event->who);
        break;
    case EVENT_FILM:
        film_event();
        break;
    case EVENT_FAULT:
        fault_event();
        break;
    case EVENT_CHECK:
        check_now();
        break;
    }
}

static void run_until(uint64_t until)
{
    struct event *event;
    while ((event = wheel_take(until))) {
        struct event copy = *event;
        wheel_done(event);
        handle(&copy);
    }
    if (sim.now < until)
        sim.now = until;
}

/* Settings differ from seed to seed. */
static void config_draw(void)
{
    sim.config = (struct core_config){.lease_ms = sim.world->lease_ms,
                                      .accept_ms = sim.world->lease_ms / 3000 * 1000,
                                      .heartbeat_ms = sim.world->heartbeat_ms,
                                      .lift_ms = 1000 * (1 + below(600)),
                                      .retry_base_ms = below(3000),
                                      .retry_cap_ms = 1000 + below(59000),
                                      .max_losses = 2 + below(3),
                                      .queue_max = (sim.world->workers < 100 ? 300 : 5000) + below(20000),
                                      .keys_max = 20000,
                                      .keys_ms = 3600000 * (1 + below(24)),
                                      .events_max = 1000 + below(5000)};
    sim.film_attempts = 1 + below(4);
    sim.report_ms = 1000 * (20 + below(60));
    sim.offline_ms = 30000;
    sim.offline_old_ms = 20000;
}

static void end_come(void)
{
    uint64_t limit = sim.now + 4 * HOUR;
    faults_end();
    while (sim.now < limit) {
        run_until(sim.now + 5000);
        if (clients_done() && !runs_open() && !workers_busy() && sched_serving() >= 0 && !scheds[1 - sched_serving()].alive &&
            journal_idle(scheds[sched_serving()].journal) && store_idle() && apis_done() && shelf_settled() && ledger_settled())
            break;
    }
    clients_check();
    shelf_check();
    ledger_check();
    if (runs_open())
        broken(disk_live_first(), "%lu runs never ended", (unsigned long)runs_open());
    for (int i = 0; i < 1000 && !journal_idle(scheds[sched_serving()].journal); i++)
        run_until(sim.now + 1);
    check_end();
}

static double seconds(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* How often somebody died at each step of its work. */
static void report_steps(void)
{
#define STEP_TEXT(id, text) [STEP_##id] = text,
    static const char *const texts[STEP_COUNT] = {STEPS(STEP_TEXT)};
#undef STEP_TEXT
    printf("  died:");
    for (int step = STEP_NONE + 1; step < STEP_COUNT; step++)
        printf("%s %lu %s", step > STEP_NONE + 1 ? "," : "", (unsigned long)sim.steps[step], texts[step]);
    printf("\n");
}

static void report(double took)
{
    printf(
        "seed %lu %s: %u workers, %lu runs, %lu requests, %lu batches, %.1fM events; %lu scheduler and %lu store ends, %lu of "
        "workers, %lu superseded, %lu breaks, %lu freezes, %lu gaps, %lu clock jumps, %lu lost and %lu doubled messages, %lu "
        "resumes, %lu refused; %lu executed, %lu of them again, %lu leases lost, %lu starts with a rate, %lu times a "
        "pool was full, %lu keys repeated, %lu rebuilds, %lu records "
        "compared; %lu scans, %lu videos transcoded, %lu failed, %lu ends of workers of the API; %lu cycles with %lu recordings, "
        "%.0f s recorded and %.0f missing; history %016lx; %.1f s\n",
        (unsigned long)sim.seed, sim.world->name, sim.world->workers, (unsigned long)(runs_top() ? runs_top() - 1 : 0),
        (unsigned long)clients_asked(), (unsigned long)sim.batches, (double)sim.events / 1e6, (unsigned long)sim.kills,
        (unsigned long)sim.store_kills, (unsigned long)sim.worker_kills, (unsigned long)sim.zombies, (unsigned long)sim.breaks,
        (unsigned long)sim.freezes, (unsigned long)sim.gaps, (unsigned long)sim.jumps, (unsigned long)sim.lost,
        (unsigned long)sim.doubled, (unsigned long)sim.resumes, (unsigned long)sim.refused, (unsigned long)sim.executed,
        (unsigned long)sim.twice, (unsigned long)sim.losses, (unsigned long)sim.rated, (unsigned long)sim.pool_full,
        (unsigned long)sim.keys_repeated, (unsigned long)sim.rebuilds, (unsigned long)sim.compared, (unsigned long)sim.scans,
        (unsigned long)sim.films_completed, (unsigned long)sim.films_failed, (unsigned long)sim.api_kills,
        (unsigned long)sim.cycles, (unsigned long)sim.recordings, (double)sim.recorded_ms / 1000, (double)sim.missing_ms / 1000,
        (unsigned long)sim.history, took);
    report_steps();
    fflush(stdout);
}

static void world_run(const struct shape_of_world *world, uint64_t seed, uint64_t trace)
{
    double began = seconds(CLOCK_PROCESS_CPUTIME_ID);
    sim = (struct sim){
        .world = world, .seed = seed, .dice = seed * 1000003 + world->workers, .trace = trace, .until = world->length_ms};
    sim.arena = arena_new((size_t)512 << 20);
    wheel_reset();
    net_reset();
    disk_reset();
    store_reset();
    sched_reset();
    check_reset();
    limits_reset();
    limits_clock_set();
    shelf_reset();
    ledger_reset();
    cameras_reset();
    config_draw();
    sched_start(0);
    workers_reset();
    clients_reset();
    films_reset();
    apis_reset();
    faults_begin();
    wheel_add(world->length_ms / 9, EVENT_CHECK, 0, NULL, 0);
    run_until(world->length_ms);
    end_come();
    report(seconds(CLOCK_PROCESS_CPUTIME_ID) - began);
    sched_free();
    store_free();
    workers_free();
    clients_free();
    apis_free();
    films_free();
    cameras_free();
    ledger_reset();
    shelf_reset();
    disk_reset();
    limits_reset();
    net_reset();
    wheel_reset();
    arena_free(sim.arena);
}

/* False: there is no such world. */
static bool worlds_run(const char *wanted, uint64_t seed, uint64_t runs, uint64_t trace)
{
    bool any = false;
    for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++) {
        struct shape_of_world world = worlds[i];
        if (strcmp(wanted, world.name) != 0 && (strcmp(wanted, "all") != 0 || world.length_ms < HOUR))
            continue;
        any = true;
        world.runs = runs ? runs : world.runs;
        world_run(&world, seed, trace);
    }
    return any;
}

/* True: it took too long. */
static bool seed_timed(uint64_t seed, double took, double limit)
{
    bool slow = limit > 0 && took > limit;
    printf("seed %lu took %.1f s of wall time", (unsigned long)seed, took);
    if (slow)
        printf(": TOO LONG, the limit is %g s", limit);
    printf("\n");
    fflush(stdout);
    return slow;
}

static int usage(void)
{
    fprintf(stderr, "usage: gantry-sim [--seed N] [--seeds N] [--world week|hour|night|crowd|small|all] [--runs N] [--limit S] "
                    "[--trace RUN]\n"
                    "  --seed N    begin with this seed (1)\n"
                    "  --seeds N   so many seeds, one after the other (1)\n"
                    "  --world W   week: 100 workers for a week; hour: 10,000 for an hour; crowd: 300, small: 12,\n"
                    "              for minutes; night: a recorder through ten hours; all: week, hour and night\n"
                    "  --runs N    runs a world and seed that clients ask for (500,000; crowd: 4,000; small: 3,000; night: 400)\n"
                    "  --limit S   a seed whose worlds together take over S seconds fails (no limit)\n"
                    "  --trace RUN tell everything about one run\n");
    return 2;
}

/* Variables of whoever runs this are no settings of the simulated scheduler. */
static void environment_forget(void)
{
    char name[256];
    for (char **entry = environ; *entry;) {
        size_t len = strcspn(*entry, "=");
        if (strncmp(*entry, "GANTRY_", 7) != 0 || len >= sizeof name) {
            entry++;
            continue;
        }
        memcpy(name, *entry, len);
        name[len] = '\0';
        unsetenv(name); /* moves what follows to here */
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, seeds = 1, trace = 0, runs = 0;
    double limit = 0;
    const char *wanted = "all";
    bool any = false, slow = false;
    arguments = argv;
    environment_forget();
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0)
            seed = number;
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = number;
        else if (strcmp(argv[i], "--trace") == 0)
            trace = number;
        else if (strcmp(argv[i], "--runs") == 0)
            runs = number;
        else if (strcmp(argv[i], "--limit") == 0)
            limit = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--world") == 0)
            wanted = argv[i + 1];
        else
            return usage();
    }
    if (argc % 2 == 0)
        return usage();
    for (uint64_t at = seed; at < seed + seeds; at++) {
        double began = seconds(CLOCK_MONOTONIC);
        any = worlds_run(wanted, at, runs, trace);
        if (!any)
            return usage();
        slow = seed_timed(at, seconds(CLOCK_MONOTONIC) - began, limit) || slow;
    }
    return any ? slow : usage();
}
