/* How engines are called, and what they say of themselves. */
#include "tests/unit/unit.h"

#include "proto/messages.h"
#include "worker/render/engine.h"

static char *argv[ENGINE_ARGS];
static struct err err;

static int tear_down(void **state)
{
    (void)state;
    engine_args_free(argv);
    err = (struct err){0};
    return 0;
}

/* The arguments, with a '|' between any two. */
static const char *joined(void)
{
    static char text[4096];
    text[0] = '\0';
    for (size_t i = 0; argv[i]; i++)
        str_append(text, sizeof(text), "|", argv[i]);
    return text;
}

static void test_blender(void **state)
{
    (void)state;
    struct engine_value values[] = {{"scene", "/w/a.blend"}, {"prepare", "/w/p.py"}, {"folder", "/w/out"}, {"format", "PNG"},
                                    {"frame", "7"},          {"threads", NULL},      {NULL, NULL}};
    assert_int_equal(engine_args(engine_find("blender"), values, argv, &err), 0);
    assert_string_equal(joined(),
                        "-b|--factory-startup|--disable-autoexec|-noaudio|--python-exit-code|9|/w/a.blend|-P|/w/p.py|-o|"
                        "/w/out/frame.####|-F|PNG|-x|1|-f|7");
    engine_args_free(argv);
    values[5].value = "4";
    assert_int_equal(engine_args(engine_find("blender"), values, argv, &err), 0);
    assert_non_null(strstr(joined(), "|-t|4|"));
}

static void test_kept(void **state)
{
    (void)state;
    const struct engine_value values[] = {{"scene", "/w/a.blend"}, {"prepare", "/w/p.py"}, {"folder", "/w/out"},
                                          {"format", "PNG"},       {"frame", "7"},         {NULL, NULL}};
    assert_int_equal(engine_kept_args(engine_find("blender"), values, argv, &err), 0);
    assert_string_equal(joined(), "-b|--factory-startup|--disable-autoexec|-noaudio|--python-exit-code|9|/w/a.blend|-o|"
                                  "/w/out/frame.####|-F|PNG|-x|1|-P|/w/p.py");
    assert_null(engine_find("maya")->kept_args);
    assert_null(engine_find("ue")->kept_args);
}

static void test_maya(void **state)
{
    (void)state;
    struct engine_value values[] = {{"scene", "/w/a.ma"},   {"folder", "/w/out"}, {"format", "exr"}, {"frame", "12"},
                                    {"renderer", "arnold"}, {"width", "640"},     {"height", "480"}, {NULL, NULL}};
    assert_int_equal(engine_args(engine_find("maya"), values, argv, &err), 0);
    assert_string_equal(joined(),
                        "-r|arnold|-s|12|-e|12|-b|1|-rd|/w/out|-im|frame|-fnc|name.#.ext|-pad|4|-of|exr|-x|640|-y|480|/w/a.ma");
}

static void test_unreal(void **state)
{
    (void)state;
    struct engine_value values[] = {
        {"scene", "/w/a.uproject"}, {"folder", "/w/out"},    {"format", "PNG"},  {"frame", "3"}, {"frame4", "0003"},
        {"map", "/Game/M"},         {"sequence", "/Game/S"}, {"no_preset", "1"}, {NULL, NULL}};
    assert_int_equal(engine_args(engine_find("ue"), values, argv, &err), 0);
    assert_non_null(strstr(joined(), "/w/a.uproject|/Game/M|-game|-LevelSequence=/Game/S|-MovieSceneCaptureType="));
    assert_non_null(strstr(joined(), "|-MovieName=frame.0003|"));
    engine_args_free(argv);
    values[7] = (struct engine_value){"preset", "/Game/P"};
    assert_int_equal(engine_args(engine_find("ue"), values, argv, &err), 0);
    assert_non_null(strstr(joined(), "|-MoviePipelineConfig=/Game/P|-RenderOffscreen|"));
    engine_args_free(argv);
    values[5].value = "";
    assert_int_equal(engine_args(engine_find("ue"), values, argv, &err), -1);
    assert_string_equal(err.text, "ue needs the parameter map");
    assert_null(argv[0]);
}

/* What a task says is never more than one argument, and never a template. */
static void test_fill(void **state)
{
    (void)state;
    const struct engine_value values[] = {{"a", "{b} $x"}, {"b", "no"}, {NULL, NULL}};
    char *text = engine_fill("-{a}-{none}-{a", values, &err);
    assert_string_equal(text, "-{b} $x--{b} $x");
    free(text);
    char *large = malloc(20000);
    memset(large, 'x', 19999);
    large[19999] = '\0';
    const struct engine_value long_values[] = {{"a", large}, {NULL, NULL}};
    assert_null(engine_fill("{a}", long_values, &err));
    assert_string_equal(err.text, "a value is too long");
    free(large);
}

static void test_formats(void **state)
{
    (void)state;
    assert_string_equal(engine_format(engine_find("blender"), "EXR"), "OPEN_EXR");
    assert_string_equal(engine_format(engine_find("maya"), "jpg"), "jpeg");
    assert_null(engine_format(engine_find("maya"), "blend"));
    assert_null(engine_format(engine_find("blender"), ""));
    assert_null(engine_find("max"));
}

static void test_version(void **state)
{
    (void)state;
    char out[16];
    engine_version(engine_find("blender"), "Blender 3.4.1\n\tbuild date: 2023", out, sizeof(out));
    assert_string_equal(out, "3.4.1");
    engine_version(engine_find("blender"), "bash: no such thing", out, sizeof(out));
    assert_string_equal(out, "");
    engine_version(engine_find("blender"), "Blender 1111111111111111111111", out, sizeof(out));
    assert_string_equal(out, "111111111111111");
    engine_version(engine_find("maya"), "Maya 2024.2, Cut Number 202310181224", out, sizeof(out));
    assert_string_equal(out, "2024.2");
    engine_version(engine_find("maya"), "2024", out, sizeof(out));
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_blender, tear_down), cmocka_unit_test_teardown(test_maya, tear_down),
        cmocka_unit_test_teardown(test_unreal, tear_down),  cmocka_unit_test_teardown(test_fill, tear_down),
        cmocka_unit_test_teardown(test_kept, tear_down),    cmocka_unit_test_teardown(test_formats, tear_down),
        cmocka_unit_test_teardown(test_version, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
