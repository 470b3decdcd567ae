/* The render farm as the core sees it, and its life. */
#include "scheduler/farms/render/render.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/settings.h"
#include "proto/stats.h"
#include "scheduler/farms/needs.h"

static int load(void *self, struct core *core, enum record_type type, struct str value, struct err *err)
{
    struct rec_render_task task;
    (void)type;
    return rec_decode_render_task(core->arena, value, &task, err) ? -1 : render_load(self, &task, err);
}

static void configure(void *self, const struct settings *settings)
{
    struct render *farm = self;
    farm->config = (struct render_config){
        .attempts = (uint64_t)settings_count_of(settings, SET_RENDER_ATTEMPTS),
        .tasks_max = (uint64_t)settings_count_of(settings, SET_RENDER_TASKS_MAX),
        .frame_ms = (uint64_t)settings_count_of(settings, SET_RENDER_FRAME_SECONDS) * 1000,
        .rest_ms = (uint64_t)settings_count_of(settings, SET_RENDER_REST_SECONDS) * 1000,
    };
}

static void stats(const void *self, struct stats *stats)
{
    const struct render *farm = self;
    stats_count(stats, "render_frames_completed", farm->frames_done);
    stats_count(stats, "render_frames_failed", farm->frames_failed);
}

/* Files of the tasks that are kept, those that have ended too, as their frames can be rendered again; until somebody cleans up. Which paths a
 * scene names is not known here, so all of its unionid's are held. */
static void needs(const void *self, struct needs *needs)
{
    const struct render *farm = self;
    for (size_t i = 0; i < farm->tasks.size; i++) {
        const struct render_task *task = farm->tasks.slots[i];
        if (!task || task->record.cleaned_at)
            continue;
        needs_file(needs, task->record.scene_md5);
        needs_paths(needs, task->record.unionid);
    }
}

static void render_close(void *self)
{
    struct render *farm = self;
    for (size_t i = 0; i < farm->tasks.size; i++)
        render_free(farm->tasks.slots[i]);
    index_free(&farm->tasks);
    heap_free(&farm->dues);
    free(farm->kept.ids);
    free(farm);
}

static const struct farm_scan scans[] = {{TYPE_RENDER_TASK, false}, {0, false}};

static const struct core_route routes[] = {
    {MSG_RENDER_CREATE, DOOR_COMMANDS, render_on_create, "a scene is to be rendered"},
    {MSG_RENDER_ACT, DOOR_COMMANDS, render_on_act, "pauses, resumes, cancels, cleans up, or retries frames of a task"},
    {MSG_RENDER_LIVE, DOOR_COMMANDS, render_on_live, "how far tasks are this second, and what they wait for"},
    {MSG_RENDER_FITS, DOOR_COMMANDS, render_on_fits, "whether workers have so much"},
    {MSG_RENDER_LOOK, DOOR_WORKERS, render_on_look, "which of a scene's files are there for a frame"},
    {0, DOOR_COMMANDS, NULL, NULL},
};

static const struct farm rows = {.name = RENDER_TYPE,
                                 .choose = render_choose,
                                 .ended = render_ended,
                                 .ended_bytes = 128u << 10,
                                 .ended_ops = 4,
                                 .configure = configure,
                                 .scans = scans,
                                 .load = load,
                                 .loaded = render_loaded,
                                 .routes = routes,
                                 .tick = render_tick,
                                 .offers = render_offers,
                                 .pull = render_pull,
                                 .again = render_again,
                                 .stats = stats,
                                 .needs = needs,
                                 .close = render_close};

struct farm *render_farm(void)
{
    struct render *farm = calloc(1, sizeof *farm);
    uint64_t seed;
    if (!farm)
        return NULL;
    randombytes_buf(&seed, sizeof seed);
    farm->farm = rows;
    farm->farm.self = farm;
    farm->config = (struct render_config){.attempts = 2, .tasks_max = 10000, .frame_ms = 180000, .rest_ms = 600000};
    index_init(&farm->tasks, offsetof(struct render_task, id), false, seed);
    return &farm->farm;
}

struct render *render_of(const struct core *core)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (strcmp(core->farms[i]->name, rows.name) == 0)
            return core->farms[i]->self;
    return NULL;
}
