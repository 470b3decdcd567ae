/* A scheduler's core with a clock in the test's hand and a store in memory. */
#include "tests/unit/core_fixture.h"

#include "tests/unit/unit.h"

#include "proto/buf.h"
#include "proto/log.h"

/* ---- clock and disk ---- */

static uint64_t clock_wall(void *self)
{
    return ((struct fixture *)self)->wall;
}

static uint64_t clock_mono(void *self)
{
    return ((struct fixture *)self)->mono;
}

static uint64_t clock_random(void *self)
{
    struct fixture *fixture = self;
    fixture->random = fixture->random * 6364136223846793005U + 1442695040888963407U;
    return fixture->random >> 16;
}

static size_t disk_place(const struct fixture *fixture, uint64_t type, uint64_t id)
{
    size_t low = 0, high = fixture->disk_count[type];
    if (high && fixture->disk[type][high - 1].id < id)
        return high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fixture->disk[type][middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct stored *disk_find(const struct fixture *fixture, uint64_t type, uint64_t id)
{
    size_t at = disk_place(fixture, type, id);
    return at < fixture->disk_count[type] && fixture->disk[type][at].id == id ? &fixture->disk[type][at] : NULL;
}

static void disk_put(struct fixture *fixture, uint64_t type, uint64_t id, struct str value)
{
    struct stored *stored = disk_find(fixture, type, id);
    if (!stored) {
        size_t at = disk_place(fixture, type, id);
        if (fixture->disk_count[type] == fixture->disk_size[type]) {
            fixture->disk_size[type] = fixture->disk_size[type] ? fixture->disk_size[type] * 2 : 16;
            fixture->disk[type] = realloc(fixture->disk[type], fixture->disk_size[type] * sizeof(struct stored));
        }
        stored = &fixture->disk[type][at];
        memmove(stored + 1, stored, (fixture->disk_count[type]++ - at) * sizeof *stored);
        *stored = (struct stored){.id = id};
    }
    free(stored->bytes);
    stored->bytes = malloc(value.len + 1u);
    memcpy(stored->bytes, value.ptr, value.len);
    stored->len = value.len;
    if (id >= fixture->next_ids[type])
        fixture->next_ids[type] = id + 1;
}

static void disk_delete(struct fixture *fixture, uint64_t type, uint64_t id)
{
    struct stored *stored = disk_find(fixture, type, id);
    if (!stored)
        return;
    free(stored->bytes);
    size_t at = (size_t)(stored - fixture->disk[type]);
    memmove(stored, stored + 1, (--fixture->disk_count[type] - at) * sizeof *stored);
}

static void disk_purge(struct fixture *fixture, uint64_t task_id)
{
    struct rec_run run;
    fixture->purged++;
    for (size_t i = fixture->disk_count[TYPE_RUN]; i-- > 0;) {
        uint64_t id = fixture->disk[TYPE_RUN][i].id;
        if (fixture_run(fixture, id, &run) && run.task_id == task_id)
            disk_delete(fixture, TYPE_RUN, id);
    }
}

static void disk_apply(struct fixture *fixture, const struct rec_op *op)
{
    if (fixture->on_apply)
        fixture->on_apply(fixture->on_apply_self, op);
    switch (op->op) {
    case OP_PUT:
        disk_put(fixture, op->type, op->id, op->value);
        break;
    case OP_DELETE:
        disk_delete(fixture, op->type, op->id);
        break;
    case OP_LOG:
        fixture->log_lines++;
        break;
    case OP_PURGE_RUNS:
        break; /* the store's affair alone */
    default:
        disk_purge(fixture, op->id);
        break;
    }
}

static void disk_batch(struct fixture *fixture, struct str frame)
{
    struct arena *arena = arena_new((size_t)512 << 20);
    struct msg msg;
    struct err err;
    assert_int_equal(msg_decode(arena, frame, &msg, &err), 0);
    assert_int_equal(msg.u.batch.epoch, fixture->epoch);
    if (msg.u.batch.seq == fixture->applied + 1) {
        fixture->applied++;
        for (uint32_t i = 0; i < msg.u.batch.ops.count; i++)
            disk_apply(fixture, &msg.u.batch.ops.items[i]);
    }
    arena_free(arena);
}

static void around(const struct fixture *fixture, bool inside)
{
    if (fixture->around)
        fixture->around(inside);
}

/* ---- the journal's port ---- */

static int port_batch(void *self, struct str frame)
{
    struct fixture *fixture = self;
    around(fixture, false);
    if (fixture->hold != HOLD_BATCHES) {
        disk_batch(fixture, frame);
        around(fixture, true);
        return 0;
    }
    fixture->held = realloc(fixture->held, (fixture->held_count + 1) * sizeof *fixture->held);
    fixture->held_len = realloc(fixture->held_len, (fixture->held_count + 1) * sizeof *fixture->held_len);
    fixture->held[fixture->held_count] = malloc(frame.len);
    memcpy(fixture->held[fixture->held_count], frame.ptr, frame.len);
    fixture->held_len[fixture->held_count++] = frame.len;
    around(fixture, true);
    return 0;
}

static void letter_free(struct letter *letter)
{
    free(letter->bytes);
    arena_free(letter->arena);
    *letter = (struct letter){0};
}

void fixture_forget_letters(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->letter_count; i++)
        letter_free(&fixture->letters[i]);
    fixture->letter_count = 0;
}

static void port_deliver(void *self, const struct address *to, struct str frame)
{
    struct fixture *fixture = self;
    struct err err;
    around(fixture, false);
    if (fixture->letter_max && fixture->letter_count >= fixture->letter_max)
        fixture_forget_letters(fixture);
    if (fixture->letter_count == fixture->letter_size) {
        fixture->letter_size = fixture->letter_size ? fixture->letter_size * 2 : 64;
        fixture->letters = realloc(fixture->letters, fixture->letter_size * sizeof *fixture->letters);
    }
    struct letter *letter = &fixture->letters[fixture->letter_count++];
    *letter = (struct letter){.to = *to, .bytes = malloc(frame.len), .arena = arena_new((size_t)64 << 20)};
    memcpy(letter->bytes, frame.ptr, frame.len);
    assert_int_equal(msg_decode(letter->arena, (struct str){letter->bytes, frame.len}, &letter->msg, &err), 0);
    around(fixture, true);
}

static void port_committed(void *self, uint64_t last_event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)last_event, (void)runs, (void)count;
}

/* ---- life ---- */

struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    log_init("test", LOG_ERROR);
    log_set_level(LOG_ERROR);
    fixture->wall = UINT64_C(1700000000000);
    fixture->mono = 1000000;
    fixture->random = 42;
    fixture->arena = arena_new((size_t)512 << 20);
    fixture->config = (struct core_config){.lease_ms = 30000,
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
                                           .keys_max = 100000,
                                           .keys_ms = 86400000,
                                           .events_max = 100000,
                                           .webhooks_max = 100,
                                           .webhooks_retry_ms = 5000,
                                           .webhooks_keep = 1000,
                                           .webhooks_keep_ms = UINT64_C(604800000)};
    for (size_t i = 0; i < TYPE_MAX; i++)
        fixture->next_ids[i] = 1;
    return fixture;
}

static void load_type(struct fixture *fixture, enum record_type type)
{
    struct err err = {0};
    for (size_t i = 0; i < fixture->disk_count[type]; i++) {
        const struct stored *stored = &fixture->disk[type][i];
        struct rec_run run;
        if (type == TYPE_RUN && fixture_run(fixture, stored->id, &run) && run_status_final(run.status))
            continue;
        if (core_load(fixture->core, type, (struct str){stored->bytes, stored->len}, &err))
            fail_msg("record %llu of type %d: %s", (unsigned long long)stored->id, (int)type, err.text);
    }
}

void fixture_start(struct fixture *fixture)
{
    const struct journal_port port = {fixture, port_batch, port_deliver, port_committed};
    const struct core_clock clock = {fixture, clock_wall, clock_mono, clock_random};
    const enum record_type order[] = {TYPE_POOL, TYPE_TASK,  TYPE_TASK_STAT, TYPE_RUN,     TYPE_WORKER,
                                      TYPE_KEY,  TYPE_EVENT, TYPE_WEBHOOK,   TYPE_DELIVERY};
    struct err err = {0};
    if (fixture->make_farm) {
        fixture->made[0] = fixture->make_farm();
        assert_non_null(fixture->made[0]);
        fixture->farms = (const struct farm *const *)fixture->made;
        if (fixture->farm_made)
            fixture->farm_made(fixture->made[0]);
        fixture->made[1] = fixture->make_second ? fixture->make_second() : NULL;
    }
    fixture->journal = journal_new(&port);
    fixture->core = core_new(&fixture->config, &clock, fixture->journal, fixture->farms);
    assert_non_null(fixture->core);
    fixture->epoch++;
    fixture->applied = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        load_type(fixture, order[i]);
    for (size_t i = 0; fixture->made[i]; i++)
        for (const struct farm_scan *scan = fixture->made[i]->scans; scan && scan->type; scan++)
            load_type(fixture, scan->type);
    journal_begin(fixture->journal, fixture->epoch);
    if (core_loaded(fixture->core, fixture->next_ids, TYPE_MAX, &err))
        fail_msg("%s", err.text);
}

struct fixture *fixture_ready(void)
{
    struct fixture *fixture = fixture_new();
    fixture_start(fixture);
    return fixture;
}

static void held_drop(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->held_count; i++)
        free(fixture->held[i]);
    fixture->held_count = 0;
}

static void fixture_stop(struct fixture *fixture)
{
    core_free(fixture->core);
    journal_free(fixture->journal);
    for (size_t i = 0; fixture->made[i]; i++) {
        fixture->made[i]->close(fixture->made[i]->self);
        fixture->made[i] = NULL;
    }
    held_drop(fixture);
}

void fixture_rebuild(struct fixture *fixture)
{
    fixture_stop(fixture);
    fixture->hold = HOLD_NOTHING;
    fixture_start(fixture);
}

void fixture_free(struct fixture *fixture)
{
    fixture_stop(fixture);
    fixture_forget_letters(fixture);
    for (size_t type = 0; type < TYPE_MAX; type++) {
        for (size_t i = 0; i < fixture->disk_count[type]; i++)
            free(fixture->disk[type][i].bytes);
        free(fixture->disk[type]);
    }
    free(fixture->letters);
    free(fixture->held);
    free(fixture->held_len);
    arena_free(fixture->arena);
    free(fixture);
}

static void fixture_ack(struct fixture *fixture)
{
    if (fixture->hold == HOLD_NOTHING)
        journal_acked(fixture->journal, fixture->epoch, fixture->applied);
}

void fixture_hold(struct fixture *fixture, enum fixture_hold hold)
{
    fixture->hold = hold;
    for (size_t i = 0; hold != HOLD_BATCHES && i < fixture->held_count; i++)
        disk_batch(fixture, (struct str){fixture->held[i], fixture->held_len[i]});
    if (hold != HOLD_BATCHES)
        held_drop(fixture);
    fixture_settle(fixture);
}

void fixture_store_away(struct fixture *fixture, bool away)
{
    if (away)
        journal_disconnected(fixture->journal);
    else
        journal_reconnected(fixture->journal, fixture->applied);
}

void fixture_settle(struct fixture *fixture)
{
    for (int i = 0; i < 4; i++) { /* acknowledgements wake the host again */
        around(fixture, true);
        core_settle(fixture->core);
        around(fixture, false);
        fixture_ack(fixture);
    }
}

void fixture_jump(struct fixture *fixture, uint64_t ms)
{
    fixture->wall += ms;
    fixture->mono += ms;
}

void fixture_wait(struct fixture *fixture, uint64_t ms)
{
    uint64_t end = fixture->mono + ms;
    for (;;) {
        around(fixture, true);
        uint64_t wait = core_tick(fixture->core);
        around(fixture, false);
        fixture_settle(fixture);
        assert_true(wait <= 1000);
        if (fixture->mono >= end)
            return;
        if (wait < 1)
            wait = 1;
        fixture_jump(fixture, wait < end - fixture->mono ? wait : end - fixture->mono);
    }
}

/* ---- messages ---- */

struct bus_peer fixture_peer(unsigned peer)
{
    struct bus_peer out = {.len = 5};
    out.id[0] = 0;
    memcpy(out.id + 1, &peer, sizeof peer);
    return out;
}

void fixture_send(struct fixture *fixture, enum door door, unsigned peer, uint64_t corr, const struct shape *shape,
                  const void *value)
{
    struct arena *arena = arena_new((size_t)256 << 20);
    struct core_call call = {.from = {.door = door, .peer = fixture_peer(peer), .corr = corr}};
    struct buf frame = {0};
    struct msg msg;
    struct err err = {0};
    if (codec_encode(&frame, shape, value, corr, STR_LIT("rid-test"), &err))
        fail_msg("cannot encode: %s", err.text);
    assert_int_equal(msg_decode(arena, buf_str(&frame), &msg, &err), 0);
    call.msg = &msg;
    call.frame = buf_str(&frame);
    around(fixture, true);
    core_handle(fixture->core, &call);
    around(fixture, false);
    buf_free(&frame);
    arena_free(arena);
}

const struct msg *fixture_answer(struct fixture *fixture, uint64_t corr)
{
    for (size_t i = fixture->letter_count; i-- > 0;)
        if (fixture->letters[i].to.corr == corr)
            return &fixture->letters[i].msg;
    return NULL;
}

const struct msg *fixture_ask(struct fixture *fixture, const struct shape *shape, const void *value)
{
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, shape, value);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    if (!answer)
        fail_msg("no answer to %s", shape->name);
    return answer;
}

const struct msg *fixture_take(struct fixture *fixture, unsigned peer, uint16_t id)
{
    struct bus_peer want = fixture_peer(peer);
    for (size_t i = 0; i < fixture->letter_count; i++) {
        struct letter *letter = &fixture->letters[i];
        if (letter->taken || letter->msg.shape->id != id || letter->to.door != DOOR_WORKERS ||
            memcmp(&letter->to.peer, &want, sizeof want) != 0)
            continue;
        letter->taken = true;
        return &letter->msg;
    }
    return NULL;
}

struct rec_idem fixture_key_of(unsigned scope, unsigned body)
{
    static char bytes[64][32];
    static unsigned at;
    char *slot = bytes[at++ % 64];
    memset(slot, 0, 32);
    memcpy(slot, &scope, sizeof scope);
    memcpy(slot + 16, &body, sizeof body);
    return (struct rec_idem){.scope = {slot, 16}, .body = {slot + 16, 16}};
}

struct rec_idem fixture_key(struct fixture *fixture)
{
    unsigned key = (unsigned)++fixture->keys + 1000000;
    return fixture_key_of(key, key);
}

/* ---- what is stored ---- */

static const struct shape *const shapes[TYPE_MAX] = {
#define RECORD(type, record, grows) [type] = &shape_rec_##record,
#include "store/records.def"
};

bool fixture_stored(struct fixture *fixture, enum record_type type, uint64_t id, void *out)
{
    const struct stored *stored = disk_find(fixture, type, id);
    struct err err = {0};
    if (!stored)
        return false;
    struct str bytes = arena_str(fixture->arena, (struct str){stored->bytes, stored->len}); /* outlives the record */
    if (codec_decode_record(fixture->arena, shapes[type], bytes, out, &err))
        fail_msg("stored record: %s", err.text);
    return true;
}

bool fixture_run(struct fixture *fixture, uint64_t id, struct rec_run *out)
{
    return fixture_stored(fixture, TYPE_RUN, id, out);
}

uint64_t fixture_count_events(struct fixture *fixture, const char *type)
{
    uint64_t count = 0;
    struct rec_event event;
    for (size_t i = 0; i < fixture->disk_count[TYPE_EVENT]; i++)
        if (fixture_stored(fixture, TYPE_EVENT, fixture->disk[TYPE_EVENT][i].id, &event))
            count += str_is(event.type, type);
    return count;
}

/* ---- short forms ---- */

struct str fixture_map(const char *const *pairs)
{
    static char pool[64][512];
    static unsigned at;
    char *out = pool[at++ % 64];
    size_t count = 0, len = 0;
    while (pairs[count * 2])
        count++;
    out[len++] = (char)(count < 16 ? 0x80 | count : 0xde);
    if (count >= 16) {
        out[len++] = (char)(count >> 8);
        out[len++] = (char)count;
    }
    for (size_t i = 0; i < count * 2; i++) {
        out[len++] = (char)(0xa0 | strlen(pairs[i])); /* up to 31 bytes each */
        memcpy(out + len, pairs[i], strlen(pairs[i]));
        len += strlen(pairs[i]);
    }
    return (struct str){out, (uint32_t)len};
}

struct rec_task_spec fixture_spec(const char *name, const char *type)
{
    struct rec_task_spec spec = {
        .name = str_of(name), .task_type = str_of(type), .executor = STR_LIT("shell"), .command = STR_LIT("true")};
    SET_HAS(&spec, rec_task_spec, name);
    SET_HAS(&spec, rec_task_spec, task_type);
    SET_HAS(&spec, rec_task_spec, executor);
    SET_HAS(&spec, rec_task_spec, command);
    if (!name)
        CLEAR_HAS(&spec, rec_task_spec, name);
    return spec;
}

uint64_t fixture_task(struct fixture *fixture, const char *name, const char *type)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, type)};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_create, &create);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    return answer->u.task_answer.task.id;
}

uint64_t fixture_trigger(struct fixture *fixture, uint64_t task_id)
{
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task_id};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->shape->id, MSG_RUN_ANSWER);
    return answer->u.run_answer.run.id;
}

const struct msg *fixture_hello(struct fixture *fixture, unsigned peer, const char *ident, const char *boot, const char *type,
                                unsigned slots, const struct rec_lease *leases, uint32_t count)
{
    struct str types[1] = {str_of(type)}, executors[1] = {STR_LIT("shell")};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = str_of(boot),
                              .hostname = STR_LIT("host"),
                              .task_types = {types, 1},
                              .executors = {executors, 1},
                              .slots = slots,
                              .credit = slots,
                              .running = {(struct rec_lease *)(uintptr_t)leases, count}};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, peer, corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    return fixture_answer(fixture, corr);
}

struct rec_lease fixture_assigned(struct fixture *fixture, unsigned peer)
{
    struct bus_peer want = fixture_peer(peer);
    for (size_t i = 0; i < fixture->letter_count; i++) {
        struct letter *letter = &fixture->letters[i];
        if (letter->taken || letter->msg.shape->id != MSG_ASSIGN || memcmp(&letter->to.peer, &want, sizeof want) != 0)
            continue;
        struct msg_assign *assign = &letter->msg.u.assign;
        struct rec_lease lease = {.run_id = assign->runs.items[0].run_id, .attempt = assign->runs.items[0].attempt};
        assign->runs.items++;
        if (--assign->runs.count == 0)
            letter->taken = true;
        return lease;
    }
    return (struct rec_lease){0};
}

void fixture_accept(struct fixture *fixture, unsigned peer, struct rec_lease lease)
{
    struct msg_accept accept = {.leases = {&lease, 1}};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_accept, &accept);
    fixture_settle(fixture);
}

struct rec_lease fixture_begin(struct fixture *fixture, unsigned peer)
{
    struct rec_lease lease = fixture_assigned(fixture, peer);
    assert_int_not_equal(lease.run_id, 0);
    fixture_accept(fixture, peer, lease);
    return lease;
}

void fixture_heartbeat(struct fixture *fixture, unsigned peer, const struct rec_lease *leases, uint32_t count)
{
    struct msg_heartbeat beat = {.load_average = 0.5, .running = {(struct rec_lease *)(uintptr_t)leases, count}};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_heartbeat, &beat);
    fixture_settle(fixture);
}

void fixture_result(struct fixture *fixture, unsigned peer, struct rec_lease lease, enum outcome outcome)
{
    struct rec_outcome item = {.run_id = lease.run_id,
                               .attempt = lease.attempt,
                               .outcome = outcome,
                               .duration_ms = 100,
                               .started_at = fixture->wall,
                               .ended_at = fixture->wall};
    struct msg_result result = {.items = {&item, 1}};
    SET_HAS(&item, rec_outcome, exit_code);
    item.exit_code = outcome == OUTCOME_COMPLETED ? 0 : 1;
    if (outcome != OUTCOME_COMPLETED)
        item.error = STR_LIT("exit code 1");
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_result, &result);
    fixture_settle(fixture);
}

static bool names(struct fixture *fixture, unsigned peer, uint16_t id, struct rec_lease lease)
{
    const struct msg *msg;
    while ((msg = fixture_take(fixture, peer, id)))
        for (uint32_t i = 0; i < msg->u.result_ack.leases.count; i++)
            if (msg->u.result_ack.leases.items[i].run_id == lease.run_id &&
                msg->u.result_ack.leases.items[i].attempt == lease.attempt)
                return true;
    return false;
}

bool fixture_acked(struct fixture *fixture, unsigned peer, struct rec_lease lease)
{
    return names(fixture, peer, MSG_RESULT_ACK, lease);
}

bool fixture_refused(struct fixture *fixture, unsigned peer, struct rec_lease lease)
{
    return names(fixture, peer, MSG_REFUSED, lease);
}

uint64_t fixture_abort(struct fixture *fixture, uint64_t run_id)
{
    struct msg_run_abort abort = {.idem = fixture_key(fixture), .id = run_id};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_abort, &abort);
    return answer->shape->id == MSG_ERROR ? answer->u.error.code : 0;
}

const char *fixture_reason(struct fixture *fixture, uint64_t run_id)
{
    static char out[600];
    struct msg_run_live live = {.ids = {&run_id, 1}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_live, &live);
    out[0] = '\0';
    if (answer->u.run_live_rows.runs.count)
        str_copy(out, sizeof out, answer->u.run_live_rows.runs.items[0].reason);
    return out;
}
