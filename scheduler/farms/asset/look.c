/* What paths stand for: of the blob store, and of the files that a scene names. */
#include <stdio.h>

#include "proto/pattern.h"
#include "proto/place.h"
#include "scheduler/farms/asset/asset.h"

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

static const struct asset_name *name_at(const struct assets *assets, struct str place, struct str unionid)
{
    char key[ASSET_KEY];

    return index_text(&assets->names, asset_key(place, unionid, key));
}

static struct asset *found(const struct assets *assets, struct str place, struct str unionid)
{
    const struct asset_name *name = name_at(assets, place, unionid);

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

/* ---- files that a scene names ---- */

#define PAGE_BYTES 65536 /* of names */
#define SOURCES 4        /* where a path is looked for: one's own before nobody's, beside the scene before by just that path */

struct looking {
    struct str owners[2];
    char beside[PLACE_MAX], alone[PLACE_MAX]; /* empty: there is none */
};

static void looking_begin(struct looking *looking, const struct asset_look *look, struct str path)
{
    looking->owners[0] = look->unionid;
    looking->owners[1] = (struct str){NULL, 0};
    looking->beside[0] = looking->alone[0] = '\0';
    if (!place_beside(path, look->scene, look->blender, looking->beside, PLACE_MAX))
        looking->beside[0] = '\0';
    if (!place_relative(path, look->blender) || memchr(path.ptr, '\0', path.len))
        return;
    struct str alone = asset_place(path, looking->alone);
    if (alone.ptr != looking->alone && !str_copy(looking->alone, PLACE_MAX, alone))
        looking->alone[0] = '\0';
}

static const char *source_place(const struct looking *looking, unsigned source)
{
    bool owned = looking->owners[0].len || source >= SOURCES / 2; /* who has no unionid has nothing before what is nobody's */

    return !owned ? "" : source % 2 ? looking->alone : looking->beside;
}

static struct str source_owner(const struct looking *looking, unsigned source)
{
    return looking->owners[source / 2];
}

static struct asset *look_one(const struct assets *assets, const struct looking *looking)
{
    struct asset *asset = NULL;

    for (unsigned source = 0; !asset && source < SOURCES; source++) {
        const char *place = source_place(looking, source);
        if (*place)
            asset = found(assets, str_of(place), source_owner(looking, source));
    }
    return asset;
}

/* The first name of those that such a place may stand for. */
static const struct asset_name *names_of(const struct assets *assets, const struct looking *looking, unsigned source)
{
    const char *place = source_place(looking, source);
    const struct asset_group *group = *place ? group_find(assets, place, source_owner(looking, source)) : NULL;

    return group ? group->first : NULL;
}

static bool name_fits(const struct asset_name *name, const char *pattern)
{
    return pattern_fits(asset_last(pattern), asset_last(name->path.ptr));
}

/* The very first of a group is looked at in any case: nearly all begin with one that fits. */
static struct asset *look_pattern(const struct assets *assets, const struct looking *looking, struct asset_look *look)
{
    for (unsigned source = 0; source < SOURCES; source++) {
        const struct asset_name *first = names_of(assets, looking, source), *name = first;
        for (; name && (name == first || look->steps > 0); name = name->behind) {
            if (name_fits(name, source_place(looking, source)))
                return name->asset;
            look->steps -= name != first;
        }
        look->cut = name != NULL;
        if (look->cut)
            break;
    }
    return NULL;
}

struct asset *asset_look(const struct core *core, struct asset_look *look, struct str path)
{
    const struct assets *assets = assets_of(core);
    struct looking looking;

    if (!assets || !path.len)
        return NULL;
    looking_begin(&looking, look, path);
    bool pattern = pattern_is(asset_last(looking.beside)) || pattern_is(asset_last(looking.alone));
    struct asset *asset = look_one(assets, &looking); /* of a pattern, too: a file may be called like that */
    return asset || !pattern ? asset : look_pattern(assets, &looking, look);
}

/* ---- all that a pattern stands for ---- */

/* Where the page before has ended: the source, and the next name of it, which is the first again where the last one has gone meanwhile. */
static unsigned page_begin(const struct assets *assets, const struct looking *looking, struct str after,
                           const struct asset_name **next)
{
    unsigned source = after.len && after.ptr[0] >= '0' && after.ptr[0] < '0' + SOURCES ? (unsigned)(after.ptr[0] - '0') : 0;
    const char *place = source_place(looking, source);
    char last[ASSET_KEY];

    *next = names_of(assets, looking, source);
    int len = snprintf(last, sizeof last, "%.*s%.*s", (int)(asset_last(place) - place), place, after.len ? (int)after.len - 1 : 0,
                       after.len ? after.ptr + 1 : "");
    const struct asset_name *name =
        *next && len < (int)sizeof last ? name_at(assets, str_of(last), source_owner(looking, source)) : NULL;
    if (name && name->group == (*next)->group)
        *next = name->behind;
    return source;
}

static void page_add(struct asset_page *page, const struct asset_name *name)
{
    page->names[page->count] = str_of(asset_last(name->path.ptr));
    memcpy(page->md5s + (size_t)page->count++ * ASSET_MD5, name->asset->md5, ASSET_MD5);
}

void asset_list(const struct core *core, struct asset_look *look, struct str pattern, struct str after, struct asset_page *page)
{
    const struct assets *assets = assets_of(core);
    const struct asset_name *name, *last = NULL;
    struct looking looking;
    size_t bytes = 0;

    page->count = 0;
    page->after[0] = '\0';
    if (!assets || !pattern.len)
        return;
    looking_begin(&looking, look, pattern);
    for (unsigned source = page_begin(assets, &looking, after, &name);;) {
        for (; name; last = name, name = name->behind) {
            if (page->count == ASSET_LOOKS || look->steps == 0 || bytes > PAGE_BYTES) {
                snprintf(page->after, sizeof page->after, "%u%s", source, last ? asset_last(last->path.ptr) : "");
                return;
            }
            look->steps--;
            if (!name_fits(name, source_place(&looking, source)))
                continue;
            page_add(page, name);
            bytes += page->names[page->count - 1].len;
        }
        if (++source == SOURCES)
            return;
        name = names_of(assets, &looking, source);
        last = NULL;
    }
}

/* ---- asked by the gateway ---- */

/* As many as there are steps for, into lists of that many: the gateway asks for the rest again. */
static uint32_t looks(const struct core *core, const struct msg_asset_look *asked, uint64_t *ids, uint64_t *sizes, char *md5s)
{
    struct asset_look look = {asked->unionid, asked->scene, asked->blender, ASSET_LOOK_STEPS, false};

    for (uint32_t i = 0; i < asked->paths.count; i++) {
        const struct asset *asset = asset_look(core, &look, asked->paths.items[i]);
        if (look.cut)
            return i;
        ids[i] = asset ? asset->id : 0;
        sizes[i] = asset ? asset->size : 0;
        if (asset)
            memcpy(md5s + (size_t)i * ASSET_MD5, asset->md5, ASSET_MD5);
    }
    return asked->paths.count;
}

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
    uint64_t ids[ASSET_LOOKS], sizes[ASSET_LOOKS];
    char md5s[ASSET_LOOKS * ASSET_MD5] = {0};
    uint32_t count = looks(core, asked, ids, sizes, md5s);
    struct msg_asset_looked answer = {.ids = {ids, count}, .md5s = {md5s, count * ASSET_MD5}, .sizes = {sizes, count}};
    struct fault fault;

    if (count == 0 && asked->paths.count) {
        fault_set(&fault, ERR_LIMIT, "paths", "limit", asked->paths.items[0], NULL,
                  "more than %u files are named like this one but for their numbers", ASSET_LOOK_STEPS);
        core_refuse(core, call, &fault);
        return;
    }
    if (core_reserve(core, 0, 64 + (size_t)count * (18 + ASSET_MD5), 1, &fault) != 0) {
        core_refuse(core, call, &fault);
        return;
    }
    core_answer(core, call, &shape_msg_asset_looked, &answer);
}
