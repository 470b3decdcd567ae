/* Addresses that carry their own signature, against the example in Amazon's document; what is no place of a store; and answers cut anywhere. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/s3_ask.h"

#define NOON UINT64_C(1369353600) /* 2013-05-24 00:00 UTC */

static struct s3_place example(void)
{
    return (struct s3_place){.url = "https://examplebucket.s3.amazonaws.com",
                             .host = "examplebucket.s3.amazonaws.com",
                             .region = "us-east-1",
                             .key = "AKIAIOSFODNN7EXAMPLE",
                             .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
}

static void test_example(void **state)
{
    struct s3_place place = example();
    char url[S3_ADDRESS];
    (void)state;
    assert_true(s3_sign(&place, "GET", "test.txt", "", NOON, 86400, url));
    assert_string_equal(url, "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                             "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                             "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                             "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void test_more(void **state)
{
    struct s3_place place = example();
    char url[S3_ADDRESS], more[3000];
    (void)state;
    assert_true(s3_sign(&place, "PUT", "a", "partNumber=1&uploadId=x", NOON, 900, url));
    assert_non_null(strstr(url, "X-Amz-SignedHeaders=host&partNumber=1&uploadId=x&X-Amz-Signature="));
    memset(more, 'x', sizeof more - 1);
    more[sizeof more - 1] = '\0';
    assert_false(s3_sign(&place, "GET", "a", more, NOON, 900, url));
}

static void test_places(void **state)
{
    static const struct {
        const char *url, *host, *begin, *path;
    } well[] = {{"http://127.0.0.1:9000", "127.0.0.1:9000", "http://127.0.0.1:9000", "/films"},
                {"https://s3.example.com/", "s3.example.com", "https://s3.example.com", "/films"},
                {"https://s3.example.com:443/a/b/", "s3.example.com", "https://s3.example.com", "/a/b/films"},
                {"http://[::1]:80", "[::1]", "http://[::1]", "/films"},
                {"http://h:443", "h:443", "http://h:443", "/films"}};
    static const char *const wrong[] = {"", "s3.example.com", "ftp://h", "http://", "http://h?x", "http://u:p@h", "http://h h"};
    struct s3_place place;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof well / sizeof *well; i++) {
        assert_int_equal(s3_place_read(&place, well[i].url, "films", "us-east-1", &err), 0);
        assert_string_equal(place.host, well[i].host);
        assert_string_equal(place.url, well[i].begin);
        assert_string_equal(place.path, well[i].path);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(s3_place_read(&place, wrong[i], "films", "us-east-1", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "", "us-east-1", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "a/b", "us-east-1", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "films", "", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "films", "a b", &err), -1);
}

static void test_tags(void **state)
{
    static const char text[] = "<Contents><Key>assets/a</Key><Size>7</Size></Contents><Contents></Contents><Key>b</Key>";
    struct str rest = STR_LIT(text), value;
    (void)state;
    assert_true(s3_tag(&rest, "Contents", &value));
    assert_true(str_is(value, "<Key>assets/a</Key><Size>7</Size>"));
    assert_true(s3_tag(&rest, "Contents", &value));
    assert_int_equal(value.len, 0);
    assert_false(s3_tag(&rest, "Contents", &value));
    assert_true(s3_tag(&rest, "Key", &value) && str_is(value, "b"));
    assert_int_equal(rest.len, 0);
    assert_false(s3_tag(&rest, "Key", &value));
    for (uint32_t len = 0; len < sizeof text; len++) { /* of memory of just that length */
        char *cut = malloc(len + 1);
        memcpy(cut, text, len);
        rest = (struct str){cut, len};
        while (s3_tag(&rest, "Key", &value))
            assert_true(value.ptr >= cut && value.ptr + value.len <= cut + len);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_more),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
