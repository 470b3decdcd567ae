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
    };
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = {0};
        url_mask(&out, str_of(rows[i][0]));
        assert_true(str_is(buf_str(&out), rows[i][1]));
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_masked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
