/* The transcode farm's dialect: its routes and its envelope. */
#include "gateway/surfaces/transcode.h"

#include "gateway/surfaces/surface.h"
#include "proto/log.h"

static const struct route routes[] = {
    {METHOD_POST, "/workers", api_workers_create, ROLE_WORKER,
     "Registers a worker: 201. It is who its `worker_name` says: one that was offline is online again, without a directive, and "
     "what it had "
     "not finished has failed. 409 while one of that name is online. `worker_type`: 0 cpu, 1 nvenc, 2 qsv, 3 vpu."},
    {METHOD_GET, "/workers", api_workers_list, ROLE_READONLY,
     "Lists workers, newest first: those of this API, and those that take part over the worker protocol (`session`). `page`, "
     "`per_page` (all, up to "
     "1000, if absent)."},
    {METHOD_GET, "/workers/{worker_id}", api_workers_get, ROLE_READONLY, "Tells of one worker. `status`: 0 offline, 1 online."},
    {METHOD_PUT, "/workers/{worker_id}", api_workers_update, ROLE_USER,
     "Changes what is given of `worker_name`, `worker_type` and `support_vr`. 409 for a name that is taken, and for a worker "
     "that takes part "
     "over the worker protocol: it says that itself."},
    {METHOD_DELETE, "/workers/{worker_id}", api_workers_delete, ROLE_USER,
     "Forgets a worker; its unfinished tasks fail. 409 for one with a session."},
    {METHOD_POST, "/workers/heartbeat", api_workers_beat, ROLE_WORKER,
     "A worker lives: every 5 s. After 30 s of silence (20 s, if it registered through the older API) it is offline and its "
     "tasks fail."},
    {METHOD_POST, "/workers/{worker_id}/offline", api_workers_offline, ROLE_USER,
     "Tells a worker to go offline (`action`: `offline`), or to shut its machine down as well (`shutdown`), when it next asks "
     "for a task. "
     "Cleared when it registers again, goes offline, or by DELETE. One with a session is kept from getting anything new "
     "instead."},
    {METHOD_DELETE, "/workers/{worker_id}/offline", api_workers_online, ROLE_USER, "Takes that back."},
    {METHOD_POST, "/tasks", api_tasks_create, ROLE_WORKER,
     "Gives a worker a task: 201. Of the videos that wait, the one with the highest bitrate that fits: `support_vr` 1 takes VR "
     "videos only, 0 only "
     "others; all but cpu take only h264 of at most 1080p and 31 fps; cpu and qsv take failed ones when none waits. 404 when "
     "there is "
     "none; 200 with code 205 and `action` when the worker is to go offline."},
    {METHOD_GET, "/tasks", api_tasks_list, ROLE_READONLY,
     "Lists tasks, newest first. `page`, `per_page`, `status[]` (0 created, 1 running, 2 completed, 3 failed), `sort_by` "
     "(`start_time`, "
     "`progress`, `status`), `order`. `pagination` stands beside `data`."},
    {METHOD_GET, "/tasks/{task_id}", api_tasks_get, ROLE_READONLY, "Tells of one task."},
    {METHOD_PATCH, "/tasks/{task_id}", api_tasks_update, ROLE_WORKER,
     "What its worker says of a task. 409 from another worker, and for what contradicts its end; saying its end again is a 200. "
     "A task of "
     "which nothing is said for 60 s (or twice the longest silence so far; 10 min before the first word) fails."},
    {METHOD_GET, "/videos", api_videos_list, ROLE_READONLY,
     "Lists videos of the library, newest first. `page`, `per_page`, `transcode_status[]` (0 not needed, 1 waiting, 2 created, 3 "
     "running, 4 "
     "completed, 5 failed), `health[]` (0 not checked, 1 healthy, 2 damaged), `is_vr`, `codec[]`, `min_bitrate`, `max_bitrate` "
     "(kbit/s), `min_size`, `max_size` (MB), `search` "
     "(words of the "
     "path), `sort_by` (`video_path`, `codec`, `bitrate_k`, `resolutionall`, `video_size`, `transcode_status`, `updatetime`), "
     "`order`."},
    {METHOD_GET, "/videos/{id}", api_videos_get, ROLE_READONLY, "Tells of one video, with what its probe saw (`detail`)."},
    {METHOD_PATCH, "/videos/{id}", api_videos_set, ROLE_USER,
     "Queues a video by hand (`transcode_status` 1, which starts its attempts anew), or excludes it (0): 409 while it is being "
     "transcoded, and for one that cannot be read. `bumped` true: it goes before the others that wait."},
    {METHOD_POST, "/videos/{id}/health", api_health_one, ROLE_USER,
     "Has all of a video decoded, by a run of the executor `health`: 201. What comes of it is `health` of the video (0 not "
     "checked, 1 healthy, 2 damaged) and `health_check`, until the file changes. A check that has not ended is not begun again. "
     "409 for a video that cannot be read."},
    {METHOD_POST, "/videos/health", api_health_begin, ROLE_USER,
     "Has all videos checked, one after the other, by workers that have nothing to transcode: 201. `unchecked` true: only those "
     "whose present version was never checked. What goes on already is not begun again."},
    {METHOD_GET, "/videos/health", api_health_get, ROLE_READONLY,
     "Tells how far the check of all videos is. `state`: `none`, `running`, `ended`, `stopped`."},
    {METHOD_DELETE, "/videos/health", api_health_stop, ROLE_USER,
     "Ends the check of all videos. What is being checked is checked to its end."},
    {METHOD_POST, "/videos/scan", api_videos_scan, ROLE_USER,
     "Has the library's folders looked through: 201, with the runs that do so. `library`: only this one. A scan that has not "
     "ended is not begun "
     "again."},
    {METHOD_GET, "/statistics", api_statistics, ROLE_READONLY,
     "What transcodes have come to: `results` that were accepted and have not been undone, where their size is known, and "
     "`saved_bytes`, that they are smaller than their sources."},
    {METHOD_GET, "/logs", api_logs_list, ROLE_READONLY,
     "Lists log lines, newest first. `page`, `per_page`, `log_level[]` (0 debug, 1 info, 2 warning, 3 error), `task_id`, "
     "`after` (the id of a line), `start_time`, `end_time`, "
     "`sort_by` (`id`, `log_time`, `log_level`), `order`."},
    {METHOD_POST, "/logs", api_logs_create, ROLE_WORKER, "Adds a line to a task's log: 201."},

    {METHOD_GET, "/stream/source/{task_id}", api_source_get, ROLE_WORKER,
     "The source of a task that has not ended, for a worker that has no library mounted: the file itself, with `Range`, "
     "`If-Range` and `ETag`."},
    {METHOD_GET, "/stream/result/{task_id}", api_result_get, ROLE_WORKER,
     "How many bytes of a task's result are here: where an upload that broke off goes on. With `size` and `hash` (XXH3 128, "
     "hexadecimal): whether a result of that content stands complete."},
    {METHOD_PUT, "/stream/result/{task_id}", api_result_put, ROLE_WORKER,
     "Takes the result of a task that has not ended: the file itself, of any size. `Content-Range: bytes FIRST-LAST/TOTAL` sends "
     "a part of it, "
     "which goes on behind what is here: 200 once that is on disk, and 201 with the last, which may come again while the result "
     "has "
     "not got its name. Without it the body is all of it. `X-Content-SHA256` (hexadecimal) is held against the whole file. It "
     "appears below `transcode.save`, by the path of its source (with another `extension`), complete and on disk, and in the "
     "place "
     "of an earlier result of the same video: 409 where another file stands, and when the task is not its worker's any more."},

    {METHOD_POST, "/worker/register", api_workers_create, ROLE_WORKER,
     "The older API: registers a worker, also one that is online. 20 s of silence take it offline."},
    {METHOD_POST, "/worker/heartbeat", api_workers_beat, ROLE_WORKER, "The older API: as `POST /workers/heartbeat`."},
    {METHOD_GET, "/task/new", api_task_new, ROLE_WORKER,
     "The older API: a task for `worker_id` and `worker_name`, from the query or the body, by the type and VR flag it registered "
     "with. `data` is "
     "null when there is none."},
    {METHOD_POST, "/task/progress", api_task_progress, ROLE_WORKER, "The older API: as `PATCH /tasks/{task_id}`."},
    {.handle = NULL},
};

bool api_old(const struct request *request)
{
    const struct str *segments = request->uri.segments; /* api, v1, … */
    return request->uri.segment_count > 2 && (str_is(segments[2], "worker") || str_is(segments[2], "task"));
}

/* ---- envelope ---- */

void api_open(struct request *request, struct writer *w, unsigned code, enum text_id message)
{
    buf_reset(&request->out);
    *w = (struct writer){.out = &request->out};
    writer_open(w, NULL, '{');
    writer_uint(w, "code", code);
    writer_text(w, "message", str_of(text_of(message, request->lang)));
}

void api_close(struct request *request, struct writer *w, unsigned status)
{
    writer_close(w, '}');
    reply_done(request, status);
}

void api_say(struct request *request, unsigned status, enum text_id message)
{
    struct writer w;

    api_open(request, &w, status, message);
    api_close(request, &w, status);
}

/* Rules whose sentence is the whole message, as this API's clients know it. */
static bool rule_is_whole(struct str rule)
{
    static const char *const words[] = {"worker_missing", "worker_online",  "worker_name",   "worker_session", "worker_full",
                                        "worker_owner",   "directive",      "task_missing",  "task_owner",     "task_final",
                                        "video_missing",  "video_busy",     "video_broken",  "library_root",   "library_none",
                                        "source_missing", "source_outside", "upload_offset", "upload_busy",    "upload_hash",
                                        "upload_disk",    "upload_stands"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_is(rule, words[i]))
            return true;
    }
    return false;
}

void api_problem(struct request *request, const struct problem *problem)
{
    struct writer w = {.out = &request->out};
    struct buf sentence = {.limit = 16384};
    unsigned status = problem->kind == PROBLEM_INVALID ? 400 : problem_status(problem->kind);

    if (rule_is_whole(problem->rule))
        text_fill(&sentence, text_rule(problem->rule, request->lang),
                  &(struct text_words){problem->field, problem->value, problem->expected});
    else if (str_is(problem->rule, "required"))
        buf_text(&sentence, text_of(TEXT_API_INCOMPLETE, request->lang));
    else
        problem_sentence(&sentence, problem, request->lang);
    writer_open(&w, NULL, '{');
    writer_uint(&w, "code", status);
    writer_text(&w, "message", buf_str(&sentence));
    writer_close(&w, '}');
    buf_free(&sentence);
}

static void (*const uploads[])(struct request *request) = {api_result_put, NULL};

const struct surface surface_transcode = {
    .name = "transcode",
    .prefix = "/api/v1",
    .routes = routes,
    .write_problem = api_problem,
    .uploads = uploads,
    .invalid = 400,
    .doc = "The transcode farm's API, and its older form (`/worker/…`, `/task/…`). Answers are `{code, message, data}`; the HTTP "
           "status is the "
           "`code`, unless said otherwise. `message` is Chinese, or English where `Accept-Language` prefers it.",
};
