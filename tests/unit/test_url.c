/* Addresses without their user and password. */
#include "tests/unit/unit.h"

#include "proto/url.h"

static void test_masked(void **unused)
{
    static const char *const rows[][2] = {
        {"rtsp://cam:secret@host/1", "rtsp://***@host/1"},
        {"rtsp://cam@host:554", "rtsp://***@host:554"},
        {"rtsps://a:b@c@host/x", "rtsps://***@host/x"},
        {"rtsp://host/a@b", "rtsp://host/a@b"},
        {"rtsp://host", "rtsp://host"},
        {"cam:secret@host", "***@host"},
        {"", ""},
        {"rtsp://host/s?user=cam&password=secret", "rtsp://host/s?user=cam&password=***"},
        {"rtsp://a:b@host/s?PassWord=one&channel=1&token=two", "rtsp://***@host/s?PassWord=***&channel=1&token=***"},
        {"rtsp://host/user=cam&pwd=secret&channel=1", "rtsp://host/user=cam&pwd=***&channel=1"},
        {"rtsp://host/s?access_token=a=b/c?d;e", "rtsp://host/s?access_token=***"},
        {"rtsp://host/s?passwd=1&pass=2&secret=3", "rtsp://host/s?passwd=***&pass=***&secret=***"},
        {"rtsp://host/s?compass=1&password=&passwords=2&token", "rtsp://host/s?compass=1&password=&passwords=2&token"},
        {"pass=x", "pass=***"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = {0};
        url_mask(&out, str_of(rows[i][0]));
        assert_true(str_is(buf_str(&out), rows[i][1]));
        assert_int_equal(url_mask_len(str_of(rows[i][0])), out.len);
        assert_int_equal(url_is_masked(buf_str(&out)), strcmp(rows[i][0], rows[i][1]) != 0);
        assert_false(url_is_masked(str_of(rows[i][0])));
        buf_free(&out);
    }
}

/* Masked again it is the same, and what is secret in one place only is masked yet. */
static void test_masked_twice(void **unused)
{
    static const char *const rows[] = {"rtsp://***@host/s?password=***&x=1", "rtsp://me:word@host/s?token=***", "rtsp://***@h"};
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf once = {0}, twice = {0};
        assert_true(url_is_masked(str_of(rows[i])));
        url_mask(&once, str_of(rows[i]));
        url_mask(&twice, buf_str(&once));
        assert_true(str_eq(buf_str(&once), buf_str(&twice)));
        assert_null(memmem(once.data, once.len, "word@", 5));
        buf_free(&once);
        buf_free(&twice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_masked), cmocka_unit_test(test_masked_twice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
