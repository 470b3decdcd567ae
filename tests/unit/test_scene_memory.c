/* Readers of scenes, with memory running out at each place in turn: an error that says so, never half of an answer. */
#include "tests/unit/memory_fault.h"

#include "proto/messages.h"
#include "worker/scene/format.h"
#include "worker/scene/report.h"

static char *data;
static size_t len;

static void load(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", GANTRY_SOURCE, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    free(data);
    data = malloc(1 << 20);
    len = fread(data, 1, 1 << 20, file);
    fclose(file);
    assert_true(len > 0);
}

static void step_read(void)
{
    struct scene scene = {0};
    struct err err = {0};
    struct source *source = source_of(data, len, &err);
    int rc = source ? scene_open(&scene, &err) : -1;
    if (rc == 0)
        rc = format_read(source, "p.uproject", &scene, &err);
    if (rc < 0 || scene.starved)
        assert_true(memory_short());
    if (rc < 0 && !scene.starved && err.code != ERR_NO_MEMORY) /* the DNA says that it makes no sense, and JSON the same */
        assert_int_equal(err.code, ERR_INVALID);
    if (rc == 0 && !scene.starved) {
        struct report report = {.path = "a"};
        struct buf out = {0};
        assert_true(report_write(&scene, &report, 1 << 20, &out) == 0 || memory_short());
        buf_free(&out);
    }
    scene_close(&scene);
    source_free(source);
}

static void test_readers(void **state)
{
    (void)state;
    static const char *const names[] = {"blend/old",        "blend/gzip",         "maya_ascii/all", "maya_ascii/gbk",
                                        "maya_binary/wide", "maya_binary/narrow", "unreal/umap",    "unreal/uproject"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        load(names[i]);
        memory_hard(step_read);
    }
    free(data);
    data = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
