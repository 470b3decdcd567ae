#include "unit.h"

#include "proto/buf.h"

static void test_grows(void **state)
{
    (void)state;
    struct buf buf = {0};

    for (uint32_t i = 0; i < 100000; i++) {
        assert_int_equal(buf_add(&buf, &i, sizeof i), 0);
    }
    assert_int_equal(buf.len, 400000);
    for (uint32_t i = 0; i < 100000; i++) {
        assert_memory_equal(buf.data + i * sizeof i, &i, sizeof i);
    }
    size_t size = buf.size;
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.size, size);
    buf_free(&buf);
    assert_null(buf.data);
    buf_free(NULL);
}

static void test_limit(void **state)
{
    (void)state;
    struct buf buf = {.limit = 300};
    char bytes[300] = {0};

    assert_int_equal(buf_add(&buf, bytes, 299), 0);
    assert_int_equal(buf_add(&buf, bytes, 2), -1);
    assert_true(buf.failed);
    assert_int_equal(buf.len, 299);                /* nothing appended, */
    assert_int_equal(buf_add(&buf, bytes, 1), -1); /* and nothing after the hole */
    buf_reset(&buf);
    assert_false(buf.failed);
    assert_int_equal(buf_add(&buf, bytes, 300), 0);
    assert_true(buf.size <= 300);
    buf_free(&buf);
    assert_int_equal(buf.limit, 300);
    assert_int_equal(buf_add(&buf, bytes, SIZE_MAX), -1);
    buf_free(&buf);

    buf = (struct buf){.limit = 10}; /* below the first size */
    assert_int_equal(buf_add(&buf, bytes, 11), -1);
    buf_reset(&buf);
    assert_int_equal(buf_add(&buf, bytes, 10), 0);
    buf_free(&buf);
}

static void test_default_limit(void **state)
{
    (void)state;
    struct buf buf = {0};

    assert_int_equal(buf_reserve(&buf, BUF_LIMIT + 1), -1);
    buf_reset(&buf);
    assert_int_equal(buf_reserve(&buf, BUF_LIMIT), 0);
    assert_int_equal(buf.size, BUF_LIMIT);
    buf_free(&buf);
}

static void test_reserve(void **state)
{
    (void)state;
    struct buf buf = {.limit = 5000};

    assert_int_equal(buf_reserve(&buf, 4000), 0);
    const char *data = buf.data;
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(buf_add(&buf, "x", 1), 0);
    }
    assert_ptr_equal(buf.data, data);
    buf_free(&buf);
}

static void test_text(void **state)
{
    (void)state;
    struct buf buf = {0};
    char wide[1001];

    memset(wide, 'w', 1000);
    wide[1000] = '\0';
    assert_int_equal(buf_text(&buf, "a"), 0);
    assert_int_equal(buf_printf(&buf, "%d-%s", 7, "b"), 0);
    assert_true(str_is(buf_str(&buf), "a7-b"));
    assert_int_equal(buf_printf(&buf, "%s", wide), 0);
    assert_int_equal(buf.len, 1004);
    assert_int_equal(buf.data[1003], 'w');
    buf_free(&buf);

    buf.limit = 3;
    assert_int_equal(buf_printf(&buf, "%s", "four"), -1);
    assert_true(buf.failed);
    assert_int_equal(buf.len, 0);
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),   cmocka_unit_test(test_limit), cmocka_unit_test(test_default_limit),
        cmocka_unit_test(test_reserve), cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
