/* /api/v1/workers, and /api/v1/worker of the older API */
#include "gateway/connection.h"
#include "gateway/surfaces/transcode.h"

#define NAME_MAX_BYTES 200 /* rec_transcode_worker.name */
#define ALL 1000

static void worker_write(struct writer *w, const char *key, const struct rec_transcode_worker *worker)
{
    writer_open(w, key, '{');
    writer_uint(w, "worker_id", worker->id);
    writer_text(w, "worker_name", worker->name);
    writer_uint(w, "worker_type", worker->type);
    writer_uint(w, "support_vr", worker->support_vr);
    writer_uint(w, "status", worker->status);
    writer_bool(w, "session", worker->session);
    writer_time(w, "last_heartbeat", worker->last_heartbeat);
    if (worker->directive)
        writer_text(w, "action", worker->directive == DIRECTIVE_SHUTDOWN ? STR_LIT("shutdown") : STR_LIT("offline"));
    else
        writer_null(w, "action");
    writer_close(w, '}');
}

/* ---- register ---- */

static void on_registered(struct request *request, const struct msg *msg)
{
    unsigned status = api_old(request) ? 200 : 201;
    struct writer w;

    api_open(request, &w, status, TEXT_API_REGISTERED);
    writer_open(&w, "data", '{');
    writer_uint(&w, "worker_id", msg->u.transcode_worker.worker.id);
    writer_close(&w, '}');
    api_close(request, &w, status);
}

void api_workers_create(struct request *request)
{
    struct msg_transcode_register asked = {.old = api_old(request), .address = str_of(request->connection->address)};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        api_text(request, "worker_name", API_REQUIRED, NAME_MAX_BYTES, &asked.name, &problem) < 0 ||
        api_uint(request, "worker_type", API_REQUIRED, 0, 3, &asked.type, &problem) < 0 ||
        api_uint(request, "support_vr", API_REQUIRED, 0, 1, &asked.support_vr, &problem) < 0 ||
        request_owner(request, &asked.whose, &problem) != 0 || request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_register, &asked, on_registered);
}

/* ---- read ---- */

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_transcode_worker_rows *rows = &msg->u.transcode_worker_rows;
    struct writer w;

    api_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '[');
    for (uint32_t i = 0; i < rows->workers.count; i++)
        worker_write(&w, NULL, &rows->workers.items[i]);
    writer_close(&w, ']');
    api_page_write(&w, request->own, rows->total, false);
    api_close(request, &w, 200);
}

void api_workers_list(struct request *request)
{
    struct problem problem;
    const struct api_page *page = api_page_read(request, ALL, NULL, &problem);

    if (!page) {
        reply_problem(request, &problem);
        return;
    }
    struct msg_transcode_workers asked = {.page = page->page, .size = page->size};
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_workers, &asked, on_listed);
}

static void on_one(struct request *request, const struct msg *msg)
{
    const struct msg_transcode_worker_rows *rows = &msg->u.transcode_worker_rows;
    struct problem problem;
    struct writer w;

    if (rows->workers.count == 0) {
        api_none(&problem, "worker_id", "worker_missing");
        reply_problem(request, &problem);
        return;
    }
    api_open(request, &w, 200, TEXT_API_OK);
    worker_write(&w, "data", &rows->workers.items[0]);
    api_close(request, &w, 200);
}

void api_workers_get(struct request *request)
{
    struct msg_transcode_workers asked = {.page = 1, .size = 1};
    struct problem problem;

    if (api_path_id(request, "worker_id", "worker_missing", &asked.id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_workers, &asked, on_one);
}

/* ---- change ---- */

static void on_updated(struct request *request, const struct msg *msg)
{
    (void)msg;
    api_say(request, 200, TEXT_API_UPDATED);
}

void api_workers_update(struct request *request)
{
    struct msg_transcode_worker_update asked = {0};
    struct problem problem;
    int name, type, vr;

    if (api_path_id(request, "worker_id", "worker_missing", &asked.id, &problem) != 0 ||
        request_read_json(request, &problem) != 0 ||
        (name = api_text(request, "worker_name", API_OPTIONAL, NAME_MAX_BYTES, &asked.name, &problem)) < 0 ||
        (type = api_uint(request, "worker_type", API_OPTIONAL, 0, 3, &asked.type, &problem)) < 0 ||
        (vr = api_uint(request, "support_vr", API_OPTIONAL, 0, 1, &asked.support_vr, &problem)) < 0)
        goto error;
    if (name && asked.name.len == 0) {
        problem_value(&problem, PROBLEM_INVALID, "worker_name", "length", asked.name, "1..%d bytes", NAME_MAX_BYTES);
        goto error;
    }
    if (!name && !type && !vr) {
        problem_set(&problem, PROBLEM_INVALID, "worker_name", "required");
        goto error;
    }
    if (name)
        SET_HAS(&asked, msg_transcode_worker_update, name);
    if (type)
        SET_HAS(&asked, msg_transcode_worker_update, type);
    if (vr)
        SET_HAS(&asked, msg_transcode_worker_update, support_vr);
    if (request_idem(request, &asked.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_worker_update, &asked, on_updated);
    return;
error:
    reply_problem(request, &problem);
}

static void on_deleted(struct request *request, const struct msg *msg)
{
    (void)msg;
    api_say(request, 200, TEXT_API_DELETED);
}

void api_workers_delete(struct request *request)
{
    struct msg_transcode_worker_remove asked = {0};
    struct problem problem;

    if (api_path_id(request, "worker_id", "worker_missing", &asked.id, &problem) != 0 ||
        request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_worker_remove, &asked, on_deleted);
}

/* ---- heartbeat ---- */

static void on_beat(struct request *request, const struct msg *msg)
{
    (void)msg;
    api_say(request, 200, TEXT_API_BEAT);
}

void api_workers_beat(struct request *request)
{
    struct msg_transcode_beat asked = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        api_text(request, "worker_name", API_REQUIRED, NAME_MAX_BYTES, &asked.name, &problem) < 0 ||
        api_uint(request, "worker_id", API_REQUIRED, 0, INT64_MAX, &asked.id, &problem) < 0 ||
        request_owner(request, &asked.whose, &problem) != 0)
        goto error;
    if (asked.id == 0) {
        api_none(&problem, "worker_id", "worker_missing");
        goto error;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_beat, &asked, on_beat);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- directives ---- */

static void on_directed(struct request *request, const struct msg *msg)
{
    (void)msg;
    api_say(request, 200, TEXT_API_DIRECTED);
}

static void on_undirected(struct request *request, const struct msg *msg)
{
    (void)msg;
    api_say(request, 200, TEXT_API_UNDIRECTED);
}

static int action_read(const struct request *request, uint64_t *out, struct problem *problem)
{
    const json_t *action = json_object_get(request->json, "action");
    struct str word = {json_string_value(action), (uint32_t)json_string_length(action)};

    *out = str_is(word, "offline") ? DIRECTIVE_OFFLINE : str_is(word, "shutdown") ? DIRECTIVE_SHUTDOWN : DIRECTIVE_NONE;
    return *out != DIRECTIVE_NONE ? 0 : problem_set(problem, PROBLEM_INVALID, "action", "directive");
}

void api_workers_offline(struct request *request)
{
    struct msg_transcode_direct asked = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 || action_read(request, &asked.directive, &problem) != 0 ||
        api_path_id(request, "worker_id", "worker_missing", &asked.id, &problem) != 0 ||
        request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_direct, &asked, on_directed);
}

void api_workers_online(struct request *request)
{
    struct msg_transcode_direct asked = {0};
    struct problem problem;

    if (api_path_id(request, "worker_id", "worker_missing", &asked.id, &problem) != 0 ||
        request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_direct, &asked, on_undirected);
}
