/* The transcode farm's memory is what its records say: each video, in the set that it belongs to; each open task, each worker of its API. */
#include "scheduler/farms/transcode/transcode.h"
#include "scheduler/lease.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"
#include "tests/sim/sim.h"

static uint64_t there(enum record_type type)
{
    uint64_t count = 0;
    for (uint64_t id = disk_first(type); id < disk_top(type); id++)
        count += disk_get(type, id) != NULL;
    return count;
}

static void check_workers(const struct transcode *farm, const char *whose)
{
    for (size_t i = 0; i < farm->workers.size; i++) {
        const struct api_worker *api = farm->workers.slots[i];
        if (!api)
            continue;
        struct rec_transcode_worker record = {.id = api->id,
                                              .name = api->name->str,
                                              .type = api->type,
                                              .support_vr = api->support_vr,
                                              .directive = api->directive,
                                              .old = api->old};
        check_same(TYPE_TRANSCODE_WORKER, api->id, &shape_rec_transcode_worker, &record, whose);
        if (api->listed != api->worker->present)
            broken(0, "%s: worker %lu of the API is %s, and is watched as if not", whose, (unsigned long)api->id,
                   api->listed ? "away" : "here");
    }
}

static void check_tasks(const struct core *core, const struct transcode *farm, const char *whose)
{
    for (const struct transcode_task *task = farm->first_task; task; task = task->next) {
        const struct run *run = index_id(&core->runs, task->id);
        check_same(TYPE_TRANSCODE_TASK, task->id, &shape_rec_transcode_task, &task->record, whose);
        if (!run)
            broken(task->id, "%s has its task, and no run", whose);
        if (run->lease && run->lease->worker->asks && !task->due.place)
            broken(task->id, "%s: nobody would see that its worker is silent", whose);
    }
}

void check_films(const struct core *core, const char *whose)
{
    const struct transcode *farm = transcode_of(core);
    for (size_t i = 0; i < farm->videos.size; i++) {
        const struct video *video = farm->videos.slots[i];
        if (video)
            check_same(TYPE_VIDEO, video->node.id, &shape_rec_video, &video->record, whose);
    }
    if (farm->videos.count != there(TYPE_VIDEO) || farm->workers.count != there(TYPE_TRANSCODE_WORKER))
        broken(0, "%s has %zu videos and %zu workers of the API, the disk has %lu and %lu", whose, farm->videos.count,
               farm->workers.count, (unsigned long)there(TYPE_VIDEO), (unsigned long)there(TYPE_TRANSCODE_WORKER));
    if (farm->tasks.count + farm->kept.count != there(TYPE_TRANSCODE_TASK))
        broken(0, "%s has %zu tasks under way and %zu that have ended, the disk has %lu", whose, farm->tasks.count,
               farm->kept.count, (unsigned long)there(TYPE_TRANSCODE_TASK));
    check_workers(farm, whose);
    check_tasks(core, farm, whose);
}

static long set_of(const struct transcode *farm, const struct video *video)
{
    return video->set ? video->set - &farm->sets[0][0][0] : -1;
}

void check_films_rebuilt(const struct core *core, const struct core *living)
{
    const struct transcode *farm = transcode_of(core), *its = transcode_of(living);
    for (size_t i = 0; i < farm->videos.size; i++) {
        const struct video *video = farm->videos.slots[i], *same = video ? index_id(&its->videos, video->node.id) : NULL;
        if (same && (set_of(farm, video) != set_of(its, same) || (video->set && video->node.key != same->node.key)))
            broken(0, "video %lu stands in set %ld with key %ld, and rebuilt in set %ld with key %ld",
                   (unsigned long)video->node.id, set_of(its, same), (long)same->node.key, set_of(farm, video),
                   (long)video->node.key);
    }
    if (farm->oldest_log != its->oldest_log && disk_first(TYPE_TRANSCODE_LOG) < disk_top(TYPE_TRANSCODE_LOG))
        broken(0, "the log begins at line %lu, and rebuilt at %lu", (unsigned long)its->oldest_log,
               (unsigned long)farm->oldest_log);
}
