/* Nothing from outside becomes markup. */
#include "tests/unit/unit.h"

#include "gateway/web/html.h"

static void assert_html(const char *text, size_t max, const char *expected)
{
    struct buf out = {0};
    html_text(&out, str_of(text), max);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void test_escapes(void **state)
{
    (void)state;
    assert_html("<script>alert('x')</script>", 100, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
    assert_html("a & b \"c\"", 100, "a &amp; b &quot;c&quot;");
    assert_html("a\nb\x01\x7f", 100, "a b  ");
    assert_html("\u4e2d\u6587", 2, "\u4e2d\u6587");
    assert_html("\u4e2d\u6587\u4e2d", 2, "\u4e2d\u6587…");
    assert_html("", 2, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_escapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
