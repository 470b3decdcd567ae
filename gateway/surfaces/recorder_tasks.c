/* /tasks and /scheduler: what is recorded now, by which plan, and how far that is. */
#include <errno.h>
#include <stdio.h>

#include "gateway/surfaces/recorder.h"
#include "proto/ident.h"
#include "proto/log.h"

static void view_ask(struct request *request, bool brief, void (*on_view)(struct request *request, const struct msg *msg))
{
    const struct msg_recorder_ask asked = {.brief = brief};
    ask_send(request, ASK_SCHEDULER, &shape_msg_recorder_ask, &asked, on_view);
}

/* Totals of the cycle under way, or of the newest. */
static void write_counts(struct writer *w, const struct msg_recorder_view *view)
{
    const struct rec_recorder_cycle *cycle = &view->cycle;
    writer_uint(w, "total_tasks", cycle->count);
    writer_uint(w, "completed_tasks", cycle->completed);
    writer_uint(w, "failed_tasks", cycle->failed);
    writer_uint(w, "cancelled_tasks", cycle->cancelled);
    writer_uint(w, "max_concurrent_used", cycle->most);
    writer_rounded(w, "completion_rate", cycle->count ? (double)cycle->completed / (double)cycle->count : 0, 4);
}

static void write_task(struct request *request, struct writer *w, const struct rec_recorder_cycle *cycle,
                       const struct rec_recording *task)
{
    struct buf path = {0};
    struct str directory = recorder_trimmed(cycle->directory);
    buf_printf(&path, "%.*s/%.*s/%.*s", (int)directory.len, directory.ptr, (int)cycle->name.len, cycle->name.ptr,
               (int)task->output.len, task->output.ptr);
    w->out->failed = w->out->failed || path.failed;
    writer_open(w, NULL, '{');
    writer_uint(w, "task_id", task->number);
    writer_uint(w, "stream_index", task->index);
    writer_uint(w, "stream_id", task->stream);
    writer_text(w, "rtsp_url", task->rtsp_url);
    writer_text(w, "output_file", buf_str(&path));
    writer_uint(w, "duration_seconds", task->seconds);
    writer_uint(w, "wanted_seconds", task->wanted_seconds);
    writer_uint(w, "start_offset", task->start);
    writer_uint(w, "status_code", task->status);
    writer_text(w, "status_name", str_of(text_of(recorder_status(task->status, false), request->lang)));
    writer_uint(w, "status", task->status);
    writer_text(w, "status_text", str_of(text_of(recorder_status(task->status, true), request->lang)));
    recorder_time_write(w, "start_time", task->started_at);
    recorder_time_write(w, "end_time", task->ended_at);
    writer_uint(w, "progress", (uint64_t)task->recorded_seconds);
    writer_uint(w, "bytes_received", task->bytes);
    writer_uint(w, "frames_received", task->frames);
    writer_uint(w, "reconnects", task->reconnects);
    writer_uint(w, "run_id", task->run_id);
    writer_text(w, "error_message", task->error);
    writer_close(w, '}');
    buf_free(&path);
}

/* The plan, a line a task. */
static void write_plan(const struct request *request, struct writer *w, const struct msg_recorder_view *view)
{
    struct buf text = {0};
    bool english = request->lang == LANG_EN;
    buf_printf(&text, english ? "Plan: %u tasks" : "调度方案: %u个任务", view->recordings.count);
    for (uint32_t i = 0; i < view->recordings.count; i++) {
        const struct rec_recording *task = &view->recordings.items[i];
        unsigned long long number = task->number, start = task->start, seconds = task->seconds;
        if (seconds)
            buf_printf(&text, english ? "\nTask %llu: starts at %llu s, for %llu s" : "\n任务 %llu: %llu秒开始, 持续 %llu秒",
                       number, start, seconds);
        else
            buf_printf(&text, english ? "\nTask %llu: does not fit" : "\n任务 %llu: 本轮时间不足, 未安排", number);
    }
    w->out->failed = w->out->failed || text.failed;
    writer_text(w, "schedule_info", buf_str(&text));
    buf_free(&text);
}

static void on_tasks(struct request *request, const struct msg *msg)
{
    const struct msg_recorder_view *view = &msg->u.recorder_view;
    struct writer w;
    recorder_open(request, &w);
    writer_bool(&w, "scheduler_running", view->state.running);
    writer_uint(&w, "count", view->recordings.count);
    write_counts(&w, view);
    recorder_disk_write(request, &w, view);
    writer_open(&w, "tasks", '[');
    for (uint32_t i = 0; i < view->recordings.count; i++)
        write_task(request, &w, &view->cycle, &view->recordings.items[i]);
    writer_close(&w, ']');
    write_plan(request, &w, view);
    recorder_close(request, &w, 200);
}

void recorder_tasks(struct request *request)
{
    view_ask(request, false, on_tasks);
}

static void on_scheduler(struct request *request, const struct msg *msg)
{
    const struct msg_recorder_view *view = &msg->u.recorder_view;
    struct writer w;
    recorder_open(request, &w);
    writer_bool(&w, "is_running", view->state.running);
    recorder_time_write(&w, "start_time", view->state.started_at);
    recorder_time_write(&w, "end_time", view->state.ended_at);
    write_counts(&w, view);
    writer_uint(&w, "cycles", view->state.cycles);
    recorder_time_write(&w, "next_cycle_time", view->state.running && !view->state.cycle ? view->state.next_at : 0);
    recorder_disk_write(request, &w, view);
    recorder_close(request, &w, 200);
}

void recorder_scheduler(struct request *request)
{
    view_ask(request, true, on_scheduler);
}

static void on_cycle(struct request *request, const struct msg *msg)
{
    const struct msg_recorder_view *view = &msg->u.recorder_view;
    const struct rec_recorder_cycle *cycle = &view->cycle;
    uint64_t total = cycle->total_seconds;
    double part = total ? 100.0 * (double)view->elapsed_seconds / (double)total : 0;
    struct writer w;
    part = part > 100 || (cycle->id && !view->state.cycle) ? 100 : part;
    recorder_open(request, &w);
    writer_bool(&w, "scheduler_running", view->state.running);
    writer_bool(&w, "is_running", view->state.running);
    writer_uint(&w, "current_cycle", cycle->number);
    writer_open(&w, "cycle_info", '{');
    recorder_time_write(&w, "start_time", cycle->started_at);
    writer_uint(&w, "elapsed_seconds", view->elapsed_seconds);
    writer_uint(&w, "total_duration", total);
    writer_rounded(&w, "progress_percentage", part, 2);
    writer_close(&w, '}');
    writer_open(&w, "cycle_progress", '{');
    writer_uint(&w, "elapsed_seconds", view->elapsed_seconds);
    writer_uint(&w, "total_seconds", total);
    writer_rounded(&w, "progress_percentage", part, 2);
    writer_close(&w, '}');
    writer_open(&w, "scheduler_stats", '{');
    write_counts(&w, view);
    writer_close(&w, '}');
    writer_open(&w, "active_tasks", '[');
    for (uint32_t i = 0; i < view->recordings.count; i++) {
        const struct rec_recording *task = &view->recordings.items[i];
        if (!task->run_id || task->status >= RECORDING_COMPLETED)
            continue;
        writer_open(&w, NULL, '{');
        writer_uint(&w, "stream_index", task->index);
        writer_uint(&w, "status", task->status);
        writer_uint(&w, "progress_seconds", (uint64_t)task->recorded_seconds);
        writer_uint(&w, "target_duration", task->seconds);
        writer_close(&w, '}');
    }
    writer_close(&w, ']');
    recorder_close(request, &w, 200);
}

void recorder_cycle(struct request *request)
{
    view_ask(request, false, on_cycle);
}

/* ---- start and stop ---- */

static void on_run(struct request *request, const struct msg *msg)
{
    struct writer w;
    recorder_say(request, &w, request->match.route->handle == recorder_start ? TEXT_REC_STARTED : TEXT_REC_STOPPED);
    writer_bool(&w, "is_running", msg->u.recorder_view.state.running);
    recorder_disk_write(request, &w, &msg->u.recorder_view);
    recorder_close(request, &w, 200);
}

static void run(struct request *request, bool stop)
{
    struct msg_recorder_run asked = {.stop = stop};
    struct problem problem;
    if (request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    request->on_error = recorder_told;
    ask_send(request, ASK_SCHEDULER, &shape_msg_recorder_run, &asked, on_run);
}

static void folder_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    struct err err = {0};
    recordings_disk_look(job->folder, &job->disk);
    if (job->disk.there || job->disk.known) /* one that was there, and is not: its disk will be back */
        return;
    if (ident_make_dirs(job->folder, 0755, &err) == 0) {
        job->disk.past[0] = '\0'; /* where a disk is to be mounted there would be a folder */
        recordings_disk_look(job->folder, &job->disk);
        return;
    }
    log_error("GTY-RECORDER-FOLDER", "%s", err.text);
    job->cause = EIO;
}

static void on_told(struct request *request, const struct msg *msg)
{
    (void)msg;
    run(request, false);
}

/* The scheduler is to know of its disk before it begins. */
static void folder_answer(struct recorder_job *job)
{
    struct request *request = job->request;
    const struct msg_recorder_disk told = {.folder = str_of(job->folder), .state = job->disk.state, .marked = job->disk.marked};
    struct rec_idem idem;
    struct problem problem;
    if (job->cause)
        recorder_refuse(request, PROBLEM_INTERNAL, "output_directory", "recorder_unmade", job->directory);
    else if (request_idem(request, &idem, &problem) != 0) /* so that it is asked again while the store is away for a moment */
        reply_problem(request, &problem);
    else
        ask_send(request, ASK_SCHEDULER, &shape_msg_recorder_disk, &told, on_told);
}

static void on_folder_view(struct request *request, const struct msg *msg)
{
    struct recorder_job *job = recorder_job_of(request);
    recorder_disk_ask(request->gateway, &msg->u.recorder_view, str_of(job->folder), &job->disk);
    job->disk.use = true;
    recorder_job_do(job, folder_work, folder_answer);
}

/* Workers make a cycle's folder, but not the one that it is in, which may be a disk that is not there just now: who starts has that. */
static void folder_make(struct request *request, const struct rec_recorder_config *config)
{
    struct str none = {0};
    struct recorder_job *job = recorder_job_new(request, config->folder, config->global.output_directory, none, none);
    if (job)
        recorder_job_ask(job, true, on_folder_view);
}

void recorder_start(struct request *request)
{
    recorder_config_ask(request, folder_make);
}

void recorder_stop(struct request *request)
{
    run(request, true);
}
