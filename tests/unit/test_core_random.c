/* The core under random commands, workers that lie, die, freeze and come back, a store that goes away, and a scheduler that dies
 * at any moment. What must hold, whatever happens:
 *
 *  - nothing leaves before its cause is stored: an assignment's attempt, an acknowledged result, an answered run
 *  - no acknowledged run is lost: when everybody behaves again, each ends
 *  - never two accepted results of one run; a final run stays as it is; attempts only grow
 *  - a repeated command answers the same run
 *  - the invariants of core_check, after every step
 */
#include "tests/unit/unit.h"

#include "scheduler/core_state.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define WORKERS 4
#define HELD_MAX 32
#define RUNS_MAX 20000
#define STEPS 2500

struct held { /* what a simulated worker has */
    struct rec_lease lease;
    bool running;
    enum outcome ended; /* OPEN: not yet */
};

struct fake { /* a simulated worker */
    unsigned peer, boot;
    bool connected, frozen;
    struct held held[HELD_MAX];
    unsigned count;
};

#define ASKERS 2

struct asker { /* a simulated worker over REST */
    char id[16];
    struct held held[HELD_MAX];
    unsigned count;
    uint64_t asked, registered, reported; /* the numbers of its questions that are open */
    struct rec_lease about;               /* of its report */
    uint64_t status;
    struct rec_idem key;
};

static struct fixture *fixture;
static struct fake fakes[WORKERS];
static struct asker askers[ASKERS];
static uint64_t handed, confirmed; /* to askers: runs, and reports that ended some */
static unsigned next_peer, next_boot;
static uint64_t seed;
static bool behave;                          /* everybody is well: things are to come to their end */
static uint64_t completed_attempt[RUNS_MAX]; /* of a run: the attempt whose completion was acknowledged */
static bool answered[RUNS_MAX];              /* a client was told of it */
static uint64_t known_tasks[64];
static unsigned known_count;
static struct msg_run_trigger repeated; /* a command to be sent again */
static uint64_t repeated_run;

static uint64_t dice(uint64_t sides)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (seed >> 33) % sides;
}

/* ---- what must hold of records ---- */

static bool run_exists(uint64_t id, struct rec_run *run)
{
    return fixture_run(fixture, id, run);
}

static void on_apply(void *self, const struct rec_op *op)
{
    struct rec_run before, after;
    struct err err;
    (void)self;
    if (op->op != OP_PUT || op->type != TYPE_RUN)
        return;
    assert_int_equal(rec_decode_run(fixture->arena, op->value, &after, &err), 0);
    if (!run_exists(op->id, &before))
        return;
    if (run_status_final(before.status))
        fail_msg("run %llu is final and was changed", (unsigned long long)op->id);
    assert_true(after.attempt >= before.attempt);
    assert_true(after.attempt <= before.attempt + 100); /* one batch keeps the newest value of several */
    assert_true(after.losses >= before.losses);
    assert_true(after.retries >= before.retries);
    for (uint32_t i = 1; i < after.attempts.count; i++)
        assert_true(after.attempts.items[i].number > after.attempts.items[i - 1].number);
    for (uint32_t i = 0; i + 1 < after.attempts.count; i++)
        assert_int_not_equal(after.attempts.items[i].outcome, OUTCOME_OPEN);
}

static void check_ack(struct rec_lease lease, enum outcome outcome)
{
    struct rec_run run;
    if (!run_exists(lease.run_id, &run))
        return; /* deleted with its task */
    for (uint32_t i = 0; i < run.attempts.count; i++)
        if (run.attempts.items[i].number == lease.attempt && run.attempts.items[i].outcome == OUTCOME_OPEN)
            fail_msg("run %llu attempt %llu acknowledged before it is stored", (unsigned long long)lease.run_id,
                     (unsigned long long)lease.attempt);
    if (outcome != OUTCOME_COMPLETED)
        return;
    assert_int_equal(run.status, RUN_COMPLETED);
    if (completed_attempt[lease.run_id])
        assert_int_equal(completed_attempt[lease.run_id], lease.attempt);
    completed_attempt[lease.run_id] = lease.attempt;
}

/* ---- workers ---- */

static struct held *held_find(struct fake *fake, struct rec_lease lease)
{
    for (unsigned i = 0; i < fake->count; i++)
        if (fake->held[i].lease.run_id == lease.run_id && fake->held[i].lease.attempt == lease.attempt)
            return &fake->held[i];
    return NULL;
}

static void held_drop(struct fake *fake, struct rec_lease lease)
{
    struct held *held = held_find(fake, lease);
    if (held)
        *held = fake->held[--fake->count];
}

static void send_leases(struct fake *fake, const struct shape *shape, struct rec_lease lease)
{
    struct msg_accept message = {.leases = {&lease, 1}}; /* REJECT has the same members */
    fixture_send(fixture, DOOR_WORKERS, fake->peer, 0, shape, &message);
}

static void take_assign(struct fake *fake, const struct rec_assignment *row)
{
    struct rec_lease lease = {.run_id = row->run_id, .attempt = row->attempt};
    struct rec_run run;
    if (run_exists(row->run_id, &run))
        assert_true(run.attempt >= row->attempt);
    if (!behave && dice(10) == 0)
        return; /* lost on the way */
    if (fake->count == HELD_MAX || (!behave && dice(15) == 0)) {
        send_leases(fake, &shape_msg_reject, lease);
        return;
    }
    if (held_find(fake, lease))
        fail_msg("run %llu attempt %llu assigned twice", (unsigned long long)lease.run_id, (unsigned long long)lease.attempt);
    fake->held[fake->count++] = (struct held){.lease = lease};
    if (behave || dice(10))
        send_leases(fake, &shape_msg_accept, lease);
}

static void drop_all(struct fake *fake, const struct rec_lease_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        held_drop(fake, list->items[i]);
}

static void take_letter(struct fake *fake, const struct msg *msg)
{
    switch (msg->shape->id) {
    case MSG_ASSIGN:
        for (uint32_t i = 0; i < msg->u.assign.runs.count; i++)
            take_assign(fake, &msg->u.assign.runs.items[i]);
        break;
    case MSG_WELCOME:
        drop_all(fake, &msg->u.welcome.drop);
        break;
    case MSG_HEARTBEAT_ACK:
        drop_all(fake, &msg->u.heartbeat_ack.drop);
        break;
    case MSG_REFUSED:
        drop_all(fake, &msg->u.refused.leases);
        break;
    case MSG_RESULT_ACK:
        for (uint32_t i = 0; i < msg->u.result_ack.leases.count; i++) {
            struct held *held = held_find(fake, msg->u.result_ack.leases.items[i]);
            if (held)
                check_ack(held->lease, held->ended);
            held_drop(fake, msg->u.result_ack.leases.items[i]);
        }
        break;
    case MSG_CANCEL:
        for (uint32_t i = 0; i < msg->u.cancel.leases.count; i++) {
            struct held *held = held_find(fake, msg->u.cancel.leases.items[i]);
            if (held && held->ended == OUTCOME_OPEN)
                held->ended = OUTCOME_ABORTED;
        }
        break;
    default:
        break;
    }
}

/* ---- workers over REST ---- */

static void asker_drop(struct asker *asker, struct rec_lease lease)
{
    for (unsigned i = 0; i < asker->count; i++)
        if (asker->held[i].lease.run_id == lease.run_id && asker->held[i].lease.attempt == lease.attempt) {
            asker->held[i] = asker->held[--asker->count];
            return;
        }
}

static void asker_given(struct asker *asker, const struct rec_assignment_list *rows)
{
    struct rec_run run;
    asker->asked = 0;
    handed += rows->count;
    if (!behave && dice(10) == 0)
        return; /* lost on the way */
    for (uint32_t i = 0; i < rows->count && asker->count < HELD_MAX; i++) {
        struct rec_lease lease = {.run_id = rows->items[i].run_id, .attempt = rows->items[i].attempt};
        if (run_exists(lease.run_id, &run))
            assert_true(run.attempt >= lease.attempt);
        asker_drop(asker, lease); /* a repeat */
        asker->held[asker->count++] = (struct held){.lease = lease};
    }
}

static void asker_letter(struct asker *asker, uint64_t corr, const struct msg *msg)
{
    uint16_t id = msg->shape->id;
    if (corr == asker->registered && id == MSG_WORKER_ANSWER)
        str_copy(asker->id, sizeof asker->id, msg->u.worker_answer.worker.name);
    else if (corr == asker->asked && id == MSG_WORKER_LEASED)
        asker_given(asker, &msg->u.worker_leased.runs);
    if (corr == asker->asked && id == MSG_ERROR)
        asker->asked = 0;
    if (corr != asker->reported || (id == MSG_ERROR && msg->u.error.code != ERR_CONFLICT))
        return;
    confirmed += id == MSG_RUN_REPORTED && asker->status != RUN_RUNNING;
    if (id == MSG_RUN_REPORTED && asker->status != RUN_RUNNING)
        check_ack(asker->about, asker->status == RUN_COMPLETED ? OUTCOME_COMPLETED : OUTCOME_FAILED);
    if (id == MSG_ERROR || asker->status != RUN_RUNNING)
        asker_drop(asker, asker->about);
    asker->reported = 0;
}

static void asker_register(struct asker *asker, bool anew)
{
    struct str types[1] = {STR_LIT("shell")};
    char name[8];
    snprintf(name, sizeof name, "r%d", (int)(asker - askers));
    struct msg_worker_register asked = {.idem = fixture_key(fixture),
                                        .name = str_of(name),
                                        .boot = anew ? (struct str){"", 0} : STR_LIT("b"),
                                        .hostname = STR_LIT("h"),
                                        .ip_address = STR_LIT("i"),
                                        .task_types = {types, 1},
                                        .max_concurrent_tasks = 3};
    if (anew)
        asker->count = 0;
    asker->registered = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 2000, asker->registered, &shape_msg_worker_register, &asked);
}

static void asker_ask(struct asker *asker)
{
    if (!asker->asked || !asker->key.scope.ptr || dice(3))
        asker->key = fixture_key(fixture);
    struct msg_worker_lease lease = {
        .idem = asker->key, .id = str_of(asker->id), .max = 1 + dice(4), .wait_ms = dice(2) ? dice(5000) : 0};
    asker->asked = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 2000, asker->asked, &shape_msg_worker_lease, &lease);
}

static void asker_beat(const struct asker *asker)
{
    uint64_t runs[HELD_MAX], attempts[HELD_MAX];
    for (unsigned i = 0; i < asker->count; i++) {
        runs[i] = asker->held[i].lease.run_id;
        attempts[i] = dice(2) ? asker->held[i].lease.attempt : 0;
    }
    struct msg_worker_beat beat = {.id = str_of(asker->id), .runs = {runs, asker->count}, .attempts = {attempts, asker->count}};
    if (dice(4))
        SET_HAS(&beat, msg_worker_beat, runs);
    fixture_send(fixture, DOOR_COMMANDS, 2000, ++fixture->corr, &shape_msg_worker_beat, &beat);
}

static void asker_report(struct asker *asker)
{
    struct rec_log_line line = {.seq = 1, .text = STR_LIT("x")};
    if (!asker->count)
        return;
    struct held *held = &asker->held[dice(asker->count)];
    if (held->ended == OUTCOME_OPEN && (behave || dice(3)))
        held->ended = behave || dice(4) ? OUTCOME_COMPLETED : dice(3) ? OUTCOME_FAILED : OUTCOME_ABORTED;
    asker->status = held->ended == OUTCOME_OPEN        ? RUN_RUNNING
                    : held->ended == OUTCOME_COMPLETED ? RUN_COMPLETED
                    : held->ended == OUTCOME_FAILED    ? RUN_FAILED
                                                       : RUN_ABORTED;
    asker->about = held->lease;
    struct msg_run_report report = {.idem = fixture_key(fixture),
                                    .run_id = held->lease.run_id,
                                    .attempt = held->lease.attempt,
                                    .status = asker->status,
                                    .progress = (double)dice(100),
                                    .logs = {&line, (uint32_t)dice(2)}};
    if (dice(2))
        SET_HAS(&report, msg_run_report, progress);
    asker->reported = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 2000, asker->reported, &shape_msg_run_report, &report);
}

static void asker_change(const struct asker *asker)
{
    struct msg_worker_update update = {.idem = fixture_key(fixture), .id = str_of(asker->id), .status = dice(3)};
    struct msg_worker_remove remove = {.idem = fixture_key(fixture), .id = str_of(asker->id)};
    update.max_concurrent_tasks = 1 + dice(4);
    SET_HAS(&update, msg_worker_update, max_concurrent_tasks);
    if (dice(2))
        SET_HAS(&update, msg_worker_update, status);
    if (dice(8))
        fixture_send(fixture, DOOR_COMMANDS, 2000, ++fixture->corr, &shape_msg_worker_update, &update);
    else
        fixture_send(fixture, DOOR_COMMANDS, 2000, ++fixture->corr, &shape_msg_worker_remove, &remove);
}

static void asker_step(struct asker *asker)
{
    uint64_t what = dice(behave ? 24 : 40);
    if (!asker->id[0] || (behave && what == 0))
        asker_register(asker, false);
    else if (what < 10)
        asker_ask(asker);
    else if (what < 15)
        asker_beat(asker);
    else if (what < 25)
        asker_report(asker);
    else if (what < 26)
        asker_register(asker, dice(3) == 0);
    else if (what < 27)
        asker_change(asker);
}

/* Everything let out goes to who it is for; what is for a session that is gone is lost. */
static void deliver(void)
{
    struct letter *letters = fixture->letters;
    size_t count = fixture->letter_count;
    fixture->letters = NULL;
    fixture->letter_count = fixture->letter_size = 0;
    for (size_t i = 0; i < count; i++) {
        for (unsigned k = 0; k < WORKERS; k++) {
            struct bus_peer peer = fixture_peer(fakes[k].peer);
            if (letters[i].to.door == DOOR_WORKERS && memcmp(&letters[i].to.peer, &peer, sizeof peer) == 0 && !fakes[k].frozen)
                take_letter(&fakes[k], &letters[i].msg);
        }
        for (unsigned k = 0; k < ASKERS; k++)
            if (letters[i].to.door == DOOR_COMMANDS)
                asker_letter(&askers[k], letters[i].to.corr, &letters[i].msg);
        if (letters[i].msg.shape->id == MSG_RUN_ANSWER && letters[i].msg.u.run_answer.run.id < RUNS_MAX)
            answered[letters[i].msg.u.run_answer.run.id] = true;
        free(letters[i].bytes);
        arena_free(letters[i].arena);
    }
    free(letters);
}

static void step_end(void)
{
    fixture_settle(fixture);
    for (int i = 0; i < 3 && fixture->letter_count; i++) {
        deliver();
        fixture_settle(fixture);
    }
    core_check(fixture->core);
    arena_reset(fixture->arena);
}

static void fake_hello(struct fake *fake, bool anew)
{
    struct rec_lease leases[HELD_MAX];
    struct str types[1] = {STR_LIT("shell")};
    char ident[8], boot[16];
    if (anew) {
        fake->boot = ++next_boot;
        fake->count = 0;
    }
    fake->peer = ++next_peer;
    fake->connected = true;
    for (unsigned i = 0; i < fake->count; i++)
        leases[i] = fake->held[i].lease;
    snprintf(ident, sizeof ident, "w%d", (int)(fake - fakes));
    snprintf(boot, sizeof boot, "b%u", fake->boot);
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = str_of(boot),
                              .hostname = STR_LIT("h"),
                              .task_types = {types, 1},
                              .slots = 3,
                              .credit = 5,
                              .running = {leases, fake->count}};
    fixture_send(fixture, DOOR_WORKERS, fake->peer, ++fixture->corr, &shape_msg_hello, &hello);
}

static void fake_heartbeat(struct fake *fake)
{
    struct rec_lease leases[HELD_MAX];
    for (unsigned i = 0; i < fake->count; i++)
        leases[i] = fake->held[i].lease;
    struct msg_heartbeat beat = {.running = {leases, fake->count}};
    fixture_send(fixture, DOOR_WORKERS, fake->peer, 0, &shape_msg_heartbeat, &beat);
}

static void fake_publish(struct fake *fake, const struct held *held)
{
    struct msg_publish publish = {.run_id = held->lease.run_id,
                                  .output = {.attempt = held->lease.attempt,
                                             .path = STR_LIT("/o"),
                                             .temporary = STR_LIT("/t"),
                                             .hash = STR_LIT("0123456789abcdef")}};
    fixture_send(fixture, DOOR_WORKERS, fake->peer, 0, &shape_msg_publish, &publish);
}

/* Ends some of what it runs, and says what it has to say of what has ended. */
static void fake_report(struct fake *fake)
{
    struct rec_outcome items[HELD_MAX];
    uint32_t count = 0;
    for (unsigned i = 0; i < fake->count; i++) {
        struct held *held = &fake->held[i];
        if (held->ended == OUTCOME_OPEN && (behave || dice(3) == 0))
            held->ended = behave || dice(4) ? OUTCOME_COMPLETED : dice(2) ? OUTCOME_FAILED : OUTCOME_TIMEOUT;
        if (held->ended == OUTCOME_COMPLETED && dice(3) == 0)
            fake_publish(fake, held);
        if (held->ended != OUTCOME_OPEN)
            items[count++] = (struct rec_outcome){
                .run_id = held->lease.run_id, .attempt = held->lease.attempt, .outcome = held->ended, .duration_ms = 5};
    }
    struct msg_result result = {.items = {items, count}};
    if (count)
        fixture_send(fixture, DOOR_WORKERS, fake->peer, 0, &shape_msg_result, &result);
}

static void fake_step(struct fake *fake)
{
    uint64_t what = dice(behave ? 4 : 40);
    if (fake->frozen) {
        fake->frozen = !behave && dice(30) != 0;
        return;
    }
    if (!fake->connected) {
        fake_hello(fake, false);
    } else if (what < 2) {
        fake_heartbeat(fake);
    } else if (what < 30) {
        fake_report(fake);
    } else if (what < 32) {
        fake_hello(fake, true); /* killed, and started anew */
    } else if (what < 35) {
        fake_hello(fake, false);
    } else if (what < 36) {
        fake->frozen = true;
    } else if (what < 37) {
        struct msg_bye bye = {0};
        fixture_send(fixture, DOOR_WORKERS, fake->peer, 0, &shape_msg_bye, &bye);
        fake->count = 0;
        fake->connected = false;
    } else {
        fake_heartbeat(fake);
    }
}

/* ---- clients ---- */

static void client_task(void)
{
    char name[32];
    struct str on[2], numbers[2];
    char texts[2][24];
    struct msg_task_create create = {.idem = fixture_key(fixture)};
    snprintf(name, sizeof name, "task-%u", (unsigned)fixture->keys);
    create.spec = fixture_spec(name, "shell");
    create.spec.output = STR_LIT("/o");
    SET_HAS(&create.spec, rec_task_spec, output);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(texts[i], sizeof texts[i], "%llu", (unsigned long long)(known_count ? known_tasks[dice(known_count)] : 0));
        numbers[i] = str_of(texts[i]);
        on[i] = numbers[i];
    }
    if (known_count && dice(3) == 0) {
        create.spec.dependencies = (struct str_list){on, 1 + (uint32_t)dice(2)};
        SET_HAS(&create.spec, rec_task_spec, dependencies);
    }
    if (dice(6) == 0) {
        create.spec.schedule = STR_LIT("@every 7m");
        SET_HAS(&create.spec, rec_task_spec, schedule);
        create.spec.metadata = fixture_map((const char *[]){"concurrency_policy", dice(2) ? "replace" : "forbid", NULL});
        SET_HAS(&create.spec, rec_task_spec, metadata);
    }
    create.spec.retry_count = dice(3);
    SET_HAS(&create.spec, rec_task_spec, retry_count);
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, &shape_msg_task_create, &create);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    if (answer && answer->shape->id == MSG_TASK_ANSWER && known_count < 64)
        known_tasks[known_count++] = answer->u.task_answer.task.id;
}

static void client_trigger(void)
{
    static char scope[16], body[16];
    struct msg_run_trigger trigger = {.task_id = known_tasks[dice(known_count)]};
    if (dice(4) == 0) {
        trigger.trigger.delay_ms = dice(100000);
        SET_HAS(&trigger.trigger, rec_trigger, delay_ms);
    }
    trigger.trigger.priority = dice(4);
    SET_HAS(&trigger.trigger, rec_trigger, priority);
    trigger.idem = fixture_key(fixture);
    memcpy(scope, trigger.idem.scope.ptr, 16);
    memcpy(body, trigger.idem.body.ptr, 16);
    trigger.idem = (struct rec_idem){.scope = {scope, 16}, .body = {body, 16}};
    repeated = trigger;
    repeated_run = 0;
}

/* The newest trigger, the first time or again: always the same run. */
static void client_repeat(void)
{
    if (!repeated.idem.scope.len)
        return;
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, &shape_msg_run_trigger, &repeated);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    if (!answer || answer->shape->id != MSG_RUN_ANSWER)
        return;
    if (repeated_run)
        assert_int_equal(answer->u.run_answer.run.id, repeated_run);
    repeated_run = answer->u.run_answer.run.id;
}

static void client_submit(void)
{
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    submit.spec.output = STR_LIT("/o");
    SET_HAS(&submit.spec, rec_task_spec, output);
    fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_run_submit, &submit);
}

static void client_abort(void)
{
    struct msg_run_abort abort = {.idem = fixture_key(fixture), .id = 1 + dice(fixture->next_ids[TYPE_RUN])};
    fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_run_abort, &abort);
}

static void client_restart(void)
{
    struct msg_run_restart restart = {.idem = fixture_key(fixture), .id = 1 + dice(fixture->next_ids[TYPE_RUN])};
    if (!run_exists(restart.id, &restart.known))
        return;
    SET_HAS(&restart, msg_run_restart, known);
    if (fixture_stored(fixture, TYPE_TASK, restart.known.task_id, &restart.known_task))
        SET_HAS(&restart, msg_run_restart, known_task);
    if (fixture_stored(fixture, TYPE_TASK_STAT, restart.known.task_id, &restart.known_stat))
        SET_HAS(&restart, msg_run_restart, known_stat);
    fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_run_restart, &restart);
}

static void client_pause(void)
{
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = known_tasks[dice(known_count)], .paused = dice(2)};
    fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_task_pause, &pause);
}

static void client_delete(void)
{
    struct msg_task_delete delete = {.idem = fixture_key(fixture), .id = known_tasks[dice(known_count)], .force = true};
    fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_task_delete, &delete);
}

static void client_step(void)
{
    uint64_t what = dice(60);
    if (what < 2 || !known_count)
        client_task();
    else if (what < 20)
        client_trigger();
    else if (what < 40)
        client_repeat();
    else if (what < 48)
        client_submit();
    else if (what < 52)
        client_abort();
    else if (what < 55)
        client_restart();
    else if (what < 58)
        client_pause();
    else if (dice(4) == 0)
        client_delete();
}

/* ---- the world ---- */

static void world_rebuild(void)
{
    fixture_rebuild(fixture);
    fixture_forget_letters(fixture);
    for (unsigned i = 0; i < WORKERS; i++)
        fakes[i].connected = false; /* their sessions ended with it */
    repeated_run = repeated_run && fixture->next_ids[TYPE_RUN] > repeated_run ? repeated_run : 0;
}

static void world_step(void)
{
    uint64_t what = dice(100);
    if (what < 3)
        world_rebuild();
    else if (what < 6)
        fixture->hold = HOLD_ACKS;
    else if (what < 9)
        fixture->hold = HOLD_BATCHES;
    else if (what < 20)
        fixture_hold(fixture, HOLD_NOTHING);
    else if (what < 22 && fixture->hold == HOLD_NOTHING)
        fixture_store_away(fixture, true);
    else if (what < 30 && fixture->hold == HOLD_NOTHING)
        fixture_store_away(fixture, false);
    else if (what < 80)
        fixture_jump(fixture, dice(3000));
    else if (what < 81)
        fixture_jump(fixture, dice(90000));
}

static void calm_down(void)
{
    behave = true;
    world_rebuild();
    for (unsigned i = 0; i < known_count; i++) {
        struct msg_task_update update = {.idem = fixture_key(fixture), .id = known_tasks[i]}; /* no schedules, no dependencies */
        struct msg_task_pause resume = {.idem = fixture_key(fixture), .id = known_tasks[i]};
        SET_HAS(&update.spec, rec_task_spec, schedule);
        SET_HAS(&update.spec, rec_task_spec, dependencies);
        fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_task_update, &update);
        fixture_send(fixture, DOOR_COMMANDS, 1000, ++fixture->corr, &shape_msg_task_pause, &resume);
        step_end();
    }
    for (int i = 0; i < 4000 && fixture->core->runs.count; i++) {
        for (unsigned k = 0; k < WORKERS; k++)
            fake_step(&fakes[k]);
        for (unsigned k = 0; k < ASKERS; k++)
            asker_step(&askers[k]);
        fixture_jump(fixture, 500);
        core_tick(fixture->core);
        step_end();
    }
}

static void check_all_ended(void)
{
    struct rec_run run;
    if (fixture->core->runs.count)
        fail_msg("%zu runs never ended", fixture->core->runs.count);
    for (size_t i = 0; i < fixture->disk_count[TYPE_RUN]; i++) {
        assert_true(run_exists(fixture->disk[TYPE_RUN][i].id, &run));
        assert_true(run_status_final(run.status));
        arena_reset(fixture->arena);
    }
}

static void life(uint64_t start)
{
    seed = start;
    behave = false;
    known_count = 0;
    repeated = (struct msg_run_trigger){0};
    memset(fakes, 0, sizeof fakes);
    memset(askers, 0, sizeof askers);
    handed = confirmed = 0;
    memset(completed_attempt, 0, sizeof completed_attempt);
    memset(answered, 0, sizeof answered);
    fixture = fixture_ready();
    fixture->on_apply = on_apply;
    for (unsigned i = 0; i < WORKERS; i++)
        fakes[i].boot = ++next_boot;
    for (int i = 0; i < STEPS; i++) {
        client_step();
        for (unsigned k = 0; k < WORKERS; k++)
            fake_step(&fakes[k]);
        for (unsigned k = 0; k < ASKERS; k++)
            asker_step(&askers[k]);
        world_step();
        core_tick(fixture->core);
        step_end();
    }
    fixture_store_away(fixture, false);
    calm_down();
    check_all_ended();
    print_message("seed %llu: %zu runs, %zu events; over REST %llu given, %llu ended\n", (unsigned long long)start,
                  fixture->disk_count[TYPE_RUN], fixture->disk_count[TYPE_EVENT], (unsigned long long)handed,
                  (unsigned long long)confirmed);
    assert_true(handed > 0 && confirmed > 0);
    fixture_free(fixture);
}

static void test_random(void **unused)
{
    (void)unused;
    const char *given = getenv("GANTRY_SEED");
    for (uint64_t i = 1; i <= 4 && !given; i++)
        life(i);
    if (given)
        life(strtoull(given, NULL, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
