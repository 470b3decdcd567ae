/* Pictures of recordings: /videos/…/thumbnail.jpg of one that is there, /streams/{index}/live.jpg of one that is under way. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/headers.h"
#include "gateway/recordings_pieces.h"
#include "gateway/still_cache.h"
#include "gateway/stills.h"
#include "gateway/surfaces/recorder.h"

#define TAG 64

struct picture { /* a request that waits for a still */
    struct still still;
    struct request *request;
    struct still_key key; /* of the video; inode 0: it is not kept */
    char tag[TAG];        /* ETag; empty: none */
};

/* ---- the answer ---- */

static void jpeg_answer(struct request *request, const char *tag)
{
    if (tag[0])
        reply_header(request, "ETag", "%s", tag);
    else
        reply_header(request, "Cache-Control", "no-store");
    reply_written(request, 200, "image/jpeg");
}

static void none_answer(struct request *request, const struct buf *why)
{
    char words[200];
    size_t len = why->len ? str_clean(words, sizeof words, buf_str(why)) : 0;
    struct str value = len ? (struct str){words, (uint32_t)len} : STR_LIT("its decoder crashed, or took too long");
    recorder_refuse(request, PROBLEM_NOT_FOUND, NULL, "recorder_picture", value);
}

static void on_still(struct still *still)
{
    struct picture *picture = still->self;
    struct request *request = picture->request;
    picture->request = NULL; /* there is nothing to be forgotten */
    switch (still->end) {
    case STILL_MADE:
        if (picture->key.inode)
            still_cache_put(request->gateway->still_cache, &picture->key, buf_str(&still->out));
        buf_free(&request->out);
        request->out = still->out;
        still->out = (struct buf){0};
        jpeg_answer(request, picture->tag);
        break;
    case STILL_NONE:
        none_answer(request, &still->out);
        break;
    case STILL_LATE:
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        break;
    default:
        reply_problem_kind(request, PROBLEM_INTERNAL);
        break;
    }
}

/* The request ends. */
static void picture_free(void *self)
{
    struct picture *picture = self;
    if (picture->request)
        stills_forget(picture->request->gateway->stills, &picture->still);
    buf_free(&picture->still.out);
    free(picture);
}

/* Of this video, which is taken; key and tag may be NULL. */
static void picture_make(struct request *request, int fd, enum still_which which, const struct still_key *key, const char *tag)
{
    struct picture *picture = request->gateway->stills ? calloc(1, sizeof *picture) : NULL;
    if (!picture) {
        close(fd);
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    picture->request = request;
    picture->still = (struct still){.fd = fd, .which = which, .done = on_still, .self = picture};
    if (key)
        picture->key = *key;
    if (tag)
        snprintf(picture->tag, sizeof picture->tag, "%s", tag);
    request->sink = (struct sink){.closed = picture_free, .self = picture};
    stills_make(request->gateway->stills, &picture->still);
}

/* ---- of a video ---- */

/* Whether a list of If-None-Match has it, or is *. */
static bool tag_listed(struct str list, const char *tag)
{
    size_t len = strlen(tag);
    if (str_is(list, "*"))
        return true;
    for (uint32_t at = 0; at + len <= list.len; at++) {
        bool whole = at + len == list.len || list.ptr[at + len] == ',' || list.ptr[at + len] == ' ';
        if (whole && memcmp(list.ptr + at, tag, len) == 0) /* it begins and ends with a quote, and has none within */
            return true;
    }
    return false;
}

static void thumbnail_make(struct request *request, int fd, const struct stat *stat)
{
    char tag[TAG];
    const struct still_key key = {.device = stat->st_dev,
                                  .inode = stat->st_ino,
                                  .size = (uint64_t)stat->st_size,
                                  .changed_ns = (uint64_t)stat->st_mtim.tv_sec * 1000000000U + (uint64_t)stat->st_mtim.tv_nsec};
    snprintf(tag, sizeof tag, "\"t1-%llx-%llx\"", (unsigned long long)key.size, (unsigned long long)key.changed_ns);
    struct str kept = request->gateway->still_cache ? still_cache_find(request->gateway->still_cache, &key) : (struct str){0};
    if (tag_listed(headers_find(request, "If-None-Match"), tag)) {
        close(fd);
        reply_header(request, "ETag", "%s", tag);
        reply_empty(request, 304);
    } else if (kept.len) {
        close(fd);
        buf_reset(&request->out);
        buf_add(&request->out, kept.ptr, kept.len);
        jpeg_answer(request, tag);
    } else {
        picture_make(request, fd, STILL_EARLY, request->gateway->still_cache ? &key : NULL, tag);
    }
}

static void thumbnail_find(struct request *request, const struct rec_recorder_config *config)
{
    recorder_video_open(request, config, thumbnail_make);
}

void recorder_thumbnail(struct request *request)
{
    if (recorder_name_well(request, request->match.args[0]) && recorder_name_well(request, request->match.args[1]))
        recorder_config_ask(request, thumbnail_find);
}

/* ---- of a stream ---- */

static void live_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    recorder_job_opened(job, recordings_piece_open(job->folder, job->name, job->run));
}

static void not_live(struct request *request)
{
    recorder_refuse(request, PROBLEM_NOT_FOUND, "index", "recorder_not_live", request->match.args[0]);
}

static void live_answer(struct recorder_job *job)
{
    struct request *request = job->request;
    if (job->fd < 0)
        not_live(request);
    else
        picture_make(request, recorder_job_fd(job), STILL_LAST, NULL, NULL);
}

static void on_view(struct request *request, const struct msg *msg)
{
    const struct msg_recorder_view *view = &msg->u.recorder_view;
    const uint64_t *stream = request->own;
    const struct str none = {0};
    uint64_t run = 0;
    for (uint32_t i = 0; view->state.cycle && i < view->recordings.count; i++) {
        const struct rec_recording *one = &view->recordings.items[i];
        if (one->stream == *stream && one->status < RECORDING_COMPLETED)
            run = one->run_id;
    }
    if (!run) {
        not_live(request);
        return;
    }
    struct recorder_job *job = recorder_job_new(request, view->cycle.folder, none, view->cycle.name, none);
    if (!job)
        return;
    job->run = run;
    recorder_job_do(job, live_work, live_answer);
}

static void live_find(struct request *request, const struct rec_recorder_config *config)
{
    const struct msg_recorder_ask asked = {0};
    uint64_t index, *stream = request_alloc(request, sizeof *stream);
    if (!stream) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (!recorder_index_read(request, &index))
        return;
    if (index >= config->streams.count) {
        recorder_refuse(request, PROBLEM_NOT_FOUND, "index", "recorder_index", request->match.args[0]);
        return;
    }
    *stream = config->streams.items[index].id;
    request->own = stream;
    ask_send(request, ASK_SCHEDULER, &shape_msg_recorder_ask, &asked, on_view);
}

void recorder_live(struct request *request)
{
    recorder_config_ask(request, live_find);
}
