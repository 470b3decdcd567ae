/* Request targets as they arrive. */
#include "tests/unit/unit.h"

#include "gateway/uri.h"
#include "proto/messages.h"

static struct uri uri;
static char scratch[URI_MAX];

static int parse(const char *text)
{
    struct err err = {0};
    int result = uri_parse(str_of(text), scratch, &uri, &err);
    if (result != 0) {
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_true(err.text[0] != '\0');
    }
    return result;
}

static void assert_str(struct str text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.len);
}

static void test_takes_apart(void **state)
{
    struct str value;
    (void)state;

    assert_int_equal(parse("/api/tasks/7?page=2&search=a+b%20c&empty=&flag&x=%E4%B8%AD"), 0);
    assert_str(uri.path, "/api/tasks/7");
    assert_str(uri.query, "page=2&search=a+b%20c&empty=&flag&x=%E4%B8%AD");
    assert_int_equal(uri.segment_count, 3);
    assert_str(uri.segments[2], "7");
    assert_int_equal(uri.param_count, 5);
    assert_int_equal(uri_param(&uri, "search", &value), 1);
    assert_str(value, "a b c");
    assert_int_equal(uri_param(&uri, "flag", &value), 1);
    assert_int_equal(value.len, 0);
    assert_int_equal(uri_param(&uri, "x", &value), 1);
    assert_str(value, "\xe4\xb8\xad");
    assert_int_equal(uri_param(&uri, "none", &value), 0);
    assert_int_equal(parse("/?a=1&a=2&&b"), 0);
    assert_int_equal(uri.segment_count, 0);
    assert_int_equal(uri_param(&uri, "a", &value), 2);
    assert_str(value, "1");
    assert_int_equal(uri.param_count, 3);
    assert_int_equal(parse("/a/%62+c//"), 0);
    assert_int_equal(uri.segment_count, 4);
    assert_str(uri.segments[1], "b+c");
    assert_int_equal(uri.segments[3].len, 0);
}

static void test_takes_absolute_targets(void **state)
{
    (void)state;
    assert_int_equal(parse("http://localhost:8080/api?x=1"), 0);
    assert_str(uri.authority, "localhost:8080");
    assert_str(uri.path, "/api");
    assert_int_equal(parse("*"), 0);
    assert_true(uri.asterisk);
    assert_int_equal(parse("http://localhost"), -1);
    assert_int_equal(parse("ftp://localhost/"), -1);
}

static void test_refuses_what_is_not_clean(void **state)
{
    static const char *const bad[] = {
        "",
        "a",
        "/a%00b",
        "/%",
        "/%4",
        "/%g0",
        "/a?x=%",
        "/a?x=%0",
        "/a?x=%00",
        "/../etc",
        "/a/..",
        "/a/./b",
        "/%2e%2e/b",
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/a%0a",
        "/a%7f",
        "/a b",
        "/a#b",
        "/a\x01",
        "/%ff",
        "/a?x=%c0%80",
        "/\xff",
        "/\xe4%b8%ad",
        "/a?\x80=1",
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    };
    char many[400] = "/?";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parse(bad[i]) == 0)
            fail_msg("accepted: %s", bad[i]);
    }
    for (int i = 0; i < URI_PARAMS; i++)
        strcat(many, "a=1&");
    assert_int_equal(parse(many), 0);
    strcat(many, "a=1");
    assert_int_equal(parse(many), -1);
}

static void test_reads_numbers_strictly(void **state)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "00",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "9223372036854775808",
                                      "99999999999999999999",
                                      "\xef\xbc\x91",
                                      "abc"};
    uint64_t number = 0;
    (void)state;

    assert_true(uri_number(STR_LIT("1"), &number));
    assert_int_equal(number, 1);
    assert_true(uri_number(STR_LIT("9223372036854775807"), &number));
    assert_true(number == INT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(uri_number(str_of(bad[i]), &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_apart),
        cmocka_unit_test(test_takes_absolute_targets),
        cmocka_unit_test(test_refuses_what_is_not_clean),
        cmocka_unit_test(test_reads_numbers_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
