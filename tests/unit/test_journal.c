/* The journal: single rules one by one, then random schedules against a store that loses connections and refuses writes. */
#include "tests/unit/unit.h"

#include "scheduler/journal.h"

#define LOG_MAX 4096
#define EPOCH 7

/* What the port was handed. */
struct world {
    struct journal *journal;
    struct arena *arena;
    bool reachable;         /* send_batch takes frames */
    uint64_t sent[LOG_MAX]; /* sequences, in order of sending */
    uint32_t sent_count;
    struct str frames[LOG_MAX]; /* copies, by sequence */
    uint64_t letters[LOG_MAX];  /* msg_done.id of what was delivered, in order */
    struct address to[LOG_MAX];
    uint32_t letter_count;
    uint64_t bell_event;
    uint64_t bell_runs[LOG_MAX];
    uint32_t bell_count;
};

static struct world world;

static struct msg decoded(struct str frame)
{
    struct msg msg;
    struct err err = {0};
    if (msg_decode(world.arena, frame, &msg, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return msg;
}

static struct msg_batch batch_of(struct str frame)
{
    struct msg msg = decoded(frame);
    assert_int_equal(msg.shape->id, shape_msg_batch.id);
    assert_int_equal(msg.u.batch.epoch, EPOCH);
    return msg.u.batch;
}

static int send_batch(void *self, struct str frame)
{
    (void)self;
    if (!world.reachable) {
        return -1;
    }
    uint64_t seq = batch_of(frame).seq;
    assert_true(world.sent_count < LOG_MAX && seq < LOG_MAX);
    world.sent[world.sent_count++] = seq;
    if (world.frames[seq].ptr != NULL) { /* a repeat is the same, byte for byte */
        assert_true(str_eq(world.frames[seq], frame));
    } else {
        char *copy = malloc(frame.len);
        assert_non_null(copy);
        memcpy(copy, frame.ptr, frame.len);
        world.frames[seq] = (struct str){copy, frame.len};
    }
    return 0;
}

static void deliver(void *self, const struct address *to, struct str frame)
{
    struct msg msg = decoded(frame);
    (void)self;
    assert_int_equal(msg.shape->id, MSG_DONE);
    assert_int_equal(msg.corr, to->corr);
    assert_true(str_is(msg.rid, to->rid));
    assert_true(world.letter_count < LOG_MAX);
    world.to[world.letter_count] = *to;
    world.letters[world.letter_count++] = msg.u.done.id;
}

static void committed(void *self, uint64_t last_event, const uint64_t *runs, uint32_t count)
{
    (void)self;
    world.bell_event = last_event;
    for (uint32_t i = 0; i < count; i++) {
        world.bell_runs[world.bell_count++] = runs[i];
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    const struct journal_port port = {.send_batch = send_batch, .deliver = deliver, .committed = committed};
    world.arena = arena_new((size_t)64 << 20);
    world.journal = journal_new(&port);
    world.reachable = true;
    journal_begin(world.journal, EPOCH);
    return world.arena == NULL || world.journal == NULL;
}

static int teardown(void **state)
{
    (void)state;
    journal_free(world.journal);
    arena_free(world.arena);
    for (size_t i = 0; i < LOG_MAX; i++) {
        free((char *)world.frames[i].ptr);
    }
    return 0;
}

/* ---- small commands ---- */

static void put_stat(uint64_t id, uint64_t total)
{
    struct rec_task_stat stat = {.id = id, .total = total};
    journal_put(world.journal, TYPE_TASK_STAT, id, &stat);
}

static void letter(uint64_t number)
{
    struct address to = {.corr = number, .rid = "r-1", .peer = {.len = 1, .id = {9}}};
    struct msg_done done = {.id = number};
    struct str body = journal_send(world.journal, &to, &shape_msg_done, &done);
    struct msg msg = decoded(body); /* the answer for a key is without number and request id */
    assert_int_equal(msg.corr, 0);
    assert_int_equal(msg.u.done.id, number);
}

static uint64_t stat_total(const struct rec_op *op)
{
    struct rec_task_stat stat;
    assert_int_equal(rec_decode_task_stat(world.arena, op->value, &stat, NULL), 0);
    assert_int_equal(stat.id, op->id);
    return stat.total;
}

static void command(uint64_t id, uint64_t total, uint64_t number)
{
    assert_int_equal(journal_reserve(world.journal, 200, 2, NULL), 0);
    put_stat(id, total);
    letter(number);
    journal_seal(world.journal);
}

static void assert_sent(const uint64_t *expected, uint32_t count)
{
    assert_int_equal(world.sent_count, count);
    assert_memory_equal(world.sent, expected, count * sizeof *expected);
}

static void assert_letters(const uint64_t *expected, uint32_t count)
{
    assert_int_equal(world.letter_count, count);
    assert_memory_equal(world.letters, expected, count * sizeof *expected);
}

#define SENT(...) assert_sent((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
#define LETTERS(...) assert_letters((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* ---- the rules ---- */

static void test_nothing_leaves_before_its_ack(void **state)
{
    (void)state;
    command(1, 10, 101);
    command(2, 20, 102);
    SENT(1, 2);
    assert_int_equal(world.letter_count, 0);
    journal_acked(world.journal, EPOCH, 1);
    LETTERS(101);
    journal_acked(world.journal, EPOCH, 1);     /* a repeat changes nothing */
    journal_acked(world.journal, EPOCH - 1, 2); /* nor does another epoch */
    LETTERS(101);
    assert_false(journal_idle(world.journal));
    journal_acked(world.journal, EPOCH, 2);
    LETTERS(101, 102);
    assert_true(journal_idle(world.journal));
    assert_int_equal(journal_batches(world.journal), 2);
    assert_int_equal(world.to[1].peer.id[0], 9);
}

static void test_one_ack_for_many(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 5; i++) {
        command(i, i, 100 + i);
    }
    journal_acked(world.journal, EPOCH, 5);
    LETTERS(101, 102, 103, 104, 105);
}

static void test_records_of_a_batch(void **state)
{
    (void)state;
    struct rec_log_line line = {.seq = 1, .text = STR_LIT("hello")};
    struct rec_log_chunk chunk = {.run_id = 5, .attempt = 1, .lines = {&line, 1}};

    assert_int_equal(journal_reserve(world.journal, 1000, 10, NULL), 0);
    put_stat(1, 10);
    journal_delete(world.journal, TYPE_EVENT, 3);
    journal_log(world.journal, &chunk);
    journal_log(world.journal, &chunk);
    journal_purge_task(world.journal, 9);
    put_stat(1, 11); /* as long as before */
    put_stat(2, 1);
    put_stat(2, UINT64_C(1) << 40); /* longer */
    put_stat(4, 1);
    journal_delete(world.journal, TYPE_TASK_STAT, 4); /* a delete is newer than a put */
    journal_delete(world.journal, TYPE_TASK_STAT, 6);
    put_stat(6, 66);                             /* and the other way round */
    journal_delete(world.journal, TYPE_TASK, 1); /* another type */
    journal_seal(world.journal);

    struct msg_batch batch = batch_of(world.frames[1]);
    assert_int_equal(batch.seq, 1);
    assert_int_equal(batch.ops.count, 9);
    const struct rec_op *ops = batch.ops.items;
    assert_true(ops[0].op == OP_PUT && ops[0].type == TYPE_TASK_STAT && ops[0].id == 1 && stat_total(&ops[0]) == 11);
    assert_true(ops[1].op == OP_DELETE && ops[1].type == TYPE_EVENT && ops[1].id == 3 && ops[1].value.len == 0);
    assert_true(ops[2].op == OP_LOG && ops[3].op == OP_LOG);
    struct rec_log_chunk read;
    assert_int_equal(rec_decode_log_chunk(world.arena, ops[3].value, &read, NULL), 0);
    assert_true(read.run_id == 5 && str_is(read.lines.items[0].text, "hello"));
    assert_true(ops[4].op == OP_PURGE_TASK && ops[4].id == 9);
    assert_true(ops[5].id == 2 && stat_total(&ops[5]) == UINT64_C(1) << 40);
    assert_true(ops[6].op == OP_DELETE && ops[6].id == 4 && ops[6].value.len == 0);
    assert_true(ops[7].op == OP_PUT && ops[7].id == 6 && stat_total(&ops[7]) == 66);
    assert_true(ops[8].op == OP_DELETE && ops[8].type == TYPE_TASK);
}

static void test_newest_wins_only_within_a_batch(void **state)
{
    (void)state;
    command(1, 1, 101);
    command(1, 2, 102);
    assert_int_equal(stat_total(&batch_of(world.frames[1]).ops.items[0]), 1);
    assert_int_equal(stat_total(&batch_of(world.frames[2]).ops.items[0]), 2);
}

static void test_many_records(void **state)
{
    (void)state;
    assert_int_equal(journal_reserve(world.journal, 1000000, 20000, NULL), 0);
    for (uint64_t round = 1; round <= 3; round++) {
        for (uint64_t id = 1; id <= 5000; id++) {
            put_stat(id, round * 10000 + id);
        }
    }
    journal_seal(world.journal);
    struct msg_batch batch = batch_of(world.frames[1]);
    assert_int_equal(batch.ops.count, 5000);
    for (uint64_t id = 1; id <= 5000; id++) {
        assert_int_equal(batch.ops.items[id - 1].id, id);
        assert_int_equal(stat_total(&batch.ops.items[id - 1]), 30000 + id);
    }
}

static void test_messages_only(void **state)
{
    (void)state;
    letter(101); /* nothing is under way: no round trip */
    journal_seal(world.journal);
    LETTERS(101);
    command(1, 1, 102);
    letter(103);
    journal_seal(world.journal);
    LETTERS(101); /* waits for what is before it */
    journal_acked(world.journal, EPOCH, 1);
    journal_seal(world.journal);
    LETTERS(101, 102, 103);
    SENT(1);
    command(1, 2, 104);
    letter(105); /* goes with the next records when those come first */
    command(1, 3, 106);
    journal_acked(world.journal, EPOCH, 2);
    LETTERS(101, 102, 103, 104);
    journal_acked(world.journal, EPOCH, 3);
    LETTERS(101, 102, 103, 104, 105, 106);
}

static void test_send_now_and_bytes(void **state)
{
    (void)state;
    struct address to = {.corr = 4, .rid = "q"};
    struct msg_done done = {.id = 200};
    struct buf body = {0};

    command(1, 1, 101);
    journal_send_now(world.journal, &to, &shape_msg_done, &done);
    LETTERS(200);
    done.id = 201;
    assert_int_equal(msg_encode_done(&body, &done, 0, (struct str){0}, NULL), 0);
    journal_send_bytes(world.journal, &to, buf_str(&body));
    to = (struct address){0};
    journal_send_bytes(world.journal, &to, buf_str(&body)); /* not an answer */
    buf_free(&body);
    journal_seal(world.journal);
    LETTERS(200);
    journal_acked(world.journal, EPOCH, 1);
    journal_seal(world.journal);
    LETTERS(200, 101, 201, 201);
}

static void test_answer_that_does_not_fit(void **state)
{
    (void)state;
    struct msg_error error = {.code = 0}; /* below its bounds */
    struct address to = {.corr = 4};
    struct str body = journal_send(world.journal, &to, &shape_msg_error, &error);
    struct msg msg = decoded(body);
    assert_int_equal(msg.shape->id, MSG_ERROR);
    assert_int_equal(msg.u.error.code, ERR_INTERNAL);
    assert_false(journal_failed(world.journal));
}

static void test_bell(void **state)
{
    (void)state;
    assert_int_equal(journal_reserve(world.journal, 200, 2, NULL), 0);
    put_stat(1, 1);
    journal_note_event(world.journal, 5);
    journal_note_event(world.journal, 6);
    journal_note_run(world.journal, 8);
    journal_note_run(world.journal, 8);
    journal_note_run(world.journal, 9);
    journal_seal(world.journal);
    assert_int_equal(world.bell_event, 0);
    journal_acked(world.journal, EPOCH, 1);
    assert_int_equal(world.bell_event, 6);
    assert_int_equal(world.bell_count, 2);
    assert_true(world.bell_runs[0] == 8 && world.bell_runs[1] == 9);
}

static void test_pipeline_is_bounded(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 20; i++) {
        command(i, i, 100 + i);
    }
    SENT(1, 2, 3, 4, 5, 6, 7, 8);
    journal_acked(world.journal, EPOCH, 1);
    journal_seal(world.journal);
    SENT(1, 2, 3, 4, 5, 6, 7, 8, 9);
    assert_int_equal(batch_of(world.frames[9]).ops.count, 12); /* what gathered meanwhile, in one */
    journal_acked(world.journal, EPOCH, 9);
    assert_int_equal(world.letter_count, 20);
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(world.letters[i], 101 + i);
    }
}

/* A run with long parameters, to fill batches. */
static void put_big(uint64_t id, struct str result)
{
    struct rec_run run = {.id = id, .created_at = 1, .result = result};
    SET_HAS(&run, rec_run, result);
    journal_put(world.journal, TYPE_RUN, id, &run);
}

static void test_big_batches_do_not_wait(void **state)
{
    (void)state;
    static char text[60000];
    memset(text, 'x', sizeof text);
    uint64_t id = 0;
    struct err err = {0};

    /* The store never answers: sealed at 4 MiB though the pipeline is long, refused at the bound. */
    while (journal_reserve(world.journal, sizeof text + 100, 1, &err) == 0) {
        put_big(++id, (struct str){text, sizeof text});
        journal_seal(world.journal);
        assert_true(id < 2000);
    }
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_true(world.sent_count > 20 && world.sent_count < 30);
    assert_true(id * sizeof text > (size_t)50 << 20 && id * sizeof text < (size_t)65 << 20);
    for (uint32_t i = 1; i <= world.sent_count; i++) {
        assert_true(world.frames[i].len < 5u << 20);
    }
    /* It goes on once the store does. */
    uint64_t seen = 0;
    journal_acked(world.journal, EPOCH, world.sent_count);
    journal_seal(world.journal);
    journal_acked(world.journal, EPOCH, world.sent_count);
    assert_true(journal_idle(world.journal));
    for (uint32_t i = 1; i <= world.sent_count; i++) {
        arena_reset(world.arena);
        struct msg_batch batch = batch_of(world.frames[i]);
        for (uint32_t n = 0; n < batch.ops.count; n++) {
            assert_int_equal(batch.ops.items[n].id, ++seen);
        }
    }
    assert_int_equal(seen, id);
    assert_int_equal(journal_reserve(world.journal, 100, 1, NULL), 0);
}

static void test_reserve_keeps_frames_small(void **state)
{
    (void)state;
    static char text[60000];
    memset(text, 'x', sizeof text);
    struct err err = {0};

    assert_int_equal(journal_reserve(world.journal, (size_t)25 << 20, 1, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(journal_reserve(world.journal, 1, 70000, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    /* Two commands that each fit, and together do not: the first is sealed by the second's reservation. */
    assert_int_equal(journal_reserve(world.journal, (size_t)20 << 20, 400, NULL), 0);
    for (uint64_t id = 1; id <= 340; id++) {
        put_big(id, (struct str){text, sizeof text});
    }
    assert_int_equal(journal_reserve(world.journal, (size_t)20 << 20, 400, NULL), 0);
    SENT(1);
    assert_true(world.frames[1].len < CODEC_FRAME_MAX);
    put_stat(1, 1);
    journal_seal(world.journal);
    SENT(1, 2);
}

static void test_resume(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 4; i++) {
        command(i, i, 100 + i);
    }
    journal_acked(world.journal, EPOCH, 1);
    journal_resume(world.journal, 2);
    SENT(1, 2, 3, 4, 2, 3, 4);
    journal_resume(world.journal, 2); /* each of the others asked too */
    journal_resume(world.journal, 2);
    SENT(1, 2, 3, 4, 2, 3, 4);
    journal_tick(world.journal, 5000); /* but it may be lost again */
    journal_resume(world.journal, 2);
    SENT(1, 2, 3, 4, 2, 3, 4, 2, 3, 4);
    journal_resume(world.journal, 5); /* all there: nothing to send */
    assert_int_equal(world.sent_count, 10);
    assert_false(journal_failed(world.journal));
    journal_acked(world.journal, EPOCH, 4);
    LETTERS(101, 102, 103, 104);
}

static void test_reconnect(void **state)
{
    (void)state;
    struct err err = {0};
    for (uint64_t i = 1; i <= 3; i++) {
        command(i, i, 100 + i);
    }
    journal_disconnected(world.journal);
    world.reachable = false;
    assert_false(journal_writable(world.journal));
    assert_string_equal(journal_trouble(world.journal), "the store is not there");
    assert_int_equal(journal_reserve(world.journal, 10, 1, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    put_stat(4, 4); /* of a command that had reserved before */
    letter(104);
    journal_seal(world.journal);
    SENT(1, 2, 3);
    world.reachable = true;
    journal_reconnected(world.journal, 1); /* the first was applied, its acknowledgement was lost */
    LETTERS(101);
    SENT(1, 2, 3, 2, 3, 4);
    assert_true(journal_writable(world.journal));
    assert_string_equal(journal_trouble(world.journal), "");
    journal_acked(world.journal, EPOCH, 4);
    LETTERS(101, 102, 103, 104);
}

static void test_port_that_is_full(void **state)
{
    (void)state;
    world.reachable = false;
    command(1, 1, 101);
    command(2, 2, 102);
    assert_int_equal(world.sent_count, 0);
    world.reachable = true;
    journal_tick(world.journal, 1000);
    SENT(1, 2);
}

static void test_refused(void **state)
{
    (void)state;
    struct err err = {0};
    journal_tick(world.journal, 1000);
    for (uint64_t i = 1; i <= 3; i++) {
        command(i, i, 100 + i);
    }
    journal_refused(world.journal, 1, STR_LIT("disk full"));
    journal_refused(world.journal, 2, STR_LIT("disk full"));
    journal_resume(world.journal, 1); /* what the others get */
    assert_false(journal_writable(world.journal));
    assert_non_null(strstr(journal_trouble(world.journal), "disk full"));
    assert_int_equal(journal_reserve(world.journal, 10, 1, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "disk full"));
    SENT(1, 2, 3);
    journal_tick(world.journal, 1500); /* once a second */
    SENT(1, 2, 3);
    journal_tick(world.journal, 2000);
    SENT(1, 2, 3, 1);
    journal_refused(world.journal, 1, STR_LIT("disk full"));
    journal_tick(world.journal, 2999);
    SENT(1, 2, 3, 1);
    journal_tick(world.journal, 3000);
    SENT(1, 2, 3, 1, 1);
    journal_acked(world.journal, EPOCH, 1);
    assert_true(journal_writable(world.journal));
    SENT(1, 2, 3, 1, 1, 2, 3);
    journal_acked(world.journal, EPOCH, 3);
    LETTERS(101, 102, 103);
    journal_refused(world.journal, 3, STR_LIT("late"));
    assert_true(journal_writable(world.journal));
}

static void test_refused_then_gone(void **state)
{
    (void)state;
    command(1, 1, 101);
    journal_refused(world.journal, 1, STR_LIT("disk full"));
    journal_disconnected(world.journal);
    assert_string_equal(journal_trouble(world.journal), "the store is not there");
    journal_reconnected(world.journal, 0);
    assert_true(journal_writable(world.journal));
    SENT(1, 1);
}

/* A store that went back behind what it had acknowledged (restored by hand): exit, do not guess. */
static void test_store_that_forgot(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3; i++) {
        command(i, i, 100 + i);
    }
    journal_acked(world.journal, EPOCH, 2);
    journal_disconnected(world.journal);
    journal_reconnected(world.journal, 1);
    assert_true(journal_failed(world.journal));
    assert_false(journal_writable(world.journal));
    assert_int_equal(journal_reserve(world.journal, 10, 1, NULL), -1);
    journal_acked(world.journal, EPOCH, 3);
    LETTERS(101, 102);
}

static void test_impossible_answers(void **state)
{
    (void)state;
    journal_acked(world.journal, EPOCH, 1);
    assert_true(journal_failed(world.journal));
}

static void test_record_out_of_bounds(void **state)
{
    (void)state;
    struct rec_task_stat stat = {.id = 0};
    assert_int_equal(journal_reserve(world.journal, 100, 1, NULL), 0);
    put_stat(1, 1);
    journal_put(world.journal, TYPE_TASK_STAT, 0, &stat);
    journal_seal(world.journal);
    assert_true(journal_failed(world.journal));
    assert_int_equal(world.sent_count, 0); /* half a command is never written */
    assert_non_null(strstr(journal_trouble(world.journal), "task_stat"));
}

/* ---- random schedules against a model ---- */

struct model {
    uint64_t values[32];       /* what the core thinks: total of each record, 0 deleted */
    uint64_t disk[32];         /* what the store applied */
    uint64_t applied;          /* last sequence */
    uint64_t acked;            /* last one told */
    uint64_t made;             /* letters so far */
    uint64_t on_disk[LOG_MAX]; /* by sequence: letters that may leave with it */
    uint32_t inbox;            /* of world.sent: read by the store */
    bool full;
    uint64_t random;
};

static uint64_t chance(struct model *model, uint64_t below)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return model->random % below;
}

static void model_command(struct model *model)
{
    if (journal_reserve(world.journal, 1000, 10, NULL) != 0) {
        return;
    }
    for (uint64_t n = chance(model, 4); n > 0; n--) {
        uint64_t id = 1 + chance(model, 31);
        model->values[id] = chance(model, 4) == 0 ? 0 : 1 + (chance(model, UINT64_C(1) << 40) >> chance(model, 40));
        if (model->values[id] == 0) {
            journal_delete(world.journal, TYPE_TASK_STAT, id);
        } else {
            put_stat(id, model->values[id]);
        }
    }
    letter(++model->made);
}

/* The store reads some of what was sent. */
static void model_store(struct model *model)
{
    for (uint64_t n = chance(model, 5); n > 0 && model->inbox < world.sent_count; n--) {
        uint64_t seq = world.sent[model->inbox++];
        if (seq > model->applied + 1) {
            journal_resume(world.journal, model->applied + 1);
        } else if (seq == model->applied + 1 && model->full) {
            journal_refused(world.journal, seq, STR_LIT("full"));
        } else if (seq == model->applied + 1) {
            struct msg_batch batch = batch_of(world.frames[seq]);
            for (uint32_t i = 0; i < batch.ops.count; i++) {
                const struct rec_op *op = &batch.ops.items[i];
                model->disk[op->id] = op->op == OP_PUT ? stat_total(op) : 0;
            }
            model->applied = seq;
        }
    }
}

static void model_step(struct model *model, uint64_t now)
{
    switch (chance(model, 12)) {
    case 0: /* the connection goes, and what was not read yet */
        journal_disconnected(world.journal);
        model->inbox = world.sent_count;
        world.reachable = false;
        break;
    case 1:
    case 2:
        if (!world.reachable) {
            world.reachable = true;
            journal_reconnected(world.journal, model->applied);
            model->acked = model->applied;
        }
        break;
    case 3: /* a store that was restarted behind a connection nobody saw break: a gap */
        model->inbox += model->inbox < world.sent_count && chance(model, 2) == 0;
        break;
    case 4:
        model->full = chance(model, 3) == 0;
        break;
    case 5:
    case 6:
        if (world.reachable && model->applied > model->acked) {
            model->acked += 1 + chance(model, model->applied - model->acked);
            journal_acked(world.journal, EPOCH, model->acked);
        }
        break;
    case 7:
    case 8:
        model_store(model);
        break;
    default:
        model_command(model);
        journal_seal(world.journal);
    }
    journal_tick(world.journal, now);
    arena_reset(world.arena);
}

/* Letters so far are 1, 2, 3, … without a hole; and what has left is on disk. */
static void model_check(const struct model *model)
{
    assert_false(journal_failed(world.journal));
    for (uint32_t i = 0; i < world.letter_count; i++) {
        assert_int_equal(world.letters[i], i + 1);
    }
    assert_int_equal(journal_batches(world.journal), model->acked);
}

static void run_model(uint64_t seed)
{
    struct model model = {.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
    uint64_t now = 0;

    for (int step = 0; step < 300; step++) {
        now += chance(&model, 700);
        model_step(&model, now);
        model_check(&model);
    }
    /* Everything heals: all of it gets there. */
    model.full = false;
    world.reachable = true;
    journal_disconnected(world.journal);
    model.inbox = world.sent_count;
    journal_reconnected(world.journal, model.applied);
    model.acked = model.applied;
    for (int round = 0; round < 100 && !journal_idle(world.journal); round++) {
        now += 1000;
        journal_tick(world.journal, now);
        model_store(&model);
        model.acked = model.applied;
        journal_acked(world.journal, EPOCH, model.applied);
        journal_seal(world.journal);
        arena_reset(world.arena);
    }
    assert_true(journal_idle(world.journal));
    assert_int_equal(world.letter_count, model.made);
    model_check(&model);
    assert_memory_equal(model.values, model.disk, sizeof model.values);
}

static void test_random_schedules(void **state)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        run_model(seed);
        teardown(state);
        assert_int_equal(setup(state), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_leaves_before_its_ack),
        TEST(test_one_ack_for_many),
        TEST(test_records_of_a_batch),
        TEST(test_newest_wins_only_within_a_batch),
        TEST(test_many_records),
        TEST(test_messages_only),
        TEST(test_send_now_and_bytes),
        TEST(test_answer_that_does_not_fit),
        TEST(test_bell),
        TEST(test_pipeline_is_bounded),
        TEST(test_big_batches_do_not_wait),
        TEST(test_reserve_keeps_frames_small),
        TEST(test_resume),
        TEST(test_reconnect),
        TEST(test_port_that_is_full),
        TEST(test_refused),
        TEST(test_refused_then_gone),
        TEST(test_store_that_forgot),
        TEST(test_impossible_answers),
        TEST(test_record_out_of_bounds),
        TEST(test_random_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
