/* What `gantry render submit` works out by itself: names of files on the farm, ranges of frames, the grid of frames. */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "gateway/cli/render_files.h"
#include "gateway/cli/render_frames.h"
#include "gateway/cli/render_grid.h"
#include "gateway/cli/render_name.h"

/* ---- names ---- */

static void a_scene_is_named_by_its_owner_and_its_place(void **state)
{
    static const struct {
        const char *unionid, *file, *name;
    } cases[] = {
        {"ann", "/srv/ann/show/a.blend", "projects/ann/srv/ann/show/a.blend"},
        {"ann", "/srv/./ann//show/a.blend", "projects/ann/srv/ann/show/a.blend"},
        {"a/b\\c", "/a.blend", "projects/a_b_c/a.blend"},
        {"..", "/a.blend", "projects/_./a.blend"},
        {"安", "/木.blend", "projects/安/木.blend"},
    };
    char name[RENDER_NAME], file[2000] = "/";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(render_name_scene(cases[i].unionid, cases[i].file, name));
        assert_string_equal(name, cases[i].name);
    }
    assert_false(render_name_scene("ann", "/srv/show/../b/a.blend", name));
    assert_false(render_name_scene("ann", "/a\nb.blend", name));
    assert_false(render_name_scene("ann", "/a\xff.blend", name));
    memset(file + 1, 'x', 300);
    assert_false(render_name_scene("ann", file, name));
    for (size_t at = 1; at < sizeof file - 1; at += 2) {
        memcpy(file + at, "x/", 2);
    }
    assert_false(render_name_scene("ann", file, name));
}

static void files_are_named_as_a_worker_lays_them_out(void **state)
{
    static const char scene[] = "projects/ann/srv/ann/show/a.blend";
    static const struct {
        const char *path, *name;
        bool blend;
    } cases[] = {
        {"//tex/wood.png", "projects/ann/srv/ann/show/tex/wood.png", true},
        {"//../tex\\wood.png", "projects/ann/srv/ann/tex/wood.png", true},
        {"//../../../../../wood.png", "wood.png", true},
        {"//C:/textures/wood.jpg", "C/textures/wood.jpg", true}, /* Blender's, saved elsewhere than on Windows */
        {"tex/wood.png", "projects/ann/srv/ann/show/tex/wood.png", true},
        {"C:\\textures\\wood.jpg", "C/textures/wood.jpg", true},
        {"C:/textures/./wood.jpg", "C/textures/wood.jpg", false},
        {"/mnt/wood.png", "mnt/wood.png", true},
        {"\\\\server\\share\\wood.png", "server/share/wood.png", true},
        {"//server/share/wood.png", "server/share/wood.png", false},
        {"sourceimages/wood.png", "projects/ann/srv/ann/show/sourceimages/wood.png", false},
    };
    char name[RENDER_NAME];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(render_name_file(scene, cases[i].path, cases[i].blend, name));
        assert_string_equal(name, cases[i].name);
    }
    assert_false(render_name_file(scene, "/", true, name));
    assert_false(render_name_file(scene, "//../../../../../../wood.png", true, name)); /* no worker lays that out */
    assert_false(render_name_file(scene, "/assets/x", true, name));                    /* which names files by their MD5 */
    assert_true(render_name_beside("C:/tex/wood.<UDIM>.png", "wood.1001.png", name));
    assert_string_equal(name, "C:/tex/wood.1001.png");
}

/* ---- files ---- */

static void ignored(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg = bytes;
}

static void what_is_here_is_listed_and_hashed(void **state)
{
    char folder[UNIT_FOLDER_SIZE], path[128];
    static const char *const names[] = {"a.blend", "wood.1001.png", "wood.1002.png", "wood.xx.png"};
    struct render_files files;
    struct err err = {0};
    uint64_t read = 0;

    (void)state;
    unit_folder(folder);
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unit_write(path, "abc");
    }
    snprintf(path, sizeof path, "%s/wood.<UDIM>.png", folder);
    json_t *scene =
        json_pack("{s:s, s:[{s:s,s:s,s:s,s:b,s:i}, {s:s,s:s,s:b}, {s:s,s:b,s:b}, {s:s,s:s,s:b,s:b}]}", "format", "blender",
                  "assets", "path", "//wood.<UDIM>.png", "file", path, "type", "texture", "exists", 1, "files", 2, //
                  "path", "//none.png", "type", "texture", "exists", 0,                                            //
                  "path", "//in.png", "exists", 1, "packed", 1,                                                    //
                  "path", "//cache", "file", folder, "exists", 1, "folder", 1);
    assert_non_null(scene);
    snprintf(path, sizeof path, "%s/a.blend", folder);
    assert_int_equal(render_files_list(&files, scene, path, "ann", &err), 0);
    assert_int_equal(files.count, 3);
    assert_int_equal(files.folders, 1);
    assert_int_equal(files.bytes, 9);
    assert_string_equal(files.items[0].type, "scene");
    assert_string_equal(files.items[1].type, "texture");
    assert_non_null(strstr(files.items[1].name, "/wood.100"));
    assert_null(strstr(files.items[1].name, "UDIM"));
    volatile sig_atomic_t stop = 0;
    assert_int_equal(render_files_hash(&files, ignored, &read, &stop, &err), 0);
    assert_int_equal(read, 9);
    assert_string_equal(files.items[2].md5, "900150983cd24fb0d6963f7d28e17f72");
    render_files_free(&files);
    assert_int_equal(render_files_list(&files, scene, "/none/a.blend", "ann", &err), -1);
    assert_non_null(strstr(err.text, "/none/a.blend: No such file"));
    render_files_free(&files);
    json_decref(scene);
    unit_remove(folder);
}

/* ---- frames ---- */

static void ranges_are_read(void **state)
{
    static const char *const bad[] = {
        "", "x", "1-", "-5", "5-1", "1-2-3", "1-100x2", "1 - 2", "1000001", "1-10001", "99999999999999999999"};
    struct frame_range range;
    struct err err;

    (void)state;
    assert_int_equal(frame_range_read("1-100", &range, &err), 0);
    assert_int_equal(range.first, 1);
    assert_int_equal(range.count, 100);
    assert_int_equal(frame_range_read("0", &range, &err), 0);
    assert_int_equal(range.first, 0);
    assert_int_equal(range.count, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(frame_range_read(bad[i], &range, &err), -1);
    }
}

static void a_scene_has_a_range(void **state)
{
    struct frame_range range;
    struct err err;
    json_t *scene = json_pack("{s:{s:i, s:f}}", "scene_info", "start_frame", 5, "end_frame", 9.5);
    json_t *none = json_pack("{s:{s:n}}", "scene_info", "start_frame"),
           *low = json_pack("{s:{s:i, s:i}}", "scene_info", "start_frame", -5, "end_frame", 9);

    (void)state;
    assert_int_equal(frame_range_of(scene, &range, &err), 0);
    assert_int_equal(range.first, 5);
    assert_int_equal(range.count, 5);
    assert_int_equal(frame_range_of(none, &range, &err), -1);
    assert_int_equal(frame_range_of(low, &range, &err), -1);
    json_decref(scene);
    json_decref(none);
    json_decref(low);
}

/* ---- the grid ---- */

static const char *grid(const char *frames, size_t count, long long first, int columns, int rows, bool colours, int *lines)
{
    static char out[4096];
    out[0] = '\0';
    FILE *file = fmemopen(out, sizeof out, "w");

    *lines = grid_print(frames, count, first, columns, rows, colours, file);
    fclose(file);
    return out;
}

static void a_frame_is_a_mark(void **state)
{
    int lines;

    (void)state;
    assert_string_equal(grid("##>..!-", 7, 1, 80, 10, false, &lines), "1 ##>..!-\n");
    assert_int_equal(lines, 1);
    assert_string_equal(grid("####################.....", 25, 98, 16, 10, false, &lines),
                        " 98 ##########\n108 ##########\n118 .....\n");
    assert_int_equal(lines, 3);
    assert_string_equal(grid("#!", 2, 1, 80, 10, true, &lines), "1 \033[0m\033[32m#\033[0m\033[31m!\033[0m\033[K\n");
    assert_string_equal(grid("", 0, 1, 80, 10, false, &lines), "");
    assert_int_equal(grid_of("completed"), GRID_DONE);
    assert_int_equal(grid_of("what"), '?');
}

static void many_frames_share_marks(void **state)
{
    static char frames[10000];
    int lines;

    (void)state;
    memset(frames, GRID_DONE, sizeof frames);
    frames[9999] = GRID_FAILED;
    const char *text = grid(frames, sizeof frames, 1, 80, 5, false, &lines);
    assert_true(lines <= 5);
    assert_int_equal(grid_scale(sizeof frames, 1, 80, 5), 29); /* 70 marks a line */
    assert_non_null(strchr(text, '!'));
    assert_string_equal(grid("###>", 4, 1, 1, 1, false, &lines), "1 ###>\n"); /* a terminal too narrow for anything */
    assert_int_equal(grid_scale(0, 1, 80, 5), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scene_is_named_by_its_owner_and_its_place),
        cmocka_unit_test(files_are_named_as_a_worker_lays_them_out),
        cmocka_unit_test(what_is_here_is_listed_and_hashed),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(a_scene_has_a_range),
        cmocka_unit_test(a_frame_is_a_mark),
        cmocka_unit_test(many_frames_share_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
