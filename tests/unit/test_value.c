#include "tests/unit/unit.h"

#include <msgpack.h>

#include "worker/value.h"

static struct buf map;

static int write_map(void *data, const char *bytes, size_t len)
{
    return buf_add(data, bytes, len);
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str(packer, strlen(text));
    msgpack_pack_str_body(packer, text, strlen(text));
}

/* {"t": "a\"b\\c\nd\x01", "n": -5, "u": 2^63, "r": 0.1, "x": nil, "y": true, "l": [1, {"k": "v"}], "b": bin} */
static int set_up(void **state)
{
    (void)state;
    msgpack_packer packer;
    msgpack_packer_init(&packer, &map, write_map);
    msgpack_pack_map(&packer, 8);
    pack_text(&packer, "t");
    pack_text(&packer, "a\"b\\c\nd\x01");
    pack_text(&packer, "n");
    msgpack_pack_int64(&packer, -5);
    pack_text(&packer, "u");
    msgpack_pack_uint64(&packer, UINT64_C(1) << 63);
    pack_text(&packer, "r");
    msgpack_pack_double(&packer, 0.1);
    pack_text(&packer, "x");
    msgpack_pack_nil(&packer);
    pack_text(&packer, "y");
    msgpack_pack_true(&packer);
    pack_text(&packer, "l");
    msgpack_pack_array(&packer, 2);
    msgpack_pack_int(&packer, 1);
    msgpack_pack_map(&packer, 1);
    pack_text(&packer, "k");
    pack_text(&packer, "v");
    pack_text(&packer, "b");
    msgpack_pack_bin(&packer, 1);
    msgpack_pack_bin_body(&packer, "x", 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&map);
    return 0;
}

static const char *text_of(int (*make)(struct buf *, struct str), struct str value)
{
    static char text[4096];
    struct buf out = {0};
    assert_int_equal(make(&out, value), 0);
    assert_true(out.len < sizeof(text));
    if (out.len)
        memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    buf_free(&out);
    return text;
}

static void test_json(void **state)
{
    (void)state;
    assert_string_equal(text_of(value_json, buf_str(&map)),
                        "{\"t\":\"a\\\"b\\\\c\\nd\\u0001\",\"n\":-5,\"u\":9223372036854775808,\"r\":0.1,\"x\":null,\"y\":true,"
                        "\"l\":[1,{\"k\":\"v\"}],\"b\":null}");
    assert_string_equal(text_of(value_json, (struct str){0}), "{}");
}

static void test_find_and_text(void **state)
{
    (void)state;
    struct str value;
    assert_true(value_find(buf_str(&map), STR_LIT("t"), &value));
    assert_string_equal(text_of(value_text, value), "a\"b\\c\nd\x01");
    assert_true(value_find(buf_str(&map), STR_LIT("x"), &value));
    assert_string_equal(text_of(value_text, value), "");
    assert_true(value_find(buf_str(&map), STR_LIT("r"), &value));
    assert_string_equal(text_of(value_text, value), "0.1");
    assert_true(value_find(buf_str(&map), STR_LIT("l"), &value));
    assert_string_equal(text_of(value_text, value), "[1,{\"k\":\"v\"}]");
    assert_false(value_find(buf_str(&map), STR_LIT("k"), &value));
    assert_false(value_find((struct str){0}, STR_LIT("k"), &value));
    assert_false(value_find(STR_LIT("\x93\x01\x02\x03"), STR_LIT("k"), &value));
}

static void test_malformed(void **state)
{
    (void)state;
    struct buf out = {0};
    for (uint32_t len = 1; len < map.len; len++)
        assert_int_equal(value_json(&out, (struct str){map.data, len}), -1);
    assert_int_equal(value_text(&out, STR_LIT("\xa5xx")), -1);
    char deep[64];
    memset(deep, '\x91', sizeof(deep));
    assert_int_equal(value_json(&out, (struct str){deep, sizeof(deep)}), -1);
    buf_free(&out);
}

static void test_pack_texts(void **state)
{
    (void)state;
    const struct str texts[] = {STR_LIT("gpu"), STR_LIT("yes"), STR_LIT("room"), STR_LIT("b 2")};
    struct buf out = {0};
    struct str value;
    assert_int_equal(value_pack_texts(&out, texts, 2), 0);
    assert_true(map_valid(buf_str(&out)));
    assert_true(value_find(buf_str(&out), STR_LIT("room"), &value));
    assert_string_equal(text_of(value_text, value), "b 2");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json), cmocka_unit_test(test_find_and_text),
                                       cmocka_unit_test(test_malformed), cmocka_unit_test(test_pack_texts)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
