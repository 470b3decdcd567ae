/* Scenes: what was read of each, by the MD5 of its file, and the runs that read. A worker tells its run's result; what can be read goes into a
 * record, so that it need not be read again, and stays when the run is forgotten. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/farms/asset/asset.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/kind.h"
#include "scheduler/queue.h"
#include "scheduler/room.h"
#include "scheduler/run.h"

#define SCENE_TYPE "scene" /* of task, and executor */
#define SCENE_SECONDS 3600
#define NAME_BYTES 200
#define REPORT_MAX 65536u

/* ---- what was read ---- */

static struct scene *scene_find(const struct assets *assets, struct str md5)
{
    return index_text(&assets->scenes, md5);
}

/* One in no table, with room for it there. */
static struct scene *scene_make(struct assets *assets, const unsigned char *md5)
{
    struct scene *scene = index_reserve(&assets->scenes, 1) == 0 ? calloc(1, sizeof *scene) : NULL;

    if (!scene)
        return NULL;
    memcpy(scene->md5, md5, ASSET_MD5);
    scene->key = (struct str){(const char *)scene->md5, ASSET_MD5};
    return scene;
}

static void scene_join(struct assets *assets, struct scene *scene, uint64_t id)
{
    scene->id = id;
    index_add(&assets->scenes, scene);
    if (assets->newest)
        assets->newest->newer = scene;
    else
        assets->oldest = scene;
    assets->newest = scene;
}

int scene_load(struct assets *assets, const struct rec_scene *record, struct err *err)
{
    struct scene *scene = scene_make(assets, (const unsigned char *)record->md5.ptr);

    if (!scene)
        return err_set(err, ERR_NO_MEMORY, "no memory for the scenes that were read");
    scene_join(assets, scene, record->id);
    return 0;
}

/* Room has been reserved. */
static void scenes_trim(struct assets *assets, struct core *core)
{
    struct scene *scene = assets->oldest;

    if (assets->scenes.count <= SCENES_MAX || scene == assets->newest)
        return;
    assets->oldest = scene->newer;
    index_remove(&assets->scenes, scene);
    journal_delete(core->journal, TYPE_SCENE, scene->id);
    free(scene);
}

/* ---- runs that read ---- */

/* Told apart by the text of the hash that their parameters have. */
static int reading_add(struct assets *assets, struct scene_run *reading, uint64_t run_id, struct err *err)
{
    if (index_reserve(&assets->runs, 1) != 0 || index_reserve(&assets->reading, 1) != 0)
        return err_set(err, ERR_NO_MEMORY, "no memory for a scene that is being read");
    reading->run_id = run_id;
    index_add(&assets->runs, reading);
    if (!index_text(&assets->reading, reading->key))
        index_add(&assets->reading, reading);
    return 0;
}

static struct scene_run *reading_make(const unsigned char *md5)
{
    struct scene_run *reading = calloc(1, sizeof *reading);

    if (!reading)
        return NULL;
    memcpy(reading->md5, md5, ASSET_MD5);
    reading->key = (struct str){(const char *)reading->md5, ASSET_MD5};
    return reading;
}

int scenes_loaded(struct assets *assets, struct core *core, struct err *err)
{
    unsigned char md5[ASSET_MD5];
    struct str hex;

    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        if (!run || run->class->farm != &assets->farm || !map_text(text_str(run->parameters), STR_LIT("md5"), &hex) ||
            !md5_read(hex, md5))
            continue;
        struct scene_run *reading = reading_make(md5);
        if (!reading)
            return err_set(err, ERR_NO_MEMORY, "no memory for a scene that is being read");
        if (reading_add(assets, reading, run->node.id, err) != 0) {
            free(reading);
            return -1;
        }
    }
    return 0;
}

void scenes_free(struct assets *assets)
{
    for (struct scene *scene = assets->oldest, *newer; scene; scene = newer) {
        newer = scene->newer;
        free(scene);
    }
    for (size_t i = 0; i < assets->runs.size; i++)
        free(assets->runs.slots[i]);
}

/* ---- what came of it ---- */

/* The hash that the report names; false: it tells of an error, or is none. */
static bool report_read(const struct rec_run *run, unsigned char md5[ASSET_MD5])
{
    json_t *json = run->status == RUN_COMPLETED && run->result.len && run->result.len <= REPORT_MAX
                       ? json_loadb(run->result.ptr, run->result.len, 0, NULL)
                       : NULL;
    const json_t *hash = json_object_get(json, "scene_file_hash"), *error = json_object_get(json, "error");
    struct str hex = {json_string_value(hash), (uint32_t)json_string_length(hash)};
    bool well = (!error || json_is_null(error)) && hex.ptr && md5_read(hex, md5);

    json_decref(json);
    return well;
}

/* Of a scene that was read again the new report takes the old one's place. Without memory it is not kept, and will be read again. */
static void report_keep(struct assets *assets, struct core *core, const struct rec_run *run, const unsigned char *md5)
{
    struct scene *scene = scene_find(assets, (struct str){(const char *)md5, ASSET_MD5});

    if (!scene) {
        scene = scene_make(assets, md5);
        if (!scene) {
            log_warn("GTY-SCENE-UNKEPT", "run=%llu no memory to remember its scene", (unsigned long long)run->id);
            return;
        }
        scene_join(assets, scene, core_new_id(core, TYPE_SCENE));
    }
    const struct rec_scene record = {
        .id = scene->id, .md5 = scene->key, .run_id = run->id, .at = core->wall_ms, .report = run->result};
    journal_put(core->journal, TYPE_SCENE, scene->id, &record);
    scenes_trim(assets, core);
}

void scene_ended(struct assets *assets, struct core *core, const struct rec_run *run)
{
    struct scene_run *reading = index_id(&assets->runs, run->id);
    unsigned char md5[ASSET_MD5];

    if (!reading)
        return;
    if (report_read(run, md5))
        report_keep(assets, core, run, md5);
    index_remove(&assets->runs, reading);
    if (index_text(&assets->reading, reading->key) == reading)
        index_remove(&assets->reading, reading);
    free(reading);
}

/* ---- asked for ---- */

static struct run *run_make(struct assets *assets, struct core *core, const struct msg_scene_analyse *asked, struct err *err)
{
    struct rec_task_spec spec =
        parameters_spec(str_cut(asked->path, NAME_BYTES), STR_LIT(SCENE_TYPE), STR_LIT(SCENE_TYPE), SCENE_SECONDS);
    struct buf parameters = {0};
    msgpack_packer packer;
    char hex[ASSET_HEX];

    spec.priority = PRIORITY_HIGH;
    md5_hex((const unsigned char *)asked->md5.ptr, hex);
    parameters_begin(&packer, &parameters, 2);
    parameters_text(&packer, "path", asked->path);
    parameters_text(&packer, "md5", str_of(hex));
    struct run *run = parameters.failed ? NULL : farm_make(core, &assets->farm, &spec, buf_str(&parameters), err);
    buf_free(&parameters);
    return run;
}

static bool names(const struct str *items, uint32_t count, const char *word)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_is(items[i], word))
            return true;
    return false;
}

/* Some worker that is here says that it reads scenes. */
static bool can_be_read(const struct core *core)
{
    for (size_t i = 0; i < core->kinds.size; i++) {
        const struct kind *kind = core->kinds.slots[i];
        if (kind && !kind->asks && (kind->places[PLACE_BUSY] || kind->places[PLACE_RESTS] || kind->places[PLACE_ROOM]) &&
            names(kind->types, kind->type_count, SCENE_TYPE) && names(kind->executors, kind->executor_count, SCENE_TYPE))
            return true;
    }
    return false;
}

/* The run that reads it, made. 0 with fault. */
static uint64_t reading_begin(struct assets *assets, struct core *core, const struct msg_scene_analyse *asked,
                              struct fault *fault)
{
    struct err err = {.code = ERR_NO_MEMORY};

    if (!can_be_read(core)) {
        fault_set(fault, ERR_UNAVAILABLE, "scene_file", "scene_worker", (struct str){0}, NULL,
                  "no worker is here that reads scenes");
        return 0;
    }
    if (room_runs(core, 1, asked->path.len, fault) != 0)
        return 0;
    struct scene_run *reading = reading_make((const unsigned char *)asked->md5.ptr);
    struct run *run = reading ? run_make(assets, core, asked, &err) : NULL;
    if (!run || index_reserve(&assets->runs, 1) != 0 || index_reserve(&assets->reading, 1) != 0) {
        fault_memory(fault);
        goto error;
    }
    if (core_reserve(core, farm_run_bytes(run) + 64, 64, FARM_RUN_OPS + 2, fault) != 0)
        goto error;
    reading_add(assets, reading, farm_submit(core, run), &err);
    return reading->run_id;
error:
    if (run)
        run_free(core, run);
    free(reading);
    return 0;
}

void scene_want(struct core *core, const struct asset *asset, struct str blobs)
{
    struct assets *assets = assets_of(core);
    char hex[ASSET_HEX], path[4096];
    struct fault fault;

    md5_hex(asset->md5, hex);
    int len = snprintf(path, sizeof path, "%.*s/assets/%.2s/%s", (int)blobs.len, blobs.ptr, hex, hex);
    if (!assets || !blobs.len || len >= (int)sizeof path || scene_find(assets, asset->key) ||
        index_text(&assets->reading, asset->key))
        return;
    const struct msg_scene_analyse asked = {.path = {path, (uint32_t)len}, .md5 = asset->key};
    if (reading_begin(assets, core, &asked, &fault) == 0)
        log_info("GTY-SCENE-UNREAD", "md5=%s %s", hex, fault.text);
}

static struct msg_scene_state state_of(const struct assets *assets, struct str md5)
{
    const struct scene *scene = scene_find(assets, md5);
    const struct scene_run *reading = index_text(&assets->reading, md5);
    const struct scene_list *list = scene_list_find(assets, md5);

    return (struct msg_scene_state){.scene_id = scene ? scene->id : 0,
                                    .run_id = reading ? reading->run_id : 0,
                                    .list_id = list ? list->id : 0,
                                    .pages = list ? list->pages : 0,
                                    .left_out = list ? list->left_out : 0};
}

void scene_on_analyse(struct core *core, const struct core_call *call)
{
    const struct msg_scene_analyse *asked = &call->msg->u.scene_analyse;
    struct assets *assets = assets_of(core);
    struct msg_scene_state state = state_of(assets, asked->md5);
    struct fault fault;

    if (asked->anew)
        state.scene_id = 0;
    if (!state.scene_id && !state.run_id) {
        state.run_id = reading_begin(assets, core, asked, &fault);
        if (!state.run_id)
            goto error;
    } else if (core_reserve(core, 0, 64, 2, &fault) != 0) {
        goto error;
    }
    core_answer(core, call, &shape_msg_scene_state, &state);
    return;
error:
    core_refuse(core, call, &fault);
}

void scene_on_ask(struct core *core, const struct core_call *call)
{
    const struct msg_scene_state state = state_of(assets_of(core), call->msg->u.scene_ask.md5);
    struct fault fault;

    if (core_reserve(core, 0, 64, 1, &fault) != 0) {
        core_refuse(core, call, &fault);
        return;
    }
    core_answer(core, call, &shape_msg_scene_state, &state);
}
