/* The recorder's dialect: its routes and its envelope. */
#include "gateway/surfaces/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/surface.h"
#include "proto/clock.h"

#define PATIENCE_MS 60000 /* that a request waits for others' files, whose disk may not answer */

static const struct route routes[] = {
    {METHOD_GET, "/timestamps", recorder_timestamps, ROLE_READONLY,
     "Lists the cycles' folders, newest first, with how many videos are in each and their bytes."},
    {METHOD_GET, "/videos", recorder_videos, ROLE_READONLY,
     "Lists videos, those of the newest folder first, then by file name. `timestamp`: of this folder only."},
    {METHOD_GET, "/videos/{timestamp}", recorder_videos_of, ROLE_READONLY,
     "Lists the videos of a folder. 404 when there is none."},
    {METHOD_GET, "/videos/{timestamp}/{file}", recorder_video_get, ROLE_READONLY,
     "The video itself, with `Range`, `If-Range` and `ETag`."},
    {METHOD_GET, "/videos/{timestamp}/{file}/thumbnail.jpg", recorder_thumbnail, ROLE_READONLY,
     "A small JPEG of it, from a tenth of its length on, with `ETag` and `If-None-Match`. 404 where there is no such video, or "
     "none "
     "that can be decoded; 503 with `Retry-After` while too many are being made."},
    {METHOD_GET, "/streams/{index}/live.jpg", recorder_live, ROLE_READONLY,
     "The last key frame of what is being recorded of a stream, as JPEG, at most 1280 pixels wide or high. 404 while nothing of "
     "it "
     "is."},
    {METHOD_DELETE, "/video", recorder_video_delete, ROLE_USER,
     "Deletes the video that `path` names, as lists show it (`full_path`). 403 outside of the output folder, 404 when there is "
     "none, "
     "409 while it is being recorded, or held."},
    {METHOD_DELETE, "/timestamp/{timestamp}", recorder_timestamp_delete, ROLE_USER,
     "Deletes a folder with all that is in it. 409 while something is being recorded into it, or anything in it is held."},
    {METHOD_PUT, "/videos/{timestamp}/hold", recorder_hold, ROLE_USER,
     "Holds a folder with all that is in it, and comes into it: nothing of it is removed, neither for its age nor by hand, until "
     "the hold "
     "ends. Holds stay with the folder."},
    {METHOD_DELETE, "/videos/{timestamp}/hold", recorder_hold, ROLE_USER,
     "Ends the hold of a folder; videos that are held by themselves stay so."},
    {METHOD_PUT, "/videos/{timestamp}/{file}/hold", recorder_hold, ROLE_USER, "Holds a video."},
    {METHOD_DELETE, "/videos/{timestamp}/{file}/hold", recorder_hold, ROLE_USER,
     "Ends the hold of a video. `held_by` says `folder` where all of its folder is held still."},

    {METHOD_GET, "/config", recorder_config_get, ROLE_READONLY,
     "The whole configuration. Credentials in addresses are shown to `admin` only, unless no keys are asked for; what was shown "
     "without "
     "them may be sent back so."},
    {METHOD_PUT, "/config", recorder_config_put, ROLE_USER,
     "Takes the place of the whole configuration, or changes nothing. A stream whose address and file name were there stays the "
     "same "
     "stream."},
    {METHOD_GET, "/config/global", recorder_global_get, ROLE_READONLY, "What holds for all streams."},
    {METHOD_PUT, "/config/global", recorder_global_put, ROLE_USER,
     "Changes what is given of it. `output_directory` has to be in the folder given at the start, or in one of "
     "`recorder.folders`. It "
     "holds from the next cycle on."},
    {METHOD_GET, "/config/streams", recorder_streams_get, ROLE_READONLY, "Lists the streams."},
    {METHOD_POST, "/config/streams", recorder_streams_post, ROLE_USER,
     "Adds a stream: `rtsp_url` (rtsp:// or rtsps://), `duration_seconds`, `weight`, `output_filename` (.mp4; streams may share "
     "one)."},
    {METHOD_PUT, "/config/streams/{index}", recorder_stream_put, ROLE_USER,
     "Changes what is given of a stream. 404 for another index."},
    {METHOD_DELETE, "/config/streams/{index}", recorder_stream_delete, ROLE_USER,
     "Removes a stream; those behind it move up. The last one has to stay: 400."},
    {METHOD_POST, "/config/save", recorder_save, ROLE_USER,
     "Writes the configuration to its file, or to `file_path` in the same folder."},
    {METHOD_POST, "/config/reload", recorder_reload, ROLE_USER,
     "The file takes the place of the configuration, or nothing changes."},

    {METHOD_GET, "/tasks", recorder_tasks, ROLE_READONLY,
     "The recordings of the cycle under way, or of the newest, as they are this second, and the plan (`schedule_info`). "
     "`status`: 0 "
     "waiting, 1 connecting, 2 connected, 3 recording, 4 completed, 5 connection error, 6 recording error, 7 timed out, 8 "
     "cancelled, 9 "
     "stream not available."},
    {METHOD_GET, "/tasks/status", recorder_tasks, ROLE_READONLY, "The same as `GET /tasks`."},
    {METHOD_GET, "/scheduler/status", recorder_scheduler, ROLE_READONLY,
     "Whether cycles are gone through, and the newest one's counts. `disk_state`: `ok`, or why nothing new is recorded, "
     "`disk_full` or "
     "`unmounted`; `disk_message` says it in words."},
    {METHOD_GET, "/scheduler/cycle", recorder_cycle, ROLE_READONLY, "How far the cycle is, and what is being recorded."},
    {METHOD_POST, "/scheduler/start", recorder_start, ROLE_USER,
     "Starts the first cycle; makes the output folder. It goes on through restarts of the farm. 409 while it runs."},
    {METHOD_POST, "/scheduler/stop", recorder_stop, ROLE_USER, "Ends it, and what is being recorded."},
    {METHOD_GET, "/coverage", recorder_coverage, ROLE_READONLY,
     "What was due and what was recorded, by stream and day, the newest day first: `due_seconds` and `extra_seconds` are "
     "together "
     "`recorded_seconds`, `gap_seconds`, `lost_seconds` and `unplanned_seconds`. `stream_id`, `day` (YYYYMMDD), `since` (that "
     "day "
     "and later ones), `page`, `per_page` (at most 1000)."},
    {METHOD_GET, "/coverage/gaps", recorder_coverage_gaps, ROLE_READONLY,
     "What is missing of recordings, the newest first: each gap with its second of the recording and its cause. Recordings of "
     "which nothing is missing are not listed. `stream_id`, `day` (YYYYMMDD), `since`, `page`, `per_page` (at most 1000)."},
    {METHOD_GET, "/disk", recorder_disk, ROLE_READONLY,
     "The disk of the output folder: `total`, `used`, `free` (bytes; null while it is not there), `bytes_per_day` as recorded "
     "over the last "
     "days, and when that fills it (`full_at`, `forecast`: `filling`, `retention` keeps it below, `idle`, `full`, `unknown`). "
     "`state`: `ok`, "
     "`disk_full` (less is free than `recorder.min_free_mb`: nothing new is recorded), `unmounted` (the folder has lost its "
     "marker), "
     "`missing` (it is not made yet)."},
    {METHOD_GET, "/retention", recorder_retention, ROLE_READONLY,
     "What retention would remove now, and why (`reason`: `age`, `size`, `free_space`), with sums; nothing is removed. "
     "`keep_days`, "
     "`keep_gb`, `free_gb`: what it would be with these in place of the settings."},
    {.handle = NULL},
};

/* ---- envelope ---- */

void recorder_open(struct request *request, struct writer *w)
{
    buf_reset(&request->out);
    *w = (struct writer){.out = &request->out};
    writer_open(w, NULL, '{');
}

void recorder_close(struct request *request, struct writer *w, unsigned status)
{
    writer_close(w, '}');
    reply_done(request, status);
}

void recorder_say(struct request *request, struct writer *w, enum text_id message)
{
    recorder_open(request, w);
    writer_bool(w, "success", true);
    writer_text(w, "message", str_of(text_of(message, request->lang)));
}

static const char *reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {{400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {413, "Payload Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {416, "Range Not Satisfiable"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {500, "Internal Server Error"},
                   {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

/* Where a cycle's folder is, as configured; before that is known, as it is by itself. */
static void write_folder_path(const struct request *request, struct writer *w, struct str name)
{
    const struct recorder_wish *wish = request->own;
    const char *output = settings_text(request->gateway->settings, SET_OUTPUT);
    struct str directory = wish && wish->directory.ptr ? wish->directory : output[0] ? str_of(output) : STR_LIT("./output");
    struct buf path = {0};
    directory = recorder_trimmed(directory);
    buf_printf(&path, "%.*s/%.*s", (int)directory.len, directory.ptr, (int)name.len, name.ptr);
    w->out->failed = w->out->failed || path.failed;
    writer_text(w, "path", buf_str(&path));
    buf_free(&path);
}

/* A delete that failed says what it was about, too. */
static void write_deleted(const struct request *request, struct writer *w)
{
    const struct route *route = request->match.route;
    struct str path = {0};
    if (!route || (route->handle != recorder_video_delete && route->handle != recorder_timestamp_delete))
        return;
    writer_bool(w, "success", false);
    if (route->handle == recorder_timestamp_delete) {
        writer_text(w, "timestamp", request->match.args[0]);
        write_folder_path(request, w, request->match.args[0]);
    } else {
        uri_param(&request->uri, "path", &path);
        writer_text(w, "path", path);
    }
}

void recorder_problem(struct request *request, const struct problem *problem)
{
    static const char own[] = "recorder_";
    struct writer w = {.out = &request->out};
    struct buf sentence = {.limit = 16384};
    unsigned status = problem->kind == PROBLEM_INVALID ? 400 : problem_status(problem->kind);
    bool whole = problem->rule.len > sizeof own && memcmp(problem->rule.ptr, own, sizeof own - 1) == 0;

    if (whole)
        text_fill(&sentence, text_rule(problem->rule, request->lang),
                  &(struct text_words){problem->field, problem->value, problem->expected});
    else
        problem_sentence(&sentence, problem, request->lang);
    writer_open(&w, NULL, '{');
    write_deleted(request, &w);
    writer_text(&w, "error", str_of(reason(status)));
    writer_text(&w, "message", buf_str(&sentence));
    writer_close(&w, '}');
    buf_free(&sentence);
}

void recorder_refuse(struct request *request, enum problem_kind kind, const char *field, const char *rule, struct str value)
{
    struct problem problem;
    problem_value(&problem, kind, field, rule, value, NULL);
    reply_problem(request, &problem);
}

bool recorder_told(struct request *request, const struct msg_error *error)
{
    if (str_is(error->rule, "recorder_unloaded"))
        recorder_refuse(request, PROBLEM_OVERLOADED, NULL, "recorder_unloaded", (struct str){0});
    else if (str_is(error->rule, "recorder_index"))
        recorder_refuse(request, PROBLEM_NOT_FOUND, "index", "recorder_index", request->match.args[0]);
    else
        return false;
    return true;
}

/* ---- words ---- */

const char *recorder_time(uint64_t wall_ms, char out[RECORDER_TIME])
{
    time_t at = (time_t)(wall_ms / 1000);
    struct tm tm;
    out[0] = '\0';
    if (wall_ms && localtime_r(&at, &tm))
        strftime(out, RECORDER_TIME, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

void recorder_time_write(struct writer *w, const char *key, uint64_t wall_ms)
{
    char text[RECORDER_TIME];
    writer_text(w, key, str_of(recorder_time(wall_ms, text)));
}

enum text_id recorder_status(uint64_t status, bool text)
{
    static const enum text_id names[] = {TEXT_REC_IDLE,      TEXT_REC_CONNECTING,    TEXT_REC_CONNECTED,  TEXT_REC_RECORDING,
                                         TEXT_REC_COMPLETE,  TEXT_REC_CONNECT_ERROR, TEXT_REC_READ_ERROR, TEXT_REC_TIMED_OUT,
                                         TEXT_REC_CANCELLED, TEXT_REC_UNAVAILABLE};
    if (text && status == RECORDING_IDLE)
        return TEXT_REC_WAITING;
    if (text && status == RECORDING_COMPLETED)
        return TEXT_REC_COMPLETED;
    return names[status <= RECORDING_UNAVAILABLE ? status : RECORDING_UNAVAILABLE];
}

static enum recorder_disk_state disk_state(const struct msg_recorder_view *view)
{
    bool same = HAS(view, msg_recorder_view, disk) && str_eq(view->disk.folder, recorder_disk_folder(view));
    return same && view->disk.state <= RECORDER_DISK_UNMOUNTED ? (enum recorder_disk_state)view->disk.state : RECORDER_DISK_WELL;
}

const char *recorder_disk_word(enum recorder_disk_state state)
{
    static const char *const words[] = {
        [RECORDER_DISK_WELL] = "ok", [RECORDER_DISK_FULL] = "disk_full", [RECORDER_DISK_UNMOUNTED] = "unmounted"};
    return words[state];
}

const char *recorder_disk_text(const struct request *request, enum recorder_disk_state state)
{
    if (state == RECORDER_DISK_FULL)
        return text_of(TEXT_REC_DISK_FULL, request->lang);
    return state == RECORDER_DISK_UNMOUNTED ? text_of(TEXT_REC_DISK_UNMOUNTED, request->lang) : "";
}

void recorder_disk_write(const struct request *request, struct writer *w, const struct msg_recorder_view *view)
{
    writer_text(w, "disk_state", str_of(recorder_disk_word(disk_state(view))));
    writer_text(w, "disk_message", str_of(recorder_disk_text(request, disk_state(view))));
}

/* ---- work with files ---- */

static void job_free(struct recorder_job *job)
{
    if (job->fd >= 0)
        close(job->fd);
    json_decref(job->json);
    buf_free(&job->out);
    free(job->text);
    free(job);
}

/* The request goes; the job with it, or behind its work. */
static void job_orphan(void *self)
{
    struct recorder_job *job = self;
    if (job->job.done)
        job->request = NULL;
    else
        job_free(job);
}

struct recorder_job *recorder_job_new(struct request *request, struct str folder, struct str directory, struct str name,
                                      struct str file)
{
    if (request->sink.closed == job_orphan) /* the handler is called again, as the store was away: what it did before is over */
        job_orphan(request->sink.self);
    request->sink = (struct sink){0};
    struct recorder_job *job = request->gateway->files ? calloc(1, sizeof *job) : NULL;
    if (job) {
        job->fd = -1;
        job->text = malloc((size_t)directory.len + name.len + file.len + 3);
    }
    if (!job || !job->text || !str_copy(job->folder, sizeof job->folder, folder)) {
        if (job)
            free(job->text);
        free(job);
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return NULL;
    }
    struct str *to[] = {&job->directory, &job->name, &job->file}, from[] = {directory, name, file};
    char *at = job->text;
    for (size_t i = 0; i < 3; i++) {
        str_copy(at, (size_t)from[i].len + 1, from[i]);
        *to[i] = (struct str){at, from[i].len};
        at += from[i].len + 1;
    }
    job->request = request;
    job->recordings = request->gateway->recordings;
    request->sink = (struct sink){.closed = job_orphan, .self = job};
    return job;
}

static void job_over(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    job->job.done = NULL;
    if (job->request)
        job->answer(job); /* its request frees it, when it ends */
    else
        job_free(job);
}

struct recorder_job *recorder_job_of(const struct request *request)
{
    return ((const struct recorder_wish *)request->own)->job;
}

void recorder_job_ask(struct recorder_job *job, bool brief, void (*on_view)(struct request *request, const struct msg *msg))
{
    const struct msg_recorder_ask asked = {.brief = brief};
    ((struct recorder_wish *)job->request->own)->job = job;
    ask_send(job->request, ASK_SCHEDULER, &shape_msg_recorder_ask, &asked, on_view);
}

/* What is before it takes too long: nothing of it was done. */
static void job_late(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    job->job.done = NULL;
    if (job->request)
        reply_problem_kind(job->request, PROBLEM_OVERLOADED);
    else
        job_free(job);
}

void recorder_job_do(struct recorder_job *job, void (*work)(struct file_job *job), void (*answer)(struct recorder_job *job))
{
    job->job.work = work;
    job->job.done = job_over;
    job->job.late = job_late;
    job->job.until_ms = clock_mono_ms() + PATIENCE_MS;
    job->answer = answer;
    files_do(job->request->gateway->files, &job->job);
}

void recorder_job_reply(struct recorder_job *job)
{
    struct request *request = job->request;
    buf_free(&request->out);
    request->out = job->out;
    job->out = (struct buf){0};
    reply_done(request, 200);
}

void recorder_job_opened(struct recorder_job *job, int fd)
{
    job->fd = fd;
    if (fd >= 0 && fstat(fd, &job->stat) == 0)
        return;
    job->cause = errno;
    if (fd >= 0)
        close(fd);
    job->fd = -1;
}

int recorder_job_fd(struct recorder_job *job)
{
    int fd = job->fd;
    job->fd = -1;
    job->request->sink = (struct sink){0};
    job_free(job);
    return fd;
}

const struct surface surface_recorder = {
    .name = "recorder",
    .prefix = "/recorder/api",
    .own = "/api",
    .routes = routes,
    .write_problem = recorder_problem,
    .invalid = 400,
    .any_origin = true,
    .doc = "The RTSP recorder's API. Answers have no envelope; an error is `{error, message}`, where `message` is Chinese, or "
           "English where "
           "`Accept-Language` prefers it. Times are local, as `2025-10-11 16:30:05`; one that has not come is `\"\"`. Pages of "
           "any origin "
           "may call it.",
};
