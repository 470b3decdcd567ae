/* /videos/…/hold: what nobody removes until its hold ends. */
#include <errno.h>
#include <stdio.h>

#include "gateway/recordings_held.h"
#include "gateway/surfaces/recorder.h"
#include "proto/log.h"

static bool holds(const struct request *request)
{
    return request->match.route->method == METHOD_PUT;
}

static void hold_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    job->held = -1;
    if (recordings_hold(job->folder, job->name, job->file, job->hold) == 0)
        job->held = recordings_held(job->folder, job->name, job->file);
    job->cause = job->held < 0 ? errno : 0;
}

static void refuse(const struct recorder_job *job)
{
    struct request *request = job->request;
    const char *field = job->file.len ? "file" : "timestamp";
    if (job->cause == ENOENT || job->cause == ENOTDIR) {
        recorder_refuse(request, PROBLEM_NOT_FOUND, field, "recorder_missing", (struct str){0});
    } else if (job->cause == EXDEV || job->cause == ELOOP) {
        recorder_refuse(request, PROBLEM_FORBIDDEN, field, "recorder_path", (struct str){0});
    } else if (job->cause == ENOMEM) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    } else {
        log_warn("GTY-RECORDER-HOLD", "%s/%.*s: %s", job->folder, (int)job->name.len, job->name.ptr, strerror(job->cause));
        recorder_refuse(request, PROBLEM_INTERNAL, field, "recorder_hold", (struct str){0});
    }
}

static void hold_answer(struct recorder_job *job)
{
    static const char *const by[] = {[HOLD_NONE] = "", [HOLD_FILE] = "file", [HOLD_FOLDER] = "folder", [HOLD_WITHIN] = ""};
    struct request *request = job->request;
    struct str directory = recorder_trimmed(job->directory);
    struct buf path = {0};
    struct writer w;
    if (job->cause) {
        refuse(job);
        return;
    }
    buf_printf(&path, "%.*s/%.*s%s%.*s", (int)directory.len, directory.ptr, (int)job->name.len, job->name.ptr,
               job->file.len ? "/" : "", (int)job->file.len, job->file.ptr);
    recorder_say(request, &w, holds(request) ? TEXT_REC_HELD : TEXT_REC_RELEASED);
    writer_text(&w, "timestamp", job->name);
    if (job->file.len)
        writer_text(&w, "filename", job->file);
    writer_text(&w, "path", buf_str(&path));
    writer_bool(&w, "held", job->held == HOLD_FILE || job->held == HOLD_FOLDER);
    writer_text(&w, "held_by", str_of(by[job->held]));
    request->out.failed = request->out.failed || path.failed;
    buf_free(&path);
    recorder_close(request, &w, 200);
}

static void hold_begin(struct request *request, const struct rec_recorder_config *config)
{
    struct recorder_job *job = recorder_job_new(request, config->folder, config->global.output_directory, request->match.args[0],
                                                request->match.args[1]);
    if (!job)
        return;
    job->hold = holds(request);
    recorder_job_do(job, hold_work, hold_answer);
}

void recorder_hold(struct request *request)
{
    if (recorder_name_well(request, request->match.args[0]) && recorder_name_well(request, request->match.args[1]))
        recorder_config_ask(request, hold_begin);
}
