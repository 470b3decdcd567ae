/* The store as others see it: over the bus, with its thread and its loop. */
#include "disk_fault.h"

#include <signal.h>

#include "proto/ident.h"
#include "proto/log.h"
#include "store/store.h"

#define DEADLINE_MS 120000
#define INBOX 4096

struct peer {
    struct bus_client *client;
    struct scene *scene;
    uint16_t ids[INBOX]; /* what came, and its number: of an acknowledgement the sequence, of a stale epoch the epoch */
    uint64_t numbers[INBOX];
    uint32_t count;
    bool up;
    uint64_t acked, load_to; /* each acknowledgement is followed by the next batches, until load_to */
    uint64_t told;
};

struct scene {
    char folder[UNIT_FOLDER_SIZE];
    struct loop *loop;
    struct settings *settings;
    struct store *store;
    struct peer peers[2];
    bool timed_out;

    struct msg answer; /* of the last ask; lists and texts copied to reply_* */
    uint16_t answer_id;
    struct err answer_err;
    char text[300];
    uint64_t ids[128];
    uint32_t id_count;
    uint64_t rows;
    uint64_t answers, wrong, least; /* of many asks: how many have fewer rows than that, or are none */
};

static void tell_batch(struct scene *scene, int peer, uint64_t epoch, uint64_t seq);

/* The batches of a load go out as a scheduler's do: some are always under way. */
static void load_go_on(struct peer *peer)
{
    while (peer->told < peer->load_to && peer->told < peer->acked + 4)
        tell_batch(peer->scene, (int)(peer - peer->scene->peers), 1, ++peer->told);
}

static void on_message(void *self, const struct msg *msg, struct str frame)
{
    struct peer *peer = self;
    (void)frame;
    if (peer->load_to > 0 && msg->shape->id == MSG_BATCH_ACK) {
        peer->acked = msg->u.batch_ack.seq;
        load_go_on(peer);
        if (peer->acked == peer->load_to)
            loop_stop(peer->scene->loop);
        return;
    }
    assert_true(peer->count < INBOX);
    peer->ids[peer->count] = msg->shape->id;
    peer->numbers[peer->count] = msg->shape->id == MSG_BATCH_ACK       ? msg->u.batch_ack.seq
                                 : msg->shape->id == MSG_EPOCH_STALE   ? msg->u.epoch_stale.epoch
                                 : msg->shape->id == MSG_BATCH_RESUME  ? msg->u.batch_resume.seq
                                 : msg->shape->id == MSG_BATCH_REFUSED ? msg->u.batch_refused.seq
                                                                       : 0;
    peer->count++;
    loop_stop(peer->scene->loop);
}

static void on_up(void *self)
{
    struct peer *peer = self;
    peer->up = true;
    loop_stop(peer->scene->loop);
}

static void on_timeout(void *arg)
{
    struct scene *scene = arg;
    scene->timed_out = true;
    loop_stop(scene->loop);
}

/* Runs the loop until something happened. */
static void turn(struct scene *scene)
{
    int timer = loop_after(scene->loop, DEADLINE_MS, on_timeout, scene);
    loop_run(scene->loop);
    loop_cancel(scene->loop, timer);
    assert_false(scene->timed_out);
}

static void on_reply(void *arg, const struct msg *msg, const struct err *err)
{
    struct scene *scene = arg;
    if (!msg) {
        scene->answer_id = 0xffff;
        scene->answer_err = *err;
        loop_stop(scene->loop);
        return;
    }
    scene->answer = *msg;
    scene->answer_id = msg->shape->id;
    if (msg->shape->id == MSG_EPOCH_GRANT) {
        scene->id_count = msg->u.epoch_grant.next_ids.count;
        memcpy(scene->ids, msg->u.epoch_grant.next_ids.items, scene->id_count * sizeof *scene->ids);
    } else if (msg->shape->id == MSG_QUERY_ROWS) {
        scene->rows = msg->u.query_rows.rows.count;
    } else if (msg->shape->id == MSG_ERROR) {
        str_copy(scene->text, sizeof scene->text, msg->u.error.text);
    } else if (msg->shape->id == MSG_PONG) {
        str_copy(scene->text, sizeof scene->text, msg->u.pong.trouble);
        for (uint32_t i = 0; i < msg->u.pong.counts.count; i++) {
            if (str_is(msg->u.pong.counts.items[i].name, "run"))
                scene->rows = msg->u.pong.counts.items[i].value;
        }
    }
    loop_stop(scene->loop);
}

static void on_one_of_many(void *arg, const struct msg *msg, const struct err *err)
{
    struct scene *scene = arg;
    (void)err;
    scene->answers++;
    scene->wrong += !msg || msg->shape->id != MSG_QUERY_ROWS || msg->u.query_rows.total < scene->least;
    loop_stop(scene->loop);
}

/* Asks and waits for the answer; answers its id. */
static uint16_t ask(struct scene *scene, int peer, const struct shape *shape, const void *value)
{
    scene->answer_id = 0;
    bus_ask(scene->peers[peer].client, shape, value, STR_LIT("req-1"), DEADLINE_MS, on_reply, scene);
    while (scene->answer_id == 0)
        turn(scene);
    return scene->answer_id;
}

static uint64_t claim(struct scene *scene, int peer, uint64_t epoch)
{
    struct msg_epoch_claim message = {.epoch = epoch};
    assert_int_equal(ask(scene, peer, &shape_msg_epoch_claim, &message), MSG_EPOCH_GRANT);
    return scene->answer.u.epoch_grant.epoch;
}

static void tell_batch(struct scene *scene, int peer, uint64_t epoch, uint64_t seq)
{
    struct rec_run run = {.id = seq, .task_id = 1, .created_at = seq};
    struct buf value = {0};
    struct err err = {0};
    assert_int_equal(rec_encode_run(&value, &run, &err), 0);
    struct rec_op op = {.op = OP_PUT, .type = TYPE_RUN, .id = seq, .value = buf_str(&value)};
    struct msg_batch batch = {.epoch = epoch, .seq = seq, .ops = {&op, 1}};
    assert_int_equal(bus_tell(scene->peers[peer].client, &shape_msg_batch, &batch, &err), 0);
    buf_free(&value);
}

/* Waits until a peer has got this message with this number, after its first `from` ones. */
static void await(struct scene *scene, int peer, uint32_t from, uint16_t id, uint64_t number)
{
    for (;;) {
        for (uint32_t i = from; i < scene->peers[peer].count; i++) {
            if (scene->peers[peer].ids[i] == id && scene->peers[peer].numbers[i] == number)
                return;
        }
        turn(scene);
    }
}

static void scene_start(struct scene *scene)
{
    struct err err = {0};
    scene->store = store_new(scene->loop, scene->settings, &err);
    if (!scene->store)
        fail_msg("%s", err.text);
}

static void peer_connect(struct scene *scene, int i)
{
    static const struct bus_client_events events = {.up = on_up, .message = on_message};
    struct err err = {0};
    char endpoint[512];
    struct peer *peer = &scene->peers[i];
    memset(peer, 0, sizeof *peer);
    peer->scene = scene;
    assert_int_equal(settings_endpoint(scene->settings, SET_BUS_STORE, "store", endpoint, sizeof endpoint, &err), 0);
    peer->client = bus_client_new(scene->loop, endpoint, NULL, &events, peer, &err);
    assert_non_null(peer->client);
    while (!peer->up)
        turn(scene);
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct err err = {0};
    unit_folder(scene->folder);
    char *argv[] = {"gantry-store", "--data", scene->folder, "--store-map-gb", "1", "--store-ballast-mb", "1", NULL};
    scene->settings = settings_load(7, argv, NULL, &err);
    if (!scene->settings)
        fail_msg("%s", err.text);
    log_init("store", LOG_ERROR);
    scene->loop = loop_new();
    fail_write = fail_sync = fail_allocate = 0;
    names_synced = 0;
    spare_redo = false;
    slow_redo_ms = slow_data_ms = 0;
    hold_data = false;
    scene_start(scene);
    peer_connect(scene, 0);
    peer_connect(scene, 1);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    fail_write = fail_sync = fail_allocate = 0;
    names_synced = 0;
    spare_redo = false;
    slow_redo_ms = slow_data_ms = 0;
    hold_data = false;
    bus_client_free(scene->peers[0].client);
    bus_client_free(scene->peers[1].client);
    store_free(scene->store);
    loop_free(scene->loop);
    settings_free(scene->settings);
    char runtime[128];
    assert_int_equal(ident_runtime_dir(scene->folder, runtime, sizeof runtime, NULL), 0);
    unit_remove(runtime);
    unit_remove(scene->folder);
    free(scene);
    return 0;
}

/* Every message of the table that goes to the store has a handler. */
static void test_every_message_is_handled(void **state)
{
    (void)state;
    for (size_t i = 0; i < messages_count; i++) {
        const struct shape *shape = messages_all[i];
        if (shape->to != PARTY_STORE)
            continue;
        bool handled = false;
        for (const struct bus_route *route = store_routes; route->handle; route++)
            handled |= route->id == shape->id;
        if (!handled)
            fail_msg("%s has no handler", shape->name);
    }
}

static void test_claim_write_read(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    assert_int_equal(scene->id_count, TYPE_MAX);
    assert_int_equal(scene->ids[TYPE_RUN], 1);
    for (uint64_t seq = 1; seq <= 300; seq++)
        tell_batch(scene, 0, 1, seq);
    await(scene, 0, 0, MSG_BATCH_ACK, 300);
    assert_true(scene->peers[0].count < 300); /* an acknowledgement covers those before it */
    for (uint32_t i = 1; i < scene->peers[0].count; i++)
        assert_true(scene->peers[0].numbers[i] > scene->peers[0].numbers[i - 1]);
    struct msg_query query = {.type = TYPE_RUN, .page = 3, .size = 50};
    assert_int_equal(ask(scene, 1, &shape_msg_query, &query), MSG_QUERY_ROWS);
    assert_int_equal(scene->rows, 50);
    assert_int_equal(scene->answer.u.query_rows.total, 300);
    query.sort = STR_LIT("nonsense");
    assert_int_equal(ask(scene, 1, &shape_msg_query, &query), MSG_ERROR);
    assert_int_equal(scene->answer.u.error.code, ERR_BAD_REQUEST);
    uint64_t ids[] = {1, 300, 301};
    struct msg_get get = {.type = TYPE_RUN, .ids = {ids, 3}};
    assert_int_equal(ask(scene, 1, &shape_msg_get, &get), MSG_QUERY_ROWS);
    assert_int_equal(scene->rows, 2);
    struct msg_scan scan = {.type = TYPE_RUN, .field = STR_LIT("status"), .limit = 10};
    assert_int_equal(ask(scene, 1, &shape_msg_scan, &scan), MSG_SCAN_ROWS);
    struct msg_log_read log = {.run_id = 1, .limit = 10};
    assert_int_equal(ask(scene, 1, &shape_msg_log_read, &log), MSG_LOG_ROWS);
    assert_true(scene->answer.u.log_rows.end);
    struct msg_ping ping = {0};
    assert_int_equal(ask(scene, 1, &shape_msg_ping, &ping), MSG_PONG);
    assert_true(scene->answer.u.pong.ready);
    assert_int_equal(scene->answer.u.pong.epoch, 1);
    assert_int_equal(scene->rows, 300);
}

static void test_newer_scheduler_ends_the_older(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    tell_batch(scene, 0, 1, 1);
    await(scene, 0, 0, MSG_BATCH_ACK, 1);
    assert_int_equal(claim(scene, 1, 0), 2);
    await(scene, 0, 0, MSG_EPOCH_STALE, 2); /* told at once, without asking */
    tell_batch(scene, 0, 1, 2);
    await(scene, 0, 2, MSG_EPOCH_STALE, 2);
    tell_batch(scene, 1, 2, 1);
    await(scene, 1, 0, MSG_BATCH_ACK, 1);
    tell_batch(scene, 1, 2, 3);
    await(scene, 1, 0, MSG_BATCH_RESUME, 2);
}

static void test_epoch_outlives_the_store(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    tell_batch(scene, 0, 1, 1);
    tell_batch(scene, 0, 1, 2);
    await(scene, 0, 0, MSG_BATCH_ACK, 2);
    store_free(scene->store);
    scene_start(scene);
    assert_int_equal(claim(scene, 0, 1), 1);
    assert_int_equal(scene->answer.u.epoch_grant.applied, 2);
    assert_int_equal(scene->ids[TYPE_RUN], 3);
}

static void test_full_disk_refuses_writes_and_serves_reads(void **state)
{
    struct scene *scene = *state;
    struct msg_ping ping = {0};
    struct msg_query query = {.type = TYPE_RUN, .page = 1, .size = 5};
    assert_int_equal(claim(scene, 0, 0), 1);
    tell_batch(scene, 0, 1, 1);
    await(scene, 0, 0, MSG_BATCH_ACK, 1);
    assert_int_equal(ask(scene, 1, &shape_msg_query, &query), MSG_QUERY_ROWS); /* the database has it too */
    fail_write = ENOSPC;
    tell_batch(scene, 0, 1, 2);
    await(scene, 0, 0, MSG_BATCH_REFUSED, 2);
    assert_int_equal(ask(scene, 1, &shape_msg_query, &query), MSG_QUERY_ROWS);
    assert_int_equal(scene->answer.u.query_rows.total, 1);
    assert_int_equal(ask(scene, 1, &shape_msg_ping, &ping), MSG_PONG);
    assert_false(scene->answer.u.pong.ready);
    assert_non_null(strstr(scene->text, "refused"));
    fail_write = 0;
    tell_batch(scene, 0, 1, 2);
    await(scene, 0, 0, MSG_BATCH_ACK, 2);
    assert_int_equal(ask(scene, 1, &shape_msg_ping, &ping), MSG_PONG);
    assert_true(scene->answer.u.pong.ready);
    assert_false(store_failed(scene->store));
}

static void test_failed_sync_ends_the_process(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    uint32_t before = scene->peers[0].count;
    fail_sync = EIO;
    tell_batch(scene, 0, 1, 1);
    while (!store_failed(scene->store)) /* main returns 1 then */
        turn(scene);
    assert_int_equal(scene->peers[0].count, before); /* nothing was acknowledged */
    fail_sync = 0;
    store_free(scene->store);
    scene_start(scene);
    assert_int_equal(claim(scene, 0, 1), 1);
    assert_true(scene->answer.u.epoch_grant.applied <= 1); /* it was written before the sync failed, and may be there */
    tell_batch(scene, 0, 1, 1);
    await(scene, 0, 0, MSG_BATCH_ACK, 1);
}

/* ---- the redo log: what is acknowledged, the database may not have yet ---- */

static uint64_t runs_seen(struct scene *scene)
{
    struct msg_query query = {.type = TYPE_RUN, .page = 1, .size = 5};
    assert_int_equal(ask(scene, 1, &shape_msg_query, &query), MSG_QUERY_ROWS);
    return scene->answer.u.query_rows.total;
}

static void test_reads_see_what_was_acknowledged(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    for (uint64_t seq = 1; seq <= 300; seq++) {
        tell_batch(scene, 0, 1, seq);
        await(scene, 0, 0, MSG_BATCH_ACK, seq);
        scene->peers[0].count = 0;
        assert_int_equal(runs_seen(scene), seq);
    }
}

/* Reads wait for what was acknowledged before they came, not for what comes behind them: a disk that syncs slowly, and a load that
 * never pauses, hold none of them up until its end. */
static void test_reads_end_while_writes_go_on(void **state)
{
    struct scene *scene = *state;
    struct peer *writer = &scene->peers[0];
    assert_int_equal(claim(scene, 0, 0), 1);
    slow_redo_ms = 2;
    slow_data_ms = 6;
    writer->load_to = UINT64_MAX; /* it has no end before the reads have one */
    load_go_on(writer);
    for (int reads = 0; reads < 20; reads++) {
        uint64_t before = writer->acked;
        assert_true(runs_seen(scene) >= before);
    }
    writer->load_to = writer->told;
    while (writer->acked < writer->load_to)
        turn(scene);
    assert_int_equal(runs_seen(scene), writer->load_to);
}

/* Asks many times while the database does not get on, and lets it once the store has all of them. */
static void ask_many(struct scene *scene, uint64_t count, const struct shape *shape, const void *value)
{
    struct peer *writer = &scene->peers[0];
    struct msg_ping ping = {0};
    assert_int_equal(claim(scene, 0, 0), 1);
    hold_data = true;
    writer->load_to = 4;
    load_go_on(writer);
    while (writer->acked < 4)
        turn(scene);
    scene->least = writer->acked;
    for (uint64_t i = 0; i < count; i++)
        bus_ask(scene->peers[1].client, shape, value, STR_LIT("many"), DEADLINE_MS, on_one_of_many, scene);
    assert_int_equal(ask(scene, 1, &shape_msg_ping, &ping), MSG_PONG);
    hold_data = false;
    while (scene->answers < count)
        turn(scene);
}

/* More of them than are handled in one go: each is answered, with what was acknowledged before it. */
static void test_many_reads_wait(void **state)
{
    struct scene *scene = *state;
    struct msg_query query = {.type = TYPE_RUN, .page = 1, .size = 5};
    ask_many(scene, 3000, &shape_msg_query, &query);
    assert_int_equal(scene->wrong, 0);
}

/* What waits is bounded by its bytes, too. */
static void test_waiting_reads_are_bounded(void **state)
{
    struct scene *scene = *state;
    static uint64_t ids[1000];
    struct msg_get get = {.type = TYPE_RUN, .ids = {ids, 1000}};
    for (uint64_t i = 0; i < 1000; i++)
        ids[i] = i < 4 ? i + 1 : UINT64_MAX - i;
    ask_many(scene, 1500, &shape_msg_get, &get);
    assert_true(scene->wrong > 0 && scene->wrong < 1500);
}

/* The disk of the database fails behind an acknowledgement: the log has it at the next start. */
static void test_acknowledged_is_applied_at_the_next_start(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    spare_redo = true;
    fail_sync = EIO;
    tell_batch(scene, 0, 1, 1);
    await(scene, 0, 0, MSG_BATCH_ACK, 1);
    while (!store_failed(scene->store))
        turn(scene);
    fail_sync = 0;
    for (int start = 0; start < 3; start++) { /* once, however often it is read */
        store_free(scene->store);
        scene_start(scene);
        assert_int_equal(runs_seen(scene), 1);
        assert_int_equal(claim(scene, 0, 1), 1);
        assert_int_equal(scene->answer.u.epoch_grant.applied, 1);
        assert_int_equal(scene->ids[TYPE_RUN], 2);
    }
    tell_batch(scene, 0, 1, 2);
    await(scene, 0, 0, MSG_BATCH_ACK, 2);
    assert_int_equal(runs_seen(scene), 2);
}

/* What only the log has is never passed over: with a damaged one the store does not start, and with the file mended it does. */
static void test_damaged_log_is_refused(void **state)
{
    struct scene *scene = *state;
    struct err err = {0};
    char path[200], whole[16], zeros[16] = {0};
    assert_int_equal(claim(scene, 0, 0), 1);
    spare_redo = true;
    fail_sync = EIO;
    tell_batch(scene, 0, 1, 1);
    await(scene, 0, 0, MSG_BATCH_ACK, 1);
    while (!store_failed(scene->store))
        turn(scene);
    fail_sync = 0;
    store_free(scene->store);
    snprintf(path, sizeof path, "%s/store/redo", scene->folder);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, whole, sizeof whole, 0), sizeof whole);
    assert_int_equal(pwrite(fd, zeros, sizeof zeros, 0), sizeof zeros);
    for (int start = 0; start < 2; start++) {
        scene->store = store_new(scene->loop, scene->settings, &err);
        assert_null(scene->store);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "gantry restore"));
    }
    assert_int_equal(pwrite(fd, whole, sizeof whole, 0), sizeof whole);
    close(fd);
    scene_start(scene);
    assert_int_equal(runs_seen(scene), 1);
}

/* The files are found again after a failure of power, too: their names are synced before anything is acknowledged. */
static void test_names_are_synced(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(names_synced, 1);
    assert_false(store_failed(scene->store));
}

/* The disk is full behind an acknowledgement: it stands, reads go on, later writes are refused, and it is applied when there is room. */
static void test_acknowledged_waits_for_room(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    tell_batch(scene, 0, 1, 1);
    await(scene, 0, 0, MSG_BATCH_ACK, 1);
    assert_int_equal(runs_seen(scene), 1);
    spare_redo = true;
    fail_write = ENOSPC;
    tell_batch(scene, 0, 1, 2);
    await(scene, 0, 0, MSG_BATCH_ACK, 2);
    assert_int_equal(runs_seen(scene), 1); /* of before: it waits until the database has failed to take it */
    tell_batch(scene, 0, 1, 3);
    await(scene, 0, 0, MSG_BATCH_REFUSED, 3);
    struct msg_epoch_claim message = {.epoch = 1};
    assert_int_equal(ask(scene, 0, &shape_msg_epoch_claim, &message), MSG_ERROR); /* nor does a claim get by it */
    fail_write = 0;
    tell_batch(scene, 0, 1, 3);
    await(scene, 0, 0, MSG_BATCH_ACK, 3);
    assert_int_equal(runs_seen(scene), 3);
    assert_false(store_failed(scene->store));
}

/* What is not due goes by the log, and the order of acknowledgements stands. */
static void test_gap_is_not_logged(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(claim(scene, 0, 0), 1);
    tell_batch(scene, 0, 1, 2);
    await(scene, 0, 0, MSG_BATCH_RESUME, 1);
    for (uint64_t seq = 1; seq <= 20; seq++)
        tell_batch(scene, 0, 1, seq);
    tell_batch(scene, 0, 1, 5); /* again */
    await(scene, 0, 0, MSG_BATCH_ACK, 20);
    assert_int_equal(runs_seen(scene), 20);
    assert_int_equal(claim(scene, 1, 0), 2);
    tell_batch(scene, 0, 1, 21);
    await(scene, 0, 0, MSG_EPOCH_STALE, 2);
    tell_batch(scene, 1, 2, 1);
    await(scene, 1, 0, MSG_BATCH_ACK, 1);
}

static void test_malformed_change_is_an_error(void **state)
{
    struct scene *scene = *state;
    struct rec_op op = {.op = OP_PUT, .type = TYPE_RUN, .id = 1, .value = STR_LIT("junk")};
    struct msg_batch batch = {.epoch = 1, .seq = 1, .ops = {&op, 1}};
    assert_int_equal(claim(scene, 0, 0), 1);
    assert_int_equal(ask(scene, 0, &shape_msg_batch, &batch), MSG_ERROR);
    assert_int_equal(scene->answer.u.error.code, ERR_INVALID);
    tell_batch(scene, 0, 1, 1);
    await(scene, 0, 0, MSG_BATCH_ACK, 1);
}

static void test_second_store_is_refused(void **state)
{
    struct scene *scene = *state;
    struct err err = {0};
    assert_null(store_new(scene->loop, scene->settings, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(claim(scene, 0, 0), 1); /* and has not taken the first one's socket */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_is_handled),
        cmocka_unit_test_setup_teardown(test_claim_write_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_scheduler_ends_the_older, setup, teardown),
        cmocka_unit_test_setup_teardown(test_epoch_outlives_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk_refuses_writes_and_serves_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_sync_ends_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_see_what_was_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_end_while_writes_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_reads_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_reads_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_acknowledged_is_applied_at_the_next_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_log_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_are_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_acknowledged_waits_for_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap_is_not_logged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_change_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_store_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
