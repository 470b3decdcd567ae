/* Memory runs out at every place of proto in turn: an error that says so or the thing done, nothing lost, and the next try succeeds. */
#include "fill.h"

#include "memory_fault.h"

#include "proto/bus.h"
#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/loop.h"
#include "proto/settings.h"
#include "proto/ship.h"

/* ---- codec: every message and record of the table ---- */

static const struct shape *shape;
static const void *value;
static struct str encoded;

static int encode(struct buf *out, struct err *err)
{
    return shape->id != 0 ? codec_encode(out, shape, value, 77, STR_LIT("req-1"), err)
                          : codec_encode_record(out, shape, value, err);
}

static void step_encode(void)
{
    struct buf out = {0};
    struct err err = {0};
    int rc = encode(&out, &err);

    if (memory_short()) {
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_true(out.starved);
        buf_reset(&out);
        err = (struct err){0};
        rc = encode(&out, &err);
    }
    assert_int_equal(rc, 0);
    assert_true(str_eq(buf_str(&out), encoded));
    buf_free(&out);
}

static int decode(struct arena *arena, void *out, struct err *err)
{
    static struct msg msg;
    if (shape->id == 0)
        return codec_decode_record(arena, shape, encoded, out, err);
    int rc = msg_decode(arena, encoded, &msg, err);
    memcpy(out, &msg.u, shape->size);
    return rc;
}

static void step_decode(void)
{
    static char out[FILL_STRUCT_MAX];
    struct err err = {0};
    struct arena *arena = arena_new(FILL_ARENA);

    if (!arena) {
        assert_true(memory_short());
        return;
    }
    int rc = decode(arena, out, &err);
    if (memory_short()) {
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_true(arena_starved(arena));
        arena_reset(arena);
        assert_false(arena_starved(arena));
        rc = decode(arena, out, &err);
    }
    assert_int_equal(rc, 0);
    assert_true(fill_equal(shape, value, out));
    arena_free(arena);
}

static void test_codec(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct err err = {0};

    for (size_t i = 0; i < shapes_count(); i++) {
        struct arena *arena = arena_new(FILL_ARENA);
        assert_non_null(arena);
        shape = shape_at(i);
        value = fill_new(arena, shape, true);
        buf_reset(&bytes);
        assert_int_equal(encode(&bytes, &err), 0);
        encoded = buf_str(&bytes);
        memory_hard(step_encode);
        memory_hard(step_decode);
        arena_free(arena);
    }
    buf_free(&bytes);
}

/* Keys are told apart in memory once they are many. */
static void test_map_of_many_keys(void **state)
{
    struct arena *arena = arena_new(FILL_ARENA);
    struct rec_trigger *trigger = fill_new(arena, &shape_rec_trigger, true);
    struct buf bytes = {0};
    struct err err = {0};
    char map[3 + 20 * 3] = {(char)0xde, 0, 20};

    (void)state;
    for (int i = 0; i < 20; i++)
        memcpy(map + 3 + 3 * i, (char[]){(char)0xa1, (char)('a' + i), (char)0xc0}, 3);
    trigger->parameters = (struct str){map, sizeof map};
    shape = &shape_rec_trigger;
    value = trigger;
    assert_int_equal(encode(&bytes, &err), 0);
    encoded = buf_str(&bytes);
    memory_hard(step_encode);
    memory_hard(step_decode);
    buf_free(&bytes);
    arena_free(arena);
}

static void step_text(void)
{
    char long_text[600];
    struct buf buf = {0};
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    buf_text(&buf, "a");
    buf_printf(&buf, "%s", long_text);
    buf_text(&buf, "z");
    assert_int_equal(buf.failed, memory_short());
    if (memory_short()) { /* nothing stands behind a hole */
        assert_true(buf.len <= 1);
        buf_reset(&buf);
    }
    assert_int_equal(buf_text(&buf, "again"), 0);
    buf_free(&buf);
}

static void test_buf(void **state)
{
    (void)state;
    memory_hard(step_text);
}

/* ---- settings ---- */

static char folder[UNIT_FOLDER_SIZE], file[128];

static void step_settings(void)
{
    char *argv[] = {"test", "--data", folder, "--worker-name", "w", NULL};
    struct err err = {0};
    struct settings *settings = settings_load(5, argv, NULL, &err);

    if (!settings) {
        assert_true(memory_short());
        assert_true(err.text[0]);
        assert_int_equal(err.code, ERR_NO_MEMORY);
        return;
    }
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 77);
    int changed = 0;
    unit_write(file, "lease.seconds = 88\nlog.level = debug\n");
    bool before = memory_short();
    if (settings_reload(settings, &changed, &err) != 0) {
        assert_true(memory_short() && !before);
        assert_string_equal(settings_text(settings, SET_LOG_LEVEL), "info"); /* everything stays as it was */
        assert_int_equal(settings_reload(settings, &changed, &err), 0);
    }
    assert_string_equal(settings_text(settings, SET_LOG_LEVEL), "debug");
    unit_write(file, "lease.seconds = 77\n");
    settings_free(settings);
}

static void test_settings(void **state)
{
    (void)state;
    unit_folder(folder);
    snprintf(file, sizeof file, "%s/gantry.conf", folder);
    unit_write(file, "lease.seconds = 77\n");
    memory_hard(step_settings);
    unit_remove(folder);
}

/* ---- loop ---- */

static int rings;

static void on_ring(void *arg)
{
    rings++;
    loop_stop(arg);
}

static void step_loop(void)
{
    struct loop *loop = loop_new();

    if (!loop) {
        assert_true(memory_short());
        return;
    }
    int ahead = loop_timer(loop, on_ring, loop);
    int pipes[40][2], open = 0;
    for (; open < 40; open++) {
        assert_int_equal(pipe(pipes[open]), 0);
        if (loop_add_fd(loop, pipes[open][0], false, on_ring, loop) != 0)
            assert_true(memory_short());
        if (loop_after(loop, 3600000, on_ring, loop) < 0)
            assert_true(memory_short());
    }
    if (ahead >= 0) { /* whatever failed since, it comes */
        rings = 0;
        loop_set(loop, ahead, 1, 0);
        assert_int_equal(loop_run(loop), 0);
        assert_int_equal(rings, 1);
    } else {
        assert_true(memory_short());
    }
    loop_free(loop);
    while (open-- > 0)
        close(pipes[open][0]), close(pipes[open][1]);
}

static void test_loop(void **state)
{
    (void)state;
    memory_hard(step_loop);
}

/* ---- bus ---- */

static struct loop *loop;
static struct bus_server *server;
static struct bus_client *client;
static int replies, told, downs;
static int last_code;

static void on_live(void *self, const struct bus_call *call)
{
    (void)self;
    struct rec_live_run rows[300] = {{0}};
    for (uint64_t i = 0; i < 300; i++)
        rows[i].run_id = i + 1;
    struct msg_run_live_rows answer = {.runs = {rows, 300}};
    bus_answer(call, &shape_msg_run_live_rows, &answer);
}

static void on_told(void *self, const struct bus_call *call)
{
    (void)self, (void)call;
    told++;
    struct rec_lease lease[300] = {{0}};
    for (int i = 0; i < 300; i++)
        lease[i].run_id = lease[i].attempt = 1;
    struct msg_cancel cancel = {.leases = {lease, 300}};
    struct err err = {0};
    if (bus_send(call->server, &call->peer, &shape_msg_cancel, &cancel, 0, (struct str){0}, &err) != 0)
        assert_true(memory_short());
}

static const struct bus_route routes[] = {
    {MSG_RUN_LIVE, on_live, ""},
    {MSG_DRAIN, on_told, ""},
    {0, NULL, NULL},
};

static void on_reply(void *arg, const struct msg *msg, const struct err *err)
{
    (void)arg;
    last_code = err ? err->code : 0;
    if (msg && msg->shape->id == MSG_ERROR)
        last_code = (int)msg->u.error.code;
    else if (msg)
        assert_int_equal(msg->u.run_live_rows.runs.count, 300);
    replies++;
    loop_stop(loop);
}

static int cancels;

static void on_message(void *self, const struct msg *msg, struct str frame)
{
    (void)self, (void)frame;
    assert_int_equal(msg->u.cancel.leases.count, 300);
    cancels++;
    loop_stop(loop);
}

static void on_up(void *self)
{
    (void)self;
    loop_stop(loop);
}

static void on_down(void *self)
{
    (void)self;
    downs++;
    loop_stop(loop);
}

static void ask(void)
{
    uint64_t ids[300];
    for (uint64_t i = 0; i < 300; i++)
        ids[i] = i + 1;
    struct msg_run_live live = {.ids = {ids, 300}};
    replies = 0;
    bus_ask(client, &shape_msg_run_live, &live, (struct str){0}, 600000, on_reply, NULL);
    while (replies == 0)
        assert_int_equal(loop_run(loop), 0);
    assert_int_equal(replies, 1);
}

/* From nothing: either side may fail to be made; what is made connects, answers, and tells, without waiting for a deadline. */
static void step_bus(void)
{
    static const struct bus_client_events events = {.up = on_up, .down = on_down, .message = on_message};
    char endpoint[128];
    struct err err = {0};
    snprintf(endpoint, sizeof endpoint, "ipc://%s/bus.sock", folder);
    uint64_t began = clock_mono_ms();

    loop = loop_new();
    server = loop ? bus_server_new(loop, endpoint, NULL, routes, NULL, &err) : NULL;
    client = server ? bus_client_new(loop, endpoint, NULL, &events, NULL, &err) : NULL;
    if (!client) {
        assert_true(memory_short());
        assert_true(!loop || err.code == ERR_NO_MEMORY);
        assert_true(!loop || err.text[0]);
        goto done;
    }
    while (!bus_client_is_up(client))
        assert_int_equal(loop_run(loop), 0);
    ask();
    if (last_code != 0) { /* at once, and the next goes through */
        assert_true(memory_short());
        assert_true(last_code == ERR_NO_MEMORY || last_code == ERR_UNKNOWN_OUTCOME);
        ask();
    }
    assert_int_equal(last_code, 0);
    struct msg_drain drain = {0};
    cancels = downs = 0;
    if (bus_tell(client, &shape_msg_drain, &drain, &err) != 0)
        assert_true(memory_short());
    bool before = memory_short();
    while (cancels == 0 && downs == 0 && memory_short() == before)
        assert_int_equal(loop_run(loop), 0);
    if (downs > 0) { /* it could not be read: that cost the connection, and a new one stands */
        assert_true(memory_short());
        while (!bus_client_is_up(client))
            assert_int_equal(loop_run(loop), 0);
        ask();
        assert_int_equal(last_code, 0);
    }
    assert_true(clock_mono_ms() - began < 300000); /* no deadline was waited for */
done:
    bus_client_free(client);
    bus_server_free(server);
    loop_free(loop);
    bus_finish();
}

static void test_bus(void **state)
{
    (void)state;
    unit_folder(folder);
    memory_hard(step_bus);
    unit_remove(folder);
}

/* Lines need memory only once, when the buffer is made. */
static void step_ship(void)
{
    const struct rec_log_entry entry = {.service = STR_LIT("store"), .text = STR_LIT("line")};
    loop = loop_new();
    struct ship *ship = loop ? ship_new(loop) : NULL;

    assert_true(ship != NULL || memory_short());
    for (int i = 0; ship && i < 5000; i++)
        ship_put(ship, &entry);
    ship_free(ship);
    loop_free(loop);
}

static void test_ship(void **state)
{
    (void)state;
    memory_hard(step_ship);
}

int main(void)
{
    unit_forget_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec), cmocka_unit_test(test_map_of_many_keys),
        cmocka_unit_test(test_buf),   cmocka_unit_test(test_settings),
        cmocka_unit_test(test_ship),  cmocka_unit_test(test_loop),
        cmocka_unit_test(test_bus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
