/* /api/v1/tasks, and /api/v1/task of the older API */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/transcode.h"
#include "proto/clock.h"
#include "proto/log.h"

#define PAGE_DEFAULT 20
#define PATH_BYTES 4095
#define ERROR_BYTES 4096

static const struct api_sort sorts[] = {
    {"start_time", ""},
    {"progress", "rank"},
    {"status", "status"},
    {NULL, NULL},
};

/* ---- one task ---- */

static void write_id(struct writer *w, const char *key, uint64_t id)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    writer_text(w, key, str_of(text));
}

/* "eta=SECONDS" of a worker with a session */
static bool note_eta(const struct rec_live_run *live, uint64_t *seconds)
{
    static const char word[] = "eta=";
    const uint32_t len = sizeof word - 1;

    if (!live || live->note.len <= len || memcmp(live->note.ptr, word, len) != 0)
        return false;
    return uri_number((struct str){live->note.ptr + len, live->note.len - len}, seconds);
}

static void write_times(struct writer *w, const struct rec_transcode_task *task, const struct rec_live_run *live, double progress)
{
    uint64_t until = task->ended_at ? task->ended_at : clock_wall_ms(), eta = 0;
    uint64_t elapsed = until > task->started_at ? (until - task->started_at) / 1000 : 0;

    writer_uint(w, "elapsed_time", HAS(task, rec_transcode_task, elapsed_time) ? task->elapsed_time : elapsed);
    if (HAS(task, rec_transcode_task, remaining_time))
        writer_uint(w, "remaining_time", task->remaining_time);
    else if (note_eta(live, &eta))
        writer_uint(w, "remaining_time", eta);
    else if (live && progress > 0)
        writer_uint(w, "remaining_time", (uint64_t)((double)elapsed * (100 - progress) / progress));
    else
        writer_null(w, "remaining_time");
}

/* live is NULL when nothing is known of this second. */
static void task_write(struct writer *w, const char *key, const struct rec_transcode_task *task, const struct rec_live_run *live)
{
    double progress = live && HAS(live, rec_live_run, progress) ? live->progress : task->progress;

    writer_open(w, key, '{');
    write_id(w, "task_id", task->id);
    writer_uint(w, "video_id", task->video_id);
    writer_text(w, "video_path", task->video_path);
    writer_text_or_null(w, "dest_path", task->dest_path.len ? task->dest_path : task->output);
    writer_uint(w, "worker_id", task->worker_id);
    writer_text(w, "worker_name", task->worker_name);
    writer_real(w, "progress", progress);
    writer_uint(w, "status", task->status);
    writer_text_or_null(w, "error_message", task->error_message);
    write_times(w, task, live, progress);
    writer_time(w, "start_time", task->started_at);
    writer_time(w, "end_time", task->ended_at);
    writer_uint(w, "segments", task->segments);
    writer_uint(w, "segments_made", task->segments_made);
    if (task->size_after) {
        writer_uint(w, "size_before", task->size);
        writer_uint(w, "size_after", task->size_after);
    }
    writer_close(w, '}');
}

static const struct rec_live_run *live_of(const struct msg *msg, uint64_t id)
{
    for (uint32_t i = 0; msg && i < msg->u.run_live_rows.runs.count; i++) {
        if (msg->u.run_live_rows.runs.items[i].run_id == id)
            return &msg->u.run_live_rows.runs.items[i];
    }
    return NULL;
}

/* ---- read: the records from the store, then what is true this second of those that run ---- */

struct listed {           /* request->own */
    struct api_page page; /* the first, as pages are looked for there */
    bool one;
    struct rec_transcode_task *tasks;
    uint32_t count;
    uint64_t total;
    bool lower_bound;
};

static void listed_write(struct request *request, const struct msg *msg)
{
    const struct listed *listed = request->own;
    struct writer w;

    api_open(request, &w, 200, TEXT_API_OK);
    if (listed->one) {
        task_write(&w, "data", &listed->tasks[0], live_of(msg, listed->tasks[0].id));
        api_close(request, &w, 200);
        return;
    }
    writer_open(&w, "data", '[');
    for (uint32_t i = 0; i < listed->count; i++)
        task_write(&w, NULL, &listed->tasks[i], live_of(msg, listed->tasks[i].id));
    writer_close(&w, ']');
    api_page_write(&w, &listed->page, listed->total, listed->lower_bound);
    api_close(request, &w, 200);
}

/* Reads the rows into memory that outlives their message. False: there is no room for them. */
static bool listed_read(struct request *request, struct listed *listed, const struct rec_row_list *rows)
{
    struct arena *arena = request_arena(request);
    struct err err = {0};
    size_t bytes = 0;

    listed->tasks = request_alloc(request, rows->count * sizeof *listed->tasks + 1);
    for (uint32_t i = 0; arena && listed->tasks && i < rows->count; i++) {
        struct str value = arena_str(arena, rows->items[i].value);
        bytes += value.len;
        if (!value.ptr)
            return false;
        if (rec_decode_transcode_task(arena, value, &listed->tasks[listed->count], &err) == 0)
            listed->count++;
        else if (err.code == ERR_NO_MEMORY)
            return false;
        else
            log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)rows->items[i].id, err.text);
    }
    return arena && listed->tasks && budget_hold(&request->gateway->budget, &request->held, bytes);
}

static void listed_live(struct request *request, struct listed *listed)
{
    uint64_t *ids = request_alloc(request, listed->count * sizeof *ids + 1);
    struct msg_run_live live = {.ids = {ids, 0}};

    if (!ids) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    for (uint32_t i = 0; i < listed->count; i++) {
        if (listed->tasks[i].status <= TRANSCODE_RUNNING)
            ids[live.ids.count++] = listed->tasks[i].id;
    }
    request->own = listed;
    if (live.ids.count)
        ask_soft(request, ASK_SCHEDULER, &shape_msg_run_live, &live, listed_write);
    else
        listed_write(request, NULL);
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct listed *listed = request_alloc(request, sizeof *listed);

    if (!listed || !listed_read(request, listed, &rows->rows)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    listed->page = *(const struct api_page *)request->own;
    listed->total = rows->total;
    listed->lower_bound = rows->total_is_lower_bound;
    listed_live(request, listed);
}

void api_tasks_list(struct request *request)
{
    struct rec_filter filters[2];
    struct msg_query query = {.type = TYPE_TRANSCODE_TASK, .filters = {filters, 0}};
    struct problem problem;
    uint64_t bits, id;
    int fault = 0;

    if (!api_page_read(request, PAGE_DEFAULT, sorts, &problem))
        goto error;
    if (api_param_bits(request, "status", TRANSCODE_FAILED, &bits, &problem, &fault))
        api_filter_bits(&query.filters, "status", bits);
    if (api_param_uint(request, "video_id", 1, INT64_MAX, &id, &problem, &fault))
        api_filter(&query.filters, "video_id", FILTER_EQ, id);
    if (fault)
        goto error;
    api_page_ask(request, &query, on_listed);
    return;
error:
    reply_problem(request, &problem);
}

static void on_one(struct request *request, const struct msg *msg)
{
    struct listed *listed = request_alloc(request, sizeof *listed);
    struct problem problem;

    if (!listed || !listed_read(request, listed, &msg->u.query_rows.rows)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (listed->count == 0) {
        api_none(&problem, "task_id", "task_missing");
        reply_problem(request, &problem);
        return;
    }
    listed->one = true;
    listed_live(request, listed);
}

void api_tasks_get(struct request *request)
{
    uint64_t id = 0;
    struct msg_get get = {.type = TYPE_TRANSCODE_TASK, .ids = {&id, 1}};
    struct problem problem;

    if (api_path_id(request, "task_id", "task_missing", &id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_one);
}

/* ---- a worker wants one ---- */

static void write_given(struct request *request, const struct rec_transcode_task *task)
{
    unsigned status = api_old(request) ? 200 : 201;
    struct writer w;

    api_open(request, &w, status, TEXT_API_TASK);
    writer_open(&w, "data", '{');
    write_id(&w, "task_id", task->id);
    writer_text(&w, "video_path", task->video_path);
    writer_text_or_null(&w, "dest_path", task->dest_path);
    writer_close(&w, '}');
    api_close(request, &w, status);
}

static void on_pulled(struct request *request, const struct msg *msg)
{
    const struct msg_transcode_pulled *pulled = &msg->u.transcode_pulled;
    struct writer w;

    if (HAS(pulled, msg_transcode_pulled, task)) {
        write_given(request, &pulled->task);
    } else if (pulled->directive != DIRECTIVE_NONE) {
        api_open(request, &w, 205, TEXT_API_OFFLINE);
        writer_open(&w, "data", '{');
        writer_text(&w, "action", pulled->directive == DIRECTIVE_SHUTDOWN ? STR_LIT("shutdown") : STR_LIT("offline"));
        writer_close(&w, '}');
        api_close(request, &w, 200);
    } else if (api_old(request)) {
        api_open(request, &w, 200, TEXT_API_NO_TASK);
        writer_null(&w, "data");
        api_close(request, &w, 200);
    } else {
        api_say(request, 404, TEXT_API_NO_VIDEO);
    }
}

/* Asked each second, by a machine: it would drive people's acts out of the audit log. */
static void pull(struct request *request, struct msg_transcode_pull *asked)
{
    CLEAR_HAS(&asked->idem, rec_idem, by);
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_pull, asked, on_pulled);
}

void api_tasks_create(struct request *request)
{
    struct msg_transcode_pull asked = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        api_uint(request, "worker_id", API_REQUIRED, 0, INT64_MAX, &asked.worker_id, &problem) < 0 ||
        api_uint(request, "worker_type", API_REQUIRED, 0, 3, &asked.type, &problem) < 0 ||
        api_uint(request, "support_vr", API_REQUIRED, 0, 1, &asked.support_vr, &problem) < 0 ||
        api_text(request, "dest_path", API_OPTIONAL, PATH_BYTES, &asked.dest_path, &problem) < 0 ||
        request_owner(request, &asked.whose, &problem) != 0 || request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    SET_HAS(&asked, msg_transcode_pull, type);
    SET_HAS(&asked, msg_transcode_pull, support_vr);
    pull(request, &asked);
}

void api_task_new(struct request *request)
{
    struct msg_transcode_pull asked = {0};
    struct problem problem;
    int fault = 0;

    if (request_read_json(request, &problem) != 0)
        goto error;
    bool by_name = request_param(request, "worker_name", &asked.worker_name, &problem, &fault);
    if (!api_param_uint(request, "worker_id", 0, INT64_MAX, &asked.worker_id, &problem, &fault) && !fault)
        fault = api_uint(request, "worker_id", API_REQUIRED, 0, INT64_MAX, &asked.worker_id, &problem) < 0;
    if (!by_name && !fault)
        fault = api_text(request, "worker_name", API_REQUIRED, 200, &asked.worker_name, &problem) < 0;
    if (by_name && !fault && asked.worker_name.len > 200)
        fault = problem_value(&problem, PROBLEM_BAD_REQUEST, "worker_name", "length", asked.worker_name, "1..200 bytes");
    if (fault || request_owner(request, &asked.whose, &problem) != 0 || request_idem(request, &asked.idem, &problem) != 0)
        goto error;
    pull(request, &asked);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- what its worker says ---- */

static void on_reported(struct request *request, const struct msg *msg)
{
    (void)msg;
    api_say(request, 200, TEXT_API_UPDATED);
}

/* All but the task's number. */
static int report_read(struct request *request, struct msg_transcode_report *report, struct problem *problem)
{
    int elapsed, remaining;

    if (api_uint(request, "worker_id", API_REQUIRED, 0, INT64_MAX, &report->worker_id, problem) < 0 ||
        api_real(request, "progress", API_REQUIRED, 0, 100, &report->progress, problem) < 0 ||
        api_uint(request, "status", API_REQUIRED, 0, TRANSCODE_FAILED, &report->status, problem) < 0 ||
        api_text(request, "error_message", API_OPTIONAL, 1 << 20, &report->error_message, problem) < 0 ||
        (elapsed = api_uint(request, "elapsed_time", API_OPTIONAL, 0, INT64_MAX, &report->elapsed_time, problem)) < 0 ||
        (remaining = api_uint(request, "remaining_time", API_OPTIONAL, 0, INT64_MAX, &report->remaining_time, problem)) < 0)
        return -1;
    report->error_message = str_cut(report->error_message, ERROR_BYTES); /* an encoder may say a lot */
    if (elapsed)
        SET_HAS(report, msg_transcode_report, elapsed_time);
    if (remaining)
        SET_HAS(report, msg_transcode_report, remaining_time);
    return 0;
}

static void report_send(struct request *request, struct msg_transcode_report *report)
{
    struct problem problem;

    if (report_read(request, report, &problem) != 0 || request_owner(request, &report->whose, &problem) != 0 ||
        request_idem(request, &report->idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    if (report->status <= TRANSCODE_RUNNING) /* a sign of life, and nobody's act */
        CLEAR_HAS(&report->idem, rec_idem, by);
    api_command(request, report->task_id, &shape_msg_transcode_report, report, on_reported);
}

void api_tasks_update(struct request *request)
{
    struct msg_transcode_report report = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        api_path_id(request, "task_id", "task_missing", &report.task_id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    report_send(request, &report);
}

void api_task_progress(struct request *request)
{
    struct msg_transcode_report report = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 || api_task_id(request, "task_id", &report.task_id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    report_send(request, &report);
}
