/* Frames are given out: made into runs for a worker that has room and fits, the highest priority first, then the oldest task. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/dispatch.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/farms/render/render.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define FRAME_RECORD_BYTES 1024
#define MEAN_FRAMES 3 /* that are finished, before their mean size says anything */

bool render_offers(const void *self)
{
    const struct render *farm = self;
    for (unsigned level = RENDER_LEVELS; level-- > 0;)
        if (farm->lists[level].first)
            return true;
    return false;
}

/* ---- which frame ---- */

static bool takes(const struct render_task *task, uint32_t place, const struct render_offer *offer)
{
    enum render_frame_status state = render_state(task, place);
    return state == FRAME_PENDING || (state == FRAME_STARVED && offer->ram > task->record.starved_ram);
}

/* Test frames first; while some of them have not ended nothing else. */
static bool next_frame(struct render_task *task, const struct render_offer *offer, uint32_t *place)
{
    for (uint32_t i = 0; i < task->test_count; i++) {
        *place = task->tests[i];
        if (takes(task, *place, offer))
            return true;
    }
    if (task->record.status == RENDER_TESTING || (task->test_count && !task->record.started_at))
        return false;
    while (task->next < task->record.total_frames && render_state(task, task->next) != FRAME_PENDING &&
           render_state(task, task->next) != FRAME_STARVED)
        task->next++;
    for (*place = task->next; *place < task->record.total_frames; ++*place)
        if (takes(task, *place, offer))
            return true;
    return false;
}

/* The first task that has a frame for this worker. rests: it would have had one, but for its failures. */
static struct render_task *pick(struct render *farm, const struct core *core, const struct worker *worker, uint32_t *place,
                                bool *rests)
{
    struct render_offer offer;
    render_offer(worker, &offer);
    for (unsigned level = RENDER_LEVELS; level-- > 0;)
        for (struct render_task *task = farm->lists[level].first; task; task = task->next_open) {
            if (!render_fits(core, task, &offer))
                continue;
            if (render_rests(task, core, worker))
                *rests = true;
            else if (next_frame(task, &offer, place))
                return task;
        }
    return NULL;
}

/* ---- its run ---- */

/* What its worker is told (docs/render.md). */
static void pack_frame(struct buf *out, const struct render_task *task, uint32_t place)
{
    const struct rec_render_task *record = &task->record;
    uint64_t number = record->start_frame + place;
    msgpack_packer packer;
    parameters_begin(&packer, out, 21);
    parameters_text(&packer, "engine", record->render_engine);
    parameters_text(&packer, "cg_version", record->cg_version);
    parameters_text(&packer, "scene", record->oss_file_path);
    parameters_text(&packer, "scene_md5", record->scene_md5);
    parameters_uint(&packer, "frame", number);
    parameters_uint(&packer, "frames_to", number);
    parameters_text(&packer, "renderer", record->renderer);
    parameters_uint(&packer, "render_task", task->id);
    parameters_text(&packer, "unionid", record->unionid);
    parameters_uint(&packer, "frame_id", render_frame_id(task, place));
    parameters_text(&packer, "source_dir", record->source_dir);
    parameters_text(&packer, "project_dir", record->project_dir);
    parameters_text(&packer, "renders_dir", record->renders_dir);
    parameters_text(&packer, "map", record->map);
    parameters_text(&packer, "sequence", record->sequence);
    parameters_text(&packer, "preset", record->preset);
    parameters_uint(&packer, "is_compressed", record->is_compressed);
    parameters_uint(&packer, "allow_missing", !record->no_missing);
    parameters_uint(&packer, "retry", render_retries(task, place));
    parameters_uint(&packer, "ram", record->ram);
    parameters_uint(&packer, "mean_bytes", record->rendered < MEAN_FRAMES ? 0 : record->output_bytes / record->rendered);
}

/* A folder's name that leads nowhere else, whatever its owner is called. */
static void folder_name(struct str unionid, char out[128])
{
    uint32_t len = unionid.len < 100 ? unionid.len : 100;
    for (uint32_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)unionid.ptr[i];
        bool well = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                    c == '@' || (c == '.' && i > 0);
        out[i] = well ? (char)c : '_';
    }
    out[len] = '\0';
}

static struct run *frame_run(struct render *farm, struct core *core, const struct render_task *task, uint32_t place)
{
    const struct rec_render_task *record = &task->record;
    unsigned long long number = record->start_frame + place;
    char name[96], folder[128], output[256];
    struct buf parameters = {0};
    struct err err = {0};
    snprintf(name, sizeof name, "frame %llu of %llu", number, (unsigned long long)task->id);
    folder_name(record->unionid, folder);
    struct str format = record->image_format.len                ? record->image_format
                        : str_is(record->render_engine, "maya") ? STR_LIT("exr")
                                                                : STR_LIT("png");
    snprintf(output, sizeof output, "%s/%llu/renders/frame.%04llu.%.*s", folder, (unsigned long long)task->id, number,
             (int)format.len, format.ptr);
    struct rec_task_spec spec = parameters_spec(str_of(name), STR_LIT(RENDER_TYPE), record->oss_file_path, record->frame_timeout);
    spec.priority = record->priority > 6 ? PRIORITY_HIGH : record->priority < 4 ? PRIORITY_LOW : PRIORITY_NORMAL;
    spec.output = str_of(output);
    SET_HAS(&spec, rec_task_spec, output);
    pack_frame(&parameters, task, place);
    struct run *run = parameters.failed ? NULL : farm_make(core, &farm->farm, &spec, buf_str(&parameters), &err);
    buf_free(&parameters);
    return run;
}

/* ---- given out ---- */

static void begun(struct render *farm, struct core *core, struct render_task *task, uint32_t place, struct render_busy *busy,
                  const struct worker *worker)
{
    const struct rec_render_frame frame = {.id = render_frame_id(task, place),
                                           .task_id = task->id,
                                           .number = task->record.start_frame + place,
                                           .run_id = busy->run_id,
                                           .node = str_cut(worker->name->str, 255),
                                           .started_at = core->wall_ms};
    busy->place = place;
    busy->next = task->busy;
    task->busy = busy;
    render_set(task, place, FRAME_RENDERING, false);
    if (!task->record.started_at)
        task->record.started_at = core->wall_ms;
    if (!task->record.timed_from)
        task->record.timed_from = core->wall_ms;
    render_judge(farm, core, task);
    render_put(core, task);
    journal_put(core->journal, TYPE_RENDER_FRAME, frame.id, &frame);
    log_info("GTY-RENDER-FRAME", "task=%llu frame=%llu run=%llu worker=%s", (unsigned long long)task->id,
             (unsigned long long)frame.number, (unsigned long long)busy->run_id, worker->name->data);
}

static int give(struct render *farm, struct core *core, struct render_task *task, uint32_t place, struct worker *worker)
{
    struct render_busy *busy = calloc(1, sizeof *busy);
    struct run *run = busy ? frame_run(farm, core, task, place) : NULL;
    const struct dispatch_room room = {.bytes = render_bytes(task) + FRAME_RECORD_BYTES, .ops = 2};
    struct fault fault;
    if (!run || dispatch_made(core, worker, run, &room, &fault)) {
        run_free(core, run);
        free(busy);
        return -1;
    }
    busy->run_id = run->node.id;
    begun(farm, core, task, place, busy, worker);
    return 0;
}

static uint32_t held_of(const struct worker *worker, const struct farm *farm)
{
    uint32_t held = 0;
    for (const struct lease *lease = worker->leases; lease; lease = lease->next)
        held += lease->run && lease->run->class->farm == farm;
    return held;
}

/* Frames that it renders at once: a renderer takes all of a host, unless its label says otherwise. */
static uint32_t slots_of(const struct worker *worker)
{
    struct str text;
    uint32_t slots = 0;
    if (!map_text(text_str(worker->labels), STR_LIT("render.slots"), &text))
        return 1;
    for (uint32_t i = 0; i < text.len && i < 5 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        slots = slots * 10 + (uint32_t)(text.ptr[i] - '0');
    return slots ? slots : 1;
}

enum farm_pull render_pull(void *self, struct core *core, struct worker *worker)
{
    struct render *farm = self;
    bool rests = false;
    uint32_t place;
    if (!render_serves(worker))
        return FARM_NONE;
    if (held_of(worker, &farm->farm) >= slots_of(worker))
        return FARM_FULL;
    struct render_task *task = pick(farm, core, worker, &place, &rests);
    if (!task)
        return rests ? FARM_FULL : FARM_NONE;
    return give(farm, core, task, place, worker) ? FARM_LATER : FARM_GAVE;
}

/* What waits in the queue may have published its output already (render_again): any worker that fits takes it over. */
int64_t render_choose(void *self, const struct rec_worker *worker, const struct farm_run *run)
{
    (void)self, (void)run;
    return worker->asks ? -1 : 1;
}
