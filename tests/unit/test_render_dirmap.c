/* What Maya is told of where files of other machines are: each folder once, and as many as there is room for. */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "worker/render/dirmap.h"

static char folder[UNIT_FOLDER_SIZE];

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unit_remove(folder);
    return 0;
}

/* Lines of the script for a scene with files of these paths, which are taken. */
static unsigned lines(json_t *files)
{
    static const struct engine maya = {.name = "maya", .maps = true};
    struct err err = {0};
    struct render it = {.engine = &maya, .files = files, .err = &err};
    char path[PATH_MAX];
    unsigned count = 0;
    snprintf(it.place, sizeof(it.place), "%s", folder);
    snprintf(it.root, sizeof(it.root), "%s/scene", folder);
    assert_int_equal(dirmap_write(&it), 0);
    json_decref(files);
    snprintf(path, sizeof(path), "%s/maya/userSetup.mel", folder);
    FILE *script = fopen(path, "re");
    assert_non_null(script);
    for (int c; (c = fgetc(script)) != EOF;)
        count += c == '\n';
    fclose(script);
    return count;
}

static void add(json_t *files, const char *path)
{
    assert_int_equal(json_array_append_new(files, json_pack("{s:s}", "file_path", path)), 0);
}

static void test_once(void **state)
{
    (void)state;
    char path[64];
    json_t *files = json_array();
    for (unsigned i = 0; i < RENDER_FILES_MAX; i++) {
        snprintf(path, sizeof(path), "/nonexistent/%s/%u.jpg", i % 2 ? "oak" : "birch", i);
        add(files, path);
    }
    add(files, "C:/drives/are/others.jpg");
    assert_int_equal(lines(files), 3);
}

/* More than have room are left out, and the frame is made. */
static void test_too_many(void **state)
{
    (void)state;
    char path[512];
    json_t *files = json_array();
    for (unsigned i = 0; i < RENDER_FILES_MAX; i++) {
        snprintf(path, sizeof(path), "/nonexistent/%0200u/a.jpg", i);
        add(files, path);
    }
    unsigned count = lines(files);
    assert_true(count > 5000 && count < RENDER_FILES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
