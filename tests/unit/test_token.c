#include "unit.h"

#include <msgpack.h>

#include "proto/codec.h"

#define BYTES(s) ((struct str){(s), sizeof(s) - 1})

/* A copy of exactly the bytes, so that a sanitizer sees one too far. */
static char *exact(struct str bytes)
{
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);

    assert_non_null(copy);
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return copy;
}

static int first(struct str bytes, struct token *token)
{
    char *copy = exact(bytes);
    struct reader reader = {copy, copy + bytes.len};
    int rc = reader_next(&reader, token);

    assert_true(reader.at >= copy && reader.at <= reader.end);
    if (rc != 0) {
        assert_ptr_equal(reader.at, copy); /* a refusal moves nothing */
    }
    free(copy);
    return rc;
}

static bool valid(struct str bytes)
{
    char *copy = exact(bytes);
    bool answer = map_valid((struct str){copy, bytes.len});

    free(copy);
    return answer;
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        uint64_t natural;
    } naturals[] = {
        {BYTES("\x00"), 0},
        {BYTES("\x7f"), 127},
        {BYTES("\xcc\x80"), 128},
        {BYTES("\xcc\x00"), 0},
        {BYTES("\xcd\x01\x02"), 258},
        {BYTES("\xce\xff\xff\xff\xff"), UINT32_MAX},
        {BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), UINT64_MAX},
        {BYTES("\xd0\x05"), 5},
        {BYTES("\xd1\x7f\xff"), 32767},
        {BYTES("\xd2\x00\x00\x00\x01"), 1},
        {BYTES("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX},
    };
    static const struct {
        struct str bytes;
        int64_t integer;
    } integers[] = {
        {BYTES("\xff"), -1},
        {BYTES("\xe0"), -32},
        {BYTES("\xd0\x80"), -128},
        {BYTES("\xd1\x80\x00"), -32768},
        {BYTES("\xd2\xff\xff\xff\xff"), -1},
        {BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN},
    };
    struct token token;

    for (size_t i = 0; i < sizeof naturals / sizeof naturals[0]; i++) {
        assert_int_equal(first(naturals[i].bytes, &token), 0);
        assert_int_equal(token.kind, TOKEN_UINT);
        assert_true(token.u.natural == naturals[i].natural);
    }
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        assert_int_equal(first(integers[i].bytes, &token), 0);
        assert_int_equal(token.kind, TOKEN_INT);
        assert_true(token.u.integer == integers[i].integer);
    }
    assert_int_equal(first(BYTES("\xca\x3f\xc0\x00\x00"), &token), 0);
    assert_true(token.kind == TOKEN_REAL && token.u.real == 1.5);
    assert_int_equal(first(BYTES("\xcb\xc0\x04\x00\x00\x00\x00\x00\x00"), &token), 0);
    assert_true(token.kind == TOKEN_REAL && token.u.real == -2.5);
    assert_int_equal(first(BYTES("\xc0"), &token), 0);
    assert_int_equal(token.kind, TOKEN_NIL);
    assert_int_equal(first(BYTES("\xc3"), &token), 0);
    assert_true(token.kind == TOKEN_BOOL && token.u.boolean);
    assert_int_equal(first(BYTES("\xc2"), &token), 0);
    assert_true(token.kind == TOKEN_BOOL && !token.u.boolean);
}

static void test_texts_and_counts(void **state)
{
    (void)state;
    struct token token;

    assert_int_equal(first(BYTES("\xa3"
                                 "abc"),
                           &token),
                     0);
    assert_true(token.kind == TOKEN_STR && token.u.text.len == 3);
    assert_int_equal(first(BYTES("\xd9\x02"
                                 "ab"),
                           &token),
                     0);
    assert_int_equal(first(BYTES("\xda\x00\x02"
                                 "ab"),
                           &token),
                     0);
    assert_int_equal(first(BYTES("\xdb\x00\x00\x00\x02"
                                 "ab"),
                           &token),
                     0);
    assert_int_equal(first(BYTES("\xc4\x02\xff\xfe"), &token), 0);
    assert_int_equal(token.kind, TOKEN_BIN);
    assert_int_equal(first(BYTES("\xc5\x00\x01\xff"), &token), 0);
    assert_int_equal(first(BYTES("\xc6\x00\x00\x00\x01\xff"), &token), 0);
    assert_int_equal(first(BYTES("\xa2\xff\xfe"), &token), -1); /* not UTF-8 */

    assert_int_equal(first(BYTES("\x92\x01\x02"), &token), 0);
    assert_true(token.kind == TOKEN_ARRAY && token.u.count == 2);
    assert_int_equal(first(BYTES("\x81\x01\x02"), &token), 0);
    assert_true(token.kind == TOKEN_MAP && token.u.count == 1);
    assert_int_equal(first(BYTES("\xdc\x00\x01\x01"), &token), 0);
    assert_int_equal(first(BYTES("\xdd\x00\x00\x00\x01\x01"), &token), 0);
    assert_int_equal(first(BYTES("\xde\x00\x01\x01\x01"), &token), 0);
    assert_int_equal(first(BYTES("\xdf\x00\x00\x00\x01\x01\x01"), &token), 0);
}

/* Lengths and counts that the bytes behind them cannot hold, bytes cut short, and what is not spoken here. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct str bad[] = {
        BYTES(""),
        BYTES("\xc1"),
        BYTES("\xdf\x0f\xff\xff\xff"),
        BYTES("\xdf\xff\xff\xff\xff\x01\x01"),
        BYTES("\xdd\xff\xff\xff\xff"),
        BYTES("\xdc\x00\x02\x01"),
        BYTES("\xde\x00\x01\x01"),
        BYTES("\x81\x01"),
        BYTES("\x91"),
        BYTES("\xa3"
              "ab"),
        BYTES("\xd9\x03"
              "ab"),
        BYTES("\xdb\xff\xff\xff\xff"
              "a"),
        BYTES("\xc6\xff\xff\xff\xff"
              "a"),
        BYTES("\xc4"),
        BYTES("\xcc"),
        BYTES("\xcd\x01"),
        BYTES("\xcf\x01\x02\x03\x04\x05\x06\x07"),
        BYTES("\xca\x01\x02\x03"),
        BYTES("\xcb\x01\x02\x03\x04\x05\x06\x07"),
        BYTES("\xd4\x01\x00"), /* fixext 1 */
        BYTES("\xd8\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
        BYTES("\xc7\x00\x01"), /* ext 8 */
    };
    struct token token;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(first(bad[i], &token), -1);
    }
}

/* len bytes that open containers one in another around a nil. */
static struct str nested(char *out, const char *opener, size_t width, int depth)
{
    for (int i = 0; i < depth; i++) {
        memcpy(out + (size_t)i * width, opener, width);
    }
    out[(size_t)depth * width] = (char)0xc0;
    return (struct str){out, (uint32_t)((size_t)depth * width + 1)};
}

static void test_skip_depth(void **state)
{
    (void)state;
    static char bytes[4 << 20];
    static const struct {
        const char *opener;
        size_t width;
    } kinds[] = {{"\x91", 1}, {"\x81\x01", 2}, {"\xdd\x00\x00\x00\x01", 5}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int depth = 0; depth <= 3; depth++) {
            struct str text = nested(bytes, kinds[i].opener, kinds[i].width, depth);
            for (int allowed = 0; allowed <= 3; allowed++) {
                struct reader reader = {text.ptr, text.ptr + text.len};
                assert_int_equal(reader_skip(&reader, allowed), depth <= allowed ? 0 : -1);
                assert_true(depth > allowed || reader.at == reader.end);
            }
        }
        struct str bomb = nested(bytes, kinds[i].opener, kinds[i].width, 500000);
        struct reader reader = {bomb.ptr, bomb.ptr + bomb.len};
        assert_int_equal(reader_skip(&reader, CODEC_DEPTH), -1);
    }
}

static void test_maps(void **state)
{
    (void)state;
    static const struct str good[] = {
        {NULL, 0},
        BYTES("\x80"),
        BYTES("\xde\x00\x00"),
        BYTES("\x81\xa1"
              "a\x01"),
        BYTES("\x82\xa1"
              "a\x01\xa1"
              "b\x81\xa1"
              "a\x01"),                    /* the same key, a level down */
        BYTES("\x82\xa0\xc0\xa1\x00\xc3"), /* the empty key; a NUL */
        BYTES("\x81\xa1"
              "a\x92\x80\x81\xa1"
              "b\xc0"),
        BYTES("\x81\xa1"
              "a\xc4\x01\xff"),
    };
    static const struct str bad[] = {
        BYTES("\x01"),
        BYTES("\x90"),
        BYTES("\xc0"),
        BYTES("\x80\x80"), /* a byte behind it */
        BYTES("\x81\xa1"
              "a"),            /* no value */
        BYTES("\x81\x01\x01"), /* a key that is no text */
        BYTES("\x81\xc4\x01"
              "a\x01"), /* nor is this */
        BYTES("\x82\xa1"
              "a\x01\xa1"
              "a\x02"), /* twice */
        BYTES("\x82\xa1"
              "a\x01\xd9\x01"
              "a\x02"), /* twice, spelt otherwise */
        BYTES("\x81\xa1"
              "k\x82\xa1"
              "a\x01\xa1"
              "a\x02"), /* twice, a level down */
        BYTES("\x81\xa1"
              "k\x91\x82\xa1"
              "a\x01\xa1"
              "a\x02"),
        BYTES("\x81\xa1\xff\x01"),
        BYTES("\x81\xa1"
              "a\xa1\xff"),
        BYTES("\x81\xa1"
              "a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), /* not a number */
        BYTES("\x81\xa1"
              "a\xca\x7f\x80\x00\x00"), /* infinite */
        BYTES("\x81\xa1"
              "a\xd4\x01\x00"),
        BYTES("\xdf\x0f\xff\xff\xff"),
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(valid(bad[i]));
    }
}

static void test_map_depth(void **state)
{
    (void)state;
    static char bytes[3 << 20];

    assert_true(valid(nested(bytes,
                             "\x81\xa1"
                             "k",
                             3, CODEC_DEPTH)));
    assert_false(valid(nested(bytes,
                              "\x81\xa1"
                              "k",
                              3, CODEC_DEPTH + 1)));
    assert_false(valid(nested(bytes,
                              "\x81\xa1"
                              "k",
                              3, 500000)));
    memcpy(bytes,
           "\x81\xa1"
           "k",
           3);
    assert_true(map_valid((struct str){bytes, nested(bytes + 3, "\x91", 1, CODEC_DEPTH - 1).len + 3}));
    assert_false(map_valid((struct str){bytes, nested(bytes + 3, "\x91", 1, CODEC_DEPTH).len + 3}));
}

static int pack_to(void *out, const char *data, size_t len)
{
    return buf_add(out, data, len);
}

static void pack_pair(msgpack_packer *packer, uint32_t number)
{
    char key[16];
    int len = snprintf(key, sizeof key, "%u", number);

    msgpack_pack_str(packer, (size_t)len);
    msgpack_pack_str_body(packer, key, (size_t)len);
    msgpack_pack_nil(packer);
}

/* Many keys: the check stays fast, and finds one pair among them wherever it is. More than fit into the largest field are no map. */
static void test_many_keys(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 15, 16, 17, 1000, 40000, 100000};

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const uint32_t like[] = {0, 1, 10, counts[i] / 2 + 1,
                                 counts[i]}; /* 0: all differ; 1, 10: first and second of the sorted */
        for (size_t twice = 0; twice < sizeof like / sizeof like[0]; twice++) {
            if (like[twice] > counts[i]) {
                continue;
            }
            struct buf map = {0};
            msgpack_packer packer;
            msgpack_packer_init(&packer, &map, pack_to);
            msgpack_pack_map(&packer, counts[i] + (like[twice] != 0));
            for (uint32_t k = counts[i]; k > 0; k--) { /* descending */
                pack_pair(&packer, k);
            }
            if (like[twice] != 0) {
                pack_pair(&packer, like[twice]);
            }
            assert_int_equal(map_valid(buf_str(&map)), like[twice] == 0 && counts[i] < CODEC_MAP_MAX / 3);
            buf_free(&map);
        }
    }
}

static void test_find(void **state)
{
    (void)state;
    static const struct str map = BYTES("\x84\xa1"
                                        "a\xa2"
                                        "hi\xa1"
                                        "b\x82\xa1"
                                        "x\x01\xa1"
                                        "y\x02\xa1"
                                        "c\x2a\xa1"
                                        "d\xc0");
    struct token token;
    struct str text;

    assert_true(valid(map));
    assert_true(map_find(map, "c", &token));
    assert_true(token.kind == TOKEN_UINT && token.u.natural == 42);
    assert_true(map_find(map, "b", &token));
    assert_true(token.kind == TOKEN_MAP && token.u.count == 2);
    assert_true(map_find(map, "d", &token));
    assert_int_equal(token.kind, TOKEN_NIL);
    assert_false(map_find(map, "x", &token)); /* a level down */
    assert_false(map_find(map, "", &token));
    assert_true(map_text(map, STR_LIT("a"), &text));
    assert_true(str_is(text, "hi"));
    assert_false(map_text(map, STR_LIT("c"), &text));
    assert_false(map_text(map, STR_LIT("z"), &text));
    assert_false(map_find((struct str){NULL, 0}, "a", &token));
    assert_false(map_find(BYTES("\xdf\x0f\xff\xff\xff"), "a", &token));
    assert_false(map_find(BYTES("\x82\xa1"
                                "a\xa5"
                                "hi\xa1"
                                "b"),
                          "b", &token));
}

static void test_reader_map(void **state)
{
    (void)state;
    static const char bytes[] = "\x81\xa1"
                                "a\x01\x2a";
    struct reader reader = {bytes, bytes + sizeof bytes - 1};
    struct token token;
    struct str map;

    assert_int_equal(reader_map(&reader, &map), 0);
    assert_int_equal(map.len, 4);
    assert_ptr_equal(map.ptr, bytes);
    assert_int_equal(reader_map(&reader, &map), -1); /* a number; it is still there */
    assert_int_equal(reader_next(&reader, &token), 0);
    assert_int_equal(token.u.natural, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_texts_and_counts),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_skip_depth),
        cmocka_unit_test(test_maps),       cmocka_unit_test(test_map_depth),
        cmocka_unit_test(test_many_keys),  cmocka_unit_test(test_find),
        cmocka_unit_test(test_reader_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
