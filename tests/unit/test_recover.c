/* Rebuilding and the link to the store, over a real socket, with a stand-in for the store that goes away, errs, and comes back. */
#include "tests/unit/unit.h"

#include "proto/bus.h"
#include "scheduler/link.h"

#define LIMIT_MS 120000 /* a test that takes longer has failed */
#define TASKS 12000     /* three pages */

struct stand_in { /* the store */
    struct bus_server *server;
    char endpoint[UNIT_FOLDER_SIZE + 32];
    uint64_t epoch, applied;
    uint32_t claims, scans, batches;
    uint32_t away_at;     /* at this scan it goes away; 0: never */
    uint32_t error_at;    /* at this scan it answers with an error */
    uint32_t swallow_at;  /* at this batch it goes away without having applied it */
    uint32_t lose_ack_at; /* at this batch it goes away having applied it */
    bool backwards;       /* scans out of order */
    bool stale;           /* another scheduler holds a higher epoch */
    bool refuse;          /* batches are malformed to it */
    uint64_t sequences[64];
};

struct world {
    struct loop *loop;
    struct stand_in store;
    struct link *link;
    struct journal *journal;
    char folder[UNIT_FOLDER_SIZE];
    /* what was rebuilt */
    uint32_t begun, loaded[TYPE_MAX], finished, failed;
    uint64_t last_id[TYPE_MAX];
    enum record_type last_type;
    bool bad_record;
    uint64_t epoch, next_task;
    struct err why;
    /* what the link said */
    uint64_t stale_epoch;
    uint32_t broken;
    uint64_t delivered[64];
    uint32_t delivered_count;
    uint32_t expected; /* letters that end the test */
};

static struct world world;

/* ---- the store ---- */

static void store_open(void *arg);

static void store_close(void *arg)
{
    (void)arg;
    bus_server_free(world.store.server);
    world.store.server = NULL;
    assert_true(loop_after(world.loop, 50, store_open, NULL) >= 0);
}

/* From within a handler: the server cannot go before it returns. */
static void store_away(void)
{
    assert_true(loop_after(world.loop, 0, store_close, NULL) >= 0);
}

static void on_claim(void *self, const struct bus_call *call)
{
    static uint64_t next[TYPE_MAX] = {0, TASKS + 1, 1, 40, 1, 7, 70000};
    struct stand_in *store = self;
    const struct msg_epoch_claim *claim = &call->msg->u.epoch_claim;

    store->claims++;
    if (store->stale && claim->epoch != 0) {
        struct msg_epoch_stale stale = {.epoch = 99};
        bus_answer(call, &shape_msg_epoch_stale, &stale);
        return;
    }
    if (claim->epoch == 0) {
        store->epoch++;
        store->applied = 0;
    }
    struct msg_epoch_grant grant = {.epoch = store->epoch, .applied = store->applied, .next_ids = {next, TYPE_MAX}};
    bus_answer(call, &shape_msg_epoch_grant, &grant);
}

/* How many records there are of what a scan asks for, from 1 on. */
static uint64_t records_of(const struct msg_scan *scan)
{
    switch (scan->type) {
    case TYPE_TASK:
        return TASKS;
    case TYPE_RUN:
        assert_true(str_is(scan->field, "status"));
        return scan->number == RUN_PENDING ? 30 : 5;
    case TYPE_KEY:
        return 6;
    case TYPE_EVENT:
        return 69999;
    default:
        return 0;
    }
}

static void on_scan(void *self, const struct bus_call *call)
{
    static struct rec_row rows[10000];
    struct stand_in *store = self;
    const struct msg_scan *scan = &call->msg->u.scan;
    struct msg_scan_rows answer = {.rows = {rows, 0}};
    uint64_t last = records_of(scan);

    store->scans++;
    if (store->scans == store->error_at) {
        bus_answer_error(call, ERR_UNAVAILABLE, "", "snapshot", "no reader is free");
        return;
    }
    for (uint64_t id = scan->after + 1; id <= last && answer.rows.count < scan->limit; id++) {
        rows[answer.rows.count++] = (struct rec_row){.id = id, .value = {"\x80", 1}};
    }
    if (store->backwards && answer.rows.count > 1) {
        rows[1].id = rows[0].id;
    }
    answer.end = scan->after + answer.rows.count >= last;
    bus_answer(call, &shape_msg_scan_rows, &answer);
    if (store->scans == store->away_at) {
        store_away();
    }
}

static void on_batch(void *self, const struct bus_call *call)
{
    struct stand_in *store = self;
    const struct msg_batch *batch = &call->msg->u.batch;
    struct msg_batch_ack ack = {.epoch = store->epoch};

    if (!store->server) {
        return;
    }
    store->batches++;
    if (store->refuse) {
        bus_answer_error(call, ERR_INVALID, "ops[0]", "value", "not a record");
        return;
    }
    if (store->batches == store->swallow_at) {
        store_away();
        return;
    }
    if (batch->seq > store->applied + 1) {
        struct msg_batch_resume resume = {.epoch = store->epoch, .seq = store->applied + 1};
        bus_answer(call, &shape_msg_batch_resume, &resume);
        return;
    }
    if (batch->seq == store->applied + 1) {
        store->sequences[store->applied] = batch->seq;
        store->applied = batch->seq;
    }
    if (store->batches == store->lose_ack_at) {
        store_away();
        return;
    }
    ack.seq = store->applied;
    bus_answer(call, &shape_msg_batch_ack, &ack);
}

static void store_open(void *arg)
{
    static const struct bus_route routes[] = {
        {MSG_EPOCH_CLAIM, on_claim, ""}, {MSG_SCAN, on_scan, ""}, {MSG_BATCH_APPLY, on_batch, ""}, {0, NULL, NULL}};
    struct err err = {0};

    (void)arg;
    world.store.server = bus_server_new(world.loop, world.store.endpoint, NULL, routes, &world.store, &err);
    if (world.store.server == NULL) {
        fail_msg("%s", err.text);
    }
}

/* ---- the rebuilt ---- */

static int begin(void *self, struct err *err)
{
    (void)self, (void)err;
    world.begun++;
    memset(world.loaded, 0, sizeof world.loaded);
    memset(world.last_id, 0, sizeof world.last_id);
    world.last_type = 0;
    return 0;
}

static int load(void *self, enum record_type type, struct str value, struct err *err)
{
    (void)self;
    assert_int_equal(value.len, 1);
    assert_true(type >= world.last_type); /* the numbers happen to be in the order that is asked for */
    world.last_type = type;
    world.loaded[type]++;
    if (world.bad_record && world.loaded[type] == 5) {
        return err_set(err, ERR_INVALID, "spec is missing");
    }
    return 0;
}

/* As the host does, so that what follows can be tested too. */
static int finish(void *self, uint64_t epoch, const uint64_t *next_ids, uint32_t count, struct err *err)
{
    (void)self, (void)err;
    world.finished++;
    world.epoch = epoch;
    assert_int_equal(count, TYPE_MAX);
    world.next_task = next_ids[TYPE_TASK];
    journal_begin(world.journal, epoch);
    link_attach(world.link, world.journal, epoch);
    loop_stop(world.loop);
    return 0;
}

static void fail_port(void *self, const struct err *err)
{
    (void)self;
    world.failed++;
    world.why = *err;
    loop_stop(world.loop);
}

static void stale(void *self, uint64_t epoch)
{
    (void)self;
    world.stale_epoch = epoch;
    loop_stop(world.loop);
}

static void broken(void *self, const struct err *err)
{
    (void)self;
    world.broken++;
    world.why = *err;
    loop_stop(world.loop);
}

static int send_batch(void *self, struct str frame)
{
    (void)self;
    return link_send(world.link, frame);
}

static void deliver(void *self, const struct address *to, struct str frame)
{
    (void)self, (void)frame;
    world.delivered[world.delivered_count++] = to->corr;
    if (world.delivered_count == world.expected) {
        loop_stop(world.loop);
    }
}

static void committed(void *self, uint64_t last_event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)last_event, (void)runs, (void)count;
}

/* ---- the frame around it ---- */

static void too_late(void *arg)
{
    (void)arg;
    fail_msg("not done in %d ms", LIMIT_MS);
}

/* One loop a test, stopped and run again between its parts. */
static int setup(void **state)
{
    static const struct link_port link_port = {.stale = stale, .broken = broken};
    static const struct journal_port journal_port = {.send_batch = send_batch, .deliver = deliver, .committed = committed};
    struct err err = {0};

    (void)state;
    world = (struct world){0};
    unit_folder(world.folder);
    snprintf(world.store.endpoint, sizeof world.store.endpoint, "ipc://%s/store.sock", world.folder);
    world.loop = loop_new();
    world.journal = journal_new(&journal_port);
    world.link = link_new(world.loop, world.store.endpoint, NULL, &link_port, &err);
    if (world.link == NULL || world.journal == NULL || loop_after(world.loop, LIMIT_MS, too_late, NULL) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    link_free(world.link);
    bus_server_free(world.store.server);
    journal_free(world.journal);
    loop_free(world.loop);
    unit_remove(world.folder);
    return 0;
}

static void recover(void)
{
    static const struct recover_port port = {.begin = begin, .load = load, .finish = finish, .fail = fail_port};

    assert_int_equal(link_recover(world.link, &port, NULL), 0);
    assert_int_equal(loop_run(world.loop), 0);
}

static void assert_rebuilt(void)
{
    assert_int_equal(world.finished, 1);
    assert_int_equal(world.failed, 0);
    assert_int_equal(world.epoch, world.store.epoch);
    assert_int_equal(world.next_task, TASKS + 1);
    assert_int_equal(world.loaded[TYPE_TASK], TASKS);
    assert_int_equal(world.loaded[TYPE_RUN], 35);
    assert_int_equal(world.loaded[TYPE_KEY], 6);
    assert_int_equal(world.loaded[TYPE_EVENT], 1 + 65536); /* the oldest, and the newest */
}

/* ---- rebuilding ---- */

static void test_rebuild(void **state)
{
    (void)state;
    store_open(NULL);
    recover();
    assert_rebuilt();
    assert_int_equal(world.begun, 1);
    assert_int_equal(world.store.claims, 1);
}

static void test_store_comes_later(void **state)
{
    (void)state;
    assert_true(loop_after(world.loop, 300, store_open, NULL) >= 0);
    recover();
    assert_rebuilt();
}

static void test_store_goes_in_the_middle(void **state)
{
    (void)state;
    store_open(NULL);
    world.store.away_at = 2;
    recover();
    assert_rebuilt();
    assert_int_equal(world.begun, 2); /* what was loaded before does not count */
    assert_int_equal(world.epoch, 2);
}

static void test_store_errs(void **state)
{
    (void)state;
    store_open(NULL);
    world.store.error_at = 4;
    recover();
    assert_rebuilt();
    assert_int_equal(world.begun, 2);
}

static void test_bad_record(void **state)
{
    (void)state;
    store_open(NULL);
    world.bad_record = true;
    recover();
    assert_int_equal(world.failed, 1);
    assert_int_equal(world.finished, 0);
    assert_string_equal(world.why.text, "record type 1 id 5: spec is missing");
}

static void test_out_of_order(void **state)
{
    (void)state;
    store_open(NULL);
    world.store.backwards = true;
    recover();
    assert_int_equal(world.failed, 1);
    assert_non_null(strstr(world.why.text, "out of order"));
}

/* ---- the link behind it ---- */

static void command(void *arg)
{
    static uint64_t number;
    struct rec_task_stat stat = {.id = 1, .total = 1};
    struct address to = {.corr = ++number};
    struct msg_done done = {0};

    (void)arg;
    if (world.delivered_count == 0 && world.expected == 0) {
        number = 0;
        return;
    }
    if (journal_reserve(world.journal, 100, 2, NULL) == 0) {
        journal_put(world.journal, TYPE_TASK_STAT, 1, &stat);
        journal_send(world.journal, &to, &shape_msg_done, &done);
    } else {
        number--; /* refused: the client asks again */
    }
    journal_seal(world.journal);
    journal_tick(world.journal, number * 1000);
}

/* Runs commands until that many letters have come out. */
static void run_commands(uint32_t letters)
{
    world.expected = 0;
    command(NULL);
    world.expected = letters;
    int timer = loop_every(world.loop, 5, command, NULL);
    assert_int_equal(loop_run(world.loop), 0);
    loop_cancel(world.loop, timer);
}

static void assert_delivered(uint32_t letters)
{
    assert_int_equal(world.delivered_count, letters);
    for (uint32_t i = 0; i < letters; i++) {
        assert_int_equal(world.delivered[i], i + 1);
    }
    for (uint64_t i = 0; i < world.store.applied; i++) {
        assert_int_equal(world.store.sequences[i], i + 1);
    }
}

static void test_batches(void **state)
{
    (void)state;
    store_open(NULL);
    recover();
    run_commands(10);
    assert_delivered(10);
}

static void test_batch_lost_with_the_store(void **state)
{
    (void)state;
    store_open(NULL);
    recover();
    world.store.swallow_at = 4;
    run_commands(12);
    assert_delivered(12);
    assert_true(world.store.claims >= 2); /* the same epoch, confirmed */
    assert_int_equal(world.store.epoch, world.epoch);
}

static void test_ack_lost_with_the_store(void **state)
{
    (void)state;
    store_open(NULL);
    recover();
    world.store.lose_ack_at = 4;
    run_commands(12);
    assert_delivered(12);
}

static void test_superseded(void **state)
{
    (void)state;
    store_open(NULL);
    recover();
    world.store.stale = true;
    world.store.swallow_at = 2;
    run_commands(12);
    assert_int_equal(world.stale_epoch, 99);
}

static void test_batch_refused_for_good(void **state)
{
    (void)state;
    store_open(NULL);
    recover();
    world.store.refuse = true;
    run_commands(12);
    assert_int_equal(world.broken, 1);
    assert_non_null(strstr(world.why.text, "not a record"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rebuild),
        TEST(test_store_comes_later),
        TEST(test_store_goes_in_the_middle),
        TEST(test_store_errs),
        TEST(test_bad_record),
        TEST(test_out_of_order),
        TEST(test_batches),
        TEST(test_batch_lost_with_the_store),
        TEST(test_ack_lost_with_the_store),
        TEST(test_superseded),
        TEST(test_batch_refused_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
