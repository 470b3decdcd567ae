/* /timestamps, /videos, /video, /timestamp: what is in the output folder, read and removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/recordings_held.h"
#include "gateway/serve.h"
#include "gateway/surfaces/recorder.h"
#include "proto/log.h"

enum recorder_list { LIST_FOLDERS, LIST_VIDEOS, LIST_VIDEOS_OF };

/* ---- lists, written in the helper thread ---- */

void recorder_video_begin(struct writer *w, struct str directory, const struct recording_folder *folder,
                          const struct recording_file *file)
{
    char path[4096 + 512];
    snprintf(path, sizeof path, "%.*s/%s/%s", (int)directory.len, directory.ptr, folder->name, file->name);
    writer_open(w, NULL, '{');
    writer_text(w, "filename", str_of(file->name));
    writer_text(w, "full_path", str_of(path));
    writer_text(w, "timestamp_dir", str_of(folder->name));
    writer_uint(w, "file_size", file->size);
    recorder_time_write(w, "created_time", file->changed_ms);
    writer_text(w, "stream_index", recordings_index(str_of(file->name)));
    writer_bool(w, "held", folder->held || file->held);
}

static void write_videos(struct writer *w, struct str directory, const struct recording_folder *folder)
{
    for (uint32_t i = 0; i < folder->count; i++) {
        recorder_video_begin(w, directory, folder, &folder->files[i]);
        writer_close(w, '}');
    }
}

/* Said only where it is so. */
static void left_out_write(struct writer *w, uint64_t left_out)
{
    if (left_out)
        writer_uint(w, "left_out", left_out);
}

static uint32_t held_count(const struct recording_folder *folder)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < folder->count; i++)
        count += folder->held || folder->files[i].held;
    return count;
}

static void write_folders(struct writer *w, const struct recordings *recordings)
{
    writer_uint(w, "count", recordings->count);
    left_out_write(w, recordings->left_out);
    writer_open(w, "timestamps", '[');
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        writer_open(w, NULL, '{');
        writer_text(w, "timestamp", str_of(folder->name));
        writer_uint(w, "video_count", folder->count);
        writer_uint(w, "total_size", folder->bytes);
        writer_bool(w, "held", folder->held);
        writer_uint(w, "held_count", held_count(folder));
        writer_close(w, '}');
    }
    writer_close(w, ']');
}

static void write_all(struct writer *w, const struct recordings *recordings, struct str directory)
{
    uint64_t count = 0, left_out = 0;
    for (uint32_t i = 0; i < recordings->count; i++) {
        count += recordings->folders[i].count;
        left_out += recordings->folders[i].left_out;
    }
    writer_uint(w, "count", count);
    left_out_write(w, left_out);
    writer_open(w, "videos", '[');
    for (uint32_t i = 0; i < recordings->count; i++)
        write_videos(w, directory, &recordings->folders[i]);
    writer_close(w, ']');
}

static void list_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    struct writer w = {.out = &job->out};
    struct str directory = recorder_trimmed(job->directory);
    if (recordings_look(job->recordings, job->folder) != 0) {
        job->cause = errno;
        return;
    }
    const struct recording_folder *folder = job->name.len ? recordings_find(job->recordings, job->name) : NULL;
    if (job->list == LIST_VIDEOS_OF && !folder) {
        job->cause = ENOENT;
        return;
    }
    writer_open(&w, NULL, '{');
    if (job->list == LIST_FOLDERS) {
        write_folders(&w, job->recordings);
    } else if (job->list == LIST_VIDEOS) {
        write_all(&w, job->recordings, directory);
    } else {
        writer_text(&w, "timestamp", job->name);
        writer_uint(&w, "count", folder->count);
        left_out_write(&w, folder->left_out);
        writer_open(&w, "videos", '[');
        write_videos(&w, directory, folder);
        writer_close(&w, ']');
    }
    writer_close(&w, '}');
}

bool recorder_unlisted(const struct recorder_job *job)
{
    if (job->cause && job->cause != ENOMEM) {
        log_warn("GTY-RECORDER-FOLDER", "%s: %s", job->folder, strerror(job->cause));
        recorder_refuse(job->request, PROBLEM_INTERNAL, NULL, "recorder_listing", (struct str){0});
    } else if (job->cause || job->out.failed) {
        reply_problem_kind(job->request, PROBLEM_OVERLOADED);
    } else {
        return false;
    }
    return true;
}

/* What was written in the helper thread is the answer. */
static void list_answer(struct recorder_job *job)
{
    if (job->cause == ENOENT)
        recorder_refuse(job->request, PROBLEM_NOT_FOUND, "timestamp", "recorder_missing", job->name);
    else if (!recorder_unlisted(job))
        recorder_job_reply(job);
}

static void list_begin(struct request *request, const struct rec_recorder_config *config, enum recorder_list list,
                       struct str name)
{
    struct recorder_job *job = recorder_job_new(request, config->folder, config->global.output_directory, name, (struct str){0});
    if (!job)
        return;
    job->list = list;
    recorder_job_do(job, list_work, list_answer);
}

static void folders_begin(struct request *request, const struct rec_recorder_config *config)
{
    list_begin(request, config, LIST_FOLDERS, (struct str){0});
}

static void videos_begin(struct request *request, const struct rec_recorder_config *config)
{
    struct str name = {0};
    if (uri_param(&request->uri, "timestamp", &name) > 0 && name.len)
        list_begin(request, config, LIST_VIDEOS_OF, name);
    else
        list_begin(request, config, LIST_VIDEOS, (struct str){0});
}

static void videos_of_begin(struct request *request, const struct rec_recorder_config *config)
{
    list_begin(request, config, LIST_VIDEOS_OF, request->match.args[0]);
}

/* A name that could only lead elsewhere. */
static bool leads_out(struct str name)
{
    return memchr(name.ptr, '/', name.len) || memchr(name.ptr, '\\', name.len) || str_is(name, "..") || str_is(name, ".");
}

bool recorder_name_well(struct request *request, struct str name)
{
    if (!name.len || !leads_out(name))
        return true;
    recorder_refuse(request, PROBLEM_FORBIDDEN, "timestamp", "recorder_path", (struct str){0});
    return false;
}

void recorder_timestamps(struct request *request)
{
    recorder_config_ask(request, folders_begin);
}

void recorder_videos(struct request *request)
{
    struct problem problem;
    struct str name = {0};
    int fault = 0;
    request_param(request, "timestamp", &name, &problem, &fault);
    if (fault)
        reply_problem(request, &problem);
    else if (recorder_name_well(request, name))
        recorder_config_ask(request, videos_begin);
}

void recorder_videos_of(struct request *request)
{
    if (recorder_name_well(request, request->match.args[0]))
        recorder_config_ask(request, videos_of_begin);
}

/* ---- a video ---- */

static void open_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    recorder_job_opened(job, recordings_open(job->folder, job->name, job->file));
}

static void open_answer(struct recorder_job *job)
{
    struct request *request = job->request;
    struct stat stat = job->stat;
    void (*const on_video)(struct request *, int, const struct stat *) = job->on_video; /* the job goes with its fd */
    if (job->fd >= 0)
        on_video(request, recorder_job_fd(job), &stat);
    else if (job->cause == EXDEV || job->cause == ELOOP)
        recorder_refuse(request, PROBLEM_FORBIDDEN, "file", "recorder_path", (struct str){0});
    else
        recorder_refuse(request, PROBLEM_NOT_FOUND, "file", "recorder_missing", (struct str){0});
}

void recorder_video_open(struct request *request, const struct rec_recorder_config *config,
                         void (*on_video)(struct request *request, int fd, const struct stat *stat))
{
    const struct str *args = request->match.args;
    struct recorder_job *job = recorder_job_new(request, config->folder, (struct str){0}, args[0], args[1]);
    if (!job)
        return;
    job->on_video = on_video;
    recorder_job_do(job, open_work, open_answer);
}

static void video_send(struct request *request, int fd, const struct stat *stat)
{
    (void)stat;
    serve_file(request, fd, NULL, recordings_type(request->match.args[1]));
}

static void video_find(struct request *request, const struct rec_recorder_config *config)
{
    recorder_video_open(request, config, video_send);
}

void recorder_video_get(struct request *request)
{
    if (recorder_name_well(request, request->match.args[0]) && recorder_name_well(request, request->match.args[1]))
        recorder_config_ask(request, video_find);
}

/* ---- deletes ---- */

static void remove_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    job->held = recordings_held(job->folder, job->name, job->file);
    if (job->held < 0 || (job->held == HOLD_NONE && recordings_remove(job->folder, job->name, job->file) != 0))
        job->cause = errno;
}

static void remove_answer(struct recorder_job *job)
{
    struct request *request = job->request;
    struct str directory = recorder_trimmed(job->directory), path;
    struct buf text = {0};
    struct writer w;
    bool file = job->file.len > 0;
    if (job->held > HOLD_NONE) {
        recorder_refuse(request, PROBLEM_CONFLICT, "path", "recorder_held", (struct str){0});
        return;
    }
    if (job->cause == ENOENT || job->cause == ENOTDIR) {
        recorder_refuse(request, PROBLEM_NOT_FOUND, "path", "recorder_missing", (struct str){0});
        return;
    }
    if (job->cause == EXDEV || job->cause == ELOOP) {
        recorder_refuse(request, PROBLEM_FORBIDDEN, "path", "recorder_path", (struct str){0});
        return;
    }
    if (job->cause) {
        log_warn("GTY-RECORDER-DELETE", "%s: %s", job->folder, strerror(job->cause));
        recorder_refuse(request, PROBLEM_INTERNAL, "path", file ? "recorder_delete_file" : "recorder_delete_folder",
                        (struct str){0});
        return;
    }
    recorder_say(request, &w, file ? TEXT_REC_FILE_DELETED : TEXT_REC_FOLDER_DELETED);
    buf_printf(&text, "%.*s/%.*s", (int)directory.len, directory.ptr, (int)job->name.len, job->name.ptr);
    if (!file)
        writer_text(&w, "timestamp", job->name);
    if (!file || uri_param(&request->uri, "path", &path) == 0)
        path = buf_str(&text);
    writer_text(&w, "path", path);
    request->out.failed = request->out.failed || text.failed;
    buf_free(&text);
    recorder_close(request, &w, 200);
}

/* Nothing goes that is being recorded. */
static void on_view(struct request *request, const struct msg *msg)
{
    const struct msg_recorder_view *view = &msg->u.recorder_view;
    struct recorder_job *job = recorder_job_of(request);
    bool there = view->state.cycle && str_eq(view->cycle.name, job->name), busy = false;
    for (uint32_t i = 0; i < view->recordings.count && there && !busy; i++) {
        const struct rec_recording *task = &view->recordings.items[i];
        busy = task->status < RECORDING_COMPLETED && (!job->file.len || (task->run_id && str_eq(task->output, job->file)));
    }
    if (busy)
        recorder_refuse(request, PROBLEM_CONFLICT, "path", "recorder_busy", (struct str){0});
    else
        recorder_job_do(job, remove_work, remove_answer);
}

static void remove_ask(struct request *request, const struct rec_recorder_config *config, struct str name, struct str file)
{
    struct recorder_job *job = recorder_job_new(request, config->folder, config->global.output_directory, name, file);
    if (job)
        recorder_job_ask(job, false, on_view);
}

/* What stands behind this folder in path; false: path is not in it. */
static bool behind(struct str folder, struct str path, struct str *rest)
{
    folder = recorder_trimmed(folder);
    if (path.len <= folder.len + 1 || memcmp(path.ptr, folder.ptr, folder.len) != 0 || path.ptr[folder.len] != '/')
        return false;
    *rest = (struct str){path.ptr + folder.len + 1, path.len - folder.len - 1};
    return true;
}

static bool has_dots(struct str path)
{
    for (uint32_t from = 0, i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        struct str part = {path.ptr + from, i - from};
        if (str_is(part, "..") || (str_is(part, ".") && from > 0))
            return true;
        from = i + 1;
    }
    return false;
}

static void video_remove(struct request *request, const struct rec_recorder_config *config)
{
    struct str path = {0}, rest;
    uri_param(&request->uri, "path", &path);
    bool within = behind(config->global.output_directory, path, &rest) || behind(config->folder, path, &rest);
    if (!within || has_dots(rest)) {
        recorder_refuse(request, PROBLEM_FORBIDDEN, "path", "recorder_path", (struct str){0});
        return;
    }
    const char *slash = memchr(rest.ptr, '/', rest.len);
    struct str name = {rest.ptr, slash ? (uint32_t)(slash - rest.ptr) : rest.len};
    struct str file = {slash ? slash + 1 : NULL, slash ? rest.len - name.len - 1 : 0};
    if (!recordings_folder_name(name) || !file.len || !recordings_video_name(file)) {
        recorder_refuse(request, PROBLEM_NOT_FOUND, "path", "recorder_missing", (struct str){0});
        return;
    }
    remove_ask(request, config, name, file);
}

void recorder_video_delete(struct request *request)
{
    struct problem problem;
    struct str path = {0};
    int fault = 0;
    if (!request_param(request, "path", &path, &problem, &fault) && !fault)
        fault = problem_set(&problem, PROBLEM_INVALID, "path", "required");
    if (fault)
        reply_problem(request, &problem);
    else
        recorder_config_ask(request, video_remove);
}

static void folder_remove(struct request *request, const struct rec_recorder_config *config)
{
    if (!recorder_name_well(request, request->match.args[0]))
        return;
    if (recordings_folder_name(request->match.args[0]))
        remove_ask(request, config, request->match.args[0], (struct str){0});
    else
        recorder_refuse(request, PROBLEM_NOT_FOUND, "timestamp", "recorder_missing", (struct str){0});
}

/* The configuration first: a refusal, too, says where the folder would be. */
void recorder_timestamp_delete(struct request *request)
{
    recorder_config_ask(request, folder_remove);
}
