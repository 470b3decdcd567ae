#include "worker/scene/maya.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#define ASSET(node, brief, full, kind)                                                                                           \
    {                                                                                                                            \
        node, brief, full, MAYA_ASSET, kind, 0, NULL                                                                             \
    }
#define OTHER(node, brief, full, what)                                                                                           \
    {                                                                                                                            \
        node, brief, full, what, 0, 0, NULL                                                                                      \
    }
#define NUMBER(node, brief, full, field)                                                                                         \
    {                                                                                                                            \
        node, brief, full, MAYA_NUMBER, 0, offsetof(struct scene, field), NULL                                                   \
    }
#define SAMPLES(node, brief, full, name)                                                                                         \
    {                                                                                                                            \
        node, brief, full, MAYA_SAMPLING, 0, 0, name                                                                             \
    }

/* From Maya's node reference, and those of Arnold, Redshift, V-Ray and RenderMan for it. */
static const struct maya_row rows[] = {
    ASSET("file", "ftn", "fileTextureName", ASSET_TEXTURE),
    ASSET("psdFileTex", "ftn", "fileTextureName", ASSET_TEXTURE),
    ASSET("mentalrayTexture", "ftn", "fileTextureName", ASSET_TEXTURE),
    ASSET("movie", "ftn", "fileTextureName", ASSET_MOVIE),
    ASSET("imagePlane", "imn", "imageName", ASSET_TEXTURE),
    ASSET("aiImage", "filename", "filename", ASSET_TEXTURE),
    ASSET("PxrTexture", "filename", "filename", ASSET_TEXTURE),
    ASSET("RedshiftNormalMap", "tex0", "tex0", ASSET_TEXTURE),
    ASSET("RedshiftDomeLight", "tex0", "tex0", ASSET_TEXTURE),
    ASSET("RedshiftSprite", "tex0", "tex0", ASSET_TEXTURE),
    ASSET("AlembicNode", "fn", "abc_File", ASSET_CACHE),
    ASSET("AlembicNode", "fns", "abc_layerFiles", ASSET_CACHE),
    ASSET("ExocortexAlembicFile", "fn", "fileName", ASSET_CACHE),
    ASSET("gpuCache", "cfn", "cacheFileName", ASSET_CACHE),
    ASSET("cacheFile", "cp", "cachePath", ASSET_CACHE),
    ASSET("diskCache", "cn", "cacheName", ASSET_CACHE),
    ASSET("xgmPalette", "xfn", "xgFileName", ASSET_CACHE),
    ASSET("mayaUsdProxyShape", "fp", "filePath", ASSET_REFERENCE),
    ASSET("reference", "fn", "fileNames", ASSET_REFERENCE),
    OTHER("reference", "ed", "edits", MAYA_EDITS),
    ASSET("aiStandIn", "dso", "dso", ASSET_PROXY),
    ASSET("RedshiftProxyMesh", "fn", "fileName", ASSET_PROXY),
    ASSET("VRayMesh", "fn2", "fileName2", ASSET_PROXY),
    ASSET("aiVolume", "filename", "filename", ASSET_VOLUME),
    ASSET("RedshiftVolumeShape", "fn", "fileName", ASSET_VOLUME),
    ASSET("VRayVolumeGrid", "if", "inFile", ASSET_VOLUME),
    ASSET("aiPhotometricLight", "ai_filename", "aiFilename", ASSET_LIGHT),
    ASSET("VRayLightIESShape", "ifile", "iesFile", ASSET_LIGHT),
    ASSET("RedshiftIESLight", "profile", "profile", ASSET_LIGHT),
    ASSET("audio", "f", "filename", ASSET_SOUND),
    ASSET("colorManagementGlobals", "cfp", "configFilePath", ASSET_COLOR),
    OTHER("camera", "rnd", "renderable", MAYA_RENDERABLE),
    OTHER("renderGlobals", "ren", "currentRenderer", MAYA_RENDERER),
    OTHER("renderGlobals", "outf", "imageFormat", MAYA_FORMAT),
    OTHER("renderGlobals", "imfkey", "imfPluginKey", MAYA_FORMAT_NAME),
    OTHER("renderGlobals", "ifp", "imageFilePrefix", MAYA_OUTPUT),
    NUMBER("renderGlobals", "fs", "startFrame", start_frame),
    NUMBER("renderGlobals", "ef", "endFrame", end_frame),
    NUMBER("renderGlobals", "bfs", "byFrameStep", frame_step),
    NUMBER("resolution", "w", "width", width),
    NUMBER("resolution", "h", "height", height),
    OTHER("aiAOVDriver", "ai_translator", "aiTranslator", MAYA_FORMAT_DRIVER),
    SAMPLES("aiOptions", "AA_samples", "AASamples", "camera"),
    SAMPLES("aiOptions", "GI_diffuse_samples", "GIDiffuseSamples", "diffuse"),
    SAMPLES("aiOptions", "GI_specular_samples", "GISpecularSamples", "specular"),
    SAMPLES("aiOptions", "GI_transmission_samples", "GITransmissionSamples", "transmission"),
    SAMPLES("aiOptions", "GI_sss_samples", "GISssSamples", "sss"),
    SAMPLES("aiOptions", "GI_volume_samples", "GIVolumeSamples", "volume"),
    SAMPLES("RedshiftOptions", "unifiedMinSamples", "unifiedMinSamples", "min"),
    SAMPLES("RedshiftOptions", "unifiedMaxSamples", "unifiedMaxSamples", "max"),
    OTHER("VRaySettingsNode", "imgfs", "imageFormatStr", MAYA_FORMAT_DRIVER),
    OTHER("VRaySettingsNode", "fnprx", "fileNamePrefix", MAYA_OUTPUT),
    NUMBER("VRaySettingsNode", "wi", "width", width),
    NUMBER("VRaySettingsNode", "he", "height", height),
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Nodes that each scene has without saying so. */
static const struct {
    const char *name, *type;
} given[] = {{"defaultRenderGlobals", "renderGlobals"},
             {"defaultResolution", "resolution"},
             {"defaultArnoldRenderOptions", "aiOptions"},
             {"defaultArnoldDriver", "aiAOVDriver"},
             {"redshiftOptions", "RedshiftOptions"},
             {"vraySettings", "VRaySettingsNode"},
             {"defaultColorMgtGlobals", "colorManagementGlobals"}};

static const struct maya_row *rows_of(struct str type)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].node[0] == type.ptr[0] && str_is(type, rows[i].node))
            return &rows[i];
    return NULL;
}

bool maya_type_matters(struct str type)
{
    return type.len && rows_of(type);
}

/* ---- nodes ---- */

static void camera_end(struct maya *maya)
{
    if (!maya->camera)
        return;
    scene_name_add(maya->scene, &maya->scene->cameras, maya->node);
    if (maya->renderable)
        scene_name_add(maya->scene, &maya->scene->render_cameras, maya->node);
    maya->camera = false;
}

void maya_begin(struct maya *maya, struct scene *scene)
{
    *maya = (struct maya){.scene = scene, .format = -1};
}

void maya_node(struct maya *maya, struct str type, const char *name, size_t name_len)
{
    camera_end(maya);
    maya->rows = type.len ? rows_of(type) : NULL;
    maya->node = (struct str){"", 0};
    if (!maya->rows)
        return;
    maya->node = scene_text(maya->scene, name, name_len);
    maya->camera = str_is(type, "camera");
    maya->renderable = true;
}

void maya_select(struct maya *maya, struct str name)
{
    struct str type = {"", 0};
    if (name.len && name.ptr[0] == ':')
        name = (struct str){name.ptr + 1, name.len - 1};
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        if (str_is(name, given[i].name))
            type = str_of(given[i].type);
    maya_node(maya, type, name.ptr, name.len);
}

/* ---- attributes ---- */

const struct maya_row *maya_row(const struct maya *maya, struct str attr)
{
    const struct maya_row *row = maya->rows, *end = rows + ROWS;
    for (; row && row < end && strcmp(row->node, maya->rows->node) == 0; row++)
        if (str_is(attr, row->brief) || str_is(attr, row->full))
            return row;
    return NULL;
}

const struct maya_row *maya_row_anywhere(struct str attr)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].what == MAYA_ASSET && (str_is(attr, rows[i].brief) || str_is(attr, rows[i].full)))
            return &rows[i];
    return NULL;
}

bool maya_row_is_text(const struct maya_row *row)
{
    return row->what == MAYA_ASSET || row->what == MAYA_RENDERER || row->what == MAYA_FORMAT_NAME ||
           row->what == MAYA_FORMAT_DRIVER || row->what == MAYA_OUTPUT;
}

/* Files that come with Maya itself are no assets of the scene. */
static bool comes_with_maya(struct str path)
{
    static const char mark[] = "<MAYA_RESOURCES>";
    return path.len >= sizeof(mark) - 1 && memcmp(path.ptr, mark, sizeof(mark) - 1) == 0;
}

/* "C:/a/b.ma{2}" is that file, referenced for the third time. */
void maya_reference(struct maya *maya, const char *path, size_t len, const char *node, size_t node_len)
{
    if (len && path[len - 1] == '}') {
        size_t at = len - 1;
        while (at > 0 && path[at - 1] >= '0' && path[at - 1] <= '9')
            at--;
        if (at > 0 && path[at - 1] == '{')
            len = at - 1;
    }
    struct scene *scene = maya->scene;
    maya->references = true;
    scene_asset_add(scene, ASSET_REFERENCE, scene_text(scene, path, len), scene_text(scene, node, node_len), false);
}

/* Arnold has a driver for pictures, and others: that of its window has the translator "maya", in each scene of it. */
static bool drives_another(const struct maya *maya, const struct maya_row *row)
{
    return row->what == MAYA_FORMAT_DRIVER && strcmp(row->node, "aiAOVDriver") == 0 && !str_is(maya->node, "defaultArnoldDriver");
}

void maya_text(struct maya *maya, const struct maya_row *row, const char *text, size_t len)
{
    struct scene *scene = maya->scene;
    if (row->what == MAYA_ASSET && row->kind == ASSET_REFERENCE) {
        maya_reference(maya, text, len, maya->node.ptr, maya->node.len);
        return;
    }
    struct str kept = scene_text(scene, text, len);
    if (kept.len == 0 || drives_another(maya, row))
        return;
    if (row->what == MAYA_RENDERER)
        scene->renderer = kept;
    else if (row->what == MAYA_OUTPUT)
        scene->output = kept;
    else if (row->what == MAYA_FORMAT_NAME)
        maya->format_name = kept;
    else if (row->what == MAYA_FORMAT_DRIVER)
        maya->format_driver = kept;
    else if (row->what == MAYA_ASSET && !comes_with_maya(kept))
        scene_asset_add(scene, row->kind, kept, maya->node, false);
}

void maya_number(struct maya *maya, const struct maya_row *row, double value)
{
    if (!isfinite(value))
        return;
    if (row->what == MAYA_NUMBER)
        scene_number_set((struct scene_number *)((char *)maya->scene + row->offset), value);
    else if (row->what == MAYA_SAMPLING)
        scene_sampling(maya->scene, row->name, value);
    else if (row->what == MAYA_FORMAT)
        maya->format = value >= 0 && value < 1000 ? (int)value : -1;
    else if (row->what == MAYA_RENDERABLE)
        maya->renderable = value != 0;
}

/* ---- the rest ---- */

void maya_requires(struct maya *maya, struct str name, struct str version)
{
    if (str_is(name, "maya"))
        maya->scene->version = scene_text(maya->scene, version.ptr, version.len);
    else
        scene_pair_add(maya->scene, &maya->scene->plugins, name.ptr, name.len, version.ptr, version.len);
}

void maya_time_unit(struct maya *maya, struct str unit)
{
    static const struct {
        const char *name;
        double fps;
    } named[] = {{"game", 15}, {"film", 24}, {"pal", 25}, {"ntsc", 30}, {"show", 48}, {"palf", 50}, {"ntscf", 60}};
    char text[32], *end;
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (str_is(unit, named[i].name))
            scene_number_set(&maya->scene->fps, named[i].fps);
    if (!str_copy(text, sizeof(text), unit))
        return;
    double fps = strtod(text, &end);
    if (end != text && strcmp(end, "fps") == 0 && fps > 0)
        scene_number_set(&maya->scene->fps, fps);
}

static const char *format_of(int number)
{
    static const char *const names[] = {"gif", "pic", "rla", "tif", "tif", "sgi", "als", "iff", "jpg", "eps", "iff",
                                        "cin", "yuv", "sgi", "",    "",    "",    "",    "",    "tga", "bmp", "",
                                        "mov", "avi", "",    "",    "",    "",    "",    "",    "",    "psd", "png",
                                        "",    "",    "dds", "psd", "",    "",    "",    "exr"};
    return number >= 0 && number < (int)(sizeof(names) / sizeof(names[0])) ? names[number] : "";
}

static void format_end(struct maya *maya)
{
    struct scene *scene = maya->scene;
    const char *name = format_of(maya->format);
    bool own = str_is(scene->renderer, "arnold") || str_is(scene->renderer, "vray");
    if (own && maya->format_driver.len)
        scene->image_format = maya->format_driver;
    else if (*name)
        scene->image_format = str_of(name);
    else if (maya->format_name.len)
        scene->image_format = maya->format_name;
    else {
        scene->image_format = str_of(str_is(scene->renderer, "arnold") ? "exr" : "iff");
        scene_assume(scene, "image_format");
    }
}

void maya_end(struct maya *maya)
{
    struct scene *scene = maya->scene;
    camera_end(maya);
    if (maya->references && !maya->edits_read)
        scene_note(scene, "edits that are kept with references were not read: a file that only such an edit names is not listed");
    if (scene->renderer.len == 0) {
        scene->renderer = str_of("mayaSoftware");
        scene_assume(scene, "renderer");
    }
    format_end(maya);
    scene_number_assume(&scene->start_frame, 1);
    scene_number_assume(&scene->end_frame, 10);
    scene_number_assume(&scene->frame_step, 1);
    scene_number_assume(&scene->fps, 24);
    scene_number_assume(&scene->width, 960);
    scene_number_assume(&scene->height, 540);
    if (!str_is(scene->renderer, "arnold"))
        return;
    scene_sampling_assume(scene, "camera", 3);
    scene_sampling_assume(scene, "diffuse", 2);
    scene_sampling_assume(scene, "specular", 2);
}
