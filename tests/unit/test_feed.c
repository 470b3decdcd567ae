/* The feed and a stream on it. The bus and HTTP are not there: what is asked is kept, and answered here (linked with --wrap). */
#include "tests/unit/unit.h"

#include "gateway/ask.h"
#include "gateway/event_type.h"
#include "gateway/events.h"
#include "gateway/feed.h"
#include "gateway/http.h"
#include "gateway/stream.h"

#define ASKED_MAX 16

static struct gateway gateway;
static struct question {
    struct msg_event_read read;
    bus_reply *reply;
    void *arg;
    bool forgotten;
} asked[ASKED_MAX];
static unsigned questions;
static uint64_t oldest, newest; /* what the store has */
static struct listener *listening;
static unsigned woken;

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom);
uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg);
void __wrap_bus_forget(struct bus_client *client, uint64_t corr);
bool __wrap_bus_client_is_up(const struct bus_client *client);
void __wrap_events_listen(struct events *events, struct listener *listener);
void __wrap_events_unlisten(struct events *events, struct listener *listener);
void __wrap_http_answer(struct request *request);
void __wrap_http_wake(struct request *request);

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom)
{
    (void)ask, (void)whom;
    return NULL;
}

bool __wrap_bus_client_is_up(const struct bus_client *client)
{
    (void)client;
    return true;
}

uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg)
{
    (void)client, (void)rid, (void)deadline_ms;
    assert_ptr_equal(shape, &shape_msg_event_read);
    assert_true(questions < ASKED_MAX);
    asked[questions++] = (struct question){.read = *(const struct msg_event_read *)value, .reply = reply, .arg = arg};
    return questions;
}

void __wrap_bus_forget(struct bus_client *client, uint64_t corr)
{
    (void)client;
    asked[corr - 1].forgotten = true;
}

void __wrap_events_listen(struct events *events, struct listener *listener)
{
    (void)events;
    listening = listener;
}

void __wrap_events_unlisten(struct events *events, struct listener *listener)
{
    (void)events, (void)listener;
    listening = NULL;
}

void __wrap_http_answer(struct request *request)
{
    (void)request;
}

void __wrap_http_wake(struct request *request)
{
    (void)request;
    woken++;
}

/* ---- the store ---- */

static void answer(const struct question *question)
{
    static struct rec_row rows[1000];
    struct buf bytes[1000] = {{0}};
    struct msg msg = {.shape = &shape_msg_event_rows};
    struct msg_event_rows *out = &msg.u.event_rows;
    struct err err;

    *out = (struct msg_event_rows){.rows = {rows, 0}, .oldest = oldest, .newest = newest};
    for (uint64_t id = question->read.after + 1; id <= newest && out->rows.count < question->read.limit; id++) {
        struct rec_event event = {
            .id = id, .type = id % 2 ? STR_LIT("task.created") : STR_LIT("task.failed"), .at = 1000, .task_id = id};
        if (id < oldest)
            continue;
        assert_int_equal(rec_encode_event(&bytes[out->rows.count], &event, &err), 0);
        rows[out->rows.count] = (struct rec_row){.id = id, .value = buf_str(&bytes[out->rows.count])};
        out->rows.count++;
    }
    question->reply(question->arg, &msg, NULL);
    for (unsigned i = 0; i < 1000; i++)
        buf_free(&bytes[i]);
}

/* Answers what has been asked so far, not what is asked because of it; nothing: the store is away. */
static void answer_all(bool there)
{
    struct question now[ASKED_MAX];
    unsigned count = questions;
    struct err err = {.code = ERR_UNAVAILABLE};

    memcpy(now, asked, sizeof now);
    questions = 0;
    for (unsigned i = 0; i < count; i++) {
        if (now[i].forgotten)
            continue;
        if (there)
            answer(&now[i]);
        else
            now[i].reply(now[i].arg, NULL, &err);
    }
}

/* What there is now is asked for: by the bell, or in a moment by itself. */
static void stop_when_asked(void *arg)
{
    if (questions > 0)
        loop_stop(arg);
}

static void ring(void)
{
    if (listening)
        listening->rang(listening->self, newest);
    int timer = loop_every(gateway.loop, 1, stop_when_asked, gateway.loop);
    loop_run(gateway.loop);
    loop_cancel(gateway.loop, timer);
}

/* ---- a reader ---- */

struct seen {
    struct feed_reader reader;
    uint64_t ids[5000];
    unsigned count, cuts;
};

static void pump(struct seen *seen)
{
    struct feed_event *event;
    enum feed_next next;

    while ((next = feed_next(gateway.feed, seen->reader.position, &event)) == FEED_EVENT) {
        seen->ids[seen->count++] = event->id;
        seen->reader.position = event->id;
    }
    if (next == FEED_BEHIND)
        feed_read(gateway.feed, &seen->reader);
}

static void on_news(void *self)
{
    pump(self);
}

static void on_events(void *self, struct feed_event *const *events, uint32_t count, uint64_t first, bool failed)
{
    struct seen *seen = self;

    if (failed)
        return;
    if (first > seen->reader.position + 1) {
        seen->cuts++;
        seen->reader.position = first - 1;
    }
    for (uint32_t i = 0; i < count; i++)
        seen->ids[seen->count++] = seen->reader.position = events[i]->id;
    pump(seen);
}

static struct seen *reader_new(uint64_t position)
{
    struct seen *seen = calloc(1, sizeof *seen);

    seen->reader = (struct feed_reader){.position = position, .news = on_news, .events = on_events, .self = seen};
    feed_add(gateway.feed, &seen->reader);
    return seen;
}

static void reader_free(struct seen *seen)
{
    feed_remove(gateway.feed, &seen->reader);
    free(seen);
}

static void expect_ids(const struct seen *seen, uint64_t from, uint64_t to)
{
    assert_int_equal(seen->count, to - from + 1);
    for (unsigned i = 0; i < seen->count; i++)
        assert_int_equal(seen->ids[i], from + i);
}

static int setup(void **state)
{
    struct err err;
    (void)state;

    questions = woken = 0;
    listening = NULL;
    oldest = 1;
    newest = 10;
    gateway = (struct gateway){.budget.limit = (size_t)64 << 20, .loop = loop_new()};
    gateway.feed = feed_new(&gateway, &err);
    return gateway.feed ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    feed_free(gateway.feed);
    loop_free(gateway.loop);
    return 0;
}

/* One question serves all who are at the head. */
static void one_reading_for_all(void **state)
{
    struct seen *readers[100];
    (void)state;

    for (unsigned i = 0; i < 100; i++)
        readers[i] = reader_new(10);
    assert_int_equal(questions, 1);
    answer_all(true);
    ring(); /* those who came while that was under way want another look */
    assert_int_equal(questions, 1);
    answer_all(true);
    newest = 14;
    ring();
    assert_int_equal(questions, 1);
    answer_all(true);
    for (unsigned i = 0; i < 100; i++) {
        expect_ids(readers[i], 11, 14);
        reader_free(readers[i]);
    }
    assert_null(listening); /* nobody is interested: no bell wakes the process */
}

static void who_is_behind_catches_up(void **state)
{
    (void)state;
    newest = 1500;
    oldest = 101;
    struct seen *seen = reader_new(0);
    for (unsigned i = 0; i < 30; i++)
        answer_all(true);
    expect_ids(seen, 101, 1500);
    assert_int_equal(seen->cuts, 1);
    reader_free(seen);
}

/* What is dropped before anybody could read it is missing for all, also for those at the head. */
static void what_is_dropped_is_told(void **state)
{
    (void)state;
    struct seen *seen = reader_new(10);
    answer_all(true);
    newest = 40;
    oldest = 31;
    ring();
    for (unsigned i = 0; i < 3; i++)
        answer_all(true);
    expect_ids(seen, 31, 40);
    assert_int_equal(seen->cuts, 1);
    reader_free(seen);
}

static void an_outage_loses_nothing(void **state)
{
    (void)state;
    struct seen *seen = reader_new(5);
    for (unsigned i = 0; i < 3; i++)
        answer_all(false);
    ring();
    for (unsigned i = 0; i < 5; i++)
        answer_all(true);
    ring();
    for (unsigned i = 0; i < 5; i++)
        answer_all(true);
    expect_ids(seen, 6, 10);
    reader_free(seen);
}

/* While nobody can take more, nothing is read: what comes meanwhile is there later. */
static void the_sated_are_not_read_for(void **state)
{
    (void)state;
    struct seen *seen = reader_new(10);
    answer_all(true);
    seen->reader.sated = true;
    newest = 30;
    if (listening)
        listening->rang(listening->self, newest);
    assert_int_equal(questions, 0);
    assert_null(listening);
    seen->reader.sated = false;
    ring();
    answer_all(true);
    expect_ids(seen, 11, 30);
    reader_free(seen);
}

/* Who leaves while he is being read for is not told, and the others are. */
static void leaving_in_between(void **state)
{
    (void)state;
    struct seen *stays = reader_new(0), *leaves = reader_new(0);
    answer_all(true);
    reader_free(leaves);
    for (unsigned i = 0; i < 5; i++)
        answer_all(true);
    expect_ids(stays, 1, 10);
    reader_free(stays);
}

/* ---- a stream ---- */

static void streams_are_told_what_they_want(void **state)
{
    static char out[65536];
    struct request request = {.gateway = &gateway};
    struct stream_filter filter = {.types = event_type_bit(STR_LIT("task.failed"))};
    (void)state;

    stream_start(&request, &filter, 7);
    assert_true(request.answered);
    for (unsigned i = 0; i < 5; i++)
        answer_all(true);
    long got = 0, more;
    while ((more = request.stream.read(request.stream.self, out + got, sizeof out - 1 - (size_t)got)) > 0)
        got += more;
    out[got] = '\0';
    assert_int_equal(more, 0); /* it goes on */
    assert_string_equal(out,
                        ": events follow\n\n"
                        "id: 8\nevent: task.failed\ndata: {\"event\":\"task.failed\",\"timestamp\":\"1970-01-01T00:00:01Z\","
                        "\"data\":{\"task_id\":8,\"task_name\":\"\"}}\n\n"
                        "id: 10\nevent: task.failed\ndata: {\"event\":\"task.failed\",\"timestamp\":\"1970-01-01T00:00:01Z\","
                        "\"data\":{\"task_id\":10,\"task_name\":\"\"}}\n\n");
    request.stream.closed(request.stream.self);
}

/* A client who reads nothing has a bounded amount made ready for him; when he reads on, nothing is missing. */
static void a_slow_client_is_bounded(void **state)
{
    static char out[4 << 20];
    struct request request = {.gateway = &gateway};
    struct stream_filter filter = {.types = event_types_default()};
    (void)state;

    newest = 4000;
    stream_start(&request, &filter, 0);
    for (unsigned i = 0; i < 20; i++)
        answer_all(true);
    size_t got = (size_t)request.stream.read(request.stream.self, out, sizeof out - 1);
    assert_in_range(got, 32 << 10, 64 << 10);
    for (unsigned i = 0; i < 2000; i++) {
        long more = request.stream.read(request.stream.self, out + got, sizeof out - 1 - got);
        assert_true(more >= 0);
        got += (size_t)more;
        answer_all(true);
    }
    out[got] = '\0';
    unsigned count = 0;
    for (const char *at = out; (at = strstr(at, "\nid: ")); at++)
        assert_int_equal(strtoul(at + 5, NULL, 10), ++count);
    assert_in_range(count, 300, 4000); /* as much as there was to spend; time stands nearly still here */
    request.stream.closed(request.stream.self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_reading_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_behind_catches_up, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_dropped_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_outage_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_sated_are_not_read_for, setup, teardown),
        cmocka_unit_test_setup_teardown(leaving_in_between, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_are_told_what_they_want, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_client_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
