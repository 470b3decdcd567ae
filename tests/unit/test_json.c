/* Strict JSON in, msgpack out. */
#include "tests/unit/unit.h"

#include "gateway/json.h"
#include "gateway/writer.h"
#include "proto/messages.h"

static json_t *parse(const char *text, struct err *err)
{
    return json_parse(str_of(text), err);
}

static void assert_refused(const char *text)
{
    struct err err = {0};
    json_t *value = parse(text, &err);
    if (value)
        fail_msg("accepted: %s", text);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_true(err.text[0] != '\0');
}

static void test_refuses_what_is_not_strict(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "{]",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "[1,]",
        "{'a':1}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":1}x",
        "{\"a\":1}{\"b\":1}",
        "\"text\"",
        "1",
        "null",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":1,\"a\":2}",
        "{\"x\":{\"a\":1,\"a\":1}}",
        "{\"a\":9223372036854775808}",
        "{\"a\":-9223372036854775809}",
        "{\"a\":1e999}",
        "\xef\xbb\xbf{}",
        "{\"a\":\"\\x\"}",
        "/**/{}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(bad[i]);
}

static void test_bounds_depth(void **state)
{
    char text[3 * JSON_DEPTH + 16];
    struct err err = {0};
    (void)state;

    for (int extra = 0; extra <= 1; extra++) {
        int depth = JSON_DEPTH + extra;
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        json_t *value = parse(text, &err);
        if (extra == 0)
            assert_non_null(value);
        else
            assert_null(value);
        json_decref(value);
    }
    /* Brackets within strings are no depth. */
    json_t *value = parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}", &err);
    assert_non_null(value);
    json_decref(value);
    /* A megabyte of brackets is refused without being descended into. */
    char *deep = malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    assert_null(json_parse((struct str){deep, 1 << 20}, &err));
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    free(deep);
}

static void test_keeps_integers(void **state)
{
    struct err err = {0};
    int64_t number = 0;
    json_t *value =
        parse("{\"low\":-9223372036854775808,\"high\":9223372036854775807,\"whole\":3.0,\"exp\":1e3,\"part\":1.5,\"text\":\"1\","
              "\"huge\":1e300,\"truth\":true}",
              &err);
    (void)state;
    assert_non_null(value);
    assert_true(json_integral(json_object_get(value, "low"), &number));
    assert_true(number == INT64_MIN);
    assert_true(json_integral(json_object_get(value, "high"), &number));
    assert_true(number == INT64_MAX);
    assert_true(json_integral(json_object_get(value, "whole"), &number));
    assert_int_equal(number, 3);
    assert_true(json_integral(json_object_get(value, "exp"), &number));
    assert_int_equal(number, 1000);
    assert_false(json_integral(json_object_get(value, "part"), &number));
    assert_false(json_integral(json_object_get(value, "text"), &number));
    assert_false(json_integral(json_object_get(value, "huge"), &number));
    assert_false(json_integral(json_object_get(value, "truth"), &number));
    assert_false(json_integral(NULL, &number));
    json_decref(value);
}

static void test_packs_and_writes_back(void **state)
{
    static const char text[] =
        "{\"a\":[1,-1,2.5,true,false,null,\"\u4e2d\u6587\\n\"],\"b\":{\"c\":{},\"d\":[]},\"e\":9007199254740993}";
    struct err err = {0};
    struct buf packed = {0}, out = {0};
    struct writer w = {.out = &out};
    json_t *value = parse(text, &err);
    (void)state;

    assert_non_null(value);
    assert_int_equal(json_pack_value(&packed, value, CODEC_DEPTH), 0);
    assert_true(map_valid(buf_str(&packed)));
    writer_map(&w, NULL, buf_str(&packed));
    assert_int_equal(out.len, sizeof text - 1);
    assert_memory_equal(out.data, text, out.len);
    json_decref(value);
    buf_free(&packed);
    buf_free(&out);
}

static void test_packing_is_bounded(void **state)
{
    struct err err = {0};
    struct buf small = {.limit = 8}, packed = {0};
    json_t *value = parse("{\"a\":{\"b\":{\"c\":{}}},\"text\":\"longer than eight\"}", &err);
    (void)state;

    assert_int_equal(json_pack_value(&small, value, CODEC_DEPTH), -1);
    assert_int_equal(small.len, 0);
    assert_int_equal(json_pack_value(&packed, value, 3), -1);
    assert_int_equal(packed.len, 0);
    assert_false(packed.failed);
    assert_int_equal(json_pack_value(&packed, value, 4), 0);
    json_decref(value);
    buf_free(&small);
    buf_free(&packed);
}

static void assert_brief(const char *json, size_t max, const char *expected)
{
    struct err err = {0};
    struct buf out = {0};
    json_t *value = parse(json, &err);

    assert_non_null(value);
    json_brief(&out, json_array_get(value, 0), max);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, expected);
    json_decref(value);
    buf_free(&out);
}

static void test_shows_values_briefly(void **state)
{
    (void)state;
    assert_brief("[null]", 32, "null");
    assert_brief("[\"a\\\"b\"]", 32, "\"a\\\"b\"");
    assert_brief("[[1,2,3]]", 32, "[1,2,3]");
    assert_brief("[\"0123456789\"]", 6, "\"012345…\"");
    assert_brief("[\"\u4e2d\u6587\u4e2d\u6587\"]", 7, "\"\u4e2d\u6587…\"");
    assert_brief("[{\"key\":\"value\"}]", 8, "\"{\\\"key\\\":\\\"…\"");
}

static size_t cost(const char *piece, unsigned times)
{
    struct buf text = {0};

    for (unsigned i = 0; i < times; i++)
        buf_text(&text, piece);
    size_t found = json_cost(buf_str(&text));
    buf_free(&text);
    return found;
}

static void test_costs(void **state)
{
    (void)state;
    assert_int_equal(cost("{}", 1000), 2000 * JSON_COST);
    assert_true(cost("[],", 1000) < 3000 * JSON_COST);
    assert_true(cost("\"\":{},", 1000) < 6000 * JSON_COST);
    /* What stands in quotes is text. */
    assert_int_equal(cost("\"{[,:\\\"{\"", 1000), 9000);
    /* What is refused for its depth needs no room. */
    assert_int_equal(cost("{", 1000), 0);
    assert_int_equal(cost("}", 100), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_what_is_not_strict),
        cmocka_unit_test(test_bounds_depth),
        cmocka_unit_test(test_keeps_integers),
        cmocka_unit_test(test_packs_and_writes_back),
        cmocka_unit_test(test_packing_is_bounded),
        cmocka_unit_test(test_shows_values_briefly),
        cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
