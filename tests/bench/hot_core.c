/* The scheduler's core, from a received frame to the batch that is handed to the store and what leaves when it is acknowledged: a
 * submit; a run's assignment, acceptance and result; a heartbeat of a worker that holds four runs. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/core.h"
#include "tests/bench/bench.h"
#include "tests/bench/hot.h"

#define HELD 4 /* runs of the worker that heartbeats */

static struct core *core;
static struct journal *journal;
static struct arena *arena;
static struct buf out;
static uint64_t epoch = 1;
static uint64_t batches; /* handed over */
static uint64_t delivered, corr;
static char *frames[HOT_STEPS][2];
static uint32_t lens[HOT_STEPS][2];

static uint64_t wall(void *self)
{
    (void)self;
    return UINT64_C(1700000000000);
}

static uint64_t mono(void *self)
{
    (void)self;
    return 1000000;
}

static uint64_t dice(void *self)
{
    (void)self;
    return 4;
}

static int take_batch(void *self, struct str frame)
{
    (void)self, (void)frame;
    batches++;
    return 0;
}

static void take_letter(void *self, const struct address *to, struct str frame)
{
    (void)self, (void)to, (void)frame;
    delivered++;
}

static void take_commit(void *self, uint64_t event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)event, (void)runs, (void)count;
}

static void settle(void)
{
    core_settle(core);
    journal_acked(journal, epoch, batches);
}

static void receive(struct str frame, enum door door)
{
    static struct msg msg;
    struct err err;
    struct core_call call = {
        .from = {.door = door, .peer = {.len = 5, .id = {0, 0, 0, 0, (uint8_t)door}}}, .frame = frame, .msg = &msg};

    arena_reset(arena);
    hot_check(msg_decode(arena, frame, &msg, &err) == 0, "decode");
    call.from.corr = msg.corr;
    core_handle(core, &call);
}

static struct str encode(const struct shape *shape, const void *value, bool asks)
{
    struct err err = {0};

    buf_reset(&out);
    hot_check(codec_encode(&out, shape, value, asks ? ++corr : 0, (struct str){0}, &err) == 0, shape->name);
    return buf_str(&out);
}

static void keep(unsigned number, int which, const struct shape *shape, const void *value, bool asks)
{
    struct str frame = encode(shape, value, asks);

    frames[number][which] = malloc(frame.len);
    hot_check(frames[number][which] != NULL, "memory");
    memcpy(frames[number][which], frame.ptr, frame.len);
    lens[number][which] = frame.len;
}

static struct str kept(unsigned number, int which)
{
    return (struct str){frames[number][which], lens[number][which]};
}

static struct msg_run_trigger trigger_of(unsigned number)
{
    static char parameters[PAYLOAD_BYTES];
    static char scope[16];
    struct msg_run_trigger trigger = {.idem = {.scope = {scope, 16}, .body = {scope, 16}},
                                      .task_id = 1,
                                      .trigger = {.parameters = {parameters, sizeof parameters}}};

    payload_map(parameters, number);
    memcpy(scope, &number, sizeof number);
    SET_HAS(&trigger.trigger, rec_trigger, parameters);
    trigger.idem.by = (struct rec_audit_by){.kind = AUDIT_LOCAL,
                                            .who = STR_LIT("local"),
                                            .address = STR_LIT("127.0.0.1"),
                                            .method = STR_LIT("POST"),
                                            .path = STR_LIT("/api/tasks/1/trigger")};
    SET_HAS(&trigger.idem, rec_idem, by);
    return trigger;
}

/* A core with a task, and a worker with so much credit (0: none). */
static void core_open(unsigned credit)
{
    static const struct journal_port port = {NULL, take_batch, take_letter, take_commit};
    static const struct core_clock time = {NULL, wall, mono, dice};
    static const struct core_config config = {.lease_ms = 30000,
                                              .accept_ms = 10000,
                                              .heartbeat_ms = 5000,
                                              .lift_ms = 600000,
                                              .retry_base_ms = 1000,
                                              .retry_cap_ms = 300000,
                                              .max_losses = 3,
                                              .queue_max = 2000000,
                                              .queue_bytes = (uint64_t)1 << 40,
                                              .tasks_max = 1000000,
                                              .workers_max = 100000,
                                              .workers_ms = UINT64_C(604800000),
                                              .keys_max = 1000000,
                                              .keys_ms = 86400000,
                                              .events_max = 1000000};
    uint64_t next[TYPE_MAX] = {0};
    struct str word = STR_LIT("shell");
    struct err err = {0};
    struct msg_task_create create = {.idem = {.scope = STR_LIT("aaaaaaaaaaaaaaaa"), .body = STR_LIT("aaaaaaaaaaaaaaaa")},
                                     .spec = {.name = word, .task_type = word, .executor = word, .command = word}};

    for (int i = 0; i < TYPE_MAX; i++)
        next[i] = 1;
    SET_HAS(&create.spec, rec_task_spec, name);
    SET_HAS(&create.spec, rec_task_spec, task_type);
    SET_HAS(&create.spec, rec_task_spec, executor);
    SET_HAS(&create.spec, rec_task_spec, command);
    arena = arena_new((size_t)16 << 20);
    journal = journal_new(&port);
    core = core_new(&config, &time, journal, NULL);
    hot_check(arena && journal && core, "memory");
    journal_begin(journal, epoch);
    hot_check(core_loaded(core, next, TYPE_MAX, &err) == 0, err.text);
    receive(encode(&shape_msg_task_create, &create, true), DOOR_COMMANDS);
    settle();
    if (credit == 0)
        return;
    struct msg_hello hello = {.protocol = 1,
                              .ident = word,
                              .boot = word,
                              .hostname = word,
                              .task_types = {&word, 1},
                              .executors = {&word, 1},
                              .slots = credit,
                              .credit = credit};
    receive(encode(&shape_msg_hello, &hello, false), DOOR_WORKERS);
    settle();
}

static void runs_submit(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct msg_run_trigger trigger = trigger_of(i);
        receive(encode(&shape_msg_run_trigger, &trigger, true), DOOR_COMMANDS);
        settle();
    }
}

static void prepare_submit(void)
{
    core_open(0);
    for (unsigned i = 0; i < HOT_STEPS; i++) {
        struct msg_run_trigger trigger = trigger_of(i);
        keep(i, 0, &shape_msg_run_trigger, &trigger, true);
    }
}

static void step_submit(unsigned number)
{
    uint64_t before = delivered;

    receive(kept(number, 0), DOOR_COMMANDS);
    settle();
    hot_check(delivered == before + 1, "a submit was not answered");
}

/* The worker holds run 1; each step ends the one it holds and brings it the next. */
static void prepare_dispatch(void)
{
    core_open(1);
    runs_submit(HOT_STEPS + 1);
    for (unsigned i = 0; i < HOT_STEPS; i++) {
        struct rec_lease lease = {.run_id = i + 1, .attempt = 1};
        struct rec_outcome outcome = {
            .run_id = i + 1, .attempt = 1, .outcome = OUTCOME_COMPLETED, .started_at = 1, .ended_at = 2};
        struct msg_accept accept = {.leases = {&lease, 1}};
        struct msg_result result = {.items = {&outcome, 1}};
        keep(i, 0, &shape_msg_accept, &accept, false);
        keep(i, 1, &shape_msg_result, &result, false);
    }
}

static void step_dispatch(unsigned number)
{
    uint64_t before = delivered;

    receive(kept(number, 0), DOOR_WORKERS);
    receive(kept(number, 1), DOOR_WORKERS);
    settle();
    settle();
    hot_check(delivered == before + 2, "no acknowledgement and assignment");
}

static void prepare_heartbeat(void)
{
    struct rec_lease leases[HELD];

    core_open(HELD);
    runs_submit(HELD);
    for (unsigned i = 0; i < HELD; i++)
        leases[i] = (struct rec_lease){.run_id = i + 1, .attempt = 1};
    struct msg_accept accept = {.leases = {leases, HELD}};
    receive(encode(&shape_msg_accept, &accept, false), DOOR_WORKERS);
    settle();
    struct msg_heartbeat heartbeat = {.load_average = 1.5, .memory_mb = 1000, .cpu_percent = 20, .running = {leases, HELD}};
    keep(0, 0, &shape_msg_heartbeat, &heartbeat, false);
}

static void step_heartbeat(unsigned number)
{
    uint64_t before = delivered;
    (void)number;

    receive(kept(0, 0), DOOR_WORKERS);
    settle();
    hot_check(delivered == before + 1, "a heartbeat was not acknowledged");
}

const struct hot hot_table[] = {{"submit", prepare_submit, step_submit},
                                {"dispatch", prepare_dispatch, step_dispatch},
                                {"heartbeat", prepare_heartbeat, step_heartbeat},
                                {NULL, NULL, NULL}};
