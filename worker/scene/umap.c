#include <endian.h>
#include <stdio.h>

#include "proto/messages.h"
#include "worker/scene/unreal.h"

#define TAG 0x9E2A83C1u
#define CUSTOM_MAX 10000
#define UE4_NAME_HASHES 504
#define UE5_SAVED_HASH 1016

struct package {
    struct source *source;
    int32_t legacy, ue4, ue5;
    int32_t names, names_at;
};

static int number(struct package *package, int32_t *value, struct err *err)
{
    uint32_t bits;
    if (source_take(package->source, &bits, 4, err) < 0)
        return -1;
    *value = (int32_t)le32toh(bits);
    return 0;
}

static int damaged(struct err *err)
{
    return err_set(err, ERR_INVALID, "it is damaged: its header makes no sense");
}

/* A text of Unreal's: its length with its NUL, below zero if in UTF-16. text (UMAP_NAME bytes) gets what is in ASCII of it. */
static int text_read(struct package *package, char *text, uint32_t *len, struct err *err)
{
    int32_t said;
    if (number(package, &said, err) < 0)
        return -1;
    bool wide = said < 0;
    uint32_t count = wide ? 0u - (uint32_t)said : (uint32_t)said;
    if (count > UMAP_NAME / 2)
        return damaged(err);
    if (source_take(package->source, text, count * (wide ? 2 : 1), err) < 0)
        return -1;
    for (uint32_t i = 0; wide && i < count; i++)
        text[i] = text[2 * i + 1] == '\0' && (unsigned char)text[2 * i] < 0x80 ? text[2 * i] : '?';
    *len = count ? count - 1 : 0;
    return 0;
}

static int versions_read(struct package *package, struct err *err)
{
    int32_t value;
    if (number(package, &value, err) < 0)
        return -1;
    if ((uint32_t)value != TAG)
        return err_set(err, ERR_INVALID, "it is no package of Unreal's");
    if (number(package, &package->legacy, err) < 0)
        return -1;
    if (package->legacy > -4 || package->legacy < -9)
        return err_set(err, ERR_INVALID, "its package format (%d) is not known", package->legacy);
    if ((package->legacy != -4 && number(package, &value, err) < 0) || number(package, &package->ue4, err) < 0)
        return -1;
    if (package->legacy <= -8 && number(package, &package->ue5, err) < 0)
        return -1;
    return number(package, &value, err); /* the licensee's */
}

/* What parts of the engine say of their own versions. */
static int custom_skip(struct package *package, struct err *err)
{
    int32_t count;
    char text[UMAP_NAME];
    uint32_t len;
    if (number(package, &count, err) < 0)
        return -1;
    if (count < 0 || count > CUSTOM_MAX)
        return damaged(err);
    for (int32_t i = 0; i < count; i++)
        if (source_skip(package->source, 20, err) < 0 || (package->legacy > -6 && text_read(package, text, &len, err) < 0))
            return -1;
    return 0;
}

static int head_read(struct package *package, struct err *err)
{
    char text[UMAP_NAME];
    uint32_t len;
    bool early = package->ue5 >= UE5_SAVED_HASH; /* a hash and the header's size stand before the custom versions */
    if ((early && source_skip(package->source, 24, err) < 0) || custom_skip(package, err) < 0 ||
        (!early && source_skip(package->source, 4, err) < 0) || text_read(package, text, &len, err) < 0 ||
        source_skip(package->source, 4, err) < 0 || number(package, &package->names, err) < 0 ||
        number(package, &package->names_at, err) < 0)
        return -1;
    if (package->names < 0 || package->names > UMAP_NAMES || package->names_at < 0 ||
        (uint64_t)package->names_at < source_at(package->source))
        return damaged(err);
    return 0;
}

/* "/Game/Maps/Level.Level:Thing" is the package /Game/Maps/Level. */
static void name_look(struct scene *scene, const char *text, uint32_t len)
{
    static const char *const engine[] = {"/Script/", "/Engine/", "/Memory/", "/Temp/"};
    if (len < 2 || text[0] != '/' || text[1] == '/' || text[1] == ' ')
        return;
    for (size_t i = 0; i < sizeof(engine) / sizeof(engine[0]); i++)
        if (len > strlen(engine[i]) && memcmp(text, engine[i], strlen(engine[i])) == 0)
            return;
    const char *dot = memchr(text, '.', len);
    len = dot ? (uint32_t)(dot - text) : len;
    if (memchr(text + 1, '/', len - 1))
        scene_asset_add(scene, ASSET_REFERENCE, scene_text(scene, text, len), (struct str){"", 0}, false);
}

static int names_read(struct package *package, struct scene *scene, struct err *err)
{
    char text[UMAP_NAME];
    uint32_t len;
    bool hashed = package->ue4 == 0 || package->ue4 >= UE4_NAME_HASHES;
    if (source_skip(package->source, (uint64_t)package->names_at - source_at(package->source), err) < 0)
        return -1;
    for (int32_t i = 0; i < package->names; i++) {
        if (text_read(package, text, &len, err) < 0 || (hashed && source_skip(package->source, 4, err) < 0))
            return -1;
        name_look(scene, text, len);
    }
    return 0;
}

int umap_read(struct source *source, struct scene *scene, struct err *err)
{
    struct package package = {.source = source};
    char text[64];
    scene->format = SCENE_UMAP;
    scene->compression = source_compression(source);
    scene->renderer = str_of("unreal");
    if (versions_read(&package, err) < 0)
        return -1;
    int len =
        package.ue5 ? snprintf(text, sizeof(text), "5 (%d)", package.ue5) : snprintf(text, sizeof(text), "4 (%d)", package.ue4);
    scene->version = scene_text(scene, text, (size_t)len);
    if (head_read(&package, err) < 0 || names_read(&package, scene, err) < 0)
        return -1;
    scene_note(scene,
               "objects in the map were not read: packages it refers to are known by their names, how it is rendered is not");
    return 0;
}
