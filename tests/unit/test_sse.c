/* Server-sent events: the same events, wherever the bytes are cut. */
#include "tests/unit/unit.h"

#include "gateway/cli/sse.h"

struct seen {
    unsigned count;
    char text[4096]; /* id|type|data; of each */
};

static void on_event(void *arg, const struct sse_event *event)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->text);

    seen->count++;
    snprintf(seen->text + len, sizeof seen->text - len, "%.*s|%.*s|%.*s;", (int)event->id.len, event->id.len ? event->id.ptr : "",
             (int)event->type.len, event->type.len ? event->type.ptr : "", (int)event->data.len,
             event->data.len ? event->data.ptr : "");
}

static const char stream[] =
    ": a comment\n\nid: 1\nevent: task.created\ndata: {\"a\":1}\n\ndata\n\nid:2\r\ndata:x\r\ndata: y\r\n\r\n"
    "event: none\n\nretry: 5\nunknown: z\ndata:  two blanks\n\nid: 3\ndata: not whole";
static const char wanted[] = "1|task.created|{\"a\":1};||;2||x\ny;|| two blanks;";

static void test_each_cut(void **unused)
{
    (void)unused;
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        struct seen seen = {0};
        struct sse sse = {.fn = on_event, .arg = &seen};
        assert_int_equal(sse_take(&sse, stream, cut), 0);
        assert_int_equal(sse_take(&sse, stream + cut, sizeof stream - 1 - cut), 0);
        assert_string_equal(seen.text, wanted);
        sse_begin(&sse); /* what was not whole is forgotten */
        assert_int_equal(sse_take(&sse, "\ndata: on\n\n", 11), 0);
        assert_string_equal(seen.text + sizeof wanted - 1, "||on;");
        sse_free(&sse);
    }
}

static void test_bounds(void **unused)
{
    (void)unused;
    static char block[64 << 10];
    struct seen seen = {0};
    struct sse sse = {.fn = on_event, .arg = &seen};
    size_t taken = 0;
    memset(block, 'x', sizeof block);
    while (sse_take(&sse, block, sizeof block) == 0)
        taken += sizeof block;
    assert_true(taken <= SSE_LINE_MAX && taken + sizeof block > SSE_LINE_MAX);
    sse_begin(&sse);
    assert_int_equal(sse_take(&sse, "data: ok\n\n", 10), 0);
    assert_int_equal(seen.count, 1);
    memcpy(block, "data:", 5); /* many lines of one event */
    block[sizeof block - 1] = '\n';
    taken = 0;
    while (sse_take(&sse, block, sizeof block) == 0)
        taken += sizeof block;
    assert_true(taken <= SSE_LINE_MAX + ((size_t)1 << 20) && seen.count == 1);
    sse_free(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_cut), cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
