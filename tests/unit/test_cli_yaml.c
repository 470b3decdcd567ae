#include "tests/unit/unit.h"

#include <stdlib.h>

#include "gateway/cli/tasks_file.h"
#include "gateway/cli/yaml.h"
#include "proto/buf.h"
#include "proto/messages.h"

static bool command_is_text(const char *member)
{
    return strcmp(member, "command") == 0 || strcmp(member, "arguments") == 0 || strcmp(member, "env") == 0;
}

/* What YAML comes to as compact JSON, or why it is refused. */
static const char *read_as(const char *text)
{
    static char out[8192];
    struct err err = {0};
    json_t *value = yaml_load(text, strlen(text), command_is_text, &err);

    if (value == NULL) {
        assert_int_not_equal(err.code, 0);
        snprintf(out, sizeof out, "%s", err.text);
        return out;
    }
    assert_int_equal(err.code, 0);
    char *dumped = json_dumps(value, JSON_COMPACT);
    snprintf(out, sizeof out, "%s", dumped);
    free(dumped);
    json_decref(value);
    return out;
}

static void words_are_what_json_would_have(void **state)
{
    (void)state;
    assert_string_equal(read_as("[a, 'b', \"c\\td\", 5, -7, 0, 1.5, -1e3, true, False, null, ~, ]"),
                        "[[\"a\",\"b\",\"c\\td\",5,-7,0,1.5,-1000.0,true,false,null,null]]");
    assert_string_equal(read_as("a:\nb: ''\n"), "[{\"a\":null,\"b\":\"\"}]");
    assert_string_equal(read_as("- |\n  two\n  lines\n- >-\n  one\n  line\n"), "[[\"two\\nlines\\n\",\"one line\"]]");
}

static void words_that_other_readers_take_for_something_else_are_text(void **state)
{
    (void)state;
    assert_string_equal(
        read_as("[no, On, y, 017, 0o17, 0x1f, 1_000, +5, .5, 5., .inf, .NaN, 12:30, 2024-01-01, 1.2.3, -, 1e]"),
        "[[\"no\",\"On\",\"y\",\"017\",\"0o17\",\"0x1f\",\"1_000\",\"+5\",\".5\",\"5.\",\".inf\",\".NaN\",\"12:30\","
        "\"2024-01-01\",\"1.2.3\",\"-\",\"1e\"]]");
}

static void words_stay_text_where_text_is_due(void **state)
{
    (void)state;
    assert_string_equal(read_as("command: 8080\narguments: [1.10, yes, true, 0755, ~, \"\"]\nenv: {A: 1, B: off}\nother: 8080\n"),
                        "[{\"command\":\"8080\",\"arguments\":[\"1.10\",\"yes\",\"true\",\"0755\",null,\"\"],"
                        "\"env\":{\"A\":\"1\",\"B\":\"off\"},\"other\":8080}]");
    assert_string_equal(read_as("- command: 1\n- metadata: {command: 1}\n"),
                        "[[{\"command\":\"1\"},{\"metadata\":{\"command\":1}}]]");
    assert_string_equal(read_as("[[{command: 1}]]"), "[[[{\"command\":1}]]]"); /* no task */
    assert_string_equal(read_as("a: !!str 5"), "[{\"a\":\"5\"}]");
}

static void documents(void **state)
{
    (void)state;
    assert_string_equal(read_as(""), "[]");
    assert_string_equal(read_as("# only words\n"), "[]");
    assert_string_equal(read_as("a: 1\n---\na: 2\n---\n"), "[{\"a\":1},{\"a\":2},null]");
    assert_string_equal(read_as("%YAML 1.2\n---\na: &x 1\nb: *x\n"), "[{\"a\":1,\"b\":1}]");
    assert_non_null(strstr(read_as("a: &x 1\n---\nb: *x\n"), "line 3: there is no such anchor"));
}

static void what_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"a: 1\na: 2\n", "line 2: this name is there twice"},
        {"? [a]\n: 1\n", "line 1: a name is a word"},
        {"base: &b {a: 1}\nc: {<<: *b}\n", "line 2: merge keys (<<) are not taken"},
        {"a: !!int '5'", "line 1: tags but !!str are not taken"},
        {"a: !mine {}", "line 1: tags but !!str are not taken"},
        {"a: 9223372036854775808", "line 1: this number is too large: in quotes it is text"},
        {"a: 1e999", "line 1: this number is too large: in quotes it is text"},
        {"a: *nobody", "line 1: there is no such anchor before it"},
        {"a: &a [*a]", "line 1: there is no such anchor before it"},
        {"a: [1", "line 2: "},
        {"a: b: c", "line 1: "},
        {"\"a\\0b\": 1", "line 1: a name holds a NUL byte"},
        {"\xff\xfe\xfd", ""},
        {"a: \xc3\x28", "byte "},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *said = read_as(rows[i][0]);
        if (said[0] == '[' || strncmp(said, rows[i][1], strlen(rows[i][1])) != 0)
            fail_msg("%s: %s, expected %s", rows[i][0], said, rows[i][1]);
    }
    assert_string_equal(read_as("{'<<': 1}"), "[{\"<<\":1}]"); /* in quotes it is a name like any */
}

static void limits(void **state)
{
    struct buf text = {0};
    struct err err = {0};
    (void)state;

    for (int i = 0; i < YAML_DEPTH; i++)
        buf_text(&text, "[");
    for (int i = 0; i < YAML_DEPTH; i++)
        buf_text(&text, "]");
    buf_add(&text, "", 1);
    assert_string_not_equal(read_as(text.data), "");
    assert_int_equal(read_as(text.data)[0], '[');
    buf_reset(&text);
    for (int i = 0; i < 5000; i++)
        buf_text(&text, "[");
    buf_add(&text, "", 1);
    assert_non_null(strstr(read_as(text.data), "nested too deeply"));
    buf_reset(&text);
    for (int i = 0; i < YAML_ANCHORS + 1; i++)
        buf_printf(&text, "- &a%d x\n", i);
    buf_add(&text, "", 1);
    assert_non_null(strstr(read_as(text.data), "too many anchors"));
    buf_reset(&text);
    for (int i = 0; i < YAML_NODES; i++)
        buf_text(&text, "- x\n");
    buf_add(&text, "", 1);
    assert_non_null(strstr(read_as(text.data), "too many values"));
    buf_free(&text);
    assert_null(yaml_load("", YAML_BYTES + 1, command_is_text, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

/* Some lines of aliases that would be gigabytes written out: of values, of text, of depth. */
static void aliases_count_as_what_they_come_to(void **state)
{
    struct buf text = {0};
    (void)state;

    buf_text(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++)
        buf_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1,
                   i - 1, i - 1, i - 1, i - 1);
    buf_add(&text, "", 1);
    assert_non_null(strstr(read_as(text.data), "too many values"));
    buf_reset(&text);
    buf_text(&text, "a: &a ");
    for (int i = 0; i < 100000; i++)
        buf_text(&text, "x");
    buf_text(&text, "\nb: [");
    for (int i = 0; i < 50; i++)
        buf_text(&text, "*a,");
    buf_text(&text, "]\n");
    buf_add(&text, "", 1);
    assert_non_null(strstr(read_as(text.data), "too much text"));
    buf_reset(&text);
    buf_text(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 40; i++)
        buf_printf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    buf_add(&text, "", 1);
    assert_non_null(strstr(read_as(text.data), "nested too deeply"));
    buf_free(&text);
}

/* ---- tasks ---- */

static const char *tasks_as(const char *name, const char *text)
{
    static char out[2048];
    struct err err = {0};
    json_t *tasks = tasks_text(name, text, strlen(text), &err);

    if (tasks == NULL) {
        snprintf(out, sizeof out, "%s", err.text);
        return out;
    }
    char *dumped = json_dumps(tasks, JSON_COMPACT);
    snprintf(out, sizeof out, "%s", dumped);
    free(dumped);
    json_decref(tasks);
    return out;
}

static void tasks_of_all_shapes(void **state)
{
    (void)state;
    assert_string_equal(tasks_as("t.yaml", "name: a\narguments: [1, no]\nretry_count: 2\nlimits: {files: 5}\n"),
                        "[{\"name\":\"a\",\"arguments\":[\"1\",\"no\"],\"retry_count\":2,\"limits\":{\"files\":5}}]");
    assert_string_equal(tasks_as("t.yml", "name: a\n---\n- name: b\n- name: 7\n---\n"),
                        "[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"7\"}]");
    assert_string_equal(tasks_as("t.json", "[{\"name\":\"a\"},{\"name\":\"b\"}]"), "[{\"name\":\"a\"},{\"name\":\"b\"}]");
    assert_string_equal(tasks_as("-", "  {\"name\":\"a\"}"), "[{\"name\":\"a\"}]");
    assert_string_equal(tasks_as("-", "name: a"), "[{\"name\":\"a\"}]");
    assert_string_equal(tasks_as("t.yaml", "{name: a}"), "[{\"name\":\"a\"}]");
    assert_string_equal(
        tasks_as("-", "schedule: 0 2 * * *\npriority: high\nlabels: {gpu: 1}\nmetadata: {n: 1, w: no}\ndependencies: [3, b]\n"),
        "[{\"schedule\":\"0 2 * * *\",\"priority\":\"high\",\"labels\":{\"gpu\":\"1\"},\"metadata\":{\"n\":1,\"w\":\"no\"},"
        "\"dependencies\":[\"3\",\"b\"]}]");
}

static void tasks_that_are_none(void **state)
{
    (void)state;
    assert_string_equal(tasks_as("t.yaml", "name: a\nretries: 2\n"), "t.yaml: a task has no field \"retries\"");
    assert_string_equal(tasks_as("t.json", "{\"name\":\"a\",\"limits\":{\"cpu\":1}}"),
                        "t.json: there is no field \"cpu\" in limits");
    assert_string_equal(tasks_as("-", "just words"), "stdin: a task is an object");
    assert_string_equal(tasks_as("-", "[1]"), "stdin: a task is an object");
    assert_string_equal(tasks_as("-", ""), "stdin: there is no task in it");
    assert_string_equal(tasks_as("-", "---\n"), "stdin: there is no task in it");
    assert_string_equal(tasks_as("-", "[]"), "stdin: there is no task in it");
    assert_non_null(strstr(tasks_as("t.json", "{"), "t.json: line 1: "));
    assert_non_null(strstr(tasks_as("t.json", "{\"a\":1,\"a\":2}"), "duplicate"));
    assert_non_null(strstr(tasks_as("t.yaml", "name: a\n  b: c\n"), "t.yaml: line 2: "));
    struct buf many = {0};
    for (int i = 0; i <= TASKS_FILE_MOST; i++)
        buf_printf(&many, "- {name: t%d}\n", i);
    buf_add(&many, "", 1);
    assert_string_equal(tasks_as("-", many.data), "stdin: these are more than 1000 tasks");
    buf_free(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_what_json_would_have),
        cmocka_unit_test(words_that_other_readers_take_for_something_else_are_text),
        cmocka_unit_test(words_stay_text_where_text_is_due),
        cmocka_unit_test(documents),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(aliases_count_as_what_they_come_to),
        cmocka_unit_test(tasks_of_all_shapes),
        cmocka_unit_test(tasks_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
