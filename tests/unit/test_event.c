/* Events: ids grow by one, the oldest go, a restart goes on where it was. */
#include "tests/unit/unit.h"

#include "scheduler/event.h"

static struct buf frame;
static uint64_t sealed, belled;
static uint64_t first, last; /* kept, as the batches say; 0: not known */

static int send_batch(void *self, struct str bytes)
{
    (void)self;
    sealed++;
    buf_reset(&frame);
    return buf_add(&frame, bytes.ptr, bytes.len);
}

static void deliver(void *self, const struct address *to, struct str bytes)
{
    (void)self, (void)to, (void)bytes;
}

static void committed(void *self, uint64_t last_event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)runs, (void)count;
    belled = last_event;
}

static struct journal *journal;
static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    const struct journal_port port = {.send_batch = send_batch, .deliver = deliver, .committed = committed};
    sealed = belled = first = last = 0;
    journal = journal_new(&port);
    arena = arena_new((size_t)1 << 20);
    journal_begin(journal, 1);
    return journal == NULL || arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    journal_free(journal);
    arena_free(arena);
    buf_free(&frame);
    return 0;
}

static struct rec_op_list flush(void)
{
    struct msg msg;

    journal_seal(journal);
    journal_acked(journal, 1, sealed);
    arena_reset(arena);
    assert_int_equal(msg_decode(arena, buf_str(&frame), &msg, NULL), 0);
    for (uint32_t i = 0; i < msg.u.batch.ops.count; i++) {
        const struct rec_op *op = &msg.u.batch.ops.items[i];
        if (op->op == OP_DELETE) {
            assert_int_equal(op->id, first ? first : op->id); /* the oldest goes */
            first = op->id + 1;
        } else {
            assert_int_equal(op->id, last ? last + 1 : op->id);
            first = first ? first : op->id;
            last = op->id;
        }
    }
    return msg.u.batch.ops;
}

static uint64_t append(struct events *events)
{
    struct rec_event event = {.id = 999, .type = STR_LIT("task.completed"), .at = 5, .run_id = 7};

    assert_int_equal(journal_reserve(journal, EVENT_BYTES, EVENT_OPS, NULL), 0);
    return event_append(events, journal, &event);
}

static void test_append(void **state)
{
    (void)state;
    struct events *events = events_new(3);
    struct rec_event record;

    assert_non_null(events);
    assert_int_equal(append(events), 1);
    struct rec_op_list ops = flush();
    assert_int_equal(ops.count, 1);
    assert_true(ops.items[0].op == OP_PUT && ops.items[0].type == TYPE_EVENT && ops.items[0].id == 1);
    assert_int_equal(rec_decode_event(arena, ops.items[0].value, &record, NULL), 0);
    assert_true(record.id == 1 && record.run_id == 7 && str_is(record.type, "task.completed"));
    assert_int_equal(belled, 1);
    append(events);
    append(events);
    assert_int_equal(flush().count, 2);
    assert_int_equal(belled, 3);
    append(events);
    ops = flush();
    assert_int_equal(ops.count, 2);
    assert_true(ops.items[1].op == OP_DELETE && ops.items[1].type == TYPE_EVENT && ops.items[1].id == 1);
    assert_int_equal(first, 2);
    assert_int_equal(last, 4);
    events_free(events);
}

static void test_lower_limit(void **state)
{
    (void)state;
    struct events *events = events_new(100);

    for (int i = 0; i < 100; i++) {
        append(events);
    }
    flush();
    events_limit(events, 10);
    for (int i = 0; i < 44; i++) {
        append(events);
        assert_in_range(flush().count, 2, EVENT_OPS);
    }
    append(events);
    append(events);
    flush();
    assert_int_equal(last - first + 1, 10);
    events_free(events);
}

static void test_begin(void **state)
{
    (void)state;
    struct events *events = events_new(50);

    events_begin(events, 0, 1); /* an empty store */
    assert_int_equal(append(events), 1);
    assert_int_equal(flush().count, 1);
    events_begin(events, 40, 60);
    first = 40;
    last = 59;
    assert_int_equal(append(events), 60);
    assert_int_equal(flush().count, 1); /* within the limit */
    events_limit(events, 20);
    append(events);
    assert_int_equal(flush().count, 3); /* 40 and 41 go */
    events_limit(events, 50);
    events_begin(events, 0, 1000); /* the oldest is not known */
    first = 950;
    last = 999;
    append(events);
    assert_int_equal(flush().count, 2);
    events_begin(events, 0, 20);
    events_limit(events, 19);
    first = 1;
    last = 19;
    append(events);
    assert_int_equal(flush().count, 2);
    events_free(events);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_append), TEST(test_lower_limit), TEST(test_begin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
