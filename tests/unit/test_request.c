/* What handlers read of a request: ids, parameters, bodies, keys. */
#include "tests/unit/unit.h"

#include "gateway/gateway.h"
#include "gateway/pool.h"

static struct gateway gateway;
static struct request request;
static struct problem problem;
static char scratch[256];

static int begin(void **state)
{
    (void)state;
    request = (struct request){.gateway = &gateway, .method = METHOD_POST};
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_decref(request.json);
    buf_free(&request.body);
    arena_free(request.arena);
    return 0;
}

static void target(const char *text)
{
    struct err err;
    assert_int_equal(uri_parse(str_of(text), scratch, &request.uri, &err), 0);
}

static void test_ids(void **state)
{
    uint64_t id = 0;
    (void)state;

    request.match.args[0] = STR_LIT("42");
    request.match.args[1] = STR_LIT("-1");
    assert_int_equal(request_id(&request, 0, &id, &problem), 0);
    assert_int_equal(id, 42);
    assert_int_equal(request_id(&request, 1, &id, &problem), -1);
    assert_int_equal(problem.kind, PROBLEM_BAD_REQUEST);
    assert_true(str_is(problem.value, "-1"));
}

static void test_parameters(void **state)
{
    struct str value;
    int fault = 0;
    (void)state;

    target("/x?a=1&b=&c=1&c=2");
    assert_true(request_param(&request, "a", &value, &problem, &fault));
    assert_true(str_is(value, "1"));
    assert_false(request_param(&request, "b", &value, &problem, &fault));
    assert_false(request_param(&request, "none", &value, &problem, &fault));
    assert_int_equal(fault, 0);
    assert_false(request_param(&request, "c", &value, &problem, &fault));
    assert_int_equal(fault, -1);
    assert_true(str_is(problem.rule, "repeated"));
}

static void test_bodies(void **state)
{
    (void)state;
    assert_int_equal(request_read_json(&request, &problem), 0);
    assert_null(request.json);
    buf_text(&request.body, " \r\n\t ");
    assert_int_equal(request_read_json(&request, &problem), 0);
    assert_null(request.json);
    buf_text(&request.body, "[1]");
    assert_int_equal(request_read_json(&request, &problem), -1);
    assert_int_equal(problem.kind, PROBLEM_INVALID);
    json_decref(request.json);
    request.json = NULL;
    buf_reset(&request.body);
    buf_text(&request.body, "{");
    assert_int_equal(request_read_json(&request, &problem), -1);
    assert_int_equal(problem.kind, PROBLEM_BAD_REQUEST);
    buf_text(&request.body, "\"a\":1}");
    assert_int_equal(request_read_json(&request, &problem), 0);
    assert_int_equal(json_object_size(request.json), 1);
}

static void refuse(struct request *asked)
{
    assert_int_equal(request_read_json(asked, &problem), -1);
    assert_int_equal(problem.kind, PROBLEM_OVERLOADED);
    assert_null(asked->json);
}

static void parse(struct request *asked)
{
    assert_int_equal(request_read_json(asked, &problem), 0);
    assert_non_null(asked->json);
    assert_true(gateway.budget.used > BUDGET_SMALL);
}

/* A tree is many times its text: it is there only while a handler works, and only where it fits. */
static void test_what_is_parsed_goes_with_the_handler(void **state)
{
    const struct route route = {.handle = parse}, refusing = {.handle = refuse};
    (void)state;

    buf_text(&request.body, "{\"junk\":[{}");
    for (int i = 0; i < 5000; i++)
        buf_text(&request.body, ",{}");
    buf_text(&request.body, "]}");
    request.match.route = &route;
    request_handle(&request);
    assert_null(request.json);
    assert_int_equal(gateway.budget.used, 0);
    request_handle(&request); /* a command that is asked again */
    gateway.budget.limit = request.body.len;
    request.match.route = &refusing;
    request_handle(&request);
    gateway.budget.limit = 0;
}

/* A refusal looks at the body again to say what was given; when the client is gone by then, nothing asks for that answer. */
static void test_answered_and_never_queued(void **state)
{
    struct pool pool = {0};
    struct request *left = pool_take(&pool);
    (void)state;

    left->gateway = &gateway;
    left->state = REQUEST_ANSWERED;
    buf_text(&left->body, "{\"spec\":{\"name\":\"x\"},\"junk\":[");
    for (int i = 0; i < 5000; i++)
        buf_text(&left->body, "{},");
    buf_text(&left->body, "{}]}");
    assert_non_null(request_given(left, STR_LIT("spec.name")));
    assert_true(gateway.budget.used > BUDGET_SMALL);
    pool_give_back(&pool, left);
    assert_int_equal(gateway.budget.used, 0);
    assert_null(left->json);
    pool_free(&pool);
}

/* Makes the key of a request with this key, path and body; out: scope, then body. */
static void key_of(const char *key, const char *path, const char *body, uint8_t out[32])
{
    struct rec_idem idem;

    request.keyed = false;
    request.headers.idempotency_key = str_of(key);
    target(path);
    buf_reset(&request.body);
    buf_text(&request.body, body);
    assert_int_equal(request_idem(&request, &idem, &problem), 0);
    memcpy(out, idem.scope.ptr, 16);
    memcpy(out + 16, idem.body.ptr, 16);
}

static void test_keys(void **state)
{
    uint8_t first[32], other[32];
    struct rec_idem idem;
    (void)state;

    key_of("k", "/a", "{}", first);
    key_of("k", "/a", "{}", other);
    assert_memory_equal(first, other, 32);
    key_of("k", "/a", "{ }", other);
    assert_memory_equal(first, other, 16);
    assert_memory_not_equal(first + 16, other + 16, 16);
    key_of("k", "/a?force=true", "{}", other);
    assert_memory_equal(first, other, 16);
    assert_memory_not_equal(first + 16, other + 16, 16);
    key_of("k", "/b", "{}", other);
    assert_memory_not_equal(first, other, 16);
    key_of("l", "/a", "{}", other);
    assert_memory_not_equal(first, other, 16);
    request.method = METHOD_PUT;
    key_of("k", "/a", "{}", other);
    assert_memory_not_equal(first, other, 16);

    /* None given: a new one each time, but one for a request that asks again. */
    key_of("", "/a", "{}", first);
    assert_int_equal(request_idem(&request, &idem, &problem), 0);
    assert_memory_equal(idem.scope.ptr, first, 16);
    key_of("", "/a", "{}", other);
    assert_memory_not_equal(first, other, 16);
}

static void test_malformed_keys(void **state)
{
    char longer[257];
    struct rec_idem idem;
    (void)state;

    memset(longer, 'k', 256);
    longer[256] = '\0';
    request.headers.idempotency_key = str_of(longer);
    assert_int_equal(request_idem(&request, &idem, &problem), -1);
    assert_int_equal(problem.kind, PROBLEM_BAD_REQUEST);
    request.headers.idempotency_key = STR_LIT("a\x01");
    assert_int_equal(request_idem(&request, &idem, &problem), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ids),
        TEST(test_parameters),
        TEST(test_bodies),
        TEST(test_what_is_parsed_goes_with_the_handler),
        TEST(test_answered_and_never_queued),
        TEST(test_keys),
        TEST(test_malformed_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
