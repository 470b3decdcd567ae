/* A frame's run has ended: the frame is finished, has failed, or waits again.
 *
 *   the attempt      the frame
 *   completed        finished
 *   failed           waits again until it has had `render.attempts`, then it has failed; out of memory: it waits for a host that has more,
 *                    while there is one
 *   timed out        has failed: a second attempt would take as long
 *   lost             waits again; has failed when that happens too often
 *   given back       waits again, and nothing is counted
 *   aborted          is cancelled
 *
 * Of a task that has ended meanwhile everything but a finished frame is cancelled.
 */
#include <jansson.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/farms/render/render.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

bool render_again(void *self, const struct core *core, const struct run *run)
{
    (void)self, (void)core;
    return run->more && run->more->published.attempt; /* its output may have its name: whoever has it next finds it */
}

/* ---- what its worker said ---- */

#define FRAME_MS_MAX UINT64_C(31536000000) /* a year: a worker may say anything, and the sum has to stay what a record can hold */
#define FRAME_BYTES_MAX (UINT64_C(1) << 40) /* the same */

struct said {
    json_t *json; /* what the texts borrow from */
    struct str path, hash, version, thumbnail;
    uint64_t size, ms, width, height;
    bool black, small;
};

static struct str said_text(const json_t *json, const char *key, size_t max)
{
    const json_t *value = json_object_get(json, key);
    struct str text = {json_string_value(value), (uint32_t)json_string_length(value)};
    return text.ptr ? str_cut(text, max) : (struct str){0};
}

static uint64_t said_number(const json_t *json, const char *key, uint64_t most)
{
    json_int_t number = json_integer_value(json_object_get(json, key));
    return number < 0 ? 0 : (uint64_t)number > most ? most : (uint64_t)number;
}

static const struct rec_attempt *last_attempt(const struct rec_run *run)
{
    return run->attempts.count ? &run->attempts.items[run->attempts.count - 1] : NULL;
}

/* What the picture took that an earlier attempt was granted and the last one only found standing; 0: the last one made it. */
static uint64_t adopted_ms(const struct rec_run *run)
{
    const struct rec_published *granted = &run->published;
    const struct rec_attempt *last = last_attempt(run);
    if (!HAS(run, rec_run, published) || !last || granted->attempt == last->number)
        return 0;
    for (uint32_t i = 0; i < run->attempts.count; i++) {
        const struct rec_attempt *maker = &run->attempts.items[i];
        if (maker->number == granted->attempt && granted->at > maker->assigned_at)
            return granted->at - maker->assigned_at;
    }
    return 0;
}

static void said_read(const struct rec_run *run, struct said *said)
{
    const struct rec_attempt *last = last_attempt(run);
    *said = (struct said){0};
    if (last && last->started_at && last->ended_at > last->started_at)
        said->ms = last->ended_at - last->started_at;
    if (run->status != RUN_COMPLETED)
        return;
    if (HAS(run, rec_run, published)) {
        said->path = str_cut(run->published.path, 4095);
        said->size = run->published.size;
    }
    said->json = run->result.len ? json_loadb(run->result.ptr, run->result.len, 0, NULL) : NULL;
    if (!json_is_object(said->json))
        return;
    struct str path = said_text(said->json, "output_path", 4095);
    double seconds = json_number_value(json_object_get(said->json, "render_time"));
    said->path = path.len ? path : said->path;
    said->size = said_number(said->json, "output_size", INT64_MAX);
    said->hash = said_text(said->json, "output_hash", 32);
    said->version = said_text(said->json, "engine_version", 64);
    said->thumbnail = said_text(said->json, "thumbnail_path", 4095);
    said->width = said_number(said->json, "width", 1000000);
    said->height = said_number(said->json, "height", 1000000);
    said->black = json_is_true(json_object_get(said->json, "black"));
    said->small = json_is_true(json_object_get(said->json, "small"));
    if (adopted_ms(run))
        said->ms = adopted_ms(run);
    else if (seconds > 0 && seconds < 1e9)
        said->ms = (uint64_t)(seconds * 1000);
}

/* ---- what becomes of it ---- */

static bool out_of_memory(const struct rec_run *run, const struct rec_attempt *last)
{
    static const char word[] = "memory:";
    const uint32_t len = sizeof word - 1;
    return (last && last->signal == 9) || (run->error_message.len >= len && memcmp(run->error_message.ptr, word, len) == 0);
}

static uint64_t ram_of(const struct core *core, uint64_t worker_id)
{
    const struct worker *worker = worker_find(core, worker_id);
    struct render_offer offer = {0};
    if (worker)
        render_offer(worker, &offer);
    return offer.ram;
}

static bool spent(const struct render_task *task, uint32_t place, uint64_t attempts)
{
    return render_retries(task, place) + 1 >= attempts;
}

static void failed(struct render *farm, struct core *core, struct render_task *task, uint32_t place, const struct rec_run *run)
{
    uint64_t ram = ram_of(core, run->worker_id);
    if (out_of_memory(run, last_attempt(run)) && render_more_ram(core, task, ram)) {
        task->record.starved_ram = ram > task->record.starved_ram ? ram : task->record.starved_ram;
        render_set(task, place, FRAME_STARVED, true);
        return;
    }
    render_host_failed(farm, core, task, run->worker_id);
    if (spent(task, place, farm->config.attempts))
        render_set(task, place, FRAME_FAILED, false);
    else
        render_set(task, place, FRAME_PENDING, true);
}

static void not_completed(struct render *farm, struct core *core, struct render_task *task, uint32_t place,
                          const struct rec_run *run)
{
    const struct rec_attempt *last = last_attempt(run);
    uint64_t outcome = last ? last->outcome : (uint64_t)OUTCOME_ABORTED;
    if (render_status_final(task->record.status) || run->status == RUN_ABORTED)
        render_set(task, place, FRAME_CANCELLED, false);
    else if (outcome == OUTCOME_RETURNED)
        render_set(task, place, FRAME_PENDING, false);
    else if (outcome == OUTCOME_TIMEOUT || (outcome == OUTCOME_LOST && spent(task, place, farm->config.attempts + 2)))
        render_set(task, place, FRAME_FAILED, false);
    else if (outcome == OUTCOME_LOST)
        render_set(task, place, FRAME_PENDING, true);
    else
        failed(farm, core, task, place, run);
}

static void frame_put(struct core *core, const struct render_task *task, uint32_t place, const struct rec_run *run,
                      const struct said *said)
{
    const struct rec_attempt *last = last_attempt(run);
    const struct rec_render_frame frame = {
        .id = render_frame_id(task, place),
        .task_id = task->id,
        .number = task->record.start_frame + place,
        .run_id = run->id,
        .node = str_cut(run->worker_name, 255),
        .started_at = last ? last->assigned_at : 0,
        .completed_at = core->wall_ms,
        .output_path = said->path,
        .output_size = said->size,
        .output_hash = said->hash,
        .render_ms = said->ms,
        .error = str_cut(run->error_message, 4096),
        .width = said->width,
        .height = said->height,
        .black = said->black,
        .small = said->small,
        .engine_version = said->version,
        .thumbnail = said->thumbnail,
    };
    journal_put(core->journal, TYPE_RENDER_FRAME, frame.id, &frame);
}

/* The frame that this run is of, taken from those that are busy. False: it is of none any more. */
static bool busy_take(struct render_task *task, uint64_t run_id, uint32_t *place)
{
    for (struct render_busy **at = &task->busy; *at; at = &(*at)->next) {
        struct render_busy *busy = *at;
        if (busy->run_id != run_id)
            continue;
        *place = busy->place;
        *at = busy->next;
        free(busy);
        return true;
    }
    return false;
}

void render_ended(void *self, struct core *core, const struct farm_run *view)
{
    struct render *farm = self;
    const struct rec_run *run = view->run;
    struct render_task *task = render_find(farm, map_number(run->parameters, "render_task"));
    struct said said;
    uint32_t place;
    if (!task || !busy_take(task, run->id, &place))
        return;
    said_read(run, &said);
    if (run->status == RUN_COMPLETED) {
        render_set(task, place, FRAME_COMPLETED, false);
        render_host_well(task, run->worker_id);
        task->record.render_ms += said.ms < FRAME_MS_MAX ? said.ms : FRAME_MS_MAX;
        task->record.output_bytes += said.size < FRAME_BYTES_MAX ? said.size : FRAME_BYTES_MAX;
        task->record.rendered++;
        farm->frames_done++;
    } else {
        not_completed(farm, core, task, place, run);
        farm->frames_failed += render_state(task, place) == FRAME_FAILED;
    }
    frame_put(core, task, place, run, &said);
    json_decref(said.json);
    if (task->record.stop_after_test && !render_status_final(task->record.status) && render_is_test(task, place) &&
        render_state(task, place) == FRAME_FAILED)
        render_finish(farm, core, task, RENDER_FAILED, "a test frame failed");
    render_judge(farm, core, task);
    render_put(core, task);
}

/* ---- behind a restart ---- */

static int run_loaded(struct render *farm, const struct run *run, struct err *err)
{
    struct str parameters = text_str(run->parameters);
    struct render_task *task = render_find(farm, map_number(parameters, "render_task"));
    uint32_t place;
    if (!task || !render_place(task, map_number(parameters, "frame"), &place))
        return 0; /* the database was mended by hand: it ends without a frame */
    struct render_busy *busy = calloc(1, sizeof *busy);
    if (!busy)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    *busy = (struct render_busy){.run_id = run->node.id, .place = place, .next = task->busy};
    task->busy = busy;
    return 0;
}

/* What is rendering without a run waits again: it cannot be, and would be rendering for ever. */
static void task_loaded_check(struct render *farm, struct core *core, struct render_task *task)
{
    for (uint32_t place = 0; place < task->record.total_frames && task->counts[FRAME_RENDERING]; place++) {
        const struct render_busy *busy = task->busy;
        while (busy && busy->place != place)
            busy = busy->next;
        if (!busy && render_state(task, place) == FRAME_RENDERING)
            render_set(task, place, FRAME_PENDING, false);
        else if (busy && render_state(task, place) != FRAME_RENDERING)
            render_set(task, place, FRAME_RENDERING, false);
    }
    if (task->busy && render_status_final(task->record.status)) {
        task->ending = true;
        farm->ending++;
    }
    render_judge(farm, core, task);
}

int render_loaded(void *self, struct core *core, struct err *err)
{
    struct render *farm = self;
    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        if (run && run->class->farm == &farm->farm && run_loaded(farm, run, err))
            return -1;
    }
    for (size_t i = 0; i < farm->tasks.size; i++)
        if (farm->tasks.slots[i])
            task_loaded_check(farm, core, farm->tasks.slots[i]);
    return 0;
}
