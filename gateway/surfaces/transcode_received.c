/* GET /api/v1/stream/result/{task_id}: how far a result is that comes over HTTP, or whether it stands. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/gateway.h"
#include "gateway/surfaces/transcode_upload.h"

struct looked {
    struct file_job job;
    struct request *request; /* NULL: it is gone, and the job frees this */
    bool working;
    uint64_t attempt, size, received;
    struct str extension;
    bool asked; /* whether a result of this size and hash stands */
    unsigned char hash[UPLOAD_XXH3], found[UPLOAD_XXH3];
    int fd; /* of what stands; -1: nothing of that size does */
    bool stands;
};

static void looked_free(struct looked *looked)
{
    if (looked->fd >= 0)
        close(looked->fd);
    free(looked);
}

static void on_closed(void *self)
{
    struct looked *looked = self;

    looked->request = NULL;
    if (!looked->working)
        looked_free(looked);
}

static void look_work(struct file_job *job)
{
    struct looked *looked = (struct looked *)(void *)job;

    looked->stands = upload_hash(looked->fd, looked->found, NULL) == 0 && memcmp(looked->found, looked->hash, UPLOAD_XXH3) == 0;
}

static void look_done(struct file_job *job)
{
    struct looked *looked = (struct looked *)(void *)job;

    looked->working = false;
    if (!looked->request)
        looked_free(looked);
    else
        upload_answer(looked->request, 200, looked->stands ? looked->size : looked->received, looked->stands);
}

/* Opens the file of that name in the folder of the source below that of results; -1: there is none. */
static int file_open(const struct request *request, struct str video_path, uint32_t base, const char *name, struct stat *stat)
{
    char folder[4096], path[4096 + NAME_MAX + 1];
    int len = snprintf(path, sizeof path, "%.*s%s", (int)base, video_path.ptr, name), fd = -1;

    if (len > 0 && len < (int)sizeof path && upload_save(request->gateway, folder))
        fd = beneath_open(folder, (struct str){path, (uint32_t)len});
    if (fd < 0 || fstat(fd, stat) == 0)
        return fd;
    close(fd);
    return -1;
}

static void on_task(struct request *request, const struct msg *msg)
{
    struct looked *looked = request->sink.self;
    struct rec_transcode_task task;
    char part[UPLOAD_PART], name[NAME_MAX + 1];
    struct stat stat;

    if (!api_open_task(request, msg, &task))
        return;
    uint32_t base = task.video_path.len;
    while (base > 0 && task.video_path.ptr[base - 1] != '/')
        base--;
    struct str own = {task.video_path.ptr + base, task.video_path.len - base};
    upload_part_name(task.id, looked->attempt, part);
    int fd = file_open(request, task.video_path, base, part, &stat);
    if (fd >= 0) {
        close(fd);
        looked->received = (uint64_t)stat.st_size;
    }
    if (looked->asked && upload_name(own, looked->extension, name))
        looked->fd = file_open(request, task.video_path, base, name, &stat);
    if (looked->fd < 0 || (uint64_t)stat.st_size != looked->size) {
        upload_answer(request, 200, looked->received, false);
        return;
    }
    looked->working = true;
    looked->job = (struct file_job){.work = look_work, .done = look_done};
    files_do(request->gateway->files, &looked->job);
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int words_read(const struct request *request, struct looked *looked, struct problem *problem)
{
    struct str hash;
    int fault = 0;
    bool sized = api_param_uint(request, "size", 0, INT64_MAX, &looked->size, problem, &fault);
    bool hashed = !fault && request_param(request, "hash", &hash, problem, &fault);

    looked->asked = sized && hashed;
    for (uint32_t i = 0; hashed && !fault && i < 2 * UPLOAD_XXH3; i += 2) {
        int high = hash.len == 2 * UPLOAD_XXH3 ? nibble(hash.ptr[i]) : -1, low = high < 0 ? -1 : nibble(hash.ptr[i + 1]);
        if (low < 0)
            fault = problem_value(problem, PROBLEM_BAD_REQUEST, "hash", "format", hash, "32 hexadecimal digits");
        looked->hash[i / 2] = (unsigned char)((unsigned)high << 4 | (unsigned)low);
    }
    return fault ? -1 : upload_words(request, &looked->attempt, &looked->extension, problem);
}

void api_result_get(struct request *request)
{
    uint64_t id = 0;
    struct msg_get get = {.type = TYPE_TRANSCODE_TASK, .ids = {&id, 1}};
    struct problem problem;
    struct looked *looked = request->gateway->files ? calloc(1, sizeof *looked) : NULL;

    if (!looked) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    looked->request = request;
    looked->fd = -1;
    request->sink = (struct sink){.closed = on_closed, .self = looked};
    if (api_path_id(request, "task_id", "task_missing", &id, &problem) != 0 || words_read(request, looked, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
}
