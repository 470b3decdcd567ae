/* Which workers fit a task: by what they say of themselves in labels, and by how they have fared with it. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/farms/asset/asset.h"
#include "scheduler/farms/render/render.h"
#include "scheduler/kind.h"
#include "scheduler/worker.h"

/* ---- what a host has ---- */

#define RAM_MAX 65536 /* GB: rec_render_task.starved_ram */
#define ANY_VERSION ((struct scene_version){0})

static uint64_t label_number(struct str labels, struct str name)
{
    struct str text;
    uint64_t number = 0;
    if (!map_text(labels, name, &text))
        return 0;
    for (uint32_t i = 0; i < text.len && i < 9 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    return number;
}

bool render_serves(const struct worker *worker)
{
    return worker->bound && !worker->asks && text_list_has(worker->types, worker->type_count, STR_LIT(RENDER_TYPE)) &&
           (!worker->executor_count || text_list_has(worker->executors, worker->executor_count, STR_LIT(RENDER_TYPE)));
}

void render_offer(const struct worker *worker, struct render_offer *offer)
{
    struct str labels = text_str(worker->labels);
    uint64_t ram = label_number(labels, STR_LIT("render.ram_gb"));
    *offer = (struct render_offer){.ram = ram < RAM_MAX ? ram : RAM_MAX, .gpus = label_number(labels, STR_LIT("render.gpus"))};
    if (!map_text(labels, STR_LIT("render.engines"), &offer->engines))
        offer->engines = (struct str){0};
    if (!map_text(labels, STR_LIT("render.plugins"), &offer->plugins))
        offer->plugins = (struct str){0};
}

/* Whether 2024.2 is a 2024: the same numbers, as many as are asked for. */
static bool version_is(struct str has, struct str wanted)
{
    return has.len >= wanted.len && (!wanted.len || memcmp(has.ptr, wanted.ptr, wanted.len) == 0) &&
           (!wanted.len || has.len == wanted.len || has.ptr[wanted.len] == '.');
}

/* Whether what one program saved another one of this version opens, as far as both are known: a 4 may be a 4.2. */
static bool version_opens(struct str has, struct scene_version made)
{
    struct scene_version own = scene_version_read(has);
    bool whole = has.len && memchr(has.ptr, '.', has.len);
    return !own.major || own.major > made.major || (own.major == made.major && (!whole || own.minor >= made.minor));
}

/* Whether a list of "name version, name version" has this one, that opens what was made with another. */
static bool list_has(struct str list, struct str name, struct str version, struct scene_version made)
{
    struct str item;
    while (str_item(&list, &item)) {
        const char *blank = memchr(item.ptr, ' ', item.len);
        struct str its = {item.ptr, blank ? (uint32_t)(blank - item.ptr) : item.len};
        struct str number = {item.ptr + its.len, item.len - its.len};
        number = str_trim(number, " ");
        if (str_eq(its, name) && version_is(number, version) && version_opens(number, made))
            return true;
    }
    return false;
}

/* The first plugin that it lacks; false: it has all. */
static bool plugin_lacks(struct str wanted, struct str has, struct str *lacks)
{
    struct reader reader = {wanted.ptr, wanted.ptr + wanted.len};
    struct token map, name, version;
    if (!wanted.len || reader_next(&reader, &map) || map.kind != TOKEN_MAP)
        return false;
    for (uint32_t i = 0; i < map.u.count; i++) {
        if (reader_next(&reader, &name) || reader_next(&reader, &version) || name.kind != TOKEN_STR || version.kind != TOKEN_STR)
            return false; /* the gateway lets texts pass only */
        if (list_has(has, name.u.text, version.u.text, ANY_VERSION))
            continue;
        *lacks = name.u.text;
        return true;
    }
    return false;
}

/* ---- the first thing that speaks against a host ---- */

enum lack { LACK_NOTHING, LACK_AGE, LACK_PLUGIN, LACK_GPUS, LACK_RAM, LACK_VERSION, LACK_ENGINE, LACK_ALL };

static enum lack lack_of(const struct core *core, const struct render_task *task, const struct render_offer *offer)
{
    const struct rec_render_task *record = &task->record;
    struct str plugin;
    if (!list_has(offer->engines, record->render_engine, (struct str){0}, ANY_VERSION))
        return LACK_ENGINE;
    if (!list_has(offer->engines, record->render_engine, record->cg_version, ANY_VERSION))
        return LACK_VERSION;
    if (offer->ram < record->ram)
        return LACK_RAM;
    if (offer->gpus < record->gpu_count)
        return LACK_GPUS;
    if (plugin_lacks(record->plugins, offer->plugins, &plugin))
        return LACK_PLUGIN;
    return list_has(offer->engines, record->render_engine, record->cg_version, scene_made(core, record->scene_md5)) ? LACK_NOTHING
                                                                                                                    : LACK_AGE;
}

bool render_fits(const struct core *core, const struct render_task *task, const struct render_offer *offer)
{
    return lack_of(core, task, offer) == LACK_NOTHING;
}

bool render_more_ram(const struct core *core, const struct render_task *task, uint64_t ram)
{
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        struct render_offer offer;
        if (!render_serves(worker))
            continue;
        render_offer(worker, &offer);
        if (offer.ram > ram && render_fits(core, task, &offer))
            return true;
    }
    return false;
}

/* ---- hosts that fail ---- */

static struct render_host *host_find(const struct render_task *task, uint64_t worker_id)
{
    for (unsigned i = 0; task->hosts && i < RENDER_HOSTS; i++)
        if (task->hosts[i].worker_id == worker_id)
            return &task->hosts[i];
    return NULL;
}

static bool host_rests(const struct render_task *task, const struct core *core, uint64_t worker_id)
{
    const struct render_host *host = host_find(task, worker_id);
    return host && host->until > core->mono_ms;
}

void render_host_well(struct render_task *task, uint64_t worker_id)
{
    struct render_host *host = host_find(task, worker_id);
    if (host)
        *host = (struct render_host){0};
}

void render_host_failed(const struct render *farm, const struct core *core, struct render_task *task, uint64_t worker_id)
{
    if (!task->hosts)
        task->hosts = calloc(RENDER_HOSTS, sizeof *task->hosts);
    struct render_host *host = host_find(task, worker_id);
    if (!host && task->hosts)
        host = host_find(task, 0);
    if (!host)
        return; /* no memory, or too many fail: it is the task's doing */
    host->worker_id = worker_id;
    if (++host->failed < RENDER_RESTS)
        return;
    host->until = core->mono_ms + farm->config.rest_ms;
    log_warn("GTY-RENDER-REST", "task=%llu worker=%llu failed %u frames in a row: others go on with it",
             (unsigned long long)task->id, (unsigned long long)worker_id, host->failed);
}

bool render_rests(const struct render_task *task, const struct core *core, const struct worker *worker)
{
    if (!host_rests(task, core, worker->id))
        return false;
    for (const struct worker *other = core->first_worker; other; other = other->next) {
        struct render_offer offer;
        if (other == worker || !render_serves(other) || host_rests(task, core, other->id))
            continue;
        render_offer(other, &offer);
        if (render_fits(core, task, &offer))
            return true;
    }
    return false; /* nobody else is there to do it */
}

uint32_t render_resting(const struct render_task *task, const struct core *core, struct rec_render_rest out[RENDER_HOSTS])
{
    uint32_t count = 0;
    for (unsigned i = 0; task->hosts && i < RENDER_HOSTS; i++) {
        const struct render_host *host = &task->hosts[i];
        const struct worker *worker = host->until > core->mono_ms ? worker_find(core, host->worker_id) : NULL;
        if (worker && render_rests(task, core, worker))
            out[count++] = (struct rec_render_rest){.worker = str_cut(worker->name->str, 255),
                                                    .until = core->wall_ms + (host->until - core->mono_ms),
                                                    .failed = host->failed};
    }
    return count;
}

/* ---- why nothing is given out ---- */

static void reason_write(const struct core *core, const struct render_task *task, enum lack least, char *out, size_t size)
{
    const struct rec_render_task *record = &task->record;
    struct scene_version made = scene_made(core, record->scene_md5);
    int engine = (int)record->render_engine.len;
    switch (least) {
    case LACK_ALL:
        snprintf(out, size, "no worker that renders is connected");
        break;
    case LACK_ENGINE:
        snprintf(out, size, "no worker has the engine %.*s", engine, record->render_engine.ptr);
        break;
    case LACK_VERSION:
        snprintf(out, size, "no worker has %.*s %.*s", engine, record->render_engine.ptr, (int)record->cg_version.len,
                 record->cg_version.ptr);
        break;
    case LACK_RAM:
        snprintf(out, size, "no worker with the engine has %llu GB of memory", (unsigned long long)record->ram);
        break;
    case LACK_GPUS:
        snprintf(out, size, "no worker with the engine and the memory has %llu GPUs", (unsigned long long)record->gpu_count);
        break;
    case LACK_PLUGIN:
        snprintf(out, size, "no worker that fits otherwise has all of the plugins");
        break;
    case LACK_AGE:
        snprintf(out, size, "no worker that fits otherwise has %.*s %u.%u, which saved the scene, or a newer one", engine,
                 record->render_engine.ptr, made.major, made.minor);
        break;
    case LACK_NOTHING:
        if (task->counts[FRAME_STARVED] && !task->counts[FRAME_PENDING])
            snprintf(out, size, "frames ran out of memory with %llu GB, and wait for a worker that has more",
                     (unsigned long long)record->starved_ram);
        break;
    }
}

void render_reason(const struct render *farm, const struct core *core, const struct render_task *task, char *out, size_t size)
{
    struct rec_render_rest resting[RENDER_HOSTS];
    enum lack least = LACK_ALL;
    (void)farm;
    out[0] = '\0';
    if (!render_gives(task) || task->busy)
        return;
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        struct render_offer offer;
        if (!render_serves(worker))
            continue;
        render_offer(worker, &offer);
        enum lack lack = lack_of(core, task, &offer);
        least = lack < least ? lack : least;
    }
    reason_write(core, task, least, out, size);
    if (least != LACK_NOTHING || out[0])
        return;
    uint32_t count = render_resting(task, core, resting);
    if (count)
        snprintf(out, size, "all workers that fit are busy, or rest as they failed %llu frames in a row, as %.*s",
                 (unsigned long long)resting->failed, (int)resting->worker.len, resting->worker.ptr);
    else
        snprintf(out, size, "all workers that fit are busy");
}
