/* What paths stand for: of the blob store, and of the files that a scene names. */
#include <stdio.h>

#include "proto/place.h"
#include "scheduler/farms/asset/asset.h"

#define ASSET_TILE "<UDIM>" /* 1001 to 1100 */

struct str asset_place(struct str path, char *room)
{
    char text[PLACE_MAX];

    if (path.len >= sizeof text || (path.len && memchr(path.ptr, '\0', path.len)))
        return path;
    if (path.len)
        memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    return place_below(text, room, PLACE_MAX) ? str_of(room) : path;
}

struct str asset_key(struct str place, struct str unionid, char *out)
{
    uint32_t len = place.len + 1;

    if ((size_t)len + unionid.len > ASSET_KEY)
        return (struct str){out, 0};
    if (place.len)
        memcpy(out, place.ptr, place.len);
    out[place.len] = '\0';
    if (unionid.len)
        memcpy(out + len, unionid.ptr, unionid.len);
    return (struct str){out, len + unionid.len};
}

static struct asset *found(const struct assets *assets, struct str place, struct str unionid)
{
    char key[ASSET_KEY];
    const struct asset_name *name = index_text(&assets->names, asset_key(place, unionid, key));

    return name ? name->asset : NULL;
}

struct asset *asset_hashed(const struct core *core, struct str hex)
{
    const struct assets *assets = assets_of(core);
    unsigned char md5[ASSET_MD5];

    return assets && md5_read(hex, md5) ? asset_find(assets, (struct str){(const char *)md5, ASSET_MD5}) : NULL;
}

struct asset *asset_named(const struct core *core, struct str path, struct str unionid)
{
    static const char prefix[] = "assets/";
    const struct assets *assets = assets_of(core);
    const uint32_t len = sizeof prefix - 1;
    unsigned char md5[ASSET_MD5];
    char room[PLACE_MAX];

    if (!assets)
        return NULL;
    if (path.len > len && memcmp(path.ptr, prefix, len) == 0 && md5_read((struct str){path.ptr + len, path.len - len}, md5))
        return asset_find(assets, (struct str){(const char *)md5, ASSET_MD5});
    struct str place = asset_place(path, room);
    struct asset *asset = unionid.len ? found(assets, place, unionid) : NULL;
    return asset ? asset : found(assets, place, (struct str){NULL, 0});
}

static struct asset *look_one(const struct assets *assets, const struct asset_look *look, struct str path)
{
    const struct str owners[] = {look->unionid, {NULL, 0}};
    char beside[PLACE_MAX], alone[PLACE_MAX];

    bool placed = place_beside(path, look->scene, look->blender, beside, sizeof beside);
    struct str as_it_is = place_relative(path, look->blender) ? asset_place(path, alone) : (struct str){NULL, 0};
    for (size_t i = look->unionid.len ? 0 : 1; i < 2; i++) {
        struct asset *asset = placed ? found(assets, str_of(beside), owners[i]) : NULL;
        if (!asset && as_it_is.len)
            asset = found(assets, as_it_is, owners[i]);
        if (asset)
            return asset;
    }
    return NULL;
}

/* The first of the tiles that such a path stands for. The very first is looked for in any case: nearly all begin with it. */
static struct asset *look_tiles(const struct assets *assets, struct asset_look *look, struct str path, uint32_t at)
{
    char tile[PLACE_MAX];
    struct asset *asset = NULL;

    for (unsigned number = 1001; !asset && number <= 1100 && (number == 1001 || look->tiles > 0); number++) {
        uint32_t behind = at + sizeof ASSET_TILE - 1;
        int len =
            snprintf(tile, sizeof tile, "%.*s%u%.*s", (int)at, path.ptr, number, (int)(path.len - behind), path.ptr + behind);
        if (len < (int)sizeof tile)
            asset = look_one(assets, look, str_of(tile));
        look->tiles -= number > 1001;
    }
    return asset;
}

struct asset *asset_look(const struct core *core, struct asset_look *look, struct str path)
{
    const struct assets *assets = assets_of(core);
    const char *tile = path.len ? memmem(path.ptr, path.len, ASSET_TILE, sizeof ASSET_TILE - 1) : NULL;

    if (!assets)
        return NULL;
    return tile ? look_tiles(assets, look, path, (uint32_t)(tile - path.ptr)) : look_one(assets, look, path);
}

/* ---- asked by the gateway ---- */

void asset_on_find(struct core *core, const struct core_call *call)
{
    const struct msg_asset_find *asked = &call->msg->u.asset_find;
    struct asset *asset = asset_named(core, asked->path, asked->unionid);
    struct msg_asset_found answer = {0};
    struct fault fault;

    if (asset)
        answer = (struct msg_asset_found){.asset_id = asset->id, .md5 = asset->key, .size = asset->size};
    if (core_reserve(core, ASSET_USE_BYTES, 128, 2, &fault) != 0) {
        core_refuse(core, call, &fault);
        return;
    }
    if (asset)
        asset_use(core, asset);
    core_answer(core, call, &shape_msg_asset_found, &answer);
}

void asset_on_look(struct core *core, const struct core_call *call)
{
    const struct msg_asset_look *asked = &call->msg->u.asset_look;
    struct asset_look look = {asked->unionid, asked->scene, asked->blender, ASSET_TILES};
    uint32_t count = asked->paths.count;
    uint64_t ids[ASSET_LOOKS], sizes[ASSET_LOOKS];
    char md5s[ASSET_LOOKS * ASSET_MD5] = {0};
    struct msg_asset_looked answer = {.ids = {ids, count}, .md5s = {md5s, count * ASSET_MD5}, .sizes = {sizes, count}};
    struct fault fault;

    for (uint32_t i = 0; i < count; i++) {
        const struct asset *asset = asset_look(core, &look, asked->paths.items[i]);
        ids[i] = asset ? asset->id : 0;
        sizes[i] = asset ? asset->size : 0;
        if (asset)
            memcpy(md5s + (size_t)i * ASSET_MD5, asset->md5, ASSET_MD5);
    }
    if (core_reserve(core, 0, 64 + (size_t)count * (18 + ASSET_MD5), 1, &fault) != 0) {
        core_refuse(core, call, &fault);
        return;
    }
    core_answer(core, call, &shape_msg_asset_looked, &answer);
}
