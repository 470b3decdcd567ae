/* What stands around a message on the wire: its number, whose answer it is, the request id. */
#include "fill.h"

static struct arena *values; /* what is encoded */

static int set_up(void **state)
{
    (void)state;
    values = arena_new(FILL_ARENA);
    return values ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(values);
    return 0;
}

static void test_address(void **state)
{
    (void)state;
    struct buf body = {0}, whole = {0}, addressed = {0};
    struct codec_envelope envelope;
    struct err err = {0};
    static const struct {
        uint64_t corr;
        struct str rid;
    } to[] = {{0, {NULL, 0}}, {1, {NULL, 0}}, {UINT64_MAX, PAIR("r")}, {0, PAIR("only-an-id")}};

    for (size_t i = 0; i < messages_count; i++) {
        const struct shape *shape = messages_all[i];
        arena_reset(values);
        const void *value = fill_new(values, shape, true);
        buf_reset(&body);
        assert_int_equal(codec_encode(&body, shape, value, 0, STR_LIT(""), &err), 0);
        for (size_t k = 0; k < sizeof to / sizeof to[0]; k++) {
            buf_reset(&whole);
            buf_reset(&addressed);
            assert_int_equal(codec_encode(&whole, shape, value, to[k].corr, to[k].rid, &err), 0);
            assert_int_equal(codec_address(&addressed, buf_str(&body), to[k].corr, to[k].rid, &err), 0);
            assert_true(str_eq(buf_str(&whole), buf_str(&addressed)));
            assert_int_equal(codec_open(buf_str(&whole), &envelope, &err), 0);
            assert_true(envelope.id == shape->id && envelope.corr == to[k].corr && str_eq(envelope.rid, to[k].rid));
        }
    }
    size_t len = addressed.len;
    assert_int_equal(codec_address(&addressed, buf_str(&whole), 1, STR_LIT(""), &err), -1); /* it has one */
    assert_int_equal(codec_address(&addressed, STR_LIT(""), 1, STR_LIT(""), &err), -1);
    assert_int_equal(codec_address(&addressed, STR_LIT("\x92\x02"), 1, STR_LIT(""), &err), -1);
    assert_int_equal(codec_address(&addressed, buf_str(&body), 1, STR_LIT("a b"), &err), -1);
    assert_int_equal(addressed.len, len);
    buf_free(&body);
    buf_free(&whole);
    buf_free(&addressed);
}

/* What cannot be decoded can still be answered. */
static void test_open(void **state)
{
    (void)state;
    struct codec_envelope envelope;
    struct err err = {0};

    assert_int_equal(codec_open(PAIR("\x94\xcd\x7f\xff\x81\x01\xa1x\x2a\xa3rid"), &envelope, &err), 0);
    assert_true(envelope.id == 0x7fff && envelope.corr == 42 && str_is(envelope.rid, "rid"));
    assert_int_equal(codec_open(PAIR("\x92\x02\xdf\x0f\xff\xff\xff"), &envelope, &err), -1);
    assert_int_equal(codec_open(PAIR("\x92\x02\x80\x00"), &envelope, &err), -1);
    assert_int_equal(codec_open(PAIR("\x94\x02\x80\x01\xa1\x07"), &envelope, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
