/* The farm of the blob store as the core sees it, and its life. */
#include "scheduler/farms/asset/asset.h"

#include <sodium.h>
#include <stdlib.h>

#include "scheduler/run.h"

struct farm *asset_farm(void);

static int load(void *self, struct core *core, enum record_type type, struct str value, struct err *err)
{
    struct assets *assets = self;
    struct rec_asset asset;
    struct rec_asset_use use;
    struct rec_asset_name name;
    struct rec_scene scene;
    struct rec_scene_needs list;

    switch (type) {
    case TYPE_ASSET:
        return rec_decode_asset(core->arena, value, &asset, err) ? -1 : asset_load(assets, &asset, err);
    case TYPE_ASSET_USE:
        return rec_decode_asset_use(core->arena, value, &use, err) ? -1 : asset_use_load(assets, &use);
    case TYPE_ASSET_NAME:
        return rec_decode_asset_name(core->arena, value, &name, err) ? -1 : asset_name_load(assets, &name, err);
    case TYPE_SCENE_NEEDS:
        return rec_decode_scene_needs(core->arena, value, &list, err) ? -1 : scene_list_load(assets, &list, err);
    default:
        return rec_decode_scene(core->arena, value, &scene, err) ? -1 : scene_load(assets, &scene, err);
    }
}

static int loaded(void *self, struct core *core, struct err *err)
{
    return scenes_loaded(self, core, err);
}

static void ended(void *self, struct core *core, const struct farm_run *run)
{
    scene_ended(self, core, run->run);
}

static void assets_close(void *self)
{
    struct assets *assets = self;
    struct index *indexes[] = {&assets->ids,    &assets->files, &assets->names,   &assets->groups,
                               &assets->scenes, &assets->runs,  &assets->reading, &assets->lists};

    for (size_t i = 0; i < assets->names.size; i++) {
        struct asset_name *name = assets->names.slots[i];
        if (name)
            text_drop(name->unionid);
        free(name);
    }
    for (size_t i = 0; i < assets->groups.size; i++)
        free(assets->groups.slots[i]);
    for (size_t i = 0; i < assets->ids.size; i++)
        free(assets->ids.slots[i]);
    scenes_free(assets);
    scene_lists_free(assets);
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++)
        index_free(indexes[i]);
    free(assets);
}

/* In the order in which one refers to the other. */
static const struct farm_scan scans[] = {{TYPE_ASSET, false}, {TYPE_ASSET_USE, false},   {TYPE_ASSET_NAME, false},
                                         {TYPE_SCENE, false}, {TYPE_SCENE_NEEDS, false}, {0, false}};

static const struct core_route routes[] = {
    {MSG_ASSET_ADD, DOOR_COMMANDS, asset_on_add, "a file lies in the blob store"},
    {MSG_ASSET_CHECK, DOOR_COMMANDS, asset_on_check, "which files are in it"},
    {MSG_ASSET_FIND, DOOR_COMMANDS, asset_on_find, "what a path stands for"},
    {MSG_ASSET_LOOK, DOOR_COMMANDS, asset_on_look, "which of a scene's files are in it"},
    {MSG_ASSET_SWEEP, DOOR_COMMANDS, asset_on_sweep, "files that nothing needs are forgotten"},
    {MSG_ASSET_HELD, DOOR_COMMANDS, asset_on_held, "which files are known"},
    {MSG_SCENE_ANALYSE, DOOR_COMMANDS, scene_on_analyse, "has a scene read"},
    {MSG_SCENE_ASK, DOOR_COMMANDS, scene_on_ask, "how far that is"},
    {MSG_SCENE_TELL, DOOR_WORKERS, scene_on_tell, "which files a scene needs"},
    {0, DOOR_COMMANDS, NULL, NULL},
};

static const struct farm rows = {.name = "asset",
                                 .ended = ended,
                                 .ended_bytes = 131072, /* a report */
                                 .ended_ops = 4,
                                 .scans = scans,
                                 .load = load,
                                 .loaded = loaded,
                                 .routes = routes,
                                 .close = assets_close};

struct farm *asset_farm(void)
{
    struct assets *assets = calloc(1, sizeof *assets);
    uint64_t seed;

    if (!assets)
        return NULL;
    randombytes_buf(&seed, sizeof seed);
    assets->farm = rows;
    assets->farm.self = assets;
    assets->seed = seed;
    index_init(&assets->ids, offsetof(struct asset, id), false, seed);
    index_init(&assets->files, offsetof(struct asset, key), true, seed);
    index_init(&assets->names, offsetof(struct asset_name, key), true, seed);
    index_init(&assets->groups, offsetof(struct asset_group, key), true, seed);
    index_init(&assets->scenes, offsetof(struct scene, key), true, seed);
    index_init(&assets->runs, offsetof(struct scene_run, run_id), false, seed);
    index_init(&assets->reading, offsetof(struct scene_run, key), true, seed);
    index_init(&assets->lists, offsetof(struct scene_list, key), true, seed);
    return &assets->farm;
}

struct assets *assets_of(const struct core *core)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (strcmp(core->farms[i]->name, rows.name) == 0)
            return core->farms[i]->self;
    return NULL;
}
