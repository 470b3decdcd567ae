/* Messages as people read them in logs and traces. */
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

static void test_print(void **state)
{
    (void)state;
    struct buf out = {0};
    char wide[200];
    struct str words[] = {STR_LIT("a"), STR_LIT("b\"c")};
    struct msg_task_create create = {.idem = {.scope = STR_LIT("0123456789abcdef+"), .body = STR_LIT("\x01\xff")},
                                     .spec = {.name = STR_LIT("two\nlines\x1b[31m\x7f \xc2\x9b\xc2\xa0 任务"),
                                              .env = STR_LIT("\x81\xa5TOKEN\xa6secret"),
                                              .arguments = {words, 2}}};

    SET_HAS(&create.spec, rec_task_spec, name);
    SET_HAS(&create.spec, rec_task_spec, env);
    SET_HAS(&create.spec, rec_task_spec, arguments);
    SET_HAS(&create.spec, rec_task_spec, priority);
    codec_print(&out, &shape_msg_task_create, &create);
    buf_add(&out, "", 1);
    assert_string_equal(out.data,
                        "task_create{idem={scope=30313233343536373839616263646566…(17 bytes) body=01ff} "
                        "spec={name=\"two\\x0alines\\x1b[31m\\x7f \\x9b\xc2\xa0 任务\" arguments=[\"a\" \"b\\\"c\"] priority=0 "
                        "env={\"TOKEN\"}}}");

    struct msg_error error = {.code = 3, .text = {wide, sizeof wide}};
    memset(wide, 'w', sizeof wide);
    memcpy(wide + 119, "任", 3); /* not cut in its middle */
    buf_reset(&out);
    codec_print(&out, &shape_msg_error, &error);
    buf_add(&out, "", 1);
    assert_int_equal(strlen(out.data), strlen("error{code=3 text=\"\"…(200 bytes)}") + 119);
    assert_true(str_utf8(str_of(out.data)));

    error.text = STR_LIT("\xff\xc2");
    buf_reset(&out);
    codec_print(&out, &shape_msg_error, &error);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, "error{code=3 text=\"\\xff\\xc2\"}");
    buf_free(&out);
}

static void test_print_secret_and_bounds(void **state)
{
    (void)state;
    struct loose loose;
    struct buf out = {0};
    struct msg_error error = {.code = 3, .text = STR_LIT("password")};

    loosen(&loose, &shape_msg_error, 1)->presence = CODEC_SEC;
    codec_print(&out, &loose.shape, &error);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, "error{code=3 text=***}");

    for (size_t i = 0; i < shapes_count(); i++) { /* all at their largest: still a line one can read, of plain text */
        const struct shape *shape = shape_at(i);
        arena_reset(values);
        char *value = fill_new(values, shape, true);
        for (size_t k = 0; k < shape->count; k++) {
            fill_size(values, &shape->fields[k], value, (uint64_t)shape->fields[k].high, false);
        }
        buf_reset(&out);
        codec_print(&out, shape, value);
        assert_false(out.failed);
        assert_true(out.len < 32768);
        assert_true(str_utf8(buf_str(&out)));
        assert_null(memchr(out.data, '\n', out.len));
    }
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_secret_and_bounds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
