/* {{name}} in arguments and in an output's path. */
#include "tests/unit/unit.h"

#include "worker/template.h"
#include "worker/value.h"

static struct buf parameters, out;
static struct err err;

static int set_up(void **state)
{
    const struct str pairs[] = {STR_LIT("name"), STR_LIT("clip one"), STR_LIT("up"),   STR_LIT("../../etc/passwd"),
                                STR_LIT("dots"), STR_LIT(".."),       STR_LIT("none"), STR_LIT(""),
                                STR_LIT("zero"), {"a\0b", 3}};
    (void)state;
    return value_pack_texts(&parameters, pairs, 5);
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&parameters);
    buf_free(&out);
    return 0;
}

static const char *filled(const char *text, bool path)
{
    struct template_names names = {buf_str(&parameters), path ? NULL : "/tmp/made", 17};
    buf_reset(&out);
    err = (struct err){0};
    if ((path ? template_fill_path : template_fill)(str_of(text), &names, &out, &err) != 0)
        return NULL;
    buf_add(&out, "", 1);
    return out.failed ? NULL : out.data;
}

static void test_arguments(void **state)
{
    (void)state;
    assert_string_equal(filled("-i", false), "-i");
    assert_string_equal(filled("{{name}}", false), "clip one");
    assert_string_equal(filled("a{{ name }}b{{name}}", false), "aclip onebclip one");
    assert_string_equal(filled("{{output}}#{{run_id}}", false), "/tmp/made#17");
    assert_string_equal(filled("{{up}}", false), "../../etc/passwd");
    assert_string_equal(filled("{{unknown}} {{", false), "{{unknown}} {{");
    assert_string_equal(filled("{{{{name}}}}", false), "{{clip one}}");
    assert_string_equal(filled("", false), "");
}

static void test_paths(void **state)
{
    (void)state;
    assert_string_equal(filled("/media/{{name}}-{{run_id}}.mp4", true), "/media/clip one-17.mp4");
    assert_string_equal(filled("/media/plain.mp4", true), "/media/plain.mp4");
    static const char *const refused[] = {"/media/{{up}}",   "/media/{{dots}}/x",  "/media/{{none}}",
                                          "/media/{{zero}}", "/media/{{unknown}}", "/media/{{ output }}x"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_null(filled(refused[i], true));
        assert_non_null(strstr(err.text, "parameter"));
    }
}

static void test_limit(void **state)
{
    struct template_names names = {buf_str(&parameters), NULL, 0};
    struct buf small = {.limit = 10};
    (void)state;
    assert_int_equal(template_fill(STR_LIT("{{name}}{{name}}"), &names, &small, &err), -1);
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_arguments), cmocka_unit_test(test_paths),
                                       cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
