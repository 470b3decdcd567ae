#include "scheduler/farms/transcode/health.h"

#include <jansson.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/dispatch.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/farms/transcode/video.h"
#include "scheduler/queue.h"
#include "scheduler/room.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define CHECK_SECONDS 604800
#define NAME_BYTES 200
#define LOOK 20000 /* videos that are passed over in one go */
#define LOOK_MS 5  /* until it goes on behind them */
#define SWEEP_ID 1 /* there is one */
#define SWEEP_ROOM 128

struct check { /* a look that has not ended */
    uint64_t run_id, video_id;
    uint64_t size, mtime_ns; /* the version that is looked at */
    uint64_t sweep;          /* the one that it is of: when that began; 0: of none */
};

/* ---- the run ---- */

static struct run *run_of(struct transcode *farm, struct core *core, const struct rec_video *video, uint64_t sweep)
{
    struct rec_task_spec spec =
        parameters_spec(str_cut(video->path, NAME_BYTES), STR_LIT(TRANSCODE_TYPE), video->path, CHECK_SECONDS);
    struct buf parameters = {0};
    struct err err = {0};
    msgpack_packer packer;
    spec.executor = STR_LIT(TRANSCODE_HEALTH);
    parameters_begin(&packer, &parameters, 5);
    parameters_text(&packer, "root", video->root);
    parameters_uint(&packer, "video_id", video->id);
    parameters_uint(&packer, "size", video->size);
    parameters_uint(&packer, "mtime_ns", video->mtime_ns);
    parameters_uint(&packer, "sweep", sweep);
    struct run *run = parameters.failed ? NULL : farm_make(core, &farm->farm, &spec, buf_str(&parameters), &err);
    buf_free(&parameters);
    return run;
}

/* One of this video, in no table, with room for it. NULL when out of memory. */
static struct check *check_make(struct transcode *farm, const struct rec_video *video, uint64_t sweep)
{
    struct check *check = index_reserve(&farm->checks, 1) ? NULL : malloc(sizeof *check);
    if (check)
        *check = (struct check){.video_id = video->id, .size = video->size, .mtime_ns = video->mtime_ns, .sweep = sweep};
    return check;
}

/* It counts for the sweep that there is: not for one that was stopped before that began. */
static bool is_sweeps(const struct transcode *farm, const struct check *check)
{
    return check->sweep && check->sweep == farm->sweep.begun_at;
}

static void check_join(struct transcode *farm, struct check *check, uint64_t run_id, struct video *video)
{
    check->run_id = run_id;
    index_add(&farm->checks, check);
    farm->sweep_running += is_sweeps(farm, check);
    if (video)
        video->check = run_id;
    log_info("GTY-HEALTH-CHECK", "run=%llu video=%llu", (unsigned long long)run_id, (unsigned long long)check->video_id);
}

int health_loaded(struct transcode *farm, struct core *core, struct err *err)
{
    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        if (!run || run->class->farm != &farm->farm || !str_is(run->class->executor, TRANSCODE_HEALTH))
            continue;
        const struct rec_video of = {.id = map_number(text_str(run->parameters), "video_id"),
                                     .size = map_number(text_str(run->parameters), "size"),
                                     .mtime_ns = map_number(text_str(run->parameters), "mtime_ns")};
        uint64_t sweep = map_number(text_str(run->parameters), "sweep");
        struct check *check = check_make(farm, &of, sweep == 1 ? farm->sweep.begun_at : sweep); /* 1: an earlier version's */
        if (!check)
            return err_set(err, ERR_NO_MEMORY, "out of memory");
        check_join(farm, check, run->node.id, video_find(farm, of.id));
    }
    return 0;
}

/* ---- what came of it ---- */

struct verdict {
    json_t *json; /* what error borrows from */
    enum video_health health;
    uint64_t errors;
    struct str error;
};

static void verdict_read(const struct rec_run *run, struct verdict *verdict)
{
    *verdict = (struct verdict){.health = VIDEO_UNCHECKED};
    if (run->status != RUN_COMPLETED || !run->result.len)
        return;
    verdict->json = json_loadb(run->result.ptr, run->result.len, 0, NULL);
    const json_t *healthy = json_object_get(verdict->json, "healthy"), *error = json_object_get(verdict->json, "error");
    json_int_t errors = json_integer_value(json_object_get(verdict->json, "errors"));
    if (!json_is_boolean(healthy))
        return;
    verdict->health = json_is_true(healthy) ? VIDEO_HEALTHY : VIDEO_DAMAGED;
    verdict->errors = errors > 0 ? (uint64_t)errors : 0;
    verdict->error = (struct str){json_string_value(error), (uint32_t)json_string_length(error)};
    verdict->error = verdict->error.ptr ? str_cut(verdict->error, 1024) : (struct str){0};
}

static void video_judge(struct core *core, struct video *video, const struct rec_run *run, const struct verdict *verdict)
{
    const struct rec_video_check record = {
        .id = video->record.id, .at = core->wall_ms, .run_id = run->id, .errors = verdict->errors, .error = verdict->error};
    video->record.health = verdict->health;
    video_put(core, video);
    journal_put(core->journal, TYPE_VIDEO_CHECK, record.id, &record);
}

void health_forget(struct core *core, struct rec_video *record)
{
    if (record->health != VIDEO_UNCHECKED)
        journal_delete(core->journal, TYPE_VIDEO_CHECK, record->id);
    record->health = VIDEO_UNCHECKED;
}

static void sweep_put(const struct transcode *farm, struct core *core)
{
    journal_put(core->journal, TYPE_HEALTH_SWEEP, SWEEP_ID, &farm->sweep);
}

static void sweep_count(struct transcode *farm, struct core *core, enum video_health health)
{
    struct rec_health_sweep *sweep = &farm->sweep;
    farm->sweep_running--;
    *(health == VIDEO_HEALTHY ? &sweep->healthy : health == VIDEO_DAMAGED ? &sweep->damaged : &sweep->failed) += 1;
    if (sweep->id)
        sweep_put(farm, core);
}

bool health_ended(struct transcode *farm, struct core *core, const struct rec_run *run)
{
    struct check *check = index_id(&farm->checks, run->id);
    struct verdict verdict;
    if (!check)
        return false;
    struct video *video = video_find(farm, check->video_id);
    verdict_read(run, &verdict);
    if (video && video->check == run->id)
        video->check = 0;
    if (!video || video->record.size != check->size || video->record.mtime_ns != check->mtime_ns)
        verdict.health = VIDEO_UNCHECKED; /* that version is not there any more */
    if (verdict.health != VIDEO_UNCHECKED)
        video_judge(core, video, run, &verdict);
    if (is_sweeps(farm, check))
        sweep_count(farm, core, verdict.health);
    json_decref(verdict.json);
    index_remove(&farm->checks, check);
    free(check);
    return true;
}

/* ---- one video ---- */

static int check_refusal(const struct video *video, uint64_t id, struct fault *fault)
{
    static const struct str none = {0};
    if (!video)
        return fault_set(fault, ERR_NOT_FOUND, "id", "video_missing", none, "the id of a video", "there is no video %llu",
                         (unsigned long long)id);
    if (video->record.error.len)
        return fault_set(fault, ERR_CONFLICT, "id", "video_broken", str_cut(video->record.error, 200), NULL,
                         "video %llu cannot be read", (unsigned long long)id);
    return 0;
}

/* The run that looks at it, made if there is none under way; room for the answer is reserved. 0 with fault. */
static uint64_t check_begin(struct transcode *farm, struct core *core, struct video *video, struct fault *fault)
{
    if (video->check)
        return core_reserve(core, 64, 64, 2, fault) ? 0 : video->check;
    if (room_runs(core, 1, (size_t)video->record.root.len + video->record.path.len, fault))
        return 0;
    struct check *check = check_make(farm, &video->record, 0);
    struct run *run = check ? run_of(farm, core, &video->record, 0) : NULL;
    fault_memory(fault);
    if (!run || core_reserve(core, farm_run_bytes(run) + 64, 64, FARM_RUN_OPS + 2, fault)) {
        run_free(core, run);
        free(check);
        return 0;
    }
    check_join(farm, check, farm_submit(core, run), video);
    return video->check;
}

void video_on_check(struct core *core, const struct core_call *call)
{
    const struct msg_video_check *asked = &call->msg->u.video_check;
    struct transcode *farm = transcode_of(core);
    struct video *video = video_find(farm, asked->id);
    struct msg_video_checking answer = {0};
    struct fault fault;
    if (check_refusal(video, asked->id, &fault) || !(answer.run_id = check_begin(farm, core, video, &fault))) {
        core_refuse(core, call, &fault);
        return;
    }
    core_answer(core, call, &shape_msg_video_checking, &answer);
}

/* ---- all of them ---- */

static bool sweep_goes_on(const struct transcode *farm)
{
    return farm->sweep.id && !farm->sweep.ended_at;
}

static bool sweep_wants(const struct transcode *farm, const struct video *video)
{
    return video && video->root->configured && !video->record.error.len && !video->check &&
           !(farm->sweep.unchecked && video->record.health != VIDEO_UNCHECKED);
}

/* The next one whose turn it is; those that are not wanted are passed over, some at a time. NULL: none now. */
static struct video *sweep_next(struct transcode *farm)
{
    size_t at = video_behind(farm, farm->sweep.after);
    for (unsigned i = 0; at < farm->order_count && i < LOOK; i++, at++) {
        if (sweep_wants(farm, farm->order[at].video))
            return farm->order[at].video;
        farm->sweep.after = farm->order[at].id;
    }
    return NULL;
}

static bool sweep_has_more(const struct transcode *farm)
{
    return sweep_goes_on(farm) && farm->order_count && farm->order[farm->order_count - 1].id > farm->sweep.after;
}

bool health_offers(const struct transcode *farm)
{
    return sweep_has_more(farm);
}

enum farm_pull health_pull(struct transcode *farm, struct core *core, struct worker *worker)
{
    const struct dispatch_room room = {.bytes = SWEEP_ROOM, .ops = 1};
    struct video *video = sweep_goes_on(farm) ? sweep_next(farm) : NULL;
    struct fault fault;
    if (!video)
        return FARM_NONE;
    struct check *check = check_make(farm, &video->record, farm->sweep.begun_at);
    struct run *run = check ? run_of(farm, core, &video->record, farm->sweep.begun_at) : NULL;
    if (!run || dispatch_made(core, worker, run, &room, &fault)) {
        run_free(core, run);
        free(check);
        return FARM_LATER;
    }
    check_join(farm, check, run->node.id, video);
    farm->sweep.after = video->record.id;
    sweep_put(farm, core);
    return FARM_GAVE;
}

uint64_t health_tick(struct transcode *farm, struct core *core)
{
    struct fault fault;
    if (!sweep_goes_on(farm))
        return UINT64_MAX;
    if (sweep_has_more(farm)) /* nobody may be there to ask for it */
        return sweep_next(farm) ? UINT64_MAX : LOOK_MS;
    if (farm->sweep_running)
        return UINT64_MAX;
    if (core_reserve(core, SWEEP_ROOM, 0, 1, &fault))
        return 1000;
    farm->sweep.ended_at = core->wall_ms;
    sweep_put(farm, core);
    log_info("GTY-HEALTH-SWEPT", "healthy=%llu damaged=%llu failed=%llu", (unsigned long long)farm->sweep.healthy,
             (unsigned long long)farm->sweep.damaged, (unsigned long long)farm->sweep.failed);
    return UINT64_MAX;
}

static struct msg_health_state state_of(const struct transcode *farm)
{
    struct msg_health_state state = {.running = farm->sweep_running};
    if (!farm->sweep.id)
        return state;
    state.sweep = farm->sweep;
    SET_HAS(&state, msg_health_state, sweep);
    if (sweep_goes_on(farm))
        state.left = farm->order_count - video_behind(farm, farm->sweep.after);
    return state;
}

void health_on_sweep(struct core *core, const struct core_call *call)
{
    const struct msg_health_sweep *asked = &call->msg->u.health_sweep;
    struct transcode *farm = transcode_of(core);
    struct fault fault;
    if (core_reserve(core, SWEEP_ROOM, 2 * SWEEP_ROOM, 3, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    if (asked->stop && sweep_goes_on(farm)) {
        farm->sweep.ended_at = core->wall_ms;
        farm->sweep.stopped = true;
        sweep_put(farm, core);
    } else if (!asked->stop && !sweep_goes_on(farm)) {                               /* one that goes on is not begun again */
        uint64_t begun_at = core->wall_ms + (core->wall_ms == farm->sweep.begun_at); /* by which it is known */
        farm->sweep = (struct rec_health_sweep){.id = SWEEP_ID, .begun_at = begun_at, .unchecked = asked->unchecked};
        farm->sweep_running = 0;
        sweep_put(farm, core);
    }
    struct msg_health_state state = state_of(farm);
    core_answer(core, call, &shape_msg_health_state, &state);
}

void health_on_ask(struct core *core, const struct core_call *call)
{
    const struct msg_health_state state = state_of(transcode_of(core));
    journal_send_now(core->journal, &call->from, &shape_msg_health_state, &state);
}
