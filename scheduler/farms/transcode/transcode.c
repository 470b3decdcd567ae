/* The transcode farm as the core sees it, and its life. */
#include "scheduler/farms/transcode/transcode.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/log.h"
#include "proto/settings.h"
#include "scheduler/farms/transcode/cut.h"
#include "scheduler/farms/transcode/health.h"
#include "scheduler/farms/transcode/library.h"
#include "scheduler/farms/transcode/made.h"
#include "scheduler/farms/transcode/pace.h"
#include "scheduler/farms/transcode/saved.h"
#include "scheduler/farms/transcode/task.h"
#include "scheduler/farms/transcode/video.h"
#include "scheduler/farms/transcode/worker.h"

int fault_worker(struct fault *fault)
{
    return fault_set(fault, ERR_NOT_FOUND, "worker_id", "worker_missing", (struct str){0}, NULL, "there is no such worker");
}

int fault_task(struct fault *fault, uint64_t id)
{
    return fault_set(fault, ERR_NOT_FOUND, "task_id", "task_missing", (struct str){0}, NULL, "there is no task %llu",
                     (unsigned long long)id);
}

int fault_owner(struct fault *fault, struct str worker)
{
    return fault_set(fault, ERR_FORBIDDEN, "worker_name", "worker_owner", worker, NULL,
                     "worker %.*s was registered with another credential", (int)worker.len, worker.ptr ? worker.ptr : "");
}

int fault_away(struct fault *fault)
{
    return fault_set(fault, ERR_UNAVAILABLE, NULL, NULL, (struct str){0}, NULL, "the store is away: ask again");
}

/* ---- rebuilding ---- */

static int load(void *self, struct core *core, enum record_type type, struct str value, struct err *err)
{
    struct transcode *farm = self;
    struct rec_video video;
    struct rec_transcode_worker worker;
    struct rec_transcode_task task;
    struct rec_transcode_cut cut;
    struct rec_transcode_pace pace;
    struct rec_transcode_log log;
    switch (type) {
    case TYPE_VIDEO:
        return rec_decode_video(core->arena, value, &video, err) ? -1 : video_load(farm, &video, err);
    case TYPE_TRANSCODE_WORKER:
        return rec_decode_transcode_worker(core->arena, value, &worker, err) ? -1 : api_load(farm, core, &worker, err);
    case TYPE_TRANSCODE_TASK:
        return rec_decode_transcode_task(core->arena, value, &task, err) ? -1 : transcode_task_load(farm, &task, err);
    case TYPE_HEALTH_SWEEP:
        return rec_decode_health_sweep(core->arena, value, &farm->sweep, err);
    case TYPE_TRANSCODE_CUT:
        return rec_decode_transcode_cut(core->arena, value, &cut, err) ? -1 : cut_load(farm, &cut, err);
    case TYPE_TRANSCODE_PACE:
        return rec_decode_transcode_pace(core->arena, value, &pace, err) ? -1 : pace_load(farm, &pace, err);
    case TYPE_TRANSCODE_TOTAL:
        return rec_decode_transcode_total(core->arena, value, &farm->total, err);
    default:
        if (rec_decode_transcode_log(core->arena, value, &log, err))
            return -1;
        farm->oldest_log = log.id;
        return 0;
    }
}

static int loaded(void *self, struct core *core, struct err *err)
{
    struct transcode *farm = self;
    tasks_loaded(farm, core);
    cuts_loaded(farm, core);
    library_loaded(farm, core);
    return health_loaded(farm, core, err);
}

/* ---- time ---- */

static uint64_t tick(void *self, struct core *core)
{
    struct transcode *farm = self;
    if (!journal_writable(core->journal))
        return UINT64_MAX; /* nothing can end now; terms begin anew behind an outage */
    uint64_t wait = tasks_expire(farm, core), its = api_expire(farm, core);
    wait = its < wait ? its : wait;
    its = library_tick(farm, core);
    wait = its < wait ? its : wait;
    its = health_tick(farm, core);
    wait = its < wait ? its : wait;
    its = cuts_tick(farm, core);
    return its < wait ? its : wait;
}

static void renew(void *self, struct core *core)
{
    api_renew(self, core);
    cuts_renew(self);
    tasks_renew(self, core);
}

static void configure(void *self, const struct settings *settings)
{
    struct transcode *farm = self;
    const struct transcode_config before = farm->config;
    farm->config = (struct transcode_config){
        .scan_ms = (uint64_t)settings_count_of(settings, SET_LIBRARY_SCAN_MINUTES) * 60000,
        .videos_max = (uint64_t)settings_count_of(settings, SET_LIBRARY_VIDEOS_MAX),
        .offline_ms = (uint64_t)settings_count_of(settings, SET_TRANSCODE_OFFLINE_SECONDS) * 1000,
        .offline_old_ms = (uint64_t)settings_count_of(settings, SET_TRANSCODE_OFFLINE_OLD_SECONDS) * 1000,
        .report_ms = (uint64_t)settings_count_of(settings, SET_TRANSCODE_REPORT_SECONDS) * 1000,
        .first_report_ms = (uint64_t)settings_count_of(settings, SET_TRANSCODE_FIRST_REPORT_SECONDS) * 1000,
        .attempts = (uint64_t)settings_count_of(settings, SET_TRANSCODE_ATTEMPTS),
        .tasks_max = (uint64_t)settings_count_of(settings, SET_TRANSCODE_TASKS_MAX),
        .logs_max = (uint64_t)settings_count_of(settings, SET_TRANSCODE_LOGS_MAX),
        .segment_ms = (uint64_t)settings_count_of(settings, SET_TRANSCODE_SEGMENT_MINUTES) * 60,
    };
    if (!library_configure(farm, str_of(settings_text(settings, SET_LIBRARY))))
        log_error("GTY-LIBRARY-FOLDERS", "library names more than %d folders, or memory is short", TRANSCODE_ROOTS);
    if (before.attempts == farm->config.attempts)
        return;
    for (size_t i = 0; i < farm->order_count; i++)
        if (farm->order[i].video)
            video_place(farm, farm->order[i].video);
}

/* What waits in the queue is for any worker with a session (it may take over an output, and look through a folder), but for what is about a
 * video in segments: that is for those that share them, and its task's run only once all are there. */
static int64_t choose(void *self, const struct rec_worker *worker, const struct farm_run *run)
{
    const struct transcode *farm = self;
    const struct transcode_cut *cut;
    uint32_t segment;
    bool well = !worker->asks;
    if ((cut = cut_find(farm, run->run->id)))
        well = well && cut_whole(cut) && cut_takes(cut, worker->labels);
    else if ((cut = cut_of_clear(farm, run->run->id)))
        well = well && cut_reaches(cut, worker->labels);
    else if ((cut = cut_of_segment(farm, run->run->id, &segment)))
        well = well && cut_takes(cut, worker->labels);
    return well ? 1 : -1;
}

/* ---- life ---- */

static const struct farm_scan scans[] = {
    {TYPE_VIDEO, false},         {TYPE_TRANSCODE_WORKER, false}, {TYPE_TRANSCODE_TASK, false},
    {TYPE_TRANSCODE_CUT, false}, {TYPE_TRANSCODE_PACE, false},   {TYPE_TRANSCODE_TOTAL, false},
    {TYPE_TRANSCODE_LOG, true},  {TYPE_HEALTH_SWEEP, false},     {0, false}};

static const struct core_route routes[] = {
    {MSG_TRANSCODE_PULL, DOOR_COMMANDS, transcode_on_pull, "a worker of the transcode API wants a task"},
    {MSG_TRANSCODE_REPORT, DOOR_COMMANDS, transcode_on_report, "what it says of its task"},
    {MSG_TRANSCODE_PUBLISH, DOOR_COMMANDS, transcode_on_publish, "its result has come whole, and wants its name"},
    {MSG_TRANSCODE_BEAT, DOOR_COMMANDS, transcode_on_beat, "it lives"},
    {MSG_TRANSCODE_LOG, DOOR_COMMANDS, transcode_on_log, "a line for a task's log"},
    {MSG_TRANSCODE_REGISTER, DOOR_COMMANDS, transcode_on_register, "a worker of the transcode API has started"},
    {MSG_TRANSCODE_WORKERS, DOOR_COMMANDS, transcode_on_workers, "the farm's workers as they are now"},
    {MSG_TRANSCODE_WORKER_UPDATE, DOOR_COMMANDS, transcode_on_update, "changes what is said of a worker"},
    {MSG_TRANSCODE_WORKER_REMOVE, DOOR_COMMANDS, transcode_on_remove, "forgets a worker"},
    {MSG_TRANSCODE_DIRECT, DOOR_COMMANDS, transcode_on_direct, "tells a worker to go offline, or not to"},
    {MSG_VIDEO_SET, DOOR_COMMANDS, video_on_set, "queues or excludes a video"},
    {MSG_VIDEO_CHECK, DOOR_COMMANDS, video_on_check, "has all of a video decoded"},
    {MSG_HEALTH_SWEEP, DOOR_COMMANDS, health_on_sweep, "has all videos decoded, or not any more"},
    {MSG_HEALTH_ASK, DOOR_COMMANDS, health_on_ask, "how far that is"},
    {MSG_LIBRARY_SCAN, DOOR_COMMANDS, library_on_scan, "has the library looked through"},
    {MSG_LIBRARY_KNOWN, DOOR_WORKERS, library_on_known, "what is known of a folder"},
    {MSG_LIBRARY_FOUND, DOOR_WORKERS, library_on_found, "what was found in a folder"},
    {MSG_LIBRARY_HINT, DOOR_WORKERS, library_on_hint, "a folder has changed"},
    {MSG_TRANSCODE_ESTIMATE, DOOR_COMMANDS, transcode_on_estimate, "how long videos would take"},
    {MSG_TRANSCODE_CUT, DOOR_WORKERS, transcode_on_cut, "a video can be encoded in segments"},
    {0, DOOR_COMMANDS, NULL, NULL},
};

static void free_all(struct transcode *farm)
{
    for (size_t i = 0; i < farm->videos.size; i++)
        video_free(farm->videos.slots[i]);
    for (size_t i = 0; i < farm->tasks.size; i++)
        transcode_task_free(farm->tasks.slots[i]);
    for (size_t i = 0; i < farm->checks.size; i++)
        free(farm->checks.slots[i]);
    for (size_t i = 0; i < farm->workers.size; i++)
        api_free(farm->workers.slots[i]);
    for (size_t i = 0; i < farm->cuts.size; i++)
        cut_free(farm->cuts.slots[i]);
    for (size_t i = 0; i < TRANSCODE_ROOTS; i++)
        text_drop(farm->roots[i].path);
}

static void transcode_close(void *self)
{
    struct transcode *farm = self;
    struct heap *sets = &farm->sets[0][0][0];
    struct index *indexes[] = {&farm->videos,  &farm->video_keys,   &farm->tasks, &farm->cuts,
                               &farm->workers, &farm->worker_names, &farm->checks};
    free_all(farm);
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++)
        index_free(indexes[i]);
    for (size_t i = 0; i < sizeof farm->sets / sizeof *sets; i++)
        heap_free(&sets[i]);
    heap_free(&farm->dues);
    free(farm->order);
    free(farm->kept.ids);
    free(farm->paces);
    free(farm);
}

static const struct farm rows = {.name = "transcode",
                                 .choose = choose,
                                 .ended = transcode_ended,
                                 .ended_bytes = 131072, /* a task, its video, its segments, a line of the log */
                                 .ended_ops = 16,
                                 .configure = configure,
                                 .scans = scans,
                                 .load = load,
                                 .loaded = loaded,
                                 .routes = routes,
                                 .tick = tick,
                                 .renew = renew,
                                 .offers = transcode_offers,
                                 .pull = transcode_pull,
                                 .again = transcode_again,
                                 .live = transcode_live,
                                 .stats = transcode_stats,
                                 .logged = transcode_logged,
                                 .forgot = transcode_forgot,
                                 .close = transcode_close};

struct farm *transcode_farm(void)
{
    struct transcode *farm = calloc(1, sizeof *farm);
    const size_t node_id = offsetof(struct heap_node, id);
    uint64_t seed;
    if (!farm)
        return NULL;
    randombytes_buf(&seed, sizeof seed);
    farm->farm = rows;
    farm->farm.self = farm;
    farm->config = (struct transcode_config){.scan_ms = 3600000,
                                             .videos_max = 2000000,
                                             .offline_ms = 30000,
                                             .offline_old_ms = 20000,
                                             .report_ms = 60000,
                                             .first_report_ms = 600000,
                                             .attempts = 3,
                                             .tasks_max = 100000,
                                             .logs_max = 1000000,
                                             .segment_ms = 600000};
    index_init(&farm->videos, offsetof(struct video, node) + node_id, false, seed);
    index_init(&farm->video_keys, offsetof(struct video, key), true, seed);
    index_init(&farm->tasks, offsetof(struct transcode_task, id), false, seed);
    index_init(&farm->checks, 0, false, seed); /* run_id */
    index_init(&farm->cuts, offsetof(struct transcode_cut, id), false, seed);
    index_init(&farm->workers, offsetof(struct api_worker, id), false, seed);
    index_init(&farm->worker_names, offsetof(struct api_worker, name_key), true, seed);
    return &farm->farm;
}

struct transcode *transcode_of(const struct core *core)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (strcmp(core->farms[i]->name, rows.name) == 0)
            return core->farms[i]->self;
    return NULL;
}
