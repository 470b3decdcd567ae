#include "worker/scene/blend.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "proto/pattern.h"
#include "worker/scene/blend_file.h"
#include "worker/scene/sequence.h"

#define OB_CAMERA 11 /* Object.type */

/* Data of objects and materials that names a file. */
static const struct {
    const char *name, *path;
    enum asset_kind kind;
} data_kinds[] = {{"FluidDomainSettings", "cache_directory", ASSET_CACHE},
                  {"MeshCacheModifierData", "filepath", ASSET_CACHE},
                  {"OceanModifierData", "cachepath", ASSET_CACHE},
                  {"NodeShaderTexIES", "filepath", ASSET_LIGHT},
                  {"NodeShaderScript", "filepath", ASSET_SCRIPT}};
#define DATA_KINDS (sizeof(data_kinds) / sizeof(data_kinds[0]))

struct reading {
    struct blend_file file;
    struct scene *scene;
    int scene_struct, sequence, point_cache, data[DATA_KINDS]; /* numbers of structs in this file's DNA; -1: there is none */
};

static struct str text_of(struct reading *self, struct blend_thing thing, const char *path)
{
    struct str text = blend_text(&self->file, thing, path);
    return scene_text(self->scene, text.ptr, text.len);
}

/* The name of a thing, without the two letters that say what it is. */
static struct str name_of(struct reading *self, struct blend_thing thing)
{
    struct str name = blend_text(&self->file, thing, "id.name");
    if (name.len == 0)
        name = blend_text(&self->file, thing, "name"); /* linked from elsewhere: an ID and no more */
    return name.len > 2 ? scene_text(self->scene, name.ptr + 2, name.len - 2) : (struct str){"", 0};
}

/* ---- files ---- */

/* What its path is called: the name in the DNA is the oldest one that Blender had for it. */
static struct str path_of(struct reading *self, struct blend_thing thing)
{
    struct str path = text_of(self, thing, "name");
    return path.len ? path : text_of(self, thing, "filepath");
}

static void add(struct reading *self, enum asset_kind kind, struct str path, struct str node, bool packed)
{
    scene_asset_add(self->scene, kind, path, node, packed);
}

/* All files of a sequence, of which the path names one. */
static struct str all_of(struct reading *self, enum sequence sequence, struct str path)
{
    char pattern[SCENE_TEXT];
    uint32_t len = sequence_pattern(sequence, path, pattern, sizeof(pattern));
    return len ? scene_utf8(self->scene, pattern, len) : path;
}

static bool packed(const struct reading *self, struct blend_thing thing)
{
    return blend_pointer(&self->file, thing, "packedfile") || blend_pointer(&self->file, thing, "packedfiles.first");
}

static void image(struct reading *self, struct blend_thing thing)
{
    enum { SEQUENCE = 2, MOVIE = 3, GENERATED = 4, VIEWER = 5, TILED = 6 };
    int source = (int)blend_number(&self->file, thing, "source", 1);
    if (source == GENERATED || source == VIEWER)
        return;
    struct str path = path_of(self, thing);
    if (source == SEQUENCE || (source == TILED && path.len && !pattern_is(path.ptr))) /* as it was before 3.1 */
        path = all_of(self, SEQUENCE_IMAGE, path);
    add(self, source == MOVIE ? ASSET_MOVIE : ASSET_TEXTURE, path, name_of(self, thing), packed(self, thing));
}

/* Things with a name of their own, which are a file. */
static bool named(struct reading *self, struct blend_thing thing)
{
    static const struct {
        const char *code;
        enum asset_kind kind;
        const char *many; /* is 1 of one that is a sequence; NULL: none is */
        enum sequence sequence;
    } kinds[] = {{"LI", ASSET_LIBRARY, NULL, SEQUENCE_IMAGE},         {"VF", ASSET_FONT, NULL, SEQUENCE_IMAGE},
                 {"SO", ASSET_SOUND, NULL, SEQUENCE_IMAGE},           {"MC", ASSET_MOVIE, "source", SEQUENCE_IMAGE},
                 {"VO", ASSET_VOLUME, "is_sequence", SEQUENCE_FRAME}, {"CF", ASSET_CACHE, "is_sequence", SEQUENCE_FRAME}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(thing.block->code, kinds[i].code) != 0)
            continue;
        struct str path = path_of(self, thing);
        if (kinds[i].many && blend_number(&self->file, thing, kinds[i].many, 0) == 1)
            path = all_of(self, kinds[i].sequence, path);
        if (!str_is(path, "<builtin>"))
            add(self, kinds[i].kind, path, name_of(self, thing), packed(self, thing));
        return true;
    }
    return false;
}

static void script(struct reading *self, struct blend_thing thing)
{
    struct str path = blend_string(&self->file, thing, "name");
    if (path.len == 0)
        path = blend_string(&self->file, thing, "filepath");
    add(self, ASSET_SCRIPT, scene_text(self->scene, path.ptr, path.len), name_of(self, thing), false);
}

/* A strip of the sequencer: its folder, and in it a film, a sound, or many pictures. */
static void strip(struct reading *self, struct blend_thing thing)
{
    enum { IMAGE = 0, MOVIE = 3, SOUND_RAM = 4, SOUND_HD = 5 };
    int type = (int)blend_number(&self->file, thing, "type", -1);
    if (type != IMAGE && type != MOVIE && type != SOUND_RAM && type != SOUND_HD)
        return;
    struct blend_thing data = blend_follow(&self->file, thing, "strip");
    if (!data.block)
        data = blend_follow(&self->file, thing, "data");
    struct str folder = text_of(self, data, "dir"), node = text_of(self, thing, "name");
    if (folder.len == 0)
        folder = text_of(self, data, "dirpath");
    if (node.len > 2)
        node = (struct str){node.ptr + 2, node.len - 2};
    struct blend_thing element = blend_follow(&self->file, data, "stripdata");
    uint32_t count = blend_count(&self->file, element);
    for (element.index = 0; element.index < (type == IMAGE ? count : count > 0); element.index++) {
        char path[SCENE_TEXT];
        struct str name = blend_text(&self->file, element, "name");
        if (name.len == 0)
            name = blend_text(&self->file, element, "filename");
        bool apart = folder.len && folder.ptr[folder.len - 1] != '/' && folder.ptr[folder.len - 1] != '\\';
        int len =
            snprintf(path, sizeof(path), "%.*s%s%.*s", (int)folder.len, folder.ptr, apart ? "/" : "", (int)name.len, name.ptr);
        if (name.len && len > 0 && len < (int)sizeof(path))
            add(self,
                type == IMAGE   ? ASSET_TEXTURE
                : type == MOVIE ? ASSET_MOVIE
                                : ASSET_SOUND,
                scene_text(self->scene, path, (size_t)len), node, false);
    }
}

static void data(struct reading *self, struct blend_thing thing)
{
    enum { PTCACHE_EXTERNAL = 1 << 9 };
    struct str none = {"", 0};
    if (thing.number == self->sequence)
        strip(self, thing);
    else if (thing.number == self->point_cache && (unsigned)blend_number(&self->file, thing, "flag", 0) & PTCACHE_EXTERNAL)
        add(self, ASSET_CACHE, text_of(self, thing, "path"), none, false);
    for (size_t i = 0; i < DATA_KINDS; i++)
        if (thing.number == self->data[i])
            add(self, data_kinds[i].kind, text_of(self, thing, data_kinds[i].path), text_of(self, thing, "modifier.name"), false);
}

static void camera(struct reading *self, struct blend_thing thing)
{
    if (blend_number(&self->file, thing, "type", 0) == OB_CAMERA)
        scene_name_add(self->scene, &self->scene->cameras, name_of(self, thing));
}

static void blocks(struct reading *self)
{
    for (uint32_t i = 0; i < self->file.count; i++) {
        struct blend_thing thing = blend_of(&self->file.blocks[i]);
        const char *code = thing.block->code;
        if (strcmp(code, "DATA") == 0)
            data(self, thing);
        else if (strcmp(code, "IM") == 0)
            image(self, thing);
        else if (strcmp(code, "OB") == 0)
            camera(self, thing);
        else if (strcmp(code, "TX") == 0)
            script(self, thing);
        else
            named(self, thing);
    }
}

/* ---- how it is rendered ---- */

static const char *format_name(int type)
{
    static const struct {
        int type;
        const char *name;
    } names[] = {{0, "tga"},  {1, "rgb"},  {4, "jpg"},  {7, "rgb"},  {14, "tga"},    {15, "avi"}, {16, "avi"},  {17, "png"},
                 {20, "bmp"}, {21, "hdr"}, {22, "tif"}, {23, "exr"}, {24, "ffmpeg"}, {26, "cin"}, {27, "dpx"},  {28, "exr"},
                 {29, "dds"}, {30, "jp2"}, {31, "mp4"}, {32, "avi"}, {33, "ogv"},    {34, "psd"}, {35, "webp"}, {36, "mp4"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].type == type)
            return names[i].name;
    return "";
}

/* BLENDER_EEVEE_NEXT is eevee. */
static void renderer(struct reading *self, struct blend_thing scene)
{
    char name[64];
    struct str engine = blend_text(&self->file, scene, "r.engine");
    if (!str_copy(name, sizeof(name), engine))
        return;
    char *from = strncmp(name, "BLENDER_", 8) == 0 ? name + 8 : name;
    if (strcmp(from, "EEVEE_NEXT") == 0)
        from[5] = '\0';
    for (char *at = from; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    self->scene->renderer = scene_text(self->scene, from, strlen(from));
}

/* A property of a group by name; nothing if there is none. */
static struct blend_thing property(struct reading *self, struct blend_thing group, const char *name)
{
    struct blend_thing at = blend_follow(&self->file, group, "data.group.first");
    for (unsigned i = 0; at.block && i < self->file.count; i++) {
        if (str_is(blend_text(&self->file, at, "name"), name))
            return at;
        at = blend_follow(&self->file, at, "next");
    }
    return (struct blend_thing){0};
}

/* Settings of an add-on stand in properties: those that were never changed are not there. */
static void cycles(struct reading *self, struct blend_thing scene)
{
    enum { INT = 1 };
    static const struct {
        const char *property, *name;
    } samples[] = {
        {"samples", "samples"}, {"max_bounces", "max_bounces"}, {"diffuse_bounces", "diffuse"}, {"glossy_bounces", "glossy"}};
    struct blend_thing group = property(self, blend_follow(&self->file, scene, "id.properties"), "cycles");
    if (!group.block)
        group = property(self, blend_follow(&self->file, scene, "id.system_properties"), "cycles");
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct blend_thing one = property(self, group, samples[i].property);
        if (one.block && blend_number(&self->file, one, "type", -1) == INT)
            scene_sampling(self->scene, samples[i].name, blend_number(&self->file, one, "data.val", NAN));
    }
    scene_sampling_assume(self->scene, "samples", self->file.version < 300 ? 128 : 4096);
}

static void sampling(struct reading *self, struct blend_thing scene)
{
    if (str_is(self->scene->renderer, "cycles"))
        cycles(self, scene);
    else if (str_is(self->scene->renderer, "eevee"))
        scene_sampling(self->scene, "samples", blend_number(&self->file, scene, "eevee.taa_render_samples", NAN));
}

/* The camera of the scene, and those that markers on the time line switch to. */
static void render_cameras(struct reading *self, struct blend_thing scene)
{
    struct scene *into = self->scene;
    scene_name_add(into, &into->render_cameras, name_of(self, blend_follow(&self->file, scene, "camera")));
    struct blend_thing marker = blend_follow(&self->file, scene, "markers.first");
    for (unsigned i = 0; marker.block && i < self->file.count; i++) {
        scene_name_add(into, &into->render_cameras, name_of(self, blend_follow(&self->file, marker, "camera")));
        marker = blend_follow(&self->file, marker, "next");
    }
}

static void numbers(struct reading *self, struct blend_thing scene)
{
    struct scene *into = self->scene;
    const struct blend_file *file = &self->file;
    scene_number_set(&into->start_frame, blend_number(file, scene, "r.sfra", NAN));
    scene_number_set(&into->end_frame, blend_number(file, scene, "r.efra", NAN));
    scene_number_set(&into->frame_step, blend_number(file, scene, "r.frame_step", NAN));
    scene_number_set(&into->width, blend_number(file, scene, "r.xsch", NAN));
    scene_number_set(&into->height, blend_number(file, scene, "r.ysch", NAN));
    scene_number_set(&into->percentage, blend_number(file, scene, "r.size", NAN));
    double base = blend_number(file, scene, "r.frs_sec_base", 1);
    scene_number_set(&into->fps, blend_number(file, scene, "r.frs_sec", NAN) / (base > 0 ? base : 1));
}

static void scene_settings(struct reading *self, struct blend_thing scene)
{
    struct scene *into = self->scene;
    const char *format = format_name((int)blend_number(&self->file, scene, "r.im_format.imtype", -1));
    into->name = name_of(self, scene);
    numbers(self, scene);
    renderer(self, scene);
    into->image_format = scene_text(into, format, strlen(format));
    into->output = text_of(self, scene, "r.pic");
    sampling(self, scene);
    render_cameras(self, scene);
}

/* ---- the file ---- */

static void version(struct reading *self)
{
    char text[32];
    unsigned version = self->file.version;
    int len = snprintf(text, sizeof(text), version < 300 ? "%u.%02u" : "%u.%u", version / 100, version % 100);
    self->scene->version = scene_text(self->scene, text, (size_t)len);
}

/* The scene that is shown when the file is opened is the one that is rendered; else the first. */
static struct blend_thing current(const struct reading *self, unsigned *count)
{
    struct blend_thing found = {0}, first = {0};
    *count = 0;
    for (uint32_t i = 0; i < self->file.count; i++) {
        struct blend_thing thing = blend_of(&self->file.blocks[i]);
        if (strcmp(thing.block->code, "GLOB") == 0)
            found = blend_follow(&self->file, thing, "curscene");
        if (strcmp(thing.block->code, "SC") != 0)
            continue;
        if ((*count)++ == 0)
            first = thing;
    }
    return found.block && found.number == self->scene_struct ? found : first;
}

static void structs(struct reading *self)
{
    const struct dna *dna = self->file.dna;
    self->scene_struct = dna_find(dna, "Scene");
    self->sequence = dna_find(dna, "Sequence");
    if (self->sequence < 0)
        self->sequence = dna_find(dna, "Strip");
    self->point_cache = dna_find(dna, "PointCache");
    for (size_t i = 0; i < DATA_KINDS; i++)
        self->data[i] = dna_find(dna, data_kinds[i].name);
}

static void look(struct reading *self)
{
    unsigned count;
    structs(self);
    struct blend_thing scene = current(self, &count);
    if (scene.block)
        scene_settings(self, scene);
    else
        scene_note(self->scene, "there is no scene in it: it can be linked from, not rendered");
    if (count > 1)
        scene_note(self->scene, "it has %u scenes: settings are those of the one that opens; files are those of all", count);
    blocks(self);
    if (self->file.left_out)
        scene_note(self->scene, "%llu blocks had no room and were not looked at", (unsigned long long)self->file.left_out);
}

int blend_read(struct source *source, struct scene *scene, struct err *err)
{
    struct reading self = {.scene = scene};
    scene->format = SCENE_BLEND;
    scene->compression = source_compression(source);
    int rc = blend_file_read(&self.file, source, err);
    if (self.file.version)
        version(&self);
    if (rc == 0)
        look(&self);
    blend_file_close(&self.file);
    return rc;
}
