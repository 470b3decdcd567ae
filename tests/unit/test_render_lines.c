/* What renderers write, and where files of a scene are. */
#include "tests/unit/unit.h"

#include "proto/place.h"
#include "worker/render/lines.h"

static void test_progress(void **state)
{
    (void)state;
    struct lines lines = {0};
    assert_true(lines_take(
        &lines,
        "Fra:1 Mem:8.62M (Peak 9.07M) | Time:00:00.00 | Mem:0.00M, Peak:0.00M | Scene, ViewLayer | Synchronizing object | Cube"));
    assert_float_equal(lines.percent, 0, 0.001);
    assert_true(
        lines_take(&lines, "Fra:1 Mem:9M (Peak 9M) | Time:00:00.10 | Mem:0.10M, Peak:0.10M | Scene, ViewLayer | Sample 16/64"));
    assert_float_equal(lines.percent, 25, 0.001);
    assert_true(lines_take(
        &lines,
        "Fra:1 Mem:9M (Peak 9M) | Time:00:00.10 | Remaining:00:01.00 | Scene, ViewLayer | Rendered 4/8 Tiles, Sample 63/64"));
    assert_float_equal(lines.percent, 50, 0.001); /* the sample is of the tile */
    assert_true(lines_take(&lines, "Fra:1 Mem:9M (Peak 9M) | Time:00:00.10 | Scene | Rendered 6/8 Tiles"));
    assert_float_equal(lines.percent, 75, 0.001);
    assert_true(lines_take(&lines, "Fra:1 Mem:10.79M (Peak 11.90M) | Time:00:46.52 | Rendering 51 / 64 samples"));
    assert_float_equal(lines.percent, 79.6875, 0.001);
    assert_false(lines_take(&lines, "00:00:03   120MB         |   85% done - 12 rays/pixel"));
    assert_float_equal(lines.percent, 85, 0.001);
}

static void test_no_progress(void **state)
{
    (void)state;
    static const char *const odd[] = {"Sample 9/0", "Sample 70/64", "Sample x/64", "Sample", "Rendered -1/8 Tiles",
                                      "% done",     "x% done",      "900% done",   "",       "Fra:1"};
    struct lines lines = {0};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_false(lines_take(&lines, odd[i]));
    assert_float_equal(lines.percent, 0, 0.001);
    assert_string_equal(lines.error, "");
    assert_false(lines.memory || lines.display);
}

static void test_errors(void **state)
{
    (void)state;
    struct lines lines = {0};
    lines_take(&lines, "Saved: '/x/error.png'");
    assert_string_equal(lines.error, "");
    lines_take(&lines, "Error: Cannot render, no camera");
    assert_string_equal(lines.error, "Error: Cannot render, no camera");
    lines_take(&lines, "terminate called after throwing an instance of 'std::bad_alloc'");
    assert_true(lines.memory);
    lines_take(&lines, "Unable to open a display");
    assert_true(lines.display);
}

static void place(const char *path, const char *expected)
{
    char out[32];
    if (!place_below(path, out, sizeof(out)))
        assert_null(expected);
    else
        assert_string_equal(out, expected);
}

static void test_places(void **state)
{
    (void)state;
    place("C:/textures/wood.jpg", "C/textures/wood.jpg");
    place("c:\\a\\\\b.png", "c/a/b.png");
    place("C:wood.jpg", "C/wood.jpg");
    place("C:", "C");
    place("/C/textures/wood.jpg", "C/textures/wood.jpg");
    place("\\\\server\\share\\x.exr", "server/share/x.exr");
    place("./a/./b/", "a/b");
    place("木/x.png", "木/x.png");
    place("..a/b..", "..a/b..");
    place("a:b/c", "a/b/c");
    place("a/b:c", "a/b:c");
    place("", NULL);
    place("/", NULL);
    place(".", NULL);
    place("a/../b", NULL);
    place("C:/..\\x", NULL);
    place("..", NULL);
    place("C:..", NULL);
    place("1234567890123456789012345678901", "1234567890123456789012345678901");
    place("12345678901234567890123456789012", NULL);
    place("1234567890123456789012345678901/a", NULL);
}

static void beside(const char *path, const char *scene, bool blender, const char *expected)
{
    char out[40];
    if (!place_beside(str_of(path), str_of(scene), blender, out, sizeof(out)))
        assert_null(expected);
    else
        assert_string_equal(out, expected);
}

static void test_places_beside_a_scene(void **state)
{
    (void)state;
    beside("//tex/y.png", "p/u/a.blend", true, "p/u/tex/y.png");
    beside("//tex\\y.png", "p/u/a.blend", true, "p/u/tex/y.png");
    beside("//../tex/y.png", "p/u/a.blend", true, "p/tex/y.png");
    beside("//../../y.png", "p/u/a.blend", true, "y.png");
    beside("//../../../y.png", "p/u/a.blend", true, NULL);
    beside("//tex/y.png", "p/u/a.ma", false, "tex/y.png"); /* a server */
    beside("\\\\server\\x.png", "p/u/a.blend", true, "server/x.png");
    beside("//C:/tex/y.png", "p/a.blend", true, "C/tex/y.png");
    beside("//../C:/tex/y.png", "p/a.blend", true, "C/tex/y.png");
    beside("C:\\tex\\y.png", "p/u/a.blend", true, "C/tex/y.png");
    beside("/srv/y.png", "p/u/a.ma", false, "srv/y.png");
    beside("maps/./sky.hdr", "C:/p/a.ma", false, "C/p/maps/sky.hdr");
    beside("maps/sky.hdr", "a.ma", false, "maps/sky.hdr");
    beside("maps/sky.hdr", "assets/0123", false, "maps/sky.hdr");
    beside("maps/sky.hdr", "", false, "maps/sky.hdr");
    beside("a/../b", "p/a.ma", false, "p/b");
    beside("C:/a/../b", "p/a.ma", false, NULL);
    beside("", "p/a.ma", false, NULL);
    beside("//", "p/a.blend", true, "p");
    beside("//..", "a.blend", true, NULL);
    beside("//1234567890123456789012345678901234567", "p/a.blend", true, "p/1234567890123456789012345678901234567");
    beside("//12345678901234567890123456789012345678", "p/a.blend", true, NULL);
    assert_false(place_beside((struct str){"a\0b", 3}, STR_LIT("p/a.ma"), false, (char[40]){0}, 40));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_progress), cmocka_unit_test(test_no_progress),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_places_beside_a_scene)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
