/* Files that the blob store has got, and the paths that stand for them. */
#include <sodium.h>
#include <stdlib.h>

#include "proto/place.h"
#include "scheduler/farms/asset/asset.h"

#define RECORD_BYTES 512    /* of the records of one, without their texts */
#define USE_EVERY_MS 60000  /* that it is used is noted so often at most … */
#define ASK_EVERY_MS 600000 /* … and of many that are asked for at once so often */

void md5_hex(const unsigned char md5[ASSET_MD5], char out[ASSET_HEX])
{
    sodium_bin2hex(out, ASSET_HEX, md5, ASSET_MD5);
}

bool md5_read(struct str hex, unsigned char out[ASSET_MD5])
{
    size_t len = 0;
    return hex.len == 2 * ASSET_MD5 && sodium_hex2bin(out, ASSET_MD5, hex.ptr, hex.len, NULL, &len, NULL) == 0 &&
           len == ASSET_MD5;
}

struct asset *asset_find(const struct assets *assets, struct str md5)
{
    return md5.len == ASSET_MD5 ? index_text(&assets->files, md5) : NULL;
}

/* ---- made and loaded ---- */

/* One in no table, with room for it in them. NULL when out of memory. */
static struct asset *asset_make(struct assets *assets, struct str md5, uint64_t size)
{
    bool room = index_reserve(&assets->ids, 1) == 0 && index_reserve(&assets->files, 1) == 0;
    struct asset *asset = room ? calloc(1, sizeof *asset) : NULL;

    if (!asset)
        return NULL;
    memcpy(asset->md5, md5.ptr, ASSET_MD5);
    asset->key = (struct str){(const char *)asset->md5, ASSET_MD5};
    asset->size = size;
    return asset;
}

static void asset_join(struct assets *assets, struct asset *asset, uint64_t id)
{
    asset->id = id;
    index_add(&assets->ids, asset);
    index_add(&assets->files, asset);
}

static void name_free(struct asset_name *name)
{
    if (name) {
        group_drop(name);
        text_drop(name->unionid);
    }
    free(name);
}

static struct asset_name *name_make(struct assets *assets, struct str path, struct str unionid)
{
    char room[PLACE_MAX], key[ASSET_KEY];
    struct str place = asset_place(path, room), whole = asset_key(place, unionid, key);
    struct asset_name *name = index_reserve(&assets->names, 1) == 0 ? calloc(1, sizeof *name + whole.len) : NULL;

    if (!name || text_set(&name->unionid, unionid) != 0) {
        free(name);
        return NULL;
    }
    memcpy(name->bytes, whole.ptr, whole.len);
    name->key = (struct str){name->bytes, whole.len};
    name->path = (struct str){name->bytes, place.len};
    if (group_want(assets, name) != 0) {
        name_free(name);
        return NULL;
    }
    return name;
}

static struct asset_name *name_find(const struct assets *assets, struct str path, struct str unionid)
{
    char room[PLACE_MAX], key[ASSET_KEY];

    return index_text(&assets->names, asset_key(asset_place(path, room), unionid, key));
}

/* Known by its path. */
static void name_join(struct assets *assets, struct asset_name *name, uint64_t id)
{
    name->id = id;
    index_add(&assets->names, name);
    group_join(assets, name);
}

/* Not any more, and gone: it is no file's. */
static void name_leave(struct assets *assets, struct asset_name *name)
{
    index_remove(&assets->names, name);
    group_leave(assets, name);
    name_free(name);
}

/* Stands for this file from now on. */
static void name_attach(struct asset_name *name, struct asset *asset)
{
    name->asset = asset;
    name->prev = NULL;
    name->next = asset->names;
    if (name->next)
        name->next->prev = name;
    asset->names = name;
    asset->name_count++;
}

static void name_detach(struct asset_name *name)
{
    *(name->prev ? &name->prev->next : &name->asset->names) = name->next;
    if (name->next)
        name->next->prev = name->prev;
    name->asset->name_count--;
}

int asset_load(struct assets *assets, const struct rec_asset *record, struct err *err)
{
    struct asset *asset = asset_make(assets, record->md5, record->size);

    if (!asset)
        return err_set(err, ERR_NO_MEMORY, "no memory for the files of the blob store");
    asset->used_at = record->created_at;
    asset_join(assets, asset, record->id);
    return 0;
}

int asset_use_load(struct assets *assets, const struct rec_asset_use *record)
{
    struct asset *asset = index_id(&assets->ids, record->id);

    if (asset)
        asset->used_at = record->at;
    return 0;
}

int asset_name_load(struct assets *assets, const struct rec_asset_name *record, struct err *err)
{
    struct asset *asset = index_id(&assets->ids, record->asset_id);

    if (!asset)
        return 0;
    struct asset_name *older = name_find(assets, record->path, record->unionid); /* of before `C:/x` and `C/x` were one */
    if (older) {
        name_detach(older);
        name_leave(assets, older);
    }
    struct asset_name *name = name_make(assets, record->path, record->unionid);
    if (!name)
        return err_set(err, ERR_NO_MEMORY, "no memory for the paths of the blob store");
    name_attach(name, asset);
    name_join(assets, name, record->id);
    return 0;
}

/* ---- used, forgotten ---- */

static bool use_is_due(const struct core *core, const struct asset *asset, uint64_t every_ms)
{
    return core->wall_ms > asset->used_at + every_ms;
}

static void use_put(struct core *core, struct asset *asset)
{
    const struct rec_asset_use use = {.id = asset->id, .at = core->wall_ms};
    journal_put(core->journal, TYPE_ASSET_USE, asset->id, &use);
    asset->used_at = core->wall_ms;
}

void asset_use(struct core *core, struct asset *asset)
{
    if (use_is_due(core, asset, USE_EVERY_MS))
        use_put(core, asset);
}

void asset_name_forget(struct assets *assets, struct core *core, struct asset_name *name)
{
    journal_delete(core->journal, TYPE_ASSET_NAME, name->id);
    name_detach(name);
    name_leave(assets, name);
}

void asset_forget(struct assets *assets, struct core *core, struct asset *asset)
{
    while (asset->names)
        asset_name_forget(assets, core, asset->names);
    journal_delete(core->journal, TYPE_ASSET_USE, asset->id);
    journal_delete(core->journal, TYPE_ASSET, asset->id);
    index_remove(&assets->ids, asset);
    index_remove(&assets->files, asset);
    free(asset);
}

/* ---- one more ---- */

struct adding {
    const struct msg_asset_add *asked;
    struct asset *asset;     /* there before, or made and in no table yet */
    struct asset_name *name; /* likewise; NULL: no path is bound */
    bool created, bound;
};

static int full(struct fault *fault, const char *field)
{
    return fault_set(fault, ERR_LIMIT, field, "assets_full", (struct str){0}, NULL, "the blob store knows %d of them already",
                     ASSETS_MAX);
}

static int name_prepare(struct assets *assets, struct adding *adding, struct fault *fault)
{
    const struct msg_asset_add *asked = adding->asked;

    if (!asked->path.len)
        return 0;
    adding->name = name_find(assets, asked->path, asked->unionid);
    if (adding->name)
        return 0;
    if (assets->names.count >= ASSETS_MAX)
        return full(fault, "path");
    adding->name = name_make(assets, asked->path, asked->unionid);
    adding->bound = adding->name != NULL;
    return adding->name ? 0 : fault_memory(fault);
}

/* All that can fail; -1 with fault, and nothing has changed. */
static int add_prepare(struct assets *assets, struct core *core, struct adding *adding, struct fault *fault)
{
    const struct msg_asset_add *asked = adding->asked;

    adding->asset = asset_find(assets, asked->md5);
    if (!adding->asset && asked->xxh64.len != 8)
        return fault_set(fault, ERR_NOT_FOUND, "hash", "asset_missing", (struct str){0}, NULL, "there is no file of that hash");
    if (!adding->asset) {
        if (assets->ids.count >= ASSETS_MAX)
            return full(fault, "hash");
        adding->asset = asset_make(assets, asked->md5, asked->size);
        adding->created = adding->asset != NULL;
        if (!adding->asset)
            return fault_memory(fault);
    }
    if (name_prepare(assets, adding, fault) != 0)
        return -1;
    size_t texts = (size_t)asked->path.len + 2 * (size_t)asked->unionid.len + asked->file_type.len;
    return core_reserve(core, RECORD_BYTES + texts, 64, 6, fault);
}

static void add_undo(struct adding *adding)
{
    if (adding->bound)
        name_free(adding->name);
    if (adding->created)
        free(adding->asset);
}

static void asset_put(struct assets *assets, struct core *core, struct adding *adding)
{
    const struct msg_asset_add *asked = adding->asked;
    struct asset *asset = adding->asset;

    if (adding->created) {
        asset_join(assets, asset, core_new_id(core, TYPE_ASSET));
        const struct rec_asset record = {.id = asset->id,
                                         .md5 = asked->md5,
                                         .xxh64 = asked->xxh64,
                                         .size = asked->size,
                                         .file_type = asked->file_type,
                                         .unionid = asked->unionid,
                                         .created_at = core->wall_ms};
        journal_put(core->journal, TYPE_ASSET, asset->id, &record);
        asset->used_at = core->wall_ms;
    } else {
        asset_use(core, asset);
    }
}

static void name_put(struct assets *assets, struct core *core, struct adding *adding)
{
    struct asset_name *name = adding->name;

    if (!name)
        return;
    if (adding->bound) {
        name_join(assets, name, core_new_id(core, TYPE_ASSET_NAME));
    } else {
        name_detach(name);
    }
    name_attach(name, adding->asset);
    const struct rec_asset_name record = {
        .id = name->id, .path = name->path, .asset_id = name->asset->id, .unionid = text_str(name->unionid), .at = core->wall_ms};
    journal_put(core->journal, TYPE_ASSET_NAME, name->id, &record);
}

void asset_on_add(struct core *core, const struct core_call *call)
{
    struct assets *assets = assets_of(core);
    struct adding adding = {.asked = &call->msg->u.asset_add};
    struct fault fault;

    if (add_prepare(assets, core, &adding, &fault) != 0) {
        add_undo(&adding);
        core_refuse(core, call, &fault);
        return;
    }
    asset_put(assets, core, &adding);
    name_put(assets, core, &adding);
    struct msg_asset_added answer = {.asset_id = adding.asset->id, .created = adding.created, .size = adding.asset->size};
    core_answer(core, call, &shape_msg_asset_added, &answer);
}

/* ---- found ---- */

void asset_on_check(struct core *core, const struct core_call *call)
{
    const struct str md5s = call->msg->u.asset_check.md5s;
    const struct assets *assets = assets_of(core);
    uint32_t count = md5s.len / ASSET_MD5, due = 0;
    struct msg_asset_checked answer = {.ids = {arena_alloc(core->arena, (count + 1) * sizeof(uint64_t)), count}};
    struct fault fault;

    if (!answer.ids.items) {
        fault_memory(&fault);
        goto error;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct asset *asset = asset_find(assets, (struct str){md5s.ptr + (size_t)i * ASSET_MD5, ASSET_MD5});
        answer.ids.items[i] = asset ? asset->id : 0;
        due += asset && use_is_due(core, asset, ASK_EVERY_MS);
    }
    if (core_reserve(core, (size_t)due * ASSET_USE_BYTES, 64 + 9 * (size_t)count, 1 + due, &fault) != 0)
        goto error;
    for (uint32_t i = 0; due && i < count; i++) { /* who is told that it is here will not send it */
        struct asset *asset = index_id(&assets->ids, answer.ids.items[i]);
        if (asset && use_is_due(core, asset, ASK_EVERY_MS))
            use_put(core, asset);
    }
    core_answer(core, call, &shape_msg_asset_checked, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}
