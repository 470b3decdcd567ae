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
        assert_int_equal(s3_place_read(&place, well[i].url, "films", "", "us-east-1", &err), 0);
        assert_string_equal(place.host, well[i].host);
        assert_string_equal(place.url, well[i].begin);
        assert_string_equal(place.path, well[i].path);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(s3_place_read(&place, wrong[i], "films", "", "us-east-1", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "", "", "us-east-1", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "a/b", "", "us-east-1", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "films", "", "", &err), -1);
    assert_int_equal(s3_place_read(&place, "http://h", "films", "", "a b", &err), -1);
}

static void test_prefixes(void **state)
{
    static const char *const well[] = {"", "a", "farm-a/", "farm_1/x.y/", "a..b/", "...", ".", ".."};
    static const char *const wrong[] = {"/",     "/a",     "a//", "a//b", "./",   "../",
                                        "a/./b", "a/../b", "a b", "a?",   "a%2F", "\xc3\xa4"};
    char most[S3_PREFIX + 2], url[S3_ADDRESS];
    struct s3_place place = {0};
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof well / sizeof *well; i++)
        assert_int_equal(s3_place_read(&place, "http://h", "films", well[i], "us-east-1", &err), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(s3_place_read(&place, "http://h", "films", wrong[i], "us-east-1", &err), -1);
        assert_non_null(strstr(err.text, "blob.s3_prefix"));
    }
    memset(most, 'a', sizeof most);
    most[S3_PREFIX + 1] = '\0';
    assert_int_equal(s3_place_read(&place, "http://h", "films", most, "us-east-1", &err), -1);
    most[S3_PREFIX] = '\0';
    assert_int_equal(s3_place_read(&place, "http://h", "films", most, "us-east-1", &err), 0);
    assert_int_equal(s3_place_read(&place, "http://h", "films", "farm-a/", "us-east-1", &err), 0);
    assert_true(s3_sign(&place, "GET", "assets/x", "", NOON, 900, url));
    assert_non_null(strstr(url, "http://h/films/farm-a/assets/x?"));
    assert_true(s3_sign(&place, "GET", "", "list-type=2", NOON, 900, url));
    assert_non_null(strstr(url, "http://h/films?"));
}

static void test_lists(void **state)
{
    static struct s3_page page;
    static const char text[] =
        "<Contents><Key>a/assets/00000000000000000000000000000001</Key><LastModified>2025-11-04T10:30:00.000Z</LastModified>"
        "<Size>7</Size></Contents>"
        "<Contents><Key>a/assets/00000000000000000000000000000002</Key></Contents>" /* neither how large nor since when */
        "<Contents><Key>b/assets/00000000000000000000000000000003</Key></Contents>" /* another's */
        "<Contents><Key>a/assets/0000000000000000000000000000000x</Key></Contents>" /* of no MD5 */
        "<Contents><Key>a/assets/a/assets/00000000000000000000000000000004</Key></Contents>"
        "<NextContinuationToken>x/y=</NextContinuationToken>";
    static const char ended[] = "<NextContinuationToken></NextContinuationToken>";
    static char odd[8000] = "<NextContinuationToken>";
    (void)state;
    assert_int_equal(s3_list_read("a/", STR_LIT(text), &page), 0);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.md5s[BLOB_MD5 - 1], 1);
    assert_int_equal(page.sizes[0], 7);
    assert_int_equal(page.at_ms[0], UINT64_C(1762252200000));
    assert_int_equal(page.sizes[1], 0);
    assert_true(page.at_ms[1] == UINT64_MAX);
    assert_string_equal(page.next, "x%2Fy%3D");
    char *exact = memcpy(malloc(sizeof ended - 1), ended, sizeof ended - 1); /* nothing behind it is read */
    assert_int_equal(s3_list_read("", (struct str){exact, sizeof ended - 1}, &page), 0);
    free(exact);
    assert_int_equal(page.count, 0);
    assert_string_equal(page.next, "");
    memset(odd + strlen(odd), 'x', sizeof page.next);
    strcat(odd, "</NextContinuationToken>");
    assert_int_equal(s3_list_read("", str_of(odd), &page), -1);
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
        cmocka_unit_test(test_example),  cmocka_unit_test(test_more),  cmocka_unit_test(test_places),
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_lists), cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
