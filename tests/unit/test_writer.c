/* What is written reads back, whatever stands in it. */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <math.h>

#include "gateway/writer.h"

static struct buf out;
static struct writer w;

static int begin(void **state)
{
    (void)state;
    out = (struct buf){0};
    w = (struct writer){.out = &out};
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

static void assert_out(const char *expected)
{
    buf_add(&out, "", 1);
    assert_string_equal(out.data, expected);
}

static void test_puts_commas(void **state)
{
    static const struct str items[] = {{"x", 1}, {"y", 1}};
    struct str_list list = {(struct str *)(uintptr_t)items, 2};
    (void)state;

    writer_open(&w, NULL, '{');
    writer_uint(&w, "a", 0);
    writer_open(&w, "b", '[');
    writer_null(&w, NULL);
    writer_bool(&w, NULL, true);
    writer_open(&w, NULL, '{');
    writer_close(&w, '}');
    writer_close(&w, ']');
    writer_texts(&w, "c", &list);
    writer_json(&w, "d", STR_LIT("[1]"));
    writer_close(&w, '}');
    assert_out("{\"a\":0,\"b\":[null,true,{}],\"c\":[\"x\",\"y\"],\"d\":[1]}");
}

static void test_writes_numbers(void **state)
{
    (void)state;
    writer_open(&w, NULL, '[');
    writer_uint(&w, NULL, UINT64_MAX);
    writer_int(&w, NULL, INT64_MIN);
    writer_real(&w, NULL, 30.5);
    writer_real(&w, NULL, 30);
    writer_real(&w, NULL, 0.1);
    writer_real(&w, NULL, 1e300);
    writer_real(&w, NULL, (double)NAN);
    writer_real(&w, NULL, (double)INFINITY);
    writer_rounded(&w, NULL, 1.23456789, 3);
    writer_close(&w, ']');
    assert_out("[18446744073709551615,-9223372036854775808,30.5,30.0,0.1,1e+300,null,null,1.235]");
}

static void test_escapes_every_byte(void **state)
{
    char text[256 + 8];
    uint32_t len = 0;
    json_error_t error;
    (void)state;

    for (int c = 1; c < 128; c++)
        text[len++] = (char)c;
    memcpy(text + len, "\xe4\xb8\xad\xf0\x9f\x90\x8e", 7);
    len += 7;
    writer_open(&w, NULL, '[');
    writer_text(&w, NULL, (struct str){text, len});
    writer_text_or_null(&w, NULL, (struct str){NULL, 0});
    writer_close(&w, ']');
    json_t *back = json_loadb(out.data, out.len, 0, &error);
    assert_non_null(back);
    assert_int_equal(json_string_length(json_array_get(back, 0)), len);
    assert_memory_equal(json_string_value(json_array_get(back, 0)), text, len);
    assert_true(json_is_null(json_array_get(back, 1)));
    json_decref(back);
}

static void test_writes_times(void **state)
{
    (void)state;
    writer_open(&w, NULL, '{');
    writer_time(&w, "at", UINT64_C(1704067200999));
    writer_time(&w, "never", 0);
    writer_close(&w, '}');
    assert_out("{\"at\":\"2024-01-01T00:00:00Z\",\"never\":null}");
}

static void test_damaged_maps_do_not_break_the_document(void **state)
{
    static const struct str maps[] = {
        {"", 0},
        {"\x80", 1},
        {"\x81\xa1"
         "a",
         3},
        {"\xdf\x0f\xff\xff\xff", 5},
        {"\x81\x01\x02", 3},
        {"\x81\xa1"
         "a\xc4\x01z",
         6},
        {"\x81\xa1"
         "a\xcb\x7f\xf0\0\0\0\0\0\0",
         12},
        {"\x90", 1},
    };
    json_error_t error;
    (void)state;

    writer_open(&w, NULL, '[');
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        writer_map(&w, NULL, maps[i]);
    writer_close(&w, ']');
    json_t *back = json_loadb(out.data, out.len, 0, &error);
    assert_non_null(back);
    assert_int_equal(json_array_size(back), sizeof maps / sizeof *maps);
    for (size_t i = 0; i < json_array_size(back); i++)
        assert_true(json_is_object(json_array_get(back, i)));
    json_decref(back);
}

static void test_says_when_it_did_not_fit(void **state)
{
    (void)state;
    out.limit = 16;
    writer_open(&w, NULL, '[');
    writer_text(&w, NULL, STR_LIT("more than fits in sixteen bytes"));
    writer_close(&w, ']');
    assert_true(out.failed);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_puts_commas),
        TEST(test_writes_numbers),
        TEST(test_escapes_every_byte),
        TEST(test_writes_times),
        TEST(test_damaged_maps_do_not_break_the_document),
        TEST(test_says_when_it_did_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
