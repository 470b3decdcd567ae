#include "worker/render/engine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/buf.h"
#include "proto/messages.h"
#include "proto/settings.h"

#define TEXT_MAX ((size_t)16384)
#define PLAIN                                                                                                                    \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+" /* of names and versions, which stand in lists */

static const struct engine_format blender_formats[] = {
    {"png", "PNG"}, {"exr", "OPEN_EXR"}, {"jpg", "JPEG"},  {"jpeg", "JPEG"}, {"tif", "TIFF"}, {"tiff", "TIFF"},
    {"tga", "TGA"}, {"bmp", "BMP"},      {"webp", "WEBP"}, {"dpx", "DPX"},   {NULL, NULL},
};
/* What a scene file brings along is never run, and nothing of the user's own set-up changes a picture. */
static const struct engine_arg blender_args[] = {
    {NULL, "-b"},
    {NULL, "--factory-startup"},
    {NULL, "--disable-autoexec"},
    {NULL, "-noaudio"},
    {"threads", "-t"},
    {"threads", "{threads}"},
    {NULL, "--python-exit-code"},
    {NULL, "9"},
    {NULL, "{scene}"},
    {NULL, "-P"},
    {NULL, "{prepare}"},
    {NULL, "-o"},
    {NULL, "{folder}/frame.####"},
    {NULL, "-F"},
    {NULL, "{format}"},
    {NULL, "-x"},
    {NULL, "1"},
    {NULL, "-f"},
    {NULL, "{frame}"},
    {NULL, NULL},
};
/* The same in another order: prepare.py stays, and makes frames with what was set before it. */
static const struct engine_arg blender_kept_args[] = {
    {NULL, "-b"},
    {NULL, "--factory-startup"},
    {NULL, "--disable-autoexec"},
    {NULL, "-noaudio"},
    {"threads", "-t"},
    {"threads", "{threads}"},
    {NULL, "--python-exit-code"},
    {NULL, "9"},
    {NULL, "{scene}"},
    {NULL, "-o"},
    {NULL, "{folder}/frame.####"},
    {NULL, "-F"},
    {NULL, "{format}"},
    {NULL, "-x"},
    {NULL, "1"},
    {NULL, "-P"},
    {NULL, "{prepare}"},
    {NULL, NULL},
};

static const struct engine_format maya_formats[] = {
    {"exr", "exr"}, {"png", "png"}, {"jpg", "jpeg"}, {"jpeg", "jpeg"}, {"tif", "tif"}, {"tiff", "tif"}, {NULL, NULL},
};
static const struct engine_arg maya_args[] = {
    {NULL, "-r"},
    {"renderer", "{renderer}"},
    {"no_renderer", "file"},
    {NULL, "-s"},
    {NULL, "{frame}"},
    {NULL, "-e"},
    {NULL, "{frame}"},
    {NULL, "-b"},
    {NULL, "1"},
    {NULL, "-rd"},
    {NULL, "{folder}"},
    {NULL, "-im"},
    {NULL, "frame"},
    {NULL, "-fnc"},
    {NULL, "name.#.ext"},
    {NULL, "-pad"},
    {NULL, "4"},
    {NULL, "-of"},
    {NULL, "{format}"},
    {"width", "-x"},
    {"width", "{width}"},
    {"height", "-y"},
    {"height", "{height}"},
    {"project", "-proj"},
    {"project", "{project}"},
    {NULL, "{scene}"},
    {NULL, NULL},
};

static const struct engine_format unreal_formats[] = {{"png", "PNG"}, {"jpg", "JPG"}, {"jpeg", "JPG"},
                                                      {"bmp", "BMP"}, {"exr", "EXR"}, {NULL, NULL}};
/* With a preset of the movie render queue's, which says itself what frames it makes, and where; without one the older capture tool. */
static const struct engine_arg unreal_args[] = {
    {NULL, "{scene}"},
    {NULL, "{map}"},
    {NULL, "-game"},
    {NULL, "-LevelSequence={sequence}"},
    {"preset", "-MoviePipelineConfig={preset}"},
    {"no_preset", "-MovieSceneCaptureType=/Script/MovieSceneCapture.AutomatedLevelSequenceCapture"},
    {"no_preset", "-MovieFolder={folder}"},
    {"no_preset", "-MovieName=frame.{frame4}"},
    {"no_preset", "-MovieFormat={format}"},
    {"no_preset", "-MovieStartFrame={frame}"},
    {"no_preset", "-MovieEndFrame={frame}"},
    {"no_preset", "-MovieCinematicMode=Yes"},
    {"width", "-ResX={width}"},
    {"height", "-ResY={height}"},
    {NULL, "-RenderOffscreen"},
    {NULL, "-unattended"},
    {NULL, "-nosplash"},
    {NULL, "-nosound"},
    {NULL, "-notexturestreaming"},
    {NULL, "-stdout"},
    {NULL, NULL},
};

#define PLUGIN "GANTRY PLUGIN "
/* The add-ons that a frame has, too: what is there is not all in use, and what a user has turned on does not count. */
static const char *const blender_version[] = {
    "-b",
    "--factory-startup",
    "--disable-autoexec",
    "-noaudio",
    "--python-expr",
    "import bpy, sys, addon_utils\n"
    "for addon in bpy.context.preferences.addons:\n"
    "    module = sys.modules.get(addon.module)\n"
    "    said = addon_utils.module_bl_info(module) if module else {}\n"
    "    print('" PLUGIN "' + addon.module, '.'.join(map(str, said.get('version', ()))), flush=True)\n",
    NULL,
};
static const char *const maya_version[] = {"-v", NULL};

const struct engine engines[] = {
    {"blender", SET_RENDER_BLENDER, blender_version, "Blender ", NULL, NULL, blender_formats, blender_args, blender_kept_args,
     "scene prepare folder format frame", "{folder}", true, false},
    {"maya", SET_RENDER_MAYA, maya_version, "Maya ", "maya", NULL, maya_formats, maya_args, NULL, "scene folder format frame",
     "{folder}", false, true},
    {"ue", SET_RENDER_UNREAL, NULL, "", NULL, "../../Build/Build.version", unreal_formats, unreal_args, NULL,
     "scene folder format frame map sequence", "{made}", false, false},
    {0},
};

const struct engine *engine_find(const char *name)
{
    for (const struct engine *row = engines; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

const char *engine_format(const struct engine *engine, const char *extension)
{
    for (const struct engine_format *row = engine->formats; row->extension; row++)
        if (strcasecmp(row->extension, extension) == 0)
            return row->name;
    return NULL;
}

/* ---- templates ---- */

static const char *value_of(const struct engine_value *values, struct str name)
{
    for (; values->name; values++)
        if (str_is(name, values->name) && values->value && *values->value)
            return values->value;
    return NULL;
}

char *engine_fill(const char *text, const struct engine_value *values, struct err *err)
{
    struct buf out = {.limit = TEXT_MAX};
    while (*text) {
        size_t plain = strcspn(text, "{"), name = text[plain] ? strcspn(text + plain, "}") : 0;
        buf_add(&out, text, plain);
        text += plain;
        if (!*text)
            break;
        const char *value = value_of(values, (struct str){text + 1, (uint32_t)(name - 1)});
        buf_text(&out, value ? value : "");
        text += name + (text[name] == '}');
    }
    if (buf_add(&out, "", 1) == 0 && !out.failed)
        return out.data;
    err_set(err, out.starved ? ERR_NO_MEMORY : ERR_INVALID, "%s", out.starved ? "no memory for a run" : "a value is too long");
    buf_free(&out);
    return NULL;
}

static int needs_check(const struct engine *engine, const struct engine_value *values, struct err *err)
{
    for (const char *at = engine->needs; *at;) {
        struct str name = {at, (uint32_t)strcspn(at, " ")};
        if (!value_of(values, name))
            return err_set(err, ERR_INVALID, "%s needs the parameter %.*s", engine->name, (int)name.len, name.ptr);
        at += name.len;
        at += strspn(at, " ");
    }
    return 0;
}

static int args_fill(const struct engine *engine, const struct engine_arg *rows, const struct engine_value *values,
                     char *argv[ENGINE_ARGS], struct err *err)
{
    size_t count = 0;
    memset(argv, 0, ENGINE_ARGS * sizeof(*argv));
    if (needs_check(engine, values, err) < 0)
        return -1;
    for (const struct engine_arg *row = rows; row->text; row++) {
        if (row->when && !value_of(values, str_of(row->when)))
            continue;
        argv[count] = engine_fill(row->text, values, err);
        if (!argv[count++]) {
            engine_args_free(argv);
            return -1;
        }
    }
    return 0;
}

int engine_args(const struct engine *engine, const struct engine_value *values, char *argv[ENGINE_ARGS], struct err *err)
{
    return args_fill(engine, engine->args, values, argv, err);
}

int engine_kept_args(const struct engine *engine, const struct engine_value *values, char *argv[ENGINE_ARGS], struct err *err)
{
    return args_fill(engine, engine->kept_args, values, argv, err);
}

void engine_args_free(char *argv[ENGINE_ARGS])
{
    for (size_t i = 0; i < ENGINE_ARGS && argv[i]; i++) {
        free(argv[i]);
        argv[i] = NULL;
    }
}

void engine_version(const struct engine *engine, const char *answer, char *out, size_t size)
{
    size_t len = 0;
    const char *at = strstr(answer, engine->version_words);
    at = at ? at + strlen(engine->version_words) : "";
    while (len + 1 < size && (isdigit((unsigned char)at[len]) || at[len] == '.')) {
        out[len] = at[len];
        len++;
    }
    out[len] = '\0';
}

void engine_plugin(const char *line, char *out, size_t size)
{
    size_t len = strlen(PLUGIN);
    out[0] = '\0';
    if (strncmp(line, PLUGIN, len) != 0)
        return;
    line += len;
    size_t name = strspn(line, PLAIN), gap = line[name] == ' ', version = strspn(line + name + gap, PLAIN);
    if (name && line[name + gap + version] == '\0' && name + version + 2 <= size)
        snprintf(out, size, "%.*s%s%.*s", (int)name, line, version ? " " : "", (int)version, line + name + gap);
}
