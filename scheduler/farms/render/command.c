/* What clients have done with tasks: made, paused, resumed, cancelled, cleaned up; frames retried. */
#include "proto/log.h"
#include "scheduler/farms/asset/asset.h"
#include "scheduler/farms/render/render.h"
#include "scheduler/worker.h"

static void answer(struct core *core, const struct core_call *call, const struct render_task *task, uint32_t count)
{
    struct msg_render_answer answer = {.task = task->record, .count = count};
    core_answer(core, call, &shape_msg_render_answer, &answer);
}

static size_t answer_bytes(const struct render_task *task)
{
    return render_bytes(task) + 64;
}

/* ---- made ---- */

/* What a frame of this scene took before, in ms: over all tasks of the same scene that are remembered; 0: not known. */
static uint64_t scene_ms(const struct render *farm, const struct rec_render_task *of)
{
    uint64_t ms = 0, count = 0;
    for (size_t i = 0; i < farm->tasks.size; i++) {
        const struct render_task *task = farm->tasks.slots[i];
        if (!task || !task->record.rendered)
            continue;
        bool same = of->scene_md5.len ? str_eq(task->record.scene_md5, of->scene_md5)
                                      : str_eq(task->record.oss_file_path, of->oss_file_path);
        if (!same)
            continue;
        ms += task->record.render_ms;
        count += task->record.rendered;
    }
    return count ? ms / count : 0;
}

static int create_check(const struct render *farm, const struct msg_render_create *asked, const struct asset *scene,
                        struct fault *fault)
{
    if (asked->unlooked) /* else a repeat would be judged by what is missing now */
        return fault_set(fault, ERR_NOT_FOUND, "assets", FAULT_FETCH, (struct str){0}, NULL,
                         "which of its files are missing is to be looked for first");
    if (!scene && !asked->scene_found)
        return fault_set(fault, ERR_NOT_FOUND, "oss_file_path", "file_missing", asked->task.oss_file_path, NULL,
                         "nothing of that name was uploaded");
    if (farm->tasks.count - farm->kept.count >= farm->config.tasks_max)
        return fault_set(fault, ERR_LIMIT, NULL, "render_full", (struct str){0}, NULL,
                         "%llu tasks have not ended: that is as many as there may be (render.tasks_max)",
                         (unsigned long long)(farm->tasks.count - farm->kept.count));
    return 0;
}

void render_on_create(struct core *core, const struct core_call *call)
{
    const struct msg_render_create *asked = &call->msg->u.render_create;
    struct render *farm = render_of(core);
    struct rec_render_task record = asked->task;
    struct render_task *task = NULL;
    struct fault fault;
    char md5[ASSET_HEX];
    struct asset *scene =
        asset_named(core, record.oss_file_path, record.unionid); /* what was uploaded comes before a file of that name */
    if (create_check(farm, asked, scene, &fault))
        goto error;
    record.scene_md5 = (struct str){0};
    if (scene) {
        md5_hex(scene->md5, md5);
        record.scene_md5 = str_of(md5);
        record.scene_size = scene->size;
    }
    record.status = RENDER_QUEUED;
    record.created_at = core->wall_ms;
    record.expect_ms = scene_ms(farm, &record);
    record.expect_ms = record.expect_ms ? record.expect_ms : farm->config.frame_ms;
    record.started_at = record.completed_at = record.timed_from = record.cleaned_at = 0;
    record.completed_frames = record.failed_frames = record.rendering_frames = record.cancelled_frames = 0;
    record.render_ms = record.rendered = record.starved_ram = 0;
    record.error = record.frames = (struct str){0};
    task = render_make(farm, &record);
    if (!task) {
        fault_memory(&fault);
        goto error;
    }
    if (core_reserve(core, render_bytes(task) + 64 + ASSET_USE_BYTES, answer_bytes(task), 3, &fault))
        goto error;
    if (scene)
        asset_use(core, scene);
    render_join(farm, task, core_new_id(core, TYPE_RENDER_TASK));
    render_judge(farm, core, task);
    render_put(core, task);
    answer(core, call, task, 0);
    if (scene)
        scene_want(core, scene, asked->blobs); /* by itself: the task does not wait for it */
    log_info("GTY-RENDER-TASK", "task=%llu frames=%llu", (unsigned long long)task->id,
             (unsigned long long)task->record.total_frames);
    return;
error:
    render_free(task);
    core_refuse(core, call, &fault);
}

/* ---- done with ---- */

static const char *const status_names[] = {"queued", "testing", "rendering", "paused", "completed", "failed", "cancelled"};

static int refuse(const struct render_task *task, const char *what, struct fault *fault)
{
    return fault_set(fault, ERR_CONFLICT, "status", "render_status", str_of(status_names[task->record.status]), what,
                     "task %llu is %s", (unsigned long long)task->id, status_names[task->record.status]);
}

static int act_frame(const struct render_task *task, uint64_t number, uint32_t *place, struct fault *fault)
{
    if (!render_place(task, number, place))
        return fault_set(fault, ERR_NOT_FOUND, "frame_number", "render_frame", (struct str){0}, NULL,
                         "task %llu has no frame %llu", (unsigned long long)task->id, (unsigned long long)number);
    enum render_frame_status state = render_state(task, *place);
    if (state == FRAME_COMPLETED || state == FRAME_FAILED || state == FRAME_CANCELLED)
        return 0;
    return fault_set(fault, ERR_CONFLICT, "frame_number", "render_frame_status",
                     state == FRAME_RENDERING ? STR_LIT("rendering") : STR_LIT("pending"), "completed|failed|cancelled",
                     "frame %llu of task %llu has not ended", (unsigned long long)number, (unsigned long long)task->id);
}

/* A task that was cleaned up holds no files: what was uploaded for it may be gone. */
static int act_scene(const struct core *core, const struct render_task *task, struct fault *fault)
{
    const struct rec_render_task *record = &task->record;
    if (!record->cleaned_at || !record->scene_md5.len || asset_hashed(core, record->scene_md5))
        return 0;
    return fault_set(fault, ERR_NOT_FOUND, "oss_file_path", "file_missing", record->oss_file_path, NULL,
                     "the scene of task %llu is not in the blob store any more", (unsigned long long)task->id);
}

/* Whether the state allows it; nothing changes. -1 with fault. */
static int act_check(const struct core *core, const struct render_task *task, const struct msg_render_act *asked, uint32_t *place,
                     struct fault *fault)
{
    uint64_t status = task->record.status;
    bool final = render_status_final(status);
    switch (asked->action) {
    case RENDER_PAUSE:
        return final || status == RENDER_PAUSED ? refuse(task, "queued|testing|rendering", fault) : 0;
    case RENDER_RESUME:
        return status != RENDER_PAUSED ? refuse(task, "paused", fault) : 0;
    case RENDER_CANCEL:
        return final ? refuse(task, "queued|testing|rendering|paused", fault) : 0;
    case RENDER_CLEANUP:
        return !final || task->busy ? refuse(task, "completed|failed|cancelled", fault) : 0;
    case RENDER_RETRY_FRAME:
        return act_frame(task, asked->frame, place, fault) || act_scene(core, task, fault) ? -1 : 0;
    default:
        return task->counts[FRAME_FAILED] ? act_scene(core, task, fault) : 0;
    }
}

static uint32_t retry_failed(struct render_task *task)
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < task->record.total_frames; place++) {
        if (render_state(task, place) != FRAME_FAILED)
            continue;
        render_set(task, place, FRAME_PENDING, true);
        count++;
    }
    return count;
}

/* Cannot fail. Answers how many frames it was about. */
static uint32_t act(struct render *farm, struct core *core, struct render_task *task, uint64_t action, uint32_t place)
{
    uint32_t count = 0;
    switch (action) {
    case RENDER_PAUSE:
        task->record.status = RENDER_PAUSED;
        break;
    case RENDER_RESUME:
        task->record.status = RENDER_QUEUED; /* what it is then is judged below */
        break;
    case RENDER_CANCEL:
        count = task->counts[FRAME_PENDING] + task->counts[FRAME_STARVED] + task->counts[FRAME_RENDERING];
        render_finish(farm, core, task, RENDER_CANCELLED, NULL);
        return count;
    case RENDER_CLEANUP:
        task->record.cleaned_at = core->wall_ms;
        return 0;
    case RENDER_RETRY_FRAME:
        render_set(task, place, FRAME_PENDING, true);
        count = 1;
        break;
    default:
        count = retry_failed(task);
    }
    if (count) {
        task->record.cleaned_at = 0; /* what it needs is held again */
        render_reopen(farm, core, task);
    } else {
        render_judge(farm, core, task);
    }
    return count;
}

static struct render_task *act_task(const struct render *farm, const struct msg_render_act *asked, struct fault *fault)
{
    struct render_task *task = render_find(farm, asked->id);
    if (!task || task->gone) {
        fault_set(fault, ERR_NOT_FOUND, "id", "render_task", (struct str){0}, NULL, "there is no task %llu",
                  (unsigned long long)asked->id);
        return NULL;
    }
    if (HAS(asked, msg_render_act, whose) && !str_eq(asked->whose, task->record.unionid)) {
        fault_set(fault, ERR_FORBIDDEN, "unionid", "render_whose", (struct str){0}, NULL, "task %llu is somebody else's",
                  (unsigned long long)asked->id);
        return NULL;
    }
    return task;
}

void render_on_act(struct core *core, const struct core_call *call)
{
    const struct msg_render_act *asked = &call->msg->u.render_act;
    struct render *farm = render_of(core);
    struct fault fault;
    uint32_t place = 0;
    struct render_task *task = act_task(farm, asked, &fault);
    if (!task || act_check(core, task, asked, &place, &fault) ||
        core_reserve(core, render_bytes(task) + 3 * RENDER_FRAMES, answer_bytes(task), 2, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    uint32_t count = act(farm, core, task, asked->action, place);
    render_put(core, task);
    answer(core, call, task, count);
}
