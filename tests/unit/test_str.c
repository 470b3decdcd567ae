#include "unit.h"

#include <errno.h>

#include "proto/str.h"

static void test_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "12345678任务abcdefgh12345678é"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2 ",
                                      "\xe0\x9f\xbf",
                                      "\xe4\xbb",
                                      "\xe4\xbb ",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xfe",
                                      "\xf0\x90\x80",
                                      "\xf0\x90\x80 ",
                                      "12345678\xff",
                                      "1234567\xe4"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(str_utf8(str_of(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(str_utf8(str_of(bad[i])));
    }
    assert_true(str_utf8((struct str){NULL, 0}));
    assert_true(str_utf8((struct str){"a\0b", 3}));
}

/* Every code point there is, and every one there is not, against the definition. */
static void test_utf8_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0x10000; c < 0x400000; c += c < 0x120000 ? 1 : 997) { /* four bytes */
        const char text[4] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)), (char)(0x80 | (c >> 6 & 0x3f)),
                              (char)(0x80 | (c & 0x3f))};
        assert_int_equal(str_utf8((struct str){text, 4}), c <= 0x10ffff);
    }
    for (uint32_t c = 0; c < 0x10000; c++) { /* three bytes */
        const char text[3] = {(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};
        assert_int_equal(str_utf8((struct str){text, 3}), c >= 0x800 && (c < 0xd800 || c > 0xdfff));
    }
    for (uint32_t c = 0; c < 0x800; c++) { /* two bytes */
        const char text[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        assert_int_equal(str_utf8((struct str){text, 2}), c >= 0x80);
    }
}

static void test_copy(void **state)
{
    (void)state;
    char out[4] = "zzz";

    assert_true(str_copy(out, sizeof out, STR_LIT("abc")));
    assert_string_equal(out, "abc");
    assert_false(str_copy(out, sizeof out, STR_LIT("wxyz")));
    assert_string_equal(out, "wxy");
    assert_true(str_copy(out, sizeof out, (struct str){NULL, 0}));
    assert_string_equal(out, "");
    assert_false(str_copy(out, 0, STR_LIT("a")));
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(str_eq(STR_LIT("ab"), STR_LIT("ab")));
    assert_false(str_eq(STR_LIT("ab"), STR_LIT("abc")));
    assert_false(str_eq(STR_LIT("ab"), STR_LIT("ac")));
    assert_true(str_eq((struct str){NULL, 0}, STR_LIT("")));
    assert_true(str_is(STR_LIT("x"), "x"));
    assert_true(str_is((struct str){NULL, 0}, NULL));
}

static void test_append(void **state)
{
    (void)state;
    char out[8] = "";

    assert_true(str_append(out, sizeof out, ", ", "ab"));
    assert_string_equal(out, "ab");
    assert_true(str_append(out, sizeof out, ", ", "cde"));
    assert_string_equal(out, "ab, cde");
    assert_false(str_append(out, sizeof out, ", ", ""));
    assert_false(str_append(out, sizeof out, "", "f"));
    assert_false(str_append(out, sizeof out, "", "longer than all of it"));
    assert_true(str_append(out, sizeof out, "", ""));
    assert_string_equal(out, "ab, cde");
}

static void test_cut(void **state)
{
    (void)state;
    assert_int_equal(str_cut(STR_LIT("ab\xe2\x82\xac"), 4).len, 2);
    assert_int_equal(str_cut(STR_LIT("ab\xe2\x82\xac"), 5).len, 5);
    assert_int_equal(str_cut(STR_LIT("abc"), 9).len, 3);
    assert_int_equal(str_cut(STR_LIT("abc"), 0).len, 0);
    assert_int_equal(str_cut(STR_LIT("ab\xff"
                                     "cd"),
                             9)
                         .len,
                     2);
    assert_int_equal(str_cut(STR_LIT("0123456789 \xe2\x82"), 99).len, 11);
    assert_int_equal(str_cut((struct str){0}, 9).len, 0);
}

static void test_clean(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain"},
        {"\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* beyond U+10FFFF */
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    char out[64];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        out[str_clean(out, sizeof(out) - 1, str_of(rows[i].in))] = '\0';
        assert_string_equal(out, rows[i].out);
    }
    assert_int_equal(str_clean(out, sizeof(out), STR_LIT("a\0b")), 5);
    assert_int_equal(str_clean(out, 4, STR_LIT("ab\xe2\x82\xac")), 2);
}

static void test_trim(void **state)
{
    (void)state;
    assert_true(str_is(str_trim(STR_LIT("  a b "), " "), "a b"));
    assert_true(str_is(str_trim(STR_LIT("\t a\t"), " "), "\t a\t"));
    assert_true(str_is(str_trim(STR_LIT("\t a\t"), " \t"), "a"));
    assert_true(str_is(str_trim(STR_LIT("   "), " "), ""));
    assert_true(str_is(str_trim((struct str){0}, " "), ""));
}

static void test_err(void **state)
{
    (void)state;
    struct err err = {0};
    char wide[400];

    errno = ENOENT;
    assert_int_equal(err_set(&err, 3, "%s has %d", "it", 7), -1);
    assert_int_equal(err.code, 3);
    assert_string_equal(err.text, "it has 7");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(err_set(NULL, 3, "nobody listens"), -1);
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    err_set(&err, 1, "%s", wide);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),   cmocka_unit_test(test_utf8_every_code_point),
        cmocka_unit_test(test_copy),   cmocka_unit_test(test_equal),
        cmocka_unit_test(test_append), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_clean),  cmocka_unit_test(test_trim),
        cmocka_unit_test(test_err),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
