/* PUT /api/v1/stream/result/{task_id}: a result that comes over HTTP.
 *
 * It is written beside its final name as .gantry-<task>.part, piece by piece as it comes, so that memory does not grow with it and what
 * breaks off can go on. The last piece makes it durable, holds it against its hash and gives it its name, in the helper thread. So it
 * appears complete, or not at all. Parts that nobody has touched for a day go.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/files.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/surfaces/transcode.h"
#include "proto/ident.h"
#include "proto/log.h"

#define PART_SECONDS 86400
#define SWEEP_MS 3600000
#define HASH_BYTES 32

enum ending { ENDS_WELL, ENDS_WRONG_HASH, ENDS_BADLY };

struct upload {
    struct file_job job;     /* the first: what the helper thread knows */
    struct request *request; /* NULL: it is gone, and the job frees this */
    bool working;
    int folder, fd;
    char part[48], name[256];
    uint64_t at;            /* bytes written so far */
    uint64_t first, behind; /* the part that comes, by what was said of it; 0 behind: it is all there is */
    uint64_t total;         /* of the whole file; 0: as above */
    bool hashed;
    unsigned char hash[HASH_BYTES];
    int cause; /* errno of what went wrong; 0: nothing has */
    enum ending ending;
};

static void upload_free(struct upload *upload)
{
    if (upload->fd >= 0)
        close(upload->fd);
    if (upload->folder >= 0)
        close(upload->folder);
    free(upload);
}

/* ---- where it goes ---- */

/* False: its name does not fit. */
static bool save_folder(const struct gateway *gateway, char out[4096])
{
    const char *save = settings_text(gateway->settings, SET_TRANSCODE_SAVE);
    int len = save[0] && save[0] != '!' ? snprintf(out, 4096, "%s", save)
                                        : snprintf(out, 4096, "%s/transcoded", settings_text(gateway->settings, SET_DATA));

    return len > 0 && len < 4096;
}

static void part_name(uint64_t task, char out[48])
{
    snprintf(out, 48, ".gantry-%llu.part", (unsigned long long)task);
}

static void refuse(struct request *request, enum problem_kind kind, const char *rule, const char *value)
{
    struct problem problem;
    char *kept = value ? request_alloc(request, strlen(value) + 1) : NULL;

    if (kept)
        memcpy(kept, value, strlen(value) + 1);
    problem_value(&problem, kind, "task_id", rule, str_of(kept), NULL);
    reply_problem(request, &problem);
}

static void refuse_disk(struct request *request, int cause)
{
    bool outside = cause == EXDEV || cause == ELOOP || cause == ENOTDIR || cause == ENAMETOOLONG;

    if (outside)
        refuse(request, PROBLEM_FORBIDDEN, "source_outside", NULL);
    else
        refuse(request, PROBLEM_OVERLOADED, "upload_disk", strerror(cause));
}

static void refuse_offset(struct request *request, uint64_t at)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)at);
    refuse(request, PROBLEM_CONFLICT, "upload_offset", text);
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

/* ---- the last piece is there ---- */

/* 0 when the file is what its hash says. */
static int hash_check(struct upload *upload)
{
    unsigned char found[EVP_MAX_MD_SIZE], *buffer = malloc(1 << 20);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned len = 0;
    int result = -1;
    ssize_t got = 0;
    uint64_t at = 0;

    if (buffer && context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1) {
        while ((got = pread(upload->fd, buffer, 1 << 20, (off_t)at)) > 0 && EVP_DigestUpdate(context, buffer, (size_t)got) == 1)
            at += (uint64_t)got;
        if (got == 0 && EVP_DigestFinal_ex(context, found, &len) == 1)
            result = len == HASH_BYTES && memcmp(found, upload->hash, HASH_BYTES) == 0 ? 0 : 1;
    }
    upload->cause = result < 0 ? (got < 0 ? errno : ENOMEM) : 0;
    EVP_MD_CTX_free(context);
    free(buffer);
    return result;
}

static void finish_work(struct file_job *job)
{
    struct upload *upload = (struct upload *)(void *)job;
    int wrong = 0;

    upload->ending = ENDS_BADLY;
    if (upload->hashed && (wrong = hash_check(upload)) != 0) {
        if (wrong > 0 && unlinkat(upload->folder, upload->part, 0) == 0)
            upload->ending = ENDS_WRONG_HASH;
        return;
    }
    if (fsync(upload->fd) != 0 || renameat(upload->folder, upload->part, upload->folder, upload->name) != 0 ||
        fsync(upload->folder) != 0)
        upload->cause = errno;
    else
        upload->ending = ENDS_WELL;
}

static void answer_progress(struct request *request, unsigned status, enum text_id message, const struct upload *upload)
{
    struct writer w;

    api_open(request, &w, status, message);
    writer_open(&w, "data", '{');
    writer_uint(&w, "received", upload->at);
    writer_bool(&w, "complete", status == 201);
    writer_close(&w, '}');
    api_close(request, &w, status);
}

static void finish_done(struct file_job *job)
{
    struct upload *upload = (struct upload *)(void *)job;
    struct request *request = upload->request;

    upload->working = false;
    if (!request) {
        upload_free(upload);
        return;
    }
    if (upload->ending == ENDS_WELL)
        answer_progress(request, 201, TEXT_API_UPLOADED, upload);
    else if (upload->ending == ENDS_WRONG_HASH)
        refuse(request, PROBLEM_CONFLICT, "upload_hash", NULL);
    else
        refuse_disk(request, upload->cause);
}

static void on_whole(void *self)
{
    struct upload *upload = self;
    struct request *request = upload->request;
    struct problem problem;

    if (upload->cause) {
        refuse_disk(request, upload->cause);
        return;
    }
    if (upload->behind && upload->at != upload->behind) {
        if (ftruncate(upload->fd, (off_t)upload->first) != 0)
            log_warn("GTY-UPLOAD-LEFT", "%s", strerror(errno));
        problem_value(&problem, PROBLEM_BAD_REQUEST, "Content-Range", "format", request->headers.content_range,
                      "bytes FIRST-LAST/TOTAL");
        reply_problem(request, &problem);
        return;
    }
    if (upload->total && upload->at < upload->total) {
        answer_progress(request, 200, TEXT_API_RECEIVED, upload);
        return;
    }
    upload->working = true;
    upload->job.work = finish_work;
    upload->job.done = finish_done;
    files_do(request->gateway->files, &upload->job);
}

/* ---- before it comes ---- */

struct wanted { /* what the headers say */
    bool part;
    uint64_t first, last, total;
    bool hashed;
    unsigned char hash[HASH_BYTES];
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
    bool well = text.len == 2 * HASH_BYTES;

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
static int upload_open(struct request *request, struct upload *upload, const struct rec_transcode_task *task)
{
    char folder[4096];
    uint32_t base;
    struct err err = {0};
    struct stat stat;

    if (!save_folder(request->gateway, folder) || ident_make_dirs(folder, 0755, &err) != 0) {
        refuse(request, PROBLEM_OVERLOADED, "upload_disk", err.code ? err.text : "transcode.save");
        return -1;
    }
    upload->folder = beneath_folder(folder, task->video_path, &base);
    if (upload->folder < 0)
        goto error;
    str_copy(upload->name, sizeof upload->name, (struct str){task->video_path.ptr + base, task->video_path.len - base});
    part_name(task->id, upload->part);
    upload->fd = openat(upload->folder, upload->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (upload->fd < 0 || fstat(upload->fd, &stat) != 0)
        goto error;
    if (flock(upload->fd, LOCK_EX | LOCK_NB) != 0) {
        refuse(request, PROBLEM_CONFLICT, "upload_busy", NULL);
        return -1;
    }
    upload->at = (uint64_t)stat.st_size;
    return 0;
error:
    refuse_disk(request, errno);
    return -1;
}

/* Where in the file the body begins. -1, and answered, when that is not where it ends. */
static int upload_place(struct request *request, struct upload *upload, const struct wanted *wanted)
{
    upload->total = wanted->total;
    upload->first = wanted->first;
    upload->behind = wanted->part ? wanted->last + 1 : 0;
    upload->hashed = wanted->hashed;
    memcpy(upload->hash, wanted->hash, HASH_BYTES);
    if (wanted->part && wanted->first != upload->at) {
        refuse_offset(request, upload->at);
        return -1;
    }
    if (wanted->part)
        return 0;
    if (ftruncate(upload->fd, 0) != 0) {
        refuse_disk(request, errno);
        return -1;
    }
    upload->at = 0;
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
    if (upload_open(request, upload, &task) != 0 || upload_place(request, upload, wanted) != 0) {
        upload_free(upload);
        return;
    }
    request->sink = (struct sink){.take = on_piece, .whole = on_whole, .closed = on_closed, .self = upload};
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
        hash_wanted(request, wanted, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
}

/* ---- how far it is ---- */

static void on_looked(struct request *request, const struct msg *msg)
{
    struct rec_transcode_task task;
    struct upload upload = {.at = 0};
    char folder[4096], path[4096 * 2 + 64], part[48];
    struct stat stat;

    if (!api_open_task(request, msg, &task))
        return;
    part_name(task.id, part);
    uint32_t base = task.video_path.len;
    while (base > 0 && task.video_path.ptr[base - 1] != '/')
        base--;
    if (save_folder(request->gateway, folder)) {
        int len = snprintf(path, sizeof path, "%.*s%s", (int)base, task.video_path.ptr, part);
        int fd = len > 0 ? beneath_open(folder, (struct str){path, (uint32_t)len}) : -1;
        if (fd >= 0 && fstat(fd, &stat) == 0)
            upload.at = (uint64_t)stat.st_size;
        if (fd >= 0)
            close(fd);
    }
    answer_progress(request, 200, TEXT_API_RECEIVED, &upload);
}

void api_result_get(struct request *request)
{
    uint64_t id = 0;
    struct msg_get get = {.type = TYPE_TRANSCODE_TASK, .ids = {&id, 1}};
    struct problem problem;

    if (api_path_id(request, "task_id", "task_missing", &id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_looked);
}

/* ---- what was left behind ---- */

struct sweep {
    struct file_job job;
    struct gateway *gateway;
    char folder[4096];
};

static int sweep_look(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
    static const char head[] = ".gantry-", tail[] = ".part";
    const char *name = path + where->base;
    size_t len = strlen(name);

    if (kind == FTW_F && len > sizeof head + sizeof tail && strncmp(name, head, sizeof head - 1) == 0 &&
        strcmp(name + len - (sizeof tail - 1), tail) == 0 && stat->st_mtime + PART_SECONDS < time(NULL))
        unlink(path);
    return 0;
}

static void sweep_work(struct file_job *job)
{
    nftw(((struct sweep *)(void *)job)->folder, sweep_look, 16, FTW_PHYS);
}

static void sweep_again(void *arg)
{
    upload_sweep(arg);
}

static void sweep_done(struct file_job *job)
{
    struct sweep *sweep = (struct sweep *)(void *)job;

    if (!sweep->gateway->stopping)
        loop_after(sweep->gateway->loop, SWEEP_MS, sweep_again, sweep->gateway);
    free(sweep);
}

void upload_sweep(struct gateway *gateway)
{
    struct sweep *sweep = gateway->files ? calloc(1, sizeof *sweep) : NULL;

    if (!sweep)
        return;
    sweep->gateway = gateway;
    sweep->job = (struct file_job){.work = sweep_work, .done = sweep_done};
    if (save_folder(gateway, sweep->folder))
        files_do(gateway->files, &sweep->job);
    else
        free(sweep);
}
