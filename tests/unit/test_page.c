/* Lists: pages, sizes, sorts; and what triggers hold. */
#include "tests/unit/unit.h"

#include "gateway/json.h"
#include "gateway/surfaces/scheduler.h"

static const struct page_sort sorts[] = {{"created_at", ""}, {"name", "spec.name"}, {NULL, NULL}};
static struct request request;
static struct problem problem;
static struct page page;
static char scratch[256];

static int begin(void **state)
{
    (void)state;
    request = (struct request){.method = METHOD_GET};
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_decref(request.json);
    arena_free(request.arena);
    return 0;
}

static int read_page(const char *target)
{
    struct err err;
    assert_int_equal(uri_parse(str_of(target), scratch, &request.uri, &err), 0);
    return page_read(&request, PAGE_SIZE, sorts, &page, &problem);
}

static void test_defaults_and_caps(void **state)
{
    (void)state;
    assert_int_equal(read_page("/x"), 0);
    assert_int_equal(page.page, 1);
    assert_int_equal(page.size, 20);
    assert_true(page.descending);
    assert_int_equal(page.sort.len, 0);
    assert_int_equal(read_page("/x?page=3&size=1001&sort=name&order=asc"), 0);
    assert_int_equal(page.page, 3);
    assert_int_equal(page.size, 1000);
    assert_false(page.descending);
    assert_true(str_is(page.sort, "spec.name"));
    assert_int_equal(read_page("/x?sort=&order="), 0);
}

/* A text is bounded as the table bounds the field that it is compared with. */
static void test_texts(void **state)
{
    struct str text = {NULL, 0};
    int fault = 0;
    (void)state;

    assert_int_equal(read_page("/x?q=1234567890123456789012345678901234567890123456789012345678901234"), 0);
    assert_true(page_text(&request, "q", &shape_rec_run, "worker_name", &text, &problem, &fault));
    assert_int_equal(text.len, 64);
    assert_int_equal(read_page("/x?q=12345678901234567890123456789012345678901234567890123456789012345"), 0);
    assert_false(page_text(&request, "q", &shape_rec_run, "worker_name", &text, &problem, &fault));
    assert_int_equal(fault, -1);
    assert_true(str_is(problem.expected, "1..64 bytes"));
}

static void test_refusals(void **state)
{
    static const char *const bad[][3] = {
        {"/x?page=0", "page", "range"},     {"/x?page=-1", "page", "range"},          {"/x?page=", "page", "range"},
        {"/x?size=0", "size", "range"},     {"/x?size=a", "size", "range"},           {"/x?order=ASC", "order", "enum"},
        {"/x?sort=colour", "sort", "sort"}, {"/x?page=1&page=1", "page", "repeated"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (read_page(bad[i][0]) != -1)
            fail_msg("accepted: %s", bad[i][0]);
        assert_int_equal(problem.kind, PROBLEM_BAD_REQUEST);
        assert_true(str_is(problem.field, bad[i][1]));
        assert_true(str_is(problem.rule, bad[i][2]));
    }
    assert_int_equal(read_page("/x?sort=colour"), -1);
    assert_true(str_is(problem.expected, "created_at, name"));
}

static void assert_tail(uint64_t total, bool lower, const char *expected)
{
    struct buf out = {0};
    struct writer w = {.out = &out};

    page = (struct page){.page = 2, .size = 20};
    writer_open(&w, NULL, '{');
    page_write(&w, &page, total, lower);
    writer_close(&w, '}');
    buf_add(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void test_totals(void **state)
{
    (void)state;
    assert_tail(0, false, "{\"total\":0,\"page\":2,\"size\":20,\"total_pages\":0}");
    assert_tail(20, false, "{\"total\":20,\"page\":2,\"size\":20,\"total_pages\":1}");
    assert_tail(21, true, "{\"total\":21,\"total_is_lower_bound\":true,\"page\":2,\"size\":20,\"total_pages\":2}");
}

static int read_trigger(const char *json, bool item, struct rec_trigger *trigger)
{
    struct err err;

    json_decref(request.json);
    request.json = json_parse(str_of(json), &err);
    assert_non_null(request.json);
    *trigger = (struct rec_trigger){0};
    return trigger_read(&request, request.json, item ? "items[0]." : "", item, trigger, &problem);
}

static void test_triggers(void **state)
{
    struct rec_trigger trigger, other;
    (void)state;

    assert_int_equal(read_trigger("{\"parameters\":{\"a\":1},\"priority\":\"low\",\"timeout_seconds\":5,\"delay_seconds\":1.5}",
                                  false, &trigger),
                     0);
    assert_true(map_valid(trigger.parameters));
    assert_int_equal(trigger.priority, PRIORITY_LOW);
    assert_int_equal(trigger.delay_ms, 1500);
    assert_true(HAS(&trigger, rec_trigger, delay_ms));
    assert_false(HAS(&trigger, rec_trigger, run_at));
    assert_int_equal(read_trigger("{\"run_at\":\"1970-01-01T00:00:02Z\",\"idem\":{},\"delay_ms\":5}", false, &trigger), 0);
    assert_int_equal(trigger.run_at, 2000);
    assert_false(HAS(&trigger, rec_trigger, idem));
    assert_false(HAS(&trigger, rec_trigger, delay_ms));
    assert_int_equal(read_trigger("{}", false, &trigger), 0);
    assert_int_equal(trigger.has, 0);

    assert_int_equal(read_trigger("{\"idempotency_key\":\"k\",\"parameters\":{\"a\":1}}", true, &trigger), 0);
    assert_true(HAS(&trigger, rec_trigger, idem));
    assert_int_equal(read_trigger("{\"idempotency_key\":\"k\",\"parameters\":{\"a\":2}}", true, &other), 0);
    assert_memory_equal(trigger.idem.scope.ptr, other.idem.scope.ptr, 16);
    assert_memory_not_equal(trigger.idem.body.ptr, other.idem.body.ptr, 16);
    assert_int_equal(read_trigger("{\"idempotency_key\":\"\"}", true, &other), -1);
    assert_true(str_is(problem.field, "items[0].idempotency_key"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults_and_caps), TEST(test_texts), TEST(test_refusals), TEST(test_totals), TEST(test_triggers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
