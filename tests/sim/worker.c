/* Workers as docs/worker-protocol.md asks for them: they say HELLO with what they hold, accept or reject, run, send log lines, ask to
 * publish, repeat results until they are acknowledged, and do as they are told. They die and come back with a new boot, freeze, lose
 * their connection, and leave. */
#include <stdlib.h>

#include "tests/sim/worker.h"

#define HELLO_AGAIN_MS 3000
#define AGAIN_MS 10000 /* what the farm has not confirmed is said again */
#define QUIET_MS 20000 /* without a word from the scheduler the connection counts as dead */

struct worker_sim {
    uint32_t connection, boot;
    bool down, session, leaving, dying; /* dying: at a step; it does and says nothing any more */
    struct hand *hands, *gone;          /* gone: what the boot before this one held */
    uint32_t count, size, gone_count;
    uint32_t slots, credit, type, more_type;
    uint64_t back_at, hello_at, beat_at, heard, frozen_until, armed, left_at;
};

static struct worker_sim *workers;
static struct buf out;
static struct str idle_beat;
static char idle_beat_bytes[32];

uint32_t workers_all(void)
{
    return sim.world->workers + sim.world->transcoders + sim.world->recorders;
}

static bool records(uint32_t who)
{
    return who >= sim.world->workers + sim.world->transcoders;
}

static bool transcodes(uint32_t who)
{
    return who >= sim.world->workers && !records(who);
}

void workers_free(void)
{
    for (uint32_t i = 0; workers && i < workers_all(); i++) {
        for (uint32_t k = 0; k < workers[i].count; k++)
            walk_free(workers[i].hands[k].scan);
        free(workers[i].hands);
        free(workers[i].gone);
    }
    free(workers);
    workers = NULL;
    buf_free(&out);
}

void workers_reset(void)
{
    struct msg_heartbeat nothing = {0};
    struct err err = {0};
    workers = calloc(workers_all(), sizeof *workers);
    if (codec_encode(&out, &shape_msg_heartbeat, &nothing, 0, (struct str){0}, &err) || out.len > sizeof idle_beat_bytes)
        broken(0, "a heartbeat cannot be encoded");
    memcpy(idle_beat_bytes, out.data, out.len);
    idle_beat = (struct str){idle_beat_bytes, (uint32_t)out.len};
    for (uint32_t i = 0; i < workers_all(); i++) {
        struct worker_sim *worker = &workers[i];
        worker->slots = 1 + (uint32_t)below(sim.world->slots_max);
        worker->credit = worker->slots + (one_in(4) ? 1 + (uint32_t)below(4) : 0);
        if (records(i))
            worker->slots = worker->credit = sim.world->cameras;
        worker->type = i % TYPES;
        worker->more_type = (uint32_t)below(TYPES);
        worker->down = true;
        worker->armed = worker->back_at = 1000 + below(sim.world->spread_ms);
        wheel_add(worker->armed, EVENT_WORKER, i, NULL, 0);
    }
}

static void arm(uint32_t who, uint64_t at)
{
    struct worker_sim *worker = &workers[who];
    if (at < worker->armed || worker->armed < sim.now) {
        worker->armed = at < sim.now ? sim.now : at;
        wheel_add(worker->armed, EVENT_WORKER, who, NULL, 0);
    }
}

uint64_t workers_busy(void)
{
    uint64_t busy = 0;
    for (uint32_t i = 0; i < workers_all(); i++)
        busy += workers[i].count;
    return busy;
}

uint32_t worker_connection(uint32_t who)
{
    return workers[who].connection;
}

bool worker_thawed(uint32_t who, uint64_t *at)
{
    *at = workers[who].frozen_until;
    return workers[who].frozen_until <= sim.now;
}

void worker_heard_ack(uint32_t who)
{
    workers[who].heard = sim.now;
}

static bool dies_at(uint32_t who, enum step step)
{
    workers[who].dying = workers[who].dying || step_comes(step);
    return workers[who].dying;
}

/* ---- what it says ---- */

void worker_say(uint32_t who, const struct shape *shape, const void *value, uint64_t corr)
{
    struct err err = {0};
    if (workers[who].dying)
        return;
    buf_reset(&out);
    if (codec_encode(&out, shape, value, corr, (struct str){0}, &err))
        broken(0, "a worker cannot say %s: %s", shape->name, err.text);
    net_up(workers[who].connection, buf_str(&out));
}

static void say_lease(uint32_t who, const struct shape *shape, const struct hand *hand, const char *reason)
{
    struct rec_lease lease = {.run_id = hand->run, .attempt = hand->attempt, .reason = str_of(reason)};
    struct msg_accept message = {.leases = {&lease, 1}}; /* REJECT has the same members */
    worker_say(who, shape, &message, 0);
}

static struct rec_lease *listed(const struct worker_sim *worker)
{
    static struct rec_lease rows[1024];
    for (uint32_t i = 0; i < worker->count; i++)
        rows[i] = (struct rec_lease){
            .run_id = worker->hands[i].run, .attempt = worker->hands[i].attempt, .started_at = worker->hands[i].started};
    return rows;
}

static void say_hello(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    char ident[24], boot[24], types[2][16];
    struct str serves[2], executors[2] = {STR_LIT("shell")};
    snprintf(ident, sizeof ident, "w%u", who);
    snprintf(boot, sizeof boot, "b%u-%u", who, worker->boot);
    snprintf(types[0], sizeof types[0], "type-%u", worker->type);
    snprintf(types[1], sizeof types[1], "type-%u", worker->more_type);
    serves[0] = str_of(types[0]);
    serves[1] = str_of(types[1]);
    if (transcodes(who)) {
        serves[0] = executors[0] = STR_LIT("scan");
        serves[1] = executors[1] = STR_LIT("transcode");
    }
    if (records(who))
        serves[0] = executors[0] = STR_LIT("record");
    bool one = records(who) || (!transcodes(who) && worker->type == worker->more_type);
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = str_of(boot),
                              .hostname = STR_LIT("host"),
                              .task_types = {serves, one ? 1 : 2},
                              .executors = {executors, transcodes(who) ? 2 : 1},
                              .labels = transcodes(who) ? transcoder_labels(who) : (struct str){0},
                              .slots = worker->slots,
                              .credit = worker->credit,
                              .running = {listed(worker), worker->count}};
    worker_say(who, &shape_msg_hello, &hello, 7);
    worker->hello_at = sim.now + HELLO_AGAIN_MS;
}

static void say_beat(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    worker->beat_at = sim.now + sim.config.heartbeat_ms;
    if (!worker->count) {
        net_up(worker->connection, idle_beat);
        return;
    }
    struct msg_heartbeat beat = {.running = {listed(worker), worker->count}};
    worker_say(who, &shape_msg_heartbeat, &beat, 0);
}

static void say_lines(uint32_t who, struct hand *hand)
{
    struct rec_log_line lines[8];
    uint32_t count = 0;
    for (uint16_t seq = (uint16_t)(hand->acked + 1); seq <= hand->lines && count < 8; seq++)
        lines[count++] = (struct rec_log_line){.seq = seq, .at = wall_now(), .level = 1, .stream = 1, .text = STR_LIT("a line")};
    struct msg_log log = {.chunk = {.run_id = hand->run, .attempt = hand->attempt, .lines = {lines, count}}};
    worker_say(who, &shape_msg_log, &log, 0);
    hand->next_at = sim.now + LOG_AGAIN_MS;
}

static void say_publish(uint32_t who, struct hand *hand)
{
    char path[48], temporary[64], hash[17];
    snprintf(path, sizeof path, "/out/%lu", (unsigned long)hand->run);
    snprintf(temporary, sizeof temporary, "/out/.gantry-%lu-%u", (unsigned long)hand->run, hand->attempt);
    snprintf(hash, sizeof hash, "%08x%08x", (unsigned)hand->run, hand->attempt);
    struct msg_publish publish = {
        .run_id = hand->run,
        .output = {
            .attempt = hand->attempt, .path = str_of(path), .temporary = str_of(temporary), .size = 100, .hash = str_of(hash)}};
    worker_say(who, &shape_msg_publish, &publish, 0);
    hand->next_at = sim.now + AGAIN_MS;
}

static void say_result(uint32_t who, struct hand *hand)
{
    struct rec_outcome item = {.run_id = hand->run,
                               .attempt = hand->attempt,
                               .outcome = hand->outcome,
                               .started_at = hand->started,
                               .ended_at = wall_now(),
                               .duration_ms = 5};
    SET_HAS(&item, rec_outcome, exit_code);
    item.exit_code = hand->outcome == OUTCOME_COMPLETED ? 0 : 1;
    if (hand->outcome != OUTCOME_COMPLETED)
        item.error = hand->records ? camera_error(hand) : STR_LIT("it did not go well");
    if (hand->records && hand->outcome == OUTCOME_COMPLETED) {
        item.result = camera_result(hand);
        SET_HAS(&item, rec_outcome, result);
    }
    if (hand->film && hand->outcome == OUTCOME_COMPLETED) {
        item.result = transcoder_result(hand);
        SET_HAS(&item, rec_outcome, result);
    }
    struct msg_result result = {.items = {&item, 1}};
    worker_say(who, &shape_msg_result, &result, 0);
    hand->next_at = sim.now + AGAIN_MS;
    (void)dies_at(who, STEP_WORKER_REPORTED);
}

/* ---- runs ---- */

static struct hand *hand_find(struct worker_sim *worker, uint64_t run, uint64_t attempt)
{
    for (uint32_t i = 0; i < worker->count; i++)
        if (worker->hands[i].run == run && worker->hands[i].attempt == attempt)
            return &worker->hands[i];
    return NULL;
}

static void hand_drop(uint32_t who, uint64_t run, uint64_t attempt, const char *why)
{
    struct worker_sim *worker = &workers[who];
    struct hand *hand = hand_find(worker, run, attempt);
    if (!hand)
        return;
    tell(run, "worker %u lets go of attempt %lu: %s", who, (unsigned long)attempt, why);
    camera_cut(hand);
    walk_free(hand->scan);
    memmove(hand, hand + 1, (size_t)(worker->hands + --worker->count - hand) * sizeof *hand);
}

static uint32_t hands_running(const struct worker_sim *worker)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < worker->count; i++)
        running += worker->hands[i].state == HAND_RUNNING || worker->hands[i].state == HAND_SCANNING;
    return running;
}

static void hand_start(uint32_t who, struct hand *hand)
{
    struct srun *run = run_of(hand->run);
    uint64_t length = below(sim.world->duration_ms >> below(12)) + 1;
    if (hand->attempt < 64) {
        if (run->begun >> hand->attempt & 1)
            broken(hand->run, "attempt %u is started twice", hand->attempt);
        run->begun |= UINT64_C(1) << hand->attempt;
    }
    hand->state = HAND_RUNNING;
    hand->started = wall_now();
    hand->outcome = one_in(12) && !(sim.calm && hand->film) ? OUTCOME_FAILED : OUTCOME_COMPLETED;
    if (hand->scan) {
        hand->state = HAND_SCANNING;
        hand->outcome = OUTCOME_COMPLETED;
        hand->next_at = sim.now;
        return;
    }
    if (hand->film && !transcoder_source_stands(hand))
        hand->outcome = OUTCOME_FAILED;
    if (hand->skips)
        hand->output = false;
    if (hand->records && hand->outcome == OUTCOME_COMPLETED)
        length = camera_begin(hand);
    if (hand->earlier && run->renamed == hand->earlier) { /* that output stands: it is this one's result */
        length = 1;
        hand->output = hand->skips = false;
        hand->outcome = OUTCOME_COMPLETED;
    }
    if (!hand->film && hand->timeout_s && (length > hand->timeout_s * UINT64_C(1000) || one_in(200))) {
        length = hand->timeout_s * UINT64_C(1000);
        hand->outcome = OUTCOME_TIMEOUT;
    }
    hand->end_at = sim.now + length;
    hand->next_at = hand->end_at;
    tell(hand->run, "worker %u starts attempt %u, which will be %s in %lu ms", who, hand->attempt, outcome_name(hand->outcome),
         (unsigned long)length);
}

/* What it has to say next of a run that has ended. */
static void hand_go_on(uint32_t who, struct hand *hand)
{
    if (!workers[who].session) { /* WELCOME wakes it */
        hand->state = HAND_OWED;
        hand->next_at = NEVER;
    } else if (hand->acked < hand->lines) {
        hand->state = HAND_LOGGING;
        say_lines(who, hand);
    } else if (hand->output && hand->outcome == OUTCOME_COMPLETED) {
        hand->state = HAND_PUBLISHING;
        say_publish(who, hand);
    } else if (hand->tells && (transcoder_tell(who, hand), hand->tells)) {
        hand->state = HAND_TELLING;
    } else {
        hand->state = HAND_RESULT;
        say_result(who, hand);
    }
}

static void hand_end(uint32_t who, struct hand *hand)
{
    struct srun *run = run_of(hand->run);
    bool adopts = hand->earlier && run->renamed == hand->earlier;
    if (hand->film && hand->outcome == OUTCOME_COMPLETED && !adopts && !transcoder_source_stands(hand))
        hand->outcome = OUTCOME_FAILED; /* it looks once more before its result counts */
    if (hand->records)
        camera_end(hand, adopts ? hand->earlier : 0);
    tell(hand->run, "worker %u has ended attempt %u: %s", who, hand->attempt, outcome_name(hand->outcome));
    if (hand->outcome == OUTCOME_COMPLETED && !hand->cancelled) {
        sim.executed++;
        sim.scans += hand->scan != NULL;
        sim.twice += run->ended != 0;
        if (hand->attempt < 64)
            run->ended |= UINT64_C(1) << hand->attempt;
        for (uint32_t i = 1; i < hand->attempt && i < 64; i++) {
            uint64_t before = outcome_of(run, i);
            if (run->ended >> i & 1 && before != OUTCOME_LOST && before != OUTCOME_RETURNED && before != OUTCOME_TIMEOUT)
                broken(hand->run, "attempts %u and %u ran to their ends, and the first was not lost but %s", i, hand->attempt,
                       outcome_name(before));
        }
    }
    hand_go_on(who, hand);
}

static void hand_step(uint32_t who, struct hand *hand)
{
    switch (hand->state) {
    case HAND_WAITING:
        hand->next_at = NEVER;
        break;
    case HAND_RUNNING:
        hand_end(who, hand);
        break;
    case HAND_SCANNING:
        if (workers[who].session)
            transcoder_ask(who, hand);
        else
            hand->next_at = NEVER;
        break;
    default:
        hand_go_on(who, hand);
        break;
    }
}

/* Those that wait get the free slots. */
static void slots_fill(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    uint32_t running = hands_running(worker);
    for (uint32_t i = 0; i < worker->count && running < worker->slots; i++)
        if (worker->hands[i].state == HAND_WAITING && !worker->dying) {
            hand_start(who, &worker->hands[i]);
            running++;
        }
}

static void take(uint32_t who, const struct rec_assignment *given)
{
    struct worker_sim *worker = &workers[who];
    if (worker->dying || hand_find(worker, given->run_id, given->attempt))
        return; /* again */
    if (worker->count == worker->size) {
        worker->size = worker->size ? worker->size * 2 : 4;
        worker->hands = realloc(worker->hands, worker->size * sizeof *worker->hands);
    }
    struct hand hand = {.run = given->run_id,
                        .attempt = (uint32_t)given->attempt,
                        .timeout_s = (uint32_t)given->timeout_seconds,
                        .output = given->spec.output.len > 0,
                        .next_at = NEVER};
    if (HAS(given, rec_assignment, published))
        hand.earlier = (uint32_t)given->published.attempt;
    if (worker->leaving || worker->count >= 64 || (!sim.calm && one_in(100))) {
        tell(hand.run, "worker %u rejects attempt %u", who, hand.attempt);
        say_lease(who, &shape_msg_reject, &hand, "not now");
        return;
    }
    transcoder_take(&hand, given);
    camera_take(&hand, given);
    if (one_in(10))
        hand.lines = (uint16_t)(1 + below(6));
    worker->hands[worker->count++] = hand;
    if (dies_at(who, STEP_WORKER_ASSIGNED) || (!sim.calm && one_in(50))) /* some only say so with their heartbeat */
        return;
    say_lease(who, &shape_msg_accept, &hand, NULL);
    (void)dies_at(who, STEP_WORKER_ACCEPTED);
}

/* ---- what it hears ---- */

static void drop_all(uint32_t who, const struct rec_lease_list *leases, const char *why)
{
    for (uint32_t i = 0; i < leases->count; i++)
        hand_drop(who, leases->items[i].run_id, leases->items[i].attempt, why);
}

static void on_granted(uint32_t who, const struct msg_publish_grant *grant)
{
    struct hand *hand = hand_find(&workers[who], grant->run_id, grant->attempt);
    if (!hand || hand->state != HAND_PUBLISHING)
        return;
    struct srun *run = run_of(hand->run);
    if (dies_at(who, STEP_WORKER_GRANTED))
        return;
    if (run->renamed &&
        run->renamed != hand->attempt) { /* RENAME_NOREPLACE: an earlier attempt, lost since, was later than that */
        hand->outcome = OUTCOME_FAILED;
        run->ended &= ~(UINT64_C(1) << (hand->attempt & 63));
    } else {
        run->renamed = hand->attempt;
        struct film *film = hand->film && who % 3 == 0 && transcoder_source_stands(hand) ? film_named(hand->name) : NULL;
        if (film)
            film_replace(film);
        hand->tells = film != NULL;
        if (dies_at(who, STEP_WORKER_RENAMED))
            return;
    }
    hand->output = false;
    if (one_in(4)) { /* renaming and flushing take their time */
        hand->state = HAND_OWED;
        hand->next_at = sim.now + below(one_in(4) ? 20000 : 3000);
        return;
    }
    hand_go_on(who, hand);
}

static void on_acked(uint32_t who, const struct rec_lease_list *leases)
{
    for (uint32_t i = 0; i < leases->count; i++) {
        uint64_t id = leases->items[i].run_id, attempt = leases->items[i].attempt;
        struct hand *hand = hand_find(&workers[who], id, attempt);
        struct srun *run = run_of(id);
        if (!hand)
            continue;
        if (hand->state != HAND_RESULT)
            broken(id, "attempt %lu is acknowledged and was not reported", (unsigned long)attempt);
        bool known = attempt == run->attempt || attempt <= 16;
        if (known && !hand->cancelled && !run->gone && outcome_of(run, attempt) != hand->outcome)
            broken(id, "attempt %lu is acknowledged as %s, and on disk it is %s", (unsigned long)attempt,
                   outcome_name(hand->outcome), outcome_name(outcome_of(run, attempt)));
        hand_drop(who, id, attempt, "acknowledged");
    }
}

static void on_library(uint32_t who, uint64_t run, uint64_t attempt, const struct msg *msg)
{
    struct hand *hand = hand_find(&workers[who], run, attempt);
    if (hand && hand->state == HAND_TELLING) {
        hand->tells = false;
        hand_go_on(who, hand);
    } else if (hand && hand->state == HAND_SCANNING && walk_answer(hand->scan, msg)) {
        if (walk_done(hand->scan))
            hand_end(who, hand);
        else
            transcoder_ask(who, hand);
    }
}

/* Rows of what is known name the run, and not its attempt. */
static void on_known(uint32_t who, const struct msg *msg)
{
    for (uint32_t i = 0; i < workers[who].count; i++)
        if (workers[who].hands[i].run == msg->u.library_known_rows.run_id && workers[who].hands[i].scan) {
            on_library(who, workers[who].hands[i].run, workers[who].hands[i].attempt, msg);
            return;
        }
}

static void on_cancel(uint32_t who, const struct rec_lease_list *leases)
{
    for (uint32_t i = 0; i < leases->count; i++) {
        struct hand *hand = hand_find(&workers[who], leases->items[i].run_id, leases->items[i].attempt);
        if (!hand || hand->state == HAND_RESULT)
            continue;
        hand->cancelled = true;
        hand->outcome = OUTCOME_ABORTED;
        hand->state = HAND_RUNNING;
        hand->next_at = hand->end_at = sim.now + below(200);
    }
}

static void on_logged(uint32_t who, const struct msg_log_ack *ack)
{
    struct hand *hand = hand_find(&workers[who], ack->run_id, ack->attempt);
    if (!hand)
        return;
    if (ack->seq > hand->acked)
        hand->acked = (uint16_t)ack->seq;
    if (hand->state == HAND_LOGGING)
        hand_go_on(who, hand);
}

/* What the boot before this one held is nobody's any more when the new one is welcomed. */
static void check_gone(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    for (uint32_t i = 0; i < worker->gone_count; i++) {
        const struct srun *run = run_of(worker->gone[i].run);
        if (run->there && run->attempt == worker->gone[i].attempt && run->newest == OUTCOME_OPEN)
            broken(worker->gone[i].run, "a new start of worker %u is welcomed, and attempt %u is still with the old one", who,
                   run->attempt);
    }
    worker->gone_count = 0;
}

static void on_welcome(uint32_t who, const struct msg_welcome *welcome)
{
    struct worker_sim *worker = &workers[who];
    check_gone(who);
    drop_all(who, &welcome->drop, "not its own, says WELCOME");
    worker->session = true;
    worker->beat_at = sim.now + 1 + below(sim.config.heartbeat_ms);
    for (uint32_t i = 0; i < worker->count; i++)
        if (worker->hands[i].state != HAND_RUNNING)
            worker->hands[i].next_at = sim.now + below(50); /* what was not confirmed */
}

static void on_error(uint32_t who, const struct msg_error *error)
{
    struct worker_sim *worker = &workers[who];
    if (str_is(error->rule, "superseded"))
        broken(0, "worker %u is told that a newer start of it has taken its place", who);
    if (worker->session && str_is(error->rule, "hello")) {
        worker->session = false;
        say_hello(who);
    } else if (error->code == ERR_INVALID || error->code == ERR_INTERNAL) {
        broken(0, "worker %u is refused: %.*s", who, (int)error->text.len, error->text.ptr);
    }
}

static void reconnect(uint32_t who);
static void wake(uint32_t who);

void worker_message(uint32_t who, struct packet *packet, uint32_t connection)
{
    static struct msg msg;
    struct err err = {0};
    struct worker_sim *worker = &workers[who];
    if (worker->down || worker->connection != connection)
        return;
    arena_reset(sim.arena);
    if (msg_decode(sim.arena, (struct str){packet->bytes, packet->len}, &msg, &err))
        broken(0, "a worker cannot decode what it is told: %s", err.text);
    worker->heard = sim.now;
    switch (msg.shape->id) {
    case MSG_WELCOME:
        on_welcome(who, &msg.u.welcome);
        break;
    case MSG_ASSIGN:
        for (uint32_t i = 0; i < msg.u.assign.runs.count; i++)
            take(who, &msg.u.assign.runs.items[i]);
        break;
    case MSG_HEARTBEAT_ACK:
        drop_all(who, &msg.u.heartbeat_ack.drop, "not its own, says HEARTBEAT_ACK");
        break;
    case MSG_REFUSED:
        drop_all(who, &msg.u.refused.leases, "refused");
        break;
    case MSG_RESULT_ACK:
        on_acked(who, &msg.u.result_ack.leases);
        break;
    case MSG_CANCEL:
        on_cancel(who, &msg.u.cancel.leases);
        break;
    case MSG_PUBLISH_GRANT:
        on_granted(who, &msg.u.publish_grant);
        break;
    case MSG_LOG_ACK:
        on_logged(who, &msg.u.log_ack);
        break;
    case MSG_LIBRARY_KNOWN_ROWS:
        on_known(who, &msg);
        break;
    case MSG_LIBRARY_FOUND_ACK:
        on_library(who, msg.u.library_found_ack.run_id, msg.u.library_found_ack.attempt, &msg);
        break;
    default:
        on_error(who, &msg.u.error);
        break;
    }
    if (worker->dying)
        worker_kill(who, 100 + about(10000));
    else
        wake(who);
}

/* ---- its life ---- */

static void reconnect(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    net_break(worker->connection);
    worker->session = false;
    worker->connection = net_connect(PEER_WORKER, who, DOOR_WORKERS);
    worker->heard = sim.now;
    if (worker->connection)
        say_hello(who);
    else
        worker->hello_at = sim.now + 500 + below(sim.world->spread_ms);
}

void worker_lost(uint32_t who, uint32_t connection)
{
    struct worker_sim *worker = &workers[who];
    if (worker->connection != connection)
        return;
    worker->connection = 0;
    worker->session = false;
    worker->hello_at = sim.now + 1 + below(sim.world->spread_ms);
    arm(who, worker->hello_at);
}

void worker_kill(uint32_t who, uint64_t away_ms)
{
    struct worker_sim *worker = &workers[who];
    if (worker->down)
        return;
    for (uint32_t i = 0; i < worker->count; i++)
        tell(worker->hands[i].run, "worker %u dies with attempt %u", who, worker->hands[i].attempt);
    sim.worker_kills++;
    worker->down = true;
    worker->session = worker->leaving = worker->dying = false;
    for (uint32_t i = 0; i < worker->count; i++) {
        camera_cut(&worker->hands[i]);
        walk_free(worker->hands[i].scan);
    }
    if (worker->count) {
        free(worker->gone);
        worker->gone = worker->hands;
        worker->gone_count = worker->count;
        worker->hands = NULL;
        worker->size = 0;
    }
    worker->count = 0;
    worker->frozen_until = 0;
    worker->boot++;
    uint32_t connection = worker->connection;
    worker->connection = 0;
    net_break(connection);
    worker->back_at = sim.now + away_ms;
    arm(who, worker->back_at);
}

void worker_freeze(uint32_t who, uint64_t ms)
{
    if (!workers[who].down && workers[who].frozen_until < sim.now + ms) {
        workers[who].frozen_until = sim.now + ms;
        sim.freezes++;
    }
}

/* A program with a fault, or an intruder: it says that it has done what was given to somebody else. */
void worker_lie(uint32_t who)
{
    const struct worker_sim *worker = &workers[who];
    uint64_t id = sim.newest_given;
    if (!id || worker->down || !worker->session || worker->frozen_until > sim.now || run_of(id)->holder == who)
        return;
    struct rec_lease lease = {.run_id = id, .attempt = run_of(id)->assigned};
    struct msg_accept accept = {.leases = {&lease, 1}};
    struct rec_outcome item = {.run_id = id, .attempt = lease.attempt, .outcome = OUTCOME_COMPLETED};
    struct msg_result result = {.items = {&item, 1}};
    if (hand_find(&workers[who], id, lease.attempt))
        return;
    worker_say(who, &shape_msg_accept, &accept, 0);
    worker_say(who, &shape_msg_result, &result, 0);
}

void worker_hint(uint32_t who)
{
    struct msg_library_hint hint = {.root = STR_LIT(FILM_ROOT)};
    if (!workers[who].down && workers[who].session && workers[who].frozen_until <= sim.now)
        worker_say(who, &shape_msg_library_hint, &hint, 0);
}

void worker_leave(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    struct msg_drain drain = {0};
    if (worker->down || !worker->session || worker->leaving || worker->frozen_until > sim.now)
        return;
    worker->leaving = true;
    worker->left_at = sim.now + about(60000);
    worker_say(who, &shape_msg_drain, &drain, 0);
    arm(who, worker->left_at);
}

static void leave(uint32_t who)
{
    struct msg_bye bye = {0};
    worker_say(who, &shape_msg_bye, &bye, 0);
    workers[who].connection = 0; /* the connection outlives it by what it said last */
    worker_kill(who, 1000 + about(60000));
}

static uint64_t steps_next(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    uint64_t next = NEVER;
    bool again = true;
    while (again) {
        again = false;
        for (uint32_t i = 0; i < worker->count; i++)
            if (worker->hands[i].next_at <= sim.now && !worker->dying) {
                hand_step(who, &worker->hands[i]);
                again = true;
            }
        slots_fill(who);
    }
    for (uint32_t i = 0; i < worker->count; i++)
        next = worker->hands[i].next_at < next ? worker->hands[i].next_at : next;
    return next;
}

static void wake(uint32_t who)
{
    struct worker_sim *worker = &workers[who];
    uint64_t next = NEVER;
    if (worker->frozen_until > sim.now) {
        arm(who, worker->frozen_until);
        return;
    }
    if (worker->down && sim.now >= worker->back_at) {
        worker->down = false;
        reconnect(who);
    }
    if (worker->down) {
        arm(who, worker->back_at);
        return;
    }
    if (worker->leaving && sim.now >= worker->left_at && worker->session) {
        leave(who);
        return;
    }
    if (!worker->session && sim.now >= worker->hello_at)
        reconnect(who);
    if (worker->session && sim.now >= worker->heard + QUIET_MS)
        reconnect(who);
    if (worker->session && sim.now >= worker->beat_at)
        say_beat(who);
    next = steps_next(who);
    if (worker->dying) {
        worker_kill(who, 100 + about(10000));
        return;
    }
    uint64_t at = worker->session ? worker->beat_at : worker->hello_at;
    arm(who, at < next ? at : next);
}

void worker_event(uint32_t who)
{
    if (workers[who].armed != sim.now)
        return; /* something sooner has been done in its place */
    workers[who].armed = NEVER;
    wake(who);
}
