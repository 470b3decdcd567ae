/* PUT /api/v1/stream/result/{task_id}: a result that comes over HTTP.
 *
 * It is written beside its final name as .gantry-<task>.part, piece by piece as it comes, so that memory does not grow with it and what
 * breaks off can go on. What comes of it when a part, or all of it, is there is in transcode_upload_end.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/surfaces/transcode_parts.h"
#include "gateway/surfaces/transcode_upload.h"
#include "proto/ident.h"

void upload_free(struct upload *upload)
{
    if (upload->fd >= 0)
        close(upload->fd);
    if (upload->folder >= 0)
        close(upload->folder);
    free(upload);
}

/* ---- where it goes ---- */

bool upload_save(const struct gateway *gateway, char out[4096])
{
    const char *save = settings_text(gateway->settings, SET_TRANSCODE_SAVE);
    int len = save[0] && save[0] != '!' ? snprintf(out, 4096, "%s", save)
                                        : snprintf(out, 4096, "%s/transcoded", settings_text(gateway->settings, SET_DATA));

    return len > 0 && len < 4096;
}

void upload_part_name(uint64_t task, uint64_t attempt, char out[UPLOAD_PART])
{
    if (attempt > 0)
        snprintf(out, UPLOAD_PART, ".gantry-%llu-%llu.part", (unsigned long long)task, (unsigned long long)attempt);
    else
        snprintf(out, UPLOAD_PART, ".gantry-%llu.part", (unsigned long long)task);
}

/* The source's own ending goes, and what a file name has no room for then. */
bool upload_name(struct str base, struct str extension, char out[NAME_MAX + 1])
{
    const char *dot = memrchr(base.ptr, '.', base.len);
    uint32_t stem = dot && dot > base.ptr ? (uint32_t)(dot - base.ptr) : base.len;

    if (extension.len == 0)
        return str_copy(out, NAME_MAX + 1, base);
    struct str kept = str_cut((struct str){base.ptr, stem}, NAME_MAX - 1 - extension.len);
    return snprintf(out, NAME_MAX + 1, "%.*s.%.*s", (int)kept.len, kept.ptr, (int)extension.len, extension.ptr) <= NAME_MAX;
}

int upload_words(const struct request *request, uint64_t *attempt, struct str *extension, struct problem *problem)
{
    int fault = 0;

    api_param_uint(request, "attempt", 1, 1 << 20, attempt, problem, &fault);
    if (!fault && request_param(request, "extension", extension, problem, &fault)) {
        for (uint32_t i = 0; i < extension->len; i++) {
            char c = extension->ptr[i];
            fault |= !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
        }
        if (fault || extension->len > 8)
            fault = problem_value(problem, PROBLEM_BAD_REQUEST, "extension", "format", *extension,
                                  "1..8 lower-case letters and digits");
    }
    return fault ? -1 : 0;
}

void upload_refuse(struct request *request, enum problem_kind kind, const char *rule, const char *value)
{
    struct problem problem;
    char *kept = value ? request_alloc(request, strlen(value) + 1) : NULL;

    if (kept)
        memcpy(kept, value, strlen(value) + 1);
    problem_value(&problem, kind, "task_id", rule, str_of(kept), NULL);
    reply_problem(request, &problem);
}

void upload_refuse_disk(struct request *request, int cause)
{
    bool outside = cause == EXDEV || cause == ELOOP || cause == ENOTDIR || cause == ENAMETOOLONG;
    bool full = cause == ENOSPC || cause == EDQUOT; /* which waiting for a while does not mend */

    if (outside)
        upload_refuse(request, PROBLEM_FORBIDDEN, "source_outside", NULL);
    else
        upload_refuse(request, full ? PROBLEM_DISK_FULL : PROBLEM_OVERLOADED, "upload_disk", strerror(cause));
}

static void refuse_offset(struct request *request, uint64_t at)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)at);
    upload_refuse(request, PROBLEM_CONFLICT, "upload_offset", text);
}

/* ---- the body comes ---- */

static void on_piece(void *self, const char *data, size_t size)
{
    struct upload *upload = self;

    while (size > 0 && !upload->cause) {
        ssize_t done = pwrite(upload->fd, data, size, (off_t)upload->at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            upload->cause = done < 0 ? errno : ENOSPC;
            return;
        }
        data += done;
        size -= (size_t)done;
        upload->at += (uint64_t)done;
    }
}

static void on_closed(void *self)
{
    struct upload *upload = self;

    upload->request = NULL;
    if (!upload->working)
        upload_free(upload);
}

/* ---- before it comes ---- */

struct wanted { /* what the headers say */
    bool part;
    uint64_t first, last, total;
    bool hashed;
    unsigned char hash[UPLOAD_SHA256];
    uint64_t attempt;
    struct str extension;
};

static bool number(const char **at, const char *end, char behind, uint64_t *out)
{
    const char *from = *at;

    *out = 0;
    for (; *at < end && **at >= '0' && **at <= '9' && *at - from < 18; (*at)++)
        *out = *out * 10 + (uint64_t)(**at - '0');
    bool there = *at > from && (behind ? *at < end && **at == behind : *at == end);
    *at += there && behind;
    return there;
}

static int range_wanted(const struct request *request, struct wanted *wanted, struct problem *problem)
{
    static const char word[] = "bytes ";
    struct str text = request->headers.content_range;
    const char *at = text.ptr + (sizeof word - 1), *end = text.ptr + text.len;

    wanted->part = text.len > 0;
    if (!wanted->part)
        return 0;
    if (text.len > sizeof word && memcmp(text.ptr, word, sizeof word - 1) == 0 && number(&at, end, '-', &wanted->first) &&
        number(&at, end, '/', &wanted->last) && number(&at, end, '\0', &wanted->total) && wanted->first <= wanted->last &&
        wanted->last < wanted->total)
        return 0;
    return problem_value(problem, PROBLEM_BAD_REQUEST, "Content-Range", "format", text, "bytes FIRST-LAST/TOTAL");
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int hash_wanted(const struct request *request, struct wanted *wanted, struct problem *problem)
{
    struct str text = request->headers.content_sha256;
    bool well = text.len == 2 * UPLOAD_SHA256;

    wanted->hashed = text.len > 0;
    for (uint32_t i = 0; well && i < text.len; i += 2) {
        int high = nibble(text.ptr[i]), low = nibble(text.ptr[i + 1]);
        well = high >= 0 && low >= 0;
        wanted->hash[i / 2] = (unsigned char)((unsigned)high << 4 | (unsigned)low);
    }
    if (well || !wanted->hashed)
        return 0;
    return problem_value(problem, PROBLEM_BAD_REQUEST, "X-Content-SHA256", "format", text, "64 hexadecimal digits");
}

/* The place of the part, opened; -1, and answered, when that cannot be. */
static int upload_open(struct request *request, struct upload *upload, const struct rec_transcode_task *task,
                       const struct wanted *wanted)
{
    char folder[4096], path[2 * 4096 + UPLOAD_PART];
    uint32_t base;
    struct err err = {0};
    struct stat stat;

    if (!upload_save(request->gateway, folder) || ident_make_dirs(folder, 0755, &err) != 0) {
        upload_refuse(request, PROBLEM_OVERLOADED, "upload_disk", err.code ? err.text : "transcode.save");
        return -1;
    }
    upload->folder = beneath_folder(folder, task->video_path, &base);
    if (upload->folder < 0)
        goto error;
    upload->task = task->id;
    upload->attempt = wanted->attempt;
    upload_name((struct str){task->video_path.ptr + base, task->video_path.len - base}, wanted->extension, upload->name);
    upload_part_name(task->id, wanted->attempt, upload->part);
    upload->fd = openat(upload->folder, upload->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (upload->fd < 0 || fstat(upload->fd, &stat) != 0)
        goto error;
    if (flock(upload->fd, LOCK_EX | LOCK_NB) != 0) {
        request->retry_after = 1;
        upload_refuse(request, PROBLEM_CONFLICT, "upload_busy", NULL);
        return -1;
    }
    upload->at = (uint64_t)stat.st_size;
    if (snprintf(path, sizeof path, "%s/%.*s%s", folder, (int)base, task->video_path.ptr, upload->part) < (int)sizeof path)
        parts_note(request->gateway->parts, task->id, path);
    return 0;
error:
    upload_refuse_disk(request, errno);
    return -1;
}

/* Where in the file the body begins. -1, and answered, when that is not where it ends. */
static int upload_place(struct request *request, struct upload *upload, const struct wanted *wanted)
{
    upload->total = wanted->total;
    upload->first = wanted->first;
    upload->behind = wanted->part ? wanted->last + 1 : 0;
    upload->hashed = wanted->hashed;
    memcpy(upload->hash, wanted->hash, UPLOAD_SHA256);
    /* All of it may be here without its name, when a process died just then: the last part may come again. */
    bool again = wanted->part && upload->at == wanted->total && wanted->last + 1 == wanted->total;
    if (wanted->part && wanted->first != upload->at && !again) {
        refuse_offset(request, upload->at);
        return -1;
    }
    if (wanted->part && !again)
        return 0;
    if (ftruncate(upload->fd, (off_t)wanted->first) != 0) {
        upload_refuse_disk(request, errno);
        return -1;
    }
    upload->at = wanted->first;
    return 0;
}

static void on_task(struct request *request, const struct msg *msg)
{
    const struct wanted *wanted = request->own;
    struct upload *upload = NULL;
    struct rec_transcode_task task;

    if (!api_open_task(request, msg, &task))
        return;
    upload = request->gateway->files ? calloc(1, sizeof *upload) : NULL;
    if (!upload) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    upload->request = request;
    upload->fd = upload->folder = -1;
    if (upload_open(request, upload, &task, wanted) != 0 || upload_place(request, upload, wanted) != 0) {
        upload_free(upload);
        return;
    }
    request->sink = (struct sink){.take = on_piece, .whole = upload_whole, .closed = on_closed, .self = upload};
    http_receive(request);
}

void api_result_put(struct request *request)
{
    uint64_t id = 0;
    struct msg_get get = {.type = TYPE_TRANSCODE_TASK, .ids = {&id, 1}};
    struct wanted *wanted = request->own = request_alloc(request, sizeof *wanted);
    struct problem problem;

    if (!wanted) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (api_path_id(request, "task_id", "task_missing", &id, &problem) != 0 || range_wanted(request, wanted, &problem) != 0 ||
        hash_wanted(request, wanted, &problem) != 0 ||
        upload_words(request, &wanted->attempt, &wanted->extension, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
}
