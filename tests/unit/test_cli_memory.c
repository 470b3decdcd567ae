/* Files of tasks while memory runs out at every place in turn, jansson's included (libyaml's are its own). */
#include "tests/unit/memory_fault.h"

#include <stdlib.h>

#include "gateway/cli/tasks_file.h"
#include "proto/messages.h"

static const char yaml[] = "name: &n nightly\n"
                           "task_type: shell\n"
                           "arguments: [8080, no, *n]\n"
                           "env: {A: 1}\n"
                           "metadata: {deep: &d [1, -2.5, true, null, {x: y}], again: *d}\n"
                           "limits: {files: 5}\n"
                           "---\n"
                           "- {name: b, dependencies: [nightly, 3]}\n"
                           "- name: c\n"
                           "  command: |\n"
                           "    two\n"
                           "    lines\n";
static const char json[] = "[{\"name\":\"a\",\"limits\":{\"files\":5}},{\"name\":\"b\"}]";
static const char wrong[] = "name: a\nretries: &r [1, 2]\nother: *r\n";

static void read_one(const char *name, const char *text, size_t tasks)
{
    struct err err = {0};
    json_t *all = tasks_text(name, text, strlen(text), &err);

    if (!memory_short())
        assert_int_equal(json_array_size(all), tasks);
    if (all) {
        assert_int_equal(err.code, 0);
        assert_int_equal(json_array_size(all), tasks);
    } else {
        assert_int_not_equal(err.code, 0);
        assert_true(memory_short() || tasks == 0);
    }
    json_decref(all);
}

static void step_yaml(void)
{
    read_one("t.yaml", yaml, 3);
}

static void step_json(void)
{
    read_one("t.json", json, 2);
}

static void step_stdin(void)
{
    read_one("-", "{name: a}", 1);
}

static void step_wrong(void)
{
    read_one("t.yaml", wrong, 0);
}

static void test_files(void **state)
{
    (void)state;
    json_set_alloc_funcs(malloc, free);
    memory_hard(step_yaml);
    memory_hard(step_json);
    memory_hard(step_stdin);
    memory_hard(step_wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
