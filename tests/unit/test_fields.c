/* JSON objects into records, held to the message table's bounds. */
#include "tests/unit/unit.h"

#include "gateway/fields.h"
#include "gateway/json.h"

static struct request request;
static struct rec_task_spec spec;
static struct problem problem;

static int begin(void **state)
{
    (void)state;
    request = (struct request){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_decref(request.json);
    arena_free(request.arena);
    return 0;
}

static int read_spec(const char *text, bool update)
{
    struct err err = {0};

    json_decref(request.json);
    request.json = json_parse(str_of(text), &err);
    if (!request.json)
        fail_msg("%s: %s", text, err.text);
    spec = (struct rec_task_spec){0};
    return fields_read(&request, request.json, &shape_rec_task_spec, NULL, "", update, &spec, &problem);
}

static void test_reads_every_kind(void **state)
{
    (void)state;
    assert_int_equal(read_spec("{\"name\":\"n\",\"arguments\":[\"a\",\"b\"],\"priority\":\"high\",\"retry_count\":5.0,"
                               "\"dependencies\":[\"x\",7,8.0],"
                               "\"metadata\":{\"k\":[1]},\"limits\":{\"cpu_seconds\":9},\"unknown\":{},\"description\":null}",
                               false),
                     0);
    assert_true(str_is(spec.name, "n"));
    assert_int_equal(spec.arguments.count, 2);
    assert_true(str_is(spec.arguments.items[1], "b"));
    assert_int_equal(spec.priority, PRIORITY_HIGH);
    assert_int_equal(spec.retry_count, 5);
    assert_true(str_is(spec.dependencies.items[1], "7"));
    assert_true(str_is(spec.dependencies.items[2], "8"));
    assert_true(map_valid(spec.metadata));
    assert_int_equal(spec.limits.cpu_seconds, 9);
    assert_true(HAS(&spec, rec_task_spec, limits));
    assert_true(HAS(&spec.limits, rec_limits, cpu_seconds) || spec.limits.cpu_seconds == 9);
    assert_false(HAS(&spec, rec_task_spec, description));
    assert_false(HAS(&spec, rec_task_spec, command));
}

static void test_null_clears_in_updates_only(void **state)
{
    (void)state;
    assert_int_equal(read_spec("{\"schedule\":null,\"tags\":null,\"metadata\":null,\"limits\":null}", true), 0);
    assert_true(HAS(&spec, rec_task_spec, schedule));
    assert_int_equal(spec.schedule.len, 0);
    assert_true(HAS(&spec, rec_task_spec, tags));
    assert_true(HAS(&spec, rec_task_spec, limits));
    assert_int_equal(read_spec("{\"schedule\":null}", false), 0);
    assert_false(HAS(&spec, rec_task_spec, schedule));
    assert_int_equal(read_spec("{\"name\":null}", true), -1);
    assert_true(str_is(problem.rule, "type"));
    assert_int_equal(read_spec("{\"timeout_seconds\":null}", true), -1);
}

static void test_refuses_by_the_table(void **state)
{
    static const struct {
        const char *json, *field, *rule;
    } cases[] = {
        {"{\"name\":7}", "name", "type"},
        {"{\"name\":\"\"}", "name", "required"},
        {"{\"retry_count\":\"3\"}", "retry_count", "type"},
        {"{\"retry_count\":1.5}", "retry_count", "type"},
        {"{\"retry_count\":-1}", "retry_count", "range"},
        {"{\"retry_count\":101}", "retry_count", "range"},
        {"{\"timeout_seconds\":0}", "timeout_seconds", "range"},
        {"{\"priority\":\"urgent\"}", "priority", "enum"},
        {"{\"priority\":1}", "priority", "type"},
        {"{\"arguments\":\"a\"}", "arguments", "type"},
        {"{\"arguments\":[1]}", "arguments", "type"},
        {"{\"dependencies\":[true]}", "dependencies", "type"},
        {"{\"dependencies\":[1.5]}", "dependencies", "type"},
        {"{\"metadata\":[]}", "metadata", "type"},
        {"{\"limits\":{\"files\":-1}}", "limits.files", "range"},
        {"{\"limits\":3}", "limits", "type"},
        {"{\"metadata\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
         "{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}}",
         "metadata", "depth"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (read_spec(cases[i].json, false) != -1)
            fail_msg("accepted: %s", cases[i].json);
        assert_int_equal(problem.kind, PROBLEM_INVALID);
        if (!str_is(problem.field, cases[i].field) || !str_is(problem.rule, cases[i].rule))
            fail_msg("%s: %.*s %.*s", cases[i].json, (int)problem.field.len, problem.field.ptr, (int)problem.rule.len,
                     problem.rule.ptr);
        assert_true(problem.expected.len > 0);
    }
}

static void test_every_bound_of_a_text(void **state)
{
    char json[300];
    (void)state;

    for (int len = 200; len <= 201; len++) {
        snprintf(json, sizeof json, "{\"name\":\"%0*d\"}", len, 0);
        assert_int_equal(read_spec(json, false), len == 200 ? 0 : -1);
    }
    assert_true(str_is(problem.rule, "length"));
}

static void test_requires_and_checks_texts(void **state)
{
    (void)state;
    read_spec("{\"name\":null,\"env\":{\"A\":\"1\",\"B\":2}}", false);
    assert_int_equal(fields_require(request.json, "name", "", &problem), -1);
    assert_true(str_is(problem.rule, "required"));
    assert_int_equal(fields_require(NULL, "name", "items[0].", &problem), -1);
    assert_true(str_is(problem.field, "items[0].name"));
    assert_int_equal(fields_texts_only(request.json, "env", &problem), -1);
    assert_true(str_is(problem.field, "env.B"));
    assert_int_equal(fields_texts_only(request.json, "labels", &problem), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_every_kind),      TEST(test_null_clears_in_updates_only), TEST(test_refuses_by_the_table),
        TEST(test_every_bound_of_a_text), TEST(test_requires_and_checks_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
