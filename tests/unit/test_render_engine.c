/* How engines are called, and what they say of themselves. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "proto/messages.h"
#include "worker/render/dirmap.h"

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

static void test_plugins(void **state)
{
    static const struct {
        const char *line, *plugin;
    } lines[] = {{"GANTRY PLUGIN io_scene_fbx 4.37.1", "io_scene_fbx 4.37.1"},
                 {"GANTRY PLUGIN cycles ", "cycles"},
                 {"GANTRY PLUGIN cycles", "cycles"},
                 {"GANTRY PLUGIN a,b 1", ""}, /* no names of a list */
                 {"GANTRY PLUGIN a 1 2", ""},
                 {"GANTRY PLUGIN ", ""},
                 {"Blender 3.4.1", ""},
                 {"GANTRY PLUGIN abcdefghijklmnopqrstuvwxyz 1.2", ""}}; /* too long */
    char out[24];
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        engine_plugin(lines[i].line, out, sizeof(out));
        assert_string_equal(out, lines[i].plugin);
    }
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

/* ---- where Maya finds files ---- */

static void folder_make(const char *base, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", base, name);
    assert_int_equal(mkdir(out, 0700), 0);
}

/* What a scene calls its files is never more than a word of the script. */
static void test_dirmap(void **state)
{
    (void)state;
    static struct render it;
    char base[UNIT_FOLDER_SIZE], path[PATH_MAX], project[PATH_MAX], expected[4096], text[4096] = "";
    unit_folder(base);
    it = (struct render){.err = &err};
    snprintf(it.root, sizeof(it.root), "%s", base);
    snprintf(it.place, sizeof(it.place), "%s", base);
    folder_make(base, "C", path);
    folder_make(base, "show", path);
    folder_make(path, "scenes", it.beside);
    it.files = json_pack("[{s:s},{s:s},{s:s},{s:s},{s:s},{s:i}]", "file_path", "/nonexistent/a\";b/x.jpg", "file_path",
                         "\\\\server\\share\\y.jpg", "file_path", "C:/z.jpg", "file_path", "/tmp", "file_path",
                         "/nonexistent/\n/x", "file_path", 5);
    assert_non_null(it.files);
    assert_int_equal(dirmap_write(&it), 0);
    snprintf(path, sizeof(path), "%s/maya/userSetup.mel", base);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    snprintf(expected, sizeof(expected),
             "dirmap -en true;\ndirmap -m \"C:/\" \"%s/C/\";\ndirmap -m \"/nonexistent/a\\\";b/\" \"%s/nonexistent/a\\\";b/\";\n"
             "dirmap -m \"//server/share/\" \"%s/server/share/\";\n",
             base, base, base);
    assert_string_equal(text, expected);
    project_find(&it, project);
    assert_string_equal(project, it.beside);
    snprintf(path, sizeof(path), "%s/show/workspace.mel", base);
    unit_write(path, "//");
    project_find(&it, project);
    assert_string_equal(project + strlen(base), "/show");
    it.parameters = json_pack("{s:s}", "project_dir", "C:");
    project_find(&it, project);
    assert_string_equal(project + strlen(base), "/C");
    json_decref(it.parameters);
    json_decref(it.files);
    unit_remove(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_blender, tear_down), cmocka_unit_test_teardown(test_maya, tear_down),
        cmocka_unit_test_teardown(test_unreal, tear_down),  cmocka_unit_test_teardown(test_fill, tear_down),
        cmocka_unit_test_teardown(test_kept, tear_down),    cmocka_unit_test_teardown(test_formats, tear_down),
        cmocka_unit_test_teardown(test_version, tear_down), cmocka_unit_test_teardown(test_plugins, tear_down),
        cmocka_unit_test_teardown(test_dirmap, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
