/* What workers of the API say of their tasks, and what comes of it when they say nothing. */
#include <stdio.h>

#include "proto/log.h"
#include "scheduler/farms/transcode/task.h"
#include "scheduler/farms/transcode/worker.h"
#include "scheduler/lease.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define AGAIN_MS 1000 /* until what found no room is tried again */

/* ---- silence ---- */

void task_expect(struct transcode *farm, struct transcode_task *task)
{
    uint64_t limit = farm->config.first_report_ms;
    if (task->record.reported_at) {
        limit = farm->config.report_ms;
        if (2 * task->longest > limit)
            limit = 2 * task->longest;
    }
    task->due.key = (int64_t)(task->heard + limit);
    if (task->due.place)
        heap_moved(&farm->dues, &task->due);
    else
        heap_push(&farm->dues, &task->due);
}

void tasks_renew(struct transcode *farm, const struct core *core)
{
    for (struct transcode_task *task = farm->first_task; task; task = task->next) {
        task->heard = core->mono_ms;
        if (task->due.place)
            task_expect(farm, task);
    }
}

void tasks_loaded(struct transcode *farm, struct core *core)
{
    for (struct transcode_task *task = farm->first_task; task; task = task->next) {
        const struct run *run = run_find(core, task->id);
        task->heard = core->mono_ms;
        if (run && run->lease)
            run->lease->progress = task->record.progress;
        if (!run || (run->lease && run->lease->worker->kept))
            task_expect(farm, task);
    }
}

/* A task without a run was cut off from it: the database was mended by hand. False: there is no room to end it now. */
static bool end_orphan(struct transcode *farm, struct core *core, struct transcode_task *task)
{
    struct fault fault;
    struct rec_run run = {.id = task->id, .status = RUN_FAILED, .error_message = STR_LIT("its run is gone")};
    struct farm_run view = {&run};
    if (core_reserve(core, farm->farm.ended_bytes, 0, farm->farm.ended_ops, &fault) != 0)
        return false;
    transcode_ended(farm, core, &view); /* frees the task */
    return true;
}

static void silence(struct transcode *farm, struct core *core, struct transcode_task *task)
{
    char text[96];
    struct fault fault;
    struct run *run = run_find(core, task->id);
    snprintf(text, sizeof text, "任务超过%llu秒未更新，判定为超时", (unsigned long long)(farm->config.report_ms / 1000));
    struct ending ending = {.outcome = OUTCOME_FAILED, .error = str_of(text), .extra = sizeof text + 512};
    if (run && retry_end(core, run, &ending, &fault) == 0)
        return;
    if (!run && end_orphan(farm, core, task))
        return;
    task->due.key = (int64_t)(core->mono_ms + AGAIN_MS);
    heap_moved(&farm->dues, &task->due);
}

uint64_t tasks_expire(struct transcode *farm, struct core *core)
{
    struct heap_node *top;
    while ((top = heap_top(&farm->dues)) && (uint64_t)top->key <= core->mono_ms)
        silence(farm, core, heap_of(top, struct transcode_task, due));
    return top ? (uint64_t)top->key - core->mono_ms : UINT64_MAX;
}

/* ---- PATCH ---- */

static int refuse_final(const struct msg_transcode_report *report, struct fault *fault)
{
    return fault_set(fault, ERR_CONFLICT, "status", "task_final", (struct str){0}, NULL, "task %llu has ended otherwise",
                     (unsigned long long)report->task_id);
}

static int check_owner(const struct msg_transcode_report *report, uint64_t worker_id, struct fault *fault)
{
    if (report->worker_id == worker_id)
        return 0;
    return fault_set(fault, ERR_CONFLICT, "worker_id", "task_owner", (struct str){0}, NULL, "task %llu is not worker %llu's",
                     (unsigned long long)report->task_id, (unsigned long long)report->worker_id);
}

/* Of a task that has ended only its end can be said again. */
static int report_late(const struct msg_transcode_report *report, struct fault *fault)
{
    if (!HAS(report, msg_transcode_report, known)) {
        fault_task(fault, report->task_id);
        fault->rule = FAULT_FETCH;
        return -1;
    }
    if (task_owned(&report->known, report->whose, fault) || check_owner(report, report->known.worker_id, fault))
        return -1;
    return report->status >= TRANSCODE_COMPLETED && report->status == report->known.status ? 0 : refuse_final(report, fault);
}

void task_heard(struct transcode *farm, struct core *core, struct transcode_task *task)
{
    uint64_t silent = core->mono_ms - task->heard;
    if (task->record.reported_at && silent > task->longest)
        task->longest = silent;
    task->heard = core->mono_ms;
    task->record.reported_at = core->wall_ms;
    task_expect(farm, task);
}

/* It goes on. -1 with fault. */
static int report_running(struct transcode *farm, struct core *core, const struct msg_transcode_report *report,
                          struct transcode_task *task, struct run *run, struct fault *fault)
{
    struct video *video = video_find(farm, task->record.video_id);
    size_t bytes =
        task_record_bytes(&task->record) + (video ? video_bytes(video) : 0) + TRANSCODE_LOG_BYTES(report->error_message);
    if (core_reserve(core, bytes, 64, 4 + TRANSCODE_LOG_OPS, fault))
        return -1;
    task_heard(farm, core, task);
    lease_claim(core, run->lease->worker, task->id, run->attempt);
    run->lease->progress = task->record.progress = report->progress;
    task->record.rank = (uint64_t)(report->progress * 1000);
    if (HAS(report, msg_transcode_report, elapsed_time)) {
        task->record.elapsed_time = report->elapsed_time;
        SET_HAS(&task->record, rec_transcode_task, elapsed_time);
    }
    if (HAS(report, msg_transcode_report, remaining_time)) {
        task->record.remaining_time = report->remaining_time;
        SET_HAS(&task->record, rec_transcode_task, remaining_time);
    }
    journal_put(core->journal, TYPE_TRANSCODE_TASK, task->id, &task->record);
    if (report->error_message.len)
        transcode_log(farm, core, task->id, LOG_ERROR, report->error_message, NULL);
    if (video && report->status == TRANSCODE_RUNNING && video->record.transcode_status == VIDEO_CREATED) {
        video->record.transcode_status = VIDEO_RUNNING;
        video_place(farm, video);
        video_put(core, video);
    }
    return 0;
}

/* It has ended. -1 with fault. */
static int report_ended(struct transcode *farm, struct core *core, const struct msg_transcode_report *report, struct run *run,
                        struct fault *fault)
{
    bool completed = report->status == TRANSCODE_COMPLETED;
    struct ending ending = {.outcome = completed ? OUTCOME_COMPLETED : OUTCOME_FAILED,
                            .error = report->error_message,
                            .started_at = run->lease->started_at,
                            .extra = 1024 + TRANSCODE_LOG_BYTES(report->error_message)};
    if (completed)
        ending.error = (struct str){0};
    else if (!ending.error.len)
        ending.error = STR_LIT("its worker reported a failure");
    if (core->wall_ms > ending.started_at)
        ending.duration_ms = core->wall_ms - ending.started_at;
    lease_claim(core, run->lease->worker, run->node.id, run->attempt);
    farm->report = report;
    int result = retry_end(core, run, &ending, fault);
    farm->report = NULL;
    return result;
}

static int report_check(const struct msg_transcode_report *report, const struct run *run, struct fault *fault)
{
    if (!(report->progress >= 0 && report->progress <= 100))
        return fault_set(fault, ERR_INVALID, "progress", "range", (struct str){0}, "0..100", "progress is 0 to 100");
    if (!run->lease || !run->lease->worker->kept) /* a worker with a session reports over it */
        return fault_set(fault, ERR_CONFLICT, "worker_id", "task_owner", (struct str){0}, NULL,
                         "task %llu is with a worker that has a session", (unsigned long long)report->task_id);
    return 0;
}

void transcode_on_report(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_report *report = &call->msg->u.transcode_report;
    struct transcode *farm = transcode_of(core);
    struct transcode_task *task = transcode_task_find(farm, report->task_id);
    struct run *run = task ? run_find(core, task->id) : NULL;
    struct msg_done done = {.id = report->task_id};
    struct fault fault;
    if (!run) {
        if (report_late(report, &fault) || core_reserve(core, 64, 64, 2, &fault))
            goto error;
    } else if (task_owned(&task->record, report->whose, &fault) || check_owner(report, task->record.worker_id, &fault) ||
               report_check(report, run, &fault) || api_attend(farm, core, run->lease->worker->id, report->whose, &fault)) {
        goto error;
    } else if (report->status >= TRANSCODE_COMPLETED) {
        if (report_ended(farm, core, report, run, &fault))
            goto error;
    } else if (report_running(farm, core, report, task, run, &fault)) {
        goto error;
    }
    core_answer(core, call, &shape_msg_done, &done);
    return;
error:
    core_refuse(core, call, &fault);
}
