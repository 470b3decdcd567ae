/* GET /api/v1/stream/source/{task_id}: the file itself, for workers that have no library mounted. */
#include <errno.h>
#include <fcntl.h>

#include "gateway/beneath.h"
#include "gateway/gateway.h"
#include "gateway/serve.h"
#include "gateway/surfaces/transcode.h"
#include "proto/log.h"

static int refuse(struct request *request, enum problem_kind kind, const char *rule)
{
    struct problem problem;

    problem_set(&problem, kind, "task_id", rule);
    reply_problem(request, &problem);
    return -1;
}

/* Whose worker it is: another worker's key opens no file of it. False, and answered. */
static bool owned(struct request *request, const struct rec_transcode_task *task)
{
    struct problem problem;
    struct str whose;

    if (request_owner(request, &whose, &problem) != 0) {
        reply_problem(request, &problem);
        return false;
    }
    if (whose.len == 0 || task->owner.len == 0 || str_eq(whose, task->owner))
        return true;
    problem_value(&problem, PROBLEM_FORBIDDEN, "task_id", "worker_owner", task->worker_name, NULL);
    reply_problem(request, &problem);
    return false;
}

bool api_open_task(struct request *request, const struct msg *msg, struct rec_transcode_task *task)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY};

    if (rows->rows.count == 0) {
        refuse(request, PROBLEM_NOT_FOUND, "task_missing");
        return false;
    }
    if (!arena || rec_decode_transcode_task(arena, rows->rows.items[0].value, task, &err) != 0) {
        reply_problem_kind(request, err.code == ERR_NO_MEMORY ? PROBLEM_OVERLOADED : PROBLEM_INTERNAL);
        return false;
    }
    if (!owned(request, task))
        return false;
    if (task->status <= TRANSCODE_RUNNING)
        return true;
    refuse(request, PROBLEM_CONFLICT, "task_final");
    return false;
}

/* One of the folders that the setting names. */
static bool in_library(const struct gateway *gateway, struct str root)
{
    struct str folders = str_of(settings_text(gateway->settings, SET_LIBRARY));

    while (folders.len > 0) {
        const char *end = memchr(folders.ptr, ':', folders.len);
        uint32_t len = end ? (uint32_t)(end - folders.ptr) : folders.len, step = end ? len + 1 : len;
        struct str one = {folders.ptr, len};
        while (one.len > 1 && one.ptr[one.len - 1] == '/')
            one.len--;
        if (str_eq(one, root))
            return true;
        folders = (struct str){folders.ptr + step, folders.len - step};
    }
    return false;
}

static void on_task(struct request *request, const struct msg *msg)
{
    struct rec_transcode_task task;
    char root[4096];

    if (!api_open_task(request, msg, &task))
        return;
    if (!in_library(request->gateway, task.root) || !str_copy(root, sizeof root, task.root)) {
        refuse(request, PROBLEM_FORBIDDEN, "source_outside");
        return;
    }
    int fd = beneath_open(root, task.video_path);
    if (fd >= 0) {
        serve_file(request, fd, NULL, "application/octet-stream");
        return;
    }
    log_warn("GTY-SOURCE-UNREAD", "task=%llu %s", (unsigned long long)task.id, strerror(errno));
    bool outside = errno == EXDEV || errno == ELOOP || errno == EINVAL;
    refuse(request, outside ? PROBLEM_FORBIDDEN : PROBLEM_NOT_FOUND, outside ? "source_outside" : "source_missing");
}

void api_source_get(struct request *request)
{
    uint64_t id = 0;
    struct msg_get get = {.type = TYPE_TRANSCODE_TASK, .ids = {&id, 1}};
    struct problem problem;

    if (api_path_id(request, "task_id", "task_missing", &id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
}
