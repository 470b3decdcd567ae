/* The scheduler's doors: whatever peers say, in any order, to the real doors, core and journal, with a store that comes and goes, time
 * that jumps, and restarts in between. What must hold: the core's invariants after every step; what leaves is a message of the table;
 * what is stored can be loaded again; a final run stays as it is. */
#include <stdlib.h>

#include "proto/log.h"
#include "proto/loop.h"
#include "scheduler/doors.h"
#include "tests/fuzz/sockets.h"
#include "tests/fuzz/steps.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"
#include "tests/unit/unit.h"

#define PEERS 4

enum step_op {
    STEP_WORKER,  /* a frame at the workers' door */
    STEP_COMMAND, /* at the gateway's */
    STEP_SETTLE,
    STEP_WAIT,
    STEP_JUMP,
    STEP_REBUILD,
    STEP_HOLD,
    STEP_STORE,
    STEP_PARTS, /* a message of two frames */
    STEP_WORK,  /* what a good worker would say of its newest assignment */
    STEP_OPS,
};

static const uint16_t worker_ids[] = {MSG_HELLO,   MSG_HELLO,   MSG_HEARTBEAT,   MSG_ACCEPT,     MSG_REJECT,   MSG_PROGRESS,
                                      MSG_LOG,     MSG_PUBLISH, MSG_RESULT,      MSG_DRAIN,      MSG_BYE,      MSG_PING,
                                      MSG_WELCOME, MSG_ERROR,   MSG_TASK_CREATE, MSG_RUN_SUBMIT, MSG_RUN_LIVE, 0};
static const uint16_t command_ids[] = {MSG_TASK_CREATE,
                                       MSG_TASK_CREATE,
                                       MSG_TASK_UPDATE,
                                       MSG_TASK_DELETE,
                                       MSG_TASK_PAUSE,
                                       MSG_RUN_TRIGGER,
                                       MSG_RUN_TRIGGER_BATCH,
                                       MSG_RUN_SUBMIT,
                                       MSG_RUN_RESTART,
                                       MSG_RUN_ABORT,
                                       MSG_RUN_LIVE,
                                       MSG_WORKER_LIST,
                                       MSG_PING,
                                       MSG_HELLO,
                                       MSG_BATCH_ACK,
                                       MSG_WORKER_REGISTER,
                                       MSG_WORKER_UPDATE,
                                       MSG_WORKER_REMOVE,
                                       MSG_WORKER_BEAT,
                                       MSG_WORKER_LEASE,
                                       MSG_RUN_REPORT,
                                       0};

static const uint16_t *frames(unsigned op)
{
    return op == STEP_WORKER ? worker_ids : op == STEP_COMMAND || op == STEP_PARTS ? command_ids : NULL;
}

const struct steps_plan steps_plan = {STEP_OPS, frames};

static struct fixture *fixture;
static struct doors *doors;
static struct settings *settings;
static struct loop *loop;

/* ---- the doors' port, and what is on disk ---- */

static void on_call(void *self, const struct core_call *call)
{
    (void)self;
    core_handle(fixture->core, call);
}

static void on_pong(void *self, struct msg_pong *pong)
{
    static struct rec_count counts[64];
    (void)self;
    core_status(fixture->core, pong, counts, 64);
    pong->counts.items = counts;
    pong->service = STR_LIT("scheduler");
    pong->pid = 1;
}

static void on_apply(void *self, const struct rec_op *op)
{
    struct rec_run before, after;
    struct err err = {0};
    (void)self;
    if (op->op != OP_PUT || op->type != TYPE_RUN)
        return;
    assert_int_equal(rec_decode_run(fixture->arena, op->value, &after, &err), 0);
    if (!fixture_run(fixture, op->id, &before))
        return;
    assert_true(after.attempt >= before.attempt);
    assert_false(run_status_final(before.status) && after.status != before.status);
}

static void open_all(void)
{
    static char *argv[] = {"fuzz",
                           "--bus-scheduler=tcp://127.0.0.1:1",
                           "--bus-workers=tcp://127.0.0.1:2",
                           "--bus-doorbell=tcp://127.0.0.1:3",
                           "--data=/nonexistent",
                           NULL};
    struct err err = {0};
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    settings = settings_load(5, argv, NULL, &err);
    loop = loop_new();
    assert_non_null(settings);
    assert_non_null(loop);
}

static void begin(void)
{
    const struct doors_port port = {.call = on_call, .fill_pong = on_pong};
    struct err err = {0};
    if (!settings)
        open_all();
    fixture = fixture_new();
    log_set_level((enum log_level)(LOG_ERROR + 1));
    fixture->letter_max = 512;
    fixture->on_apply = on_apply;
    fixture->config.keys_max = 8;
    fixture->config.events_max = 1000;
    fixture->config.queue_max = 3000;
    fixture_start(fixture);
    doors = doors_open(loop, settings, &port, &err);
    if (!doors)
        fail_msg("%s", err.text);
}

static void end(void)
{
    doors_free(doors);
    fixture_free(fixture);
}

/* ---- steps ---- */

static void put(const char *endpoint, unsigned peer, const struct str *parts, unsigned count)
{
    sockets_put(sockets_find(endpoint), peer, parts, count);
    doors_drain(doors);
}

/* The newest assignment that left for that peer, as a good worker goes on with it. */
static void work(unsigned peer, unsigned how)
{
    struct bus_peer want = fixture_peer(peer);
    struct rec_lease lease = {0};
    for (size_t i = fixture->letter_count; i-- > 0 && !lease.run_id;) {
        const struct letter *letter = &fixture->letters[i];
        if (letter->msg.shape->id == MSG_ASSIGN && memcmp(&letter->to.peer, &want, sizeof want) == 0 &&
            letter->msg.u.assign.runs.count > 0)
            lease = (struct rec_lease){.run_id = letter->msg.u.assign.runs.items[0].run_id,
                                       .attempt = letter->msg.u.assign.runs.items[0].attempt};
    }
    if (!lease.run_id)
        return;
    struct rec_published output = {.attempt = lease.attempt,
                                   .path = STR_LIT("/tmp/x/out"),
                                   .temporary = STR_LIT("/tmp/x/.out"),
                                   .hash = STR_LIT("0123456789abcdef")};
    struct msg_publish publish = {.run_id = lease.run_id, .output = output};
    struct rec_log_line line = {.seq = 1 + how / 8, .text = STR_LIT("line")};
    struct msg_log log = {.chunk = {.run_id = lease.run_id, .attempt = lease.attempt, .lines = {&line, 1}}};
    switch (how % 8) {
    case 0:
        fixture_accept(fixture, peer, lease);
        break;
    case 1:
        fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_publish, &publish);
        break;
    case 2:
        fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_log, &log);
        break;
    case 3:
        fixture_heartbeat(fixture, peer, &lease, 1);
        break;
    default:
        fixture_result(fixture, peer, lease, (enum outcome)(how % 8 - 3));
        break;
    }
}

static void step(const struct step *step)
{
    unsigned peer = step->argument % PEERS;
    struct str parts[2] = {step->bytes, STR_LIT("more")};
    switch ((enum step_op)step->op) {
    case STEP_WORKER:
        put("tcp://127.0.0.1:2", peer, parts, 1);
        break;
    case STEP_COMMAND:
        put("tcp://127.0.0.1:1", PEERS + peer, parts, 1);
        break;
    case STEP_PARTS:
        put("tcp://127.0.0.1:2", peer, parts, 2);
        break;
    case STEP_WAIT:
        fixture_wait(fixture, step->argument * UINT64_C(50));
        break;
    case STEP_JUMP:
        fixture_jump(fixture, UINT64_C(1) << step->argument % 36);
        if (step->argument & 64)
            core_renew_leases(fixture->core);
        fixture_wait(fixture, 0);
        break;
    case STEP_REBUILD:
        fixture_rebuild(fixture);
        break;
    case STEP_HOLD:
        fixture_hold(fixture, (enum fixture_hold)(step->argument % 3));
        break;
    case STEP_STORE:
        fixture_store_away(fixture, step->argument & 1);
        break;
    case STEP_WORK:
        work(peer, step->argument / PEERS);
        break;
    case STEP_SETTLE:
    case STEP_OPS:
        fixture_settle(fixture);
        break;
    }
    core_check(fixture->core);
    assert_false(journal_failed(fixture->journal)); /* no peer's word may end the process */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct step steps[STEPS_MAX];
    unsigned count = steps_read(data, size, steps);

    begin();
    for (unsigned i = 0; i < count; i++)
        step(&steps[i]);
    fixture_store_away(fixture, false);
    fixture_hold(fixture, HOLD_NOTHING);
    fixture_wait(fixture, 2000);
    core_check(fixture->core);
    assert_false(journal_failed(fixture->journal));
    fixture_rebuild(fixture);
    core_check(fixture->core);
    end();
    return 0;
}
