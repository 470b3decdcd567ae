/* Memory runs out at every place where a request's body and query are read and its answer is written: that is said as what it is, an
 * overload, and never as a mistake of the client's. */
#include "unit.h"

#include "memory_fault.h"

#include "gateway/auth_jwt.h"
#include "gateway/auth_keys.h"
#include "gateway/fields.h"
#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/request.h"
#include "gateway/route.h"
#include "gateway/surfaces/surface.h"
#include "gateway/writer.h"

static const char body[] =
    "{\"name\":\"a name\",\"task_type\":\"shell\",\"command\":\"echo \\u00e9 "
    "\\\"x\\\"\",\"arguments\":[\"a\",\"b\",\"c\",\"d\",\"e\"],"
    "\"environment\":{\"A\":\"1\",\"B\":\"2\",\"C\":\"a longer value, so that it does not fit where the others did, and the "
    "buffer grows"
    " beyond what it began with, which is two hundred and fifty-six bytes, of which there are some more than that in this one "
    "............................\"},\"tags\":[\"t1\",\"t2\"],\"dependencies\":[1,2,\"3\"],\"retry_count\":3,\"priority\":"
    "\"high\","
    "\"limits\":{\"cpu_seconds\":9},\"metadata\":{\"k\":[1,2.5,true,null,{\"deep\":[\"er\"]}]}}";

static struct json_t *parse(void)
{
    struct err err = {0};
    json_t *value = json_parse((struct str){body, sizeof body - 1}, &err);
    if (!value) {
        assert_true(memory_short());
        assert_int_equal(err.code, ERR_NO_MEMORY);
        value = json_parse((struct str){body, sizeof body - 1}, &err);
        assert_non_null(value);
    }
    return value;
}

/* Whole, too: a text that memory ran out in is not taken for a shorter one. */
static void step_parse(void)
{
    json_t *value = parse();

    memory_countdown = 0; /* what follows is the test's own */
    json_t *whole = json_loadb(body, sizeof body - 1, 0, NULL);
    assert_non_null(whole);
    assert_true(json_equal(value, whole));
    json_decref(whole);
    json_decref(value);
}

static void step_fields(void)
{
    struct request request = {0};
    struct rec_task_spec spec = {0};
    struct problem problem = {0};
    json_t *object = parse();
    if (fields_read(&request, object, &shape_rec_task_spec, NULL, "", false, &spec, &problem) != 0) {
        assert_true(memory_short());
        assert_int_equal(problem.kind, PROBLEM_OVERLOADED);
        assert_int_equal(problem_status(problem.kind), 503);
        if (request.arena)
            arena_reset(request.arena);
        spec = (struct rec_task_spec){0};
        assert_int_equal(fields_read(&request, object, &shape_rec_task_spec, NULL, "", false, &spec, &problem), 0);
    }
    assert_int_equal(spec.arguments.count, 5);
    assert_int_equal(spec.dependencies.count, 3);
    assert_true(spec.metadata.len > 10);
    json_decref(object);
    arena_free(request.arena);
}

static void step_body(void)
{
    struct gateway gateway = {0};
    struct request request = {.gateway = &gateway};
    struct problem problem = {0};
    if (buf_add(&request.body, body, sizeof body - 1) != 0) {
        assert_true(memory_short());
    } else if (request_read_json(&request, &problem) != 0) {
        assert_true(memory_short());
        assert_int_equal(problem.kind, PROBLEM_OVERLOADED);
    } else {
        assert_non_null(request.json);
    }
    json_decref(request.json);
    buf_free(&request.body);
}

static void step_writer(void)
{
    struct buf out = {0};
    struct writer w = {.out = &out};
    writer_open(&w, NULL, '{');
    for (uint64_t i = 0; i < 40; i++) {
        writer_uint(&w, "number", i);
        writer_text(&w, "text", STR_LIT("\"quoted\" and \x01 more"));
        writer_real(&w, "real", 0.1);
        writer_time(&w, "at", 1700000000000 + i);
    }
    writer_close(&w, '}');
    assert_int_equal(out.failed, memory_short());
    memory_countdown = 0; /* what follows is the test's own */
    if (!out.failed) {
        json_t *read = json_loadb(out.data, out.len, 0, NULL);
        assert_non_null(read);
        json_decref(read);
    }
    buf_free(&out);
}

static void step_sentence(void)
{
    struct buf out = {0};
    struct problem problem;
    json_t *given = parse();
    problem_json(&problem, "name", "type", given, "%s", "string");
    problem_sentence(&out, &problem, LANG_EN);
    assert_true(!out.failed || memory_short());
    buf_free(&out);
    json_decref(given);
}

static void step_routes(void)
{
    struct err err = {0};
    struct router *router = router_new();
    int added = 0;
    for (size_t i = 0; router && surfaces_all[i]; i++)
        added |= router_add(router, surfaces_all[i], surfaces_all[i]->prefix, &err);
    assert_true((router && added == 0) || memory_short());
    router_free(router);
}

/* Whole or not at all: nobody is shut out, and nobody let in, because memory was short when a list was read. */
static void step_keys_file(void)
{
    static char text[8192];
    size_t len = (size_t)snprintf(text, sizeof text, "gantry-keys 1\n");
    struct auth_keys keys = {0};
    struct err err = {0};
    struct buf out = {0};

    for (int i = 0; i < 40; i++)
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "0123456789%02d user 2026-01-01T00:00:00Z - - %064d k%d\n", i, i, i);
    if (auth_keys_parse(str_of(text), &keys, &err) != 0) {
        assert_true(memory_short());
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_int_equal(keys.count, 0);
    } else {
        assert_int_equal(keys.count, 40);
        assert_true(auth_keys_write(&keys, &out) == 0 || memory_short());
    }
    buf_free(&out);
    auth_keys_free(&keys);
}

static void step_token_keys(void)
{
    struct jwt_keys keys = {0};
    struct jwt_token token;
    struct err err = {0};
    static const char jwks[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"},"
                               "{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}";

    if (jwt_keys_parse(STR_LIT(jwks), &keys, &err) != 0) {
        assert_true(memory_short());
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_int_equal(keys.count, 0);
        return;
    }
    enum jwt_fault fault = jwt_verify(&keys, "", STR_LIT("eyJhbGciOiJIUzI1NiJ9.e30.AAAA"), 0, &token);
    assert_true(fault == JWT_INVALID || (fault == JWT_NO_MEMORY && memory_short()));
    jwt_keys_free(&keys);
}

static void test_parse(void **state)
{
    (void)state;
    memory_hard(step_parse);
}

static void test_fields(void **state)
{
    (void)state;
    memory_hard(step_fields);
}

static void test_body(void **state)
{
    (void)state;
    memory_hard(step_body);
}

static void test_writer(void **state)
{
    (void)state;
    memory_hard(step_writer);
}

static void test_sentence(void **state)
{
    (void)state;
    memory_hard(step_sentence);
}

static void test_routes(void **state)
{
    (void)state;
    memory_hard(step_routes);
}

static void test_keys_file(void **state)
{
    (void)state;
    memory_hard(step_keys_file);
}

static void test_token_keys(void **state)
{
    (void)state;
    memory_hard(step_token_keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_fields),     cmocka_unit_test(test_body),
        cmocka_unit_test(test_writer),    cmocka_unit_test(test_sentence),   cmocka_unit_test(test_routes),
        cmocka_unit_test(test_keys_file), cmocka_unit_test(test_token_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
