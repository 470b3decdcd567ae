/* Streams of logs beside each other. The bus and HTTP are not there: what is asked is kept, and answered here (linked with --wrap). */
#include "tests/unit/unit.h"

#include "gateway/ask.h"
#include "gateway/events.h"
#include "gateway/follow.h"
#include "gateway/gateway.h"
#include "gateway/http.h"

#define STREAMS 100
#define LINE_BYTES ((size_t)16 << 10)

struct question {
    const struct shape *shape;
    struct msg_log_read read; /* of a log_read */
    bus_reply *reply;
    void *arg;
};

static struct gateway gateway;
static struct request requests[STREAMS];
static struct follower *followers[STREAMS]; /* in the order in which they came */
static unsigned follows;
static struct question asked[STREAMS];
static unsigned questions;
static enum run_status status; /* of every run */
static uint64_t lines;         /* each has written */
static unsigned longest;       /* reading asked for */

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom);
uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg);
void __wrap_bus_forget(struct bus_client *client, uint64_t corr);
void __wrap_events_follow(struct events *events, struct follower *follower);
void __wrap_events_unfollow(struct events *events, struct follower *follower);
void __wrap_http_answer(struct request *request);
void __wrap_http_wake(struct request *request);

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom)
{
    (void)ask, (void)whom;
    return NULL;
}

uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg)
{
    struct question *question = &asked[questions++];
    (void)client, (void)rid, (void)deadline_ms;

    assert_true(questions <= STREAMS);
    *question = (struct question){.shape = shape, .reply = reply, .arg = arg};
    if (shape == &shape_msg_log_read) {
        question->read = *(const struct msg_log_read *)value;
        longest = question->read.limit > longest ? (unsigned)question->read.limit : longest;
    }
    return questions;
}

void __wrap_bus_forget(struct bus_client *client, uint64_t corr)
{
    (void)client, (void)corr;
}

void __wrap_events_follow(struct events *events, struct follower *follower)
{
    (void)events;
    followers[follows++] = follower;
}

void __wrap_events_unfollow(struct events *events, struct follower *follower)
{
    (void)events, (void)follower;
}

void __wrap_http_answer(struct request *request)
{
    (void)request;
}

void __wrap_http_wake(struct request *request)
{
    (void)request;
}

static void write_line(struct writer *w, const struct rec_log_line *line, uint64_t missing)
{
    (void)missing;
    writer_open(w, NULL, '{');
    writer_text(w, "message", line->text);
    writer_close(w, '}');
}

/* ---- the store ---- */

static void answer_run(const struct question *question)
{
    const struct rec_run run = {.id = 1, .task_id = 1, .task_name = STR_LIT("t"), .status = status, .attempt = 1};
    struct msg msg = {.shape = &shape_msg_query_rows};
    struct rec_row row = {.id = 1};
    struct buf bytes = {0};
    struct err err = {0};

    assert_int_equal(codec_encode_record(&bytes, &shape_rec_run, &run, &err), 0);
    row.value = buf_str(&bytes);
    msg.u.query_rows = (struct msg_query_rows){.rows = {&row, 1}, .total = 1};
    question->reply(question->arg, &msg, NULL);
    buf_free(&bytes);
}

static void answer_lines(const struct question *question)
{
    static struct rec_log_line rows[STREAMS];
    static char text[LINE_BYTES];
    struct msg msg = {.shape = &shape_msg_log_rows};
    uint64_t seq = question->read.after & UINT32_MAX;
    uint32_t count = 0;

    memset(text, 'x', sizeof text);
    for (; count < question->read.limit && seq < lines; count++)
        rows[count] = (struct rec_log_line){.seq = ++seq, .attempt = 1, .text = {text, sizeof text}};
    msg.u.log_rows = (struct msg_log_rows){.lines = {rows, count}, .end = seq == lines};
    question->reply(question->arg, &msg, NULL);
}

/* Answers what has been asked so far, not what is asked because of it. */
static void answer_all(void)
{
    static struct question now[STREAMS];
    unsigned count = questions;

    memcpy(now, asked, sizeof now);
    questions = 0;
    for (unsigned i = 0; i < count; i++) {
        if (now[i].shape == &shape_msg_log_read)
            answer_lines(&now[i]);
        else
            answer_run(&now[i]);
    }
}

static unsigned asked_for_lines(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < questions; i++)
        count += asked[i].shape == &shape_msg_log_read;
    return count;
}

/* ---- the clients ---- */

static void follow_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        requests[i] = (struct request){.gateway = &gateway};
        follow_start(&requests[i], 1, 0, write_line);
        assert_true(requests[i].answered);
    }
}

static void wake_all(void)
{
    for (unsigned i = 0; i < follows; i++)
        followers[i]->changed(followers[i]->self);
}

/* Reads what there is; false when the stream is over. */
static bool take(struct request *request, size_t *bytes)
{
    static char out[65536];
    long got;

    while ((got = request->stream.read(request->stream.self, out, sizeof out)) > 0)
        *bytes += (size_t)got;
    return got == 0;
}

static int begin(void **state)
{
    (void)state;
    gateway = (struct gateway){.budget.limit = (size_t)64 << 20};
    follows = questions = longest = 0;
    lines = 0;
    status = RUN_RUNNING;
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < follows; i++) {
        requests[i].stream.closed(requests[i].stream.self);
        arena_free(requests[i].arena);
    }
    assert_int_equal(gateway.budget.used, 0);
    return 0;
}

static void test_quiet_runs_leave_room_for_others(void **state)
{
    (void)state;
    follow_all(STREAMS);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(questions, STREAMS);
        answer_all();
        assert_int_equal(asked_for_lines(), STREAMS);
        answer_all();
        assert_int_equal(questions, 0);
        assert_int_equal(gateway.budget.used, 0);
        wake_all();
    }
}

/* Others hold more than half of the budget, and may do so for long. */
static void test_lines_come_a_few_at_a_time_while_room_is_scarce(void **state)
{
    size_t held = 0, bytes = 0;
    (void)state;

    budget_charge(&gateway.budget, &held, gateway.budget.limit);
    status = RUN_COMPLETED;
    lines = 50;
    follow_all(1);
    answer_all();
    answer_all();
    assert_int_equal(questions, 0); /* the client has not read these */
    assert_int_equal(gateway.budget.used, held);
    for (unsigned i = 0; i <= lines && take(&requests[0], &bytes); i++)
        answer_all();
    assert_true(bytes > lines * LINE_BYTES);
    assert_true(longest < 10);
    budget_release(&gateway.budget, &held);
}

static void test_many_lines_are_read_at_once_while_there_is_room(void **state)
{
    size_t bytes = 0;
    (void)state;

    lines = 100;
    follow_all(1);
    answer_all();
    answer_all();
    assert_int_equal(longest, 100);
    assert_true(gateway.budget.used >= 100 * LINE_BYTES);
    answer_all();
    assert_true(take(&requests[0], &bytes));
    assert_true(bytes > lines * LINE_BYTES);
    assert_int_equal(gateway.budget.used, 0);
}

static void test_news_during_a_look_make_another_follow(void **state)
{
    size_t bytes = 0;
    (void)state;

    follow_all(1);
    answer_all();
    status = RUN_COMPLETED;
    wake_all(); /* the state has been read, the lines have not */
    answer_all();
    assert_int_equal(questions, 1);
    answer_all();
    answer_all();
    assert_false(take(&requests[0], &bytes));
}

/* Nobody has a use for it, but may send one. */
static void test_a_body_is_not_kept_for_the_stream(void **state)
{
    struct request *request = &requests[0];
    (void)state;

    *request = (struct request){.gateway = &gateway};
    assert_int_equal(buf_reserve(&request->body, 2 * BUDGET_SMALL), 0);
    assert_true(budget_hold(&gateway.budget, &request->held, request->body.size));
    follow_start(request, 1, 0, write_line);
    assert_int_equal(gateway.budget.used, 0);
    assert_null(request->body.data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_quiet_runs_leave_room_for_others),
        TEST(test_lines_come_a_few_at_a_time_while_room_is_scarce),
        TEST(test_many_lines_are_read_at_once_while_there_is_room),
        TEST(test_news_during_a_look_make_another_follow),
        TEST(test_a_body_is_not_kept_for_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
