#include "worker/scene/scene.h"

#include <iconv.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proto/messages.h"

int scene_open(struct scene *scene, struct err *err)
{
    scene->arena = arena_new(SCENE_MEMORY);
    scene->compression = "none";
    return scene->arena ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for a scene");
}

void scene_close(struct scene *scene)
{
    struct scene_pairs *pairs[] = {&scene->render_cameras, &scene->cameras, &scene->sampling,
                                   &scene->plugins,        &scene->notes,   &scene->assumed};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        free(pairs[i]->items);
    if (scene->codeset)
        iconv_close(scene->codeset);
    free(scene->assets);
    free(scene->index);
    arena_free(scene->arena);
    *scene = (struct scene){0};
}

/* ---- texts ---- */

void scene_codeset(struct scene *scene, unsigned page)
{
    static const unsigned pages[] = {874, 932, 936, 949, 950, 54936}; /* of Windows: in all of them ASCII is itself */
    char name[16];
    if (scene->codeset) {
        iconv_close(scene->codeset);
        scene->codeset = NULL;
    }
    if (page == 65001)
        return;
    bool known = page >= 1250 && page <= 1258;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        known = known || page == pages[i];
    if (page == 54936)
        snprintf(name, sizeof(name), "GB18030");
    else
        snprintf(name, sizeof(name), "CP%u", page);
    iconv_t made = known ? iconv_open("UTF-8", name) : (iconv_t)-1;
    if (made == (iconv_t)-1)
        scene_note(scene, "names are in the code page %u, which is not known here", page);
    else
        scene->codeset = made;
}

/* False: it is not what the code page says, and taken as it is. */
static bool convert(struct scene *scene, const char *bytes, size_t len, char *out, size_t size, size_t *made)
{
    char *in = (char *)bytes, *to = out;
    size_t left = len, room = size;
    if (!scene->codeset)
        return false;
    iconv(scene->codeset, NULL, NULL, NULL, NULL);
    if (iconv(scene->codeset, &in, &left, &to, &room) == (size_t)-1)
        return false;
    *made = (size_t)(to - out);
    return true;
}

struct str scene_text(struct scene *scene, const char *bytes, size_t len)
{
    char converted[SCENE_TEXT];
    size_t made;
    if (len > SCENE_TEXT)
        len = SCENE_TEXT;
    if (len && convert(scene, bytes, len, converted, sizeof(converted), &made))
        return scene_utf8(scene, converted, made);
    return scene_utf8(scene, bytes, len);
}

struct str scene_utf8(struct scene *scene, const char *bytes, size_t len)
{
    char clean[SCENE_TEXT];
    if (len > SCENE_TEXT)
        len = SCENE_TEXT;
    len = len ? str_clean(clean, sizeof(clean), (struct str){bytes, (uint32_t)len}) : 0;
    if (len == 0)
        return (struct str){"", 0};
    struct str kept = arena_str(scene->arena, (struct str){clean, (uint32_t)len});
    if (kept.ptr)
        return kept;
    scene->starved = scene->starved || arena_starved(scene->arena);
    return (struct str){"", 0};
}

/* ---- lists ---- */

static struct scene_pair *pair_new(struct scene *scene, struct scene_pairs *pairs)
{
    if (pairs->count == SCENE_NAMES) {
        pairs->left_out++;
        return NULL;
    }
    if (pairs->count == pairs->size) {
        uint32_t size = pairs->size ? pairs->size * 2 : 8;
        struct scene_pair *items = realloc(pairs->items, size * sizeof(*items));
        if (!items) {
            scene->starved = true;
            return NULL;
        }
        pairs->items = items;
        pairs->size = size;
    }
    return &pairs->items[pairs->count];
}

static void pair_put(struct scene *scene, struct scene_pairs *pairs, struct str name, struct str value)
{
    for (uint32_t i = 0; i < pairs->count; i++)
        if (str_eq(pairs->items[i].name, name))
            return;
    struct scene_pair *pair = name.len ? pair_new(scene, pairs) : NULL;
    if (!pair)
        return;
    *pair = (struct scene_pair){name, value};
    pairs->count++;
}

void scene_pair_add(struct scene *scene, struct scene_pairs *pairs, const char *name, size_t name_len, const char *value,
                    size_t value_len)
{
    if (pairs->count == SCENE_NAMES)
        pairs->left_out++;
    else
        pair_put(scene, pairs, scene_text(scene, name, name_len), scene_text(scene, value, value_len));
}

void scene_name_add(struct scene *scene, struct scene_pairs *pairs, struct str name)
{
    pair_put(scene, pairs, name, (struct str){"", 0});
}

void scene_sampling(struct scene *scene, const char *name, double value)
{
    char text[32];
    if (!isfinite(value))
        return;
    snprintf(text, sizeof(text), "%.10g", value);
    scene_pair_add(scene, &scene->sampling, name, strlen(name), text, strlen(text));
}

void scene_sampling_assume(struct scene *scene, const char *name, double value)
{
    char field[64];
    uint32_t before = scene->sampling.count;
    scene_sampling(scene, name, value);
    snprintf(field, sizeof(field), "sampling.%s", name);
    if (scene->sampling.count > before)
        scene_assume(scene, field);
}

void scene_assume(struct scene *scene, const char *field)
{
    scene_pair_add(scene, &scene->assumed, field, strlen(field), "", 0);
}

void scene_note(struct scene *scene, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    scene_pair_add(scene, &scene->notes, text, strlen(text), "", 0);
}

void scene_number_set(struct scene_number *number, double value)
{
    if (isfinite(value))
        *number = (struct scene_number){.value = value, .has = true};
}

void scene_number_assume(struct scene_number *number, double value)
{
    if (!number->has)
        *number = (struct scene_number){.value = value, .has = true, .assumed = true};
}

/* ---- assets ---- */

static uint64_t asset_hash(enum asset_kind kind, struct str path)
{
    return XXH3_64bits_withSeed(path.ptr, path.len, (XXH64_hash_t)kind);
}

/* The place of an asset in the index, or the free one where it belongs. */
static uint32_t *index_place(struct scene *scene, enum asset_kind kind, struct str path)
{
    uint32_t mask = scene->index_size - 1, at = (uint32_t)asset_hash(kind, path) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t number = scene->index[at];
        const struct scene_asset *asset = number ? &scene->assets[number - 1] : NULL;
        if (!asset || (asset->kind == kind && str_eq(asset->path, path)))
            return &scene->index[at];
    }
}

static bool index_grow(struct scene *scene)
{
    uint32_t size = scene->index_size ? scene->index_size * 2 : 64;
    if (scene->count * 2 < scene->index_size)
        return true;
    uint32_t *made = calloc(size, sizeof(*made)), *old = scene->index;
    if (!made)
        return false;
    scene->index = made;
    scene->index_size = size;
    for (uint32_t i = 0; i < scene->count; i++)
        *index_place(scene, scene->assets[i].kind, scene->assets[i].path) = i + 1;
    free(old);
    return true;
}

static bool assets_grow(struct scene *scene)
{
    uint32_t room = scene->room ? scene->room * 2 : 32;
    if (scene->count < scene->room)
        return true;
    struct scene_asset *assets = realloc(scene->assets, room * sizeof(*assets));
    if (!assets)
        return false;
    scene->assets = assets;
    scene->room = room;
    return true;
}

void scene_asset_add(struct scene *scene, enum asset_kind kind, struct str path, struct str node, bool packed)
{
    if (path.len == 0)
        return;
    if (!index_grow(scene) || !assets_grow(scene)) {
        scene->starved = true;
        return;
    }
    uint32_t *place = index_place(scene, kind, path);
    if (*place) {
        struct scene_asset *there = &scene->assets[*place - 1];
        there->packed = there->packed && packed;
        return;
    }
    if (scene->count == SCENE_ASSETS) {
        scene->left_out++;
        return;
    }
    scene->assets[scene->count++] = (struct scene_asset){.path = path, .node = node, .kind = kind, .packed = packed};
    *place = scene->count;
}

/* ---- words ---- */

const char *scene_format_name(enum scene_format format)
{
    static const char *const names[] = {"unknown", "blender", "maya_ascii", "maya_binary", "unreal_project", "unreal_package"};
    return names[format];
}

const char *asset_kind_name(enum asset_kind kind)
{
    static const char *const names[ASSET_KINDS] = {"texture", "library", "reference", "cache", "font",   "sound",
                                                   "movie",   "volume",  "proxy",     "light", "script", "color"};
    return names[kind];
}
