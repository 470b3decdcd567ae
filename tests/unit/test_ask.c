/* What a request hears when its question has no answer. The bus is not there: what it says is said here (linked with --wrap). */
#include "tests/unit/unit.h"

#include "gateway/ask.h"
#include "gateway/gateway.h"
#include "gateway/surfaces/surface.h"

static struct err silence; /* what every question comes to */
static enum problem_kind heard;
static int answers;

struct bus_client *__wrap_bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                         const struct bus_client_events *events, void *self, struct err *err);
void __wrap_bus_client_free(struct bus_client *client);
uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg);
void __wrap_http_answer(struct request *request);

struct bus_client *__wrap_bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                         const struct bus_client_events *events, void *self, struct err *err)
{
    static char somebody;
    (void)loop, (void)endpoint, (void)curve, (void)err;

    events->up(self);
    return (struct bus_client *)(void *)&somebody;
}

void __wrap_bus_client_free(struct bus_client *client)
{
    (void)client;
}

uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg)
{
    (void)client, (void)shape, (void)value, (void)rid, (void)deadline_ms;
    reply(arg, NULL, &silence);
    return 0;
}

void __wrap_http_answer(struct request *request)
{
    (void)request;
    answers++;
}

static void write_problem(struct request *request, const struct problem *problem)
{
    (void)request;
    heard = problem->kind;
}

static void on_answer(struct request *request, const struct msg *msg)
{
    (void)request, (void)msg;
    fail_msg("there was no answer");
}

static const struct surface surface = {.write_problem = write_problem};

/* What a request of that method hears when its question to the store comes to this error. */
static enum problem_kind hear(struct gateway *gateway, enum method method, int code)
{
    struct request request = {.gateway = gateway, .method = method, .match.surface = &surface};
    struct msg_query query = {.type = TYPE_RUN, .page = 1, .size = 20};

    silence = (struct err){.code = code, .text = "why"};
    answers = 0;
    ask_send(&request, ASK_STORE, &shape_msg_query, &query, on_answer);
    assert_int_equal(answers, 1);
    buf_free(&request.out);
    return heard;
}

static void test_why_there_is_no_answer_is_told(void **state)
{
    struct gateway gateway = {.deadline_ms = 1000};
    struct err err = {0};
    char *argv[] = {"test_ask"};
    (void)state;

    gateway.loop = loop_new();
    gateway.settings = settings_load(1, argv, NULL, &err);
    assert_non_null(gateway.settings);
    gateway.ask = ask_new(&gateway, &err);
    assert_non_null(gateway.ask);
    assert_int_equal(hear(&gateway, METHOD_GET, ERR_UNAVAILABLE), PROBLEM_STORE_AWAY);
    assert_int_equal(hear(&gateway, METHOD_GET, ERR_UNKNOWN_OUTCOME), PROBLEM_STORE_AWAY);
    assert_int_equal(hear(&gateway, METHOD_POST, ERR_UNKNOWN_OUTCOME), PROBLEM_STORE_UNKNOWN);
    assert_int_equal(hear(&gateway, METHOD_GET, ERR_LIMIT), PROBLEM_OVERLOADED);
    assert_int_equal(hear(&gateway, METHOD_GET, ERR_NO_MEMORY), PROBLEM_OVERLOADED);
    /* The question itself was wrong: no database is away for that. */
    assert_int_equal(hear(&gateway, METHOD_GET, ERR_INVALID), PROBLEM_INTERNAL);
    assert_int_equal(hear(&gateway, METHOD_POST, ERR_BAD_REQUEST), PROBLEM_INTERNAL);
    ask_free(gateway.ask);
    settings_free(gateway.settings);
    loop_free(gateway.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_why_there_is_no_answer_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
