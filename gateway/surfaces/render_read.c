/* Tasks as they are: one, a page of them, several at once. Records come from the store; what is true this second from the scheduler. */
#include <stdio.h>

#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/surfaces/render.h"
#include "gateway/surfaces/transcode.h"
#include "proto/log.h"

#define PAGE_DEFAULT 20
#define PAGE_MAX 1000
#define SORTS "created_at, id, status, priority"
#define BATCH_MAX 1000

bool render_number(struct str text, uint64_t *out)
{
    *out = 0;
    return str_is(text, "0") || uri_number(text, out);
}

bool render_id(const struct request *request, uint64_t *id, struct problem *problem)
{
    if (uri_number(request->match.args[0], id))
        return true;
    problem_value(problem, PROBLEM_NOT_FOUND, "id", "render_task", request->match.args[0], NULL);
    return false;
}

struct rec_render_task *render_row(struct request *request, const struct rec_row *row)
{
    struct arena *arena = request_arena(request);
    struct rec_render_task *task = request_alloc(request, sizeof *task);
    struct str value = arena ? arena_str(arena, row->value) : (struct str){NULL, 0}; /* outlives its message */
    struct err err = {.code = ERR_NO_MEMORY};

    if (task && value.ptr && rec_decode_render_task(arena, value, task, &err) == 0)
        return task;
    if (err.code != ERR_NO_MEMORY)
        log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)row->id, err.text);
    reply_problem_kind(request, err.code == ERR_NO_MEMORY ? PROBLEM_OVERLOADED : PROBLEM_INTERNAL);
    return NULL;
}

static void answer_none(struct request *request)
{
    struct problem problem;

    problem_value(&problem, PROBLEM_NOT_FOUND, "id", "render_task", request->match.args[0], NULL);
    reply_problem(request, &problem);
}

/* What is true this second of some tasks; then on_live is told, with NULL where nobody says. */
static void ask_live(struct request *request, const uint64_t *ids, uint32_t count,
                     void (*on_live)(struct request *request, const struct msg *msg))
{
    struct msg_render_live live = {.ids = {(uint64_t *)(uintptr_t)ids, count}};

    if (count)
        ask_soft(request, ASK_SCHEDULER, &shape_msg_render_live, &live, on_live);
    else
        on_live(request, NULL);
}

/* ---- one ---- */

void render_one_ask(struct request *request, void (*on_row)(struct request *request, const struct msg *msg))
{
    struct problem problem;
    uint64_t id;
    struct msg_get get = {.type = TYPE_RENDER_TASK, .ids = {&id, 1}};

    if (render_id(request, &id, &problem))
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_row);
    else
        reply_problem(request, &problem);
}

struct rec_render_task *render_one_read(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct rec_render_task *task;

    if (rows->count == 0) {
        answer_none(request);
        return NULL;
    }
    task = render_row(request, &rows->items[0]);
    return task && render_may(request, task->unionid) ? (request->own = task) : NULL;
}

static void one_live(struct request *request, const struct rec_render_task *task,
                     void (*on_live)(struct request *request, const struct msg *msg))
{
    ask_live(request, &task->id, !render_status_final(task->status), on_live);
}

static void on_detail_live(struct request *request, const struct msg *msg)
{
    const struct rec_render_task *task = request->own;
    struct str fields = {NULL, 0};
    struct writer w;

    uri_param(&request->uri, "fields", &fields);
    render_open(request, &w, 200, TEXT_API_OK);
    render_task_write(&w, "data", task, render_live_of(msg, task->id), fields);
    render_close(request, &w, 200);
}

static void on_detail(struct request *request, const struct msg *msg)
{
    const struct rec_render_task *task = render_one_read(request, msg);

    if (task)
        one_live(request, task, on_detail_live);
}

void render_get(struct request *request)
{
    struct problem problem;
    struct str fields = {NULL, 0}, name;
    int fault = 0;

    request_param(request, "fields", &fields, &problem, &fault);
    if (!fault && render_field_unknown(fields, &name))
        fault = problem_value(&problem, PROBLEM_BAD_REQUEST, "fields", "enum", name, "%s", render_field_names);
    if (fault)
        reply_problem(request, &problem);
    else
        render_one_ask(request, on_detail);
}

#define STATUS_FIELDS                                                                                                            \
    STR_LIT("id,status,progress,reason,total_frames,completed_frames,failed_frames,rendering_frames,created_at,started_at,"      \
            "completed_at,estimated_completion")

static void on_status_live(struct request *request, const struct msg *msg)
{
    const struct rec_render_task *task = request->own;
    struct writer w;

    render_open(request, &w, 200, TEXT_API_OK);
    render_task_write(&w, "data", task, render_live_of(msg, task->id), STATUS_FIELDS);
    render_close(request, &w, 200);
}

static void on_status(struct request *request, const struct msg *msg)
{
    const struct rec_render_task *task = render_one_read(request, msg);

    if (task)
        one_live(request, task, on_status_live);
}

void render_status(struct request *request)
{
    render_one_ask(request, on_status);
}

/* ---- several ---- */

struct listed { /* request->own */
    const struct rec_render_task **tasks;
    uint32_t count;
    uint64_t total, page, size;
    bool lower_bound;
    uint64_t *asked; /* of a batch: in this order; NULL: it is a page */
    uint32_t asked_count;
};

static const struct rec_render_task *listed_find(const struct listed *listed, uint64_t id)
{
    for (uint32_t i = 0; i < listed->count; i++) {
        if (listed->tasks[i]->id == id)
            return listed->tasks[i];
    }
    return NULL;
}

static void batch_write(struct writer *w, const struct listed *listed, const struct msg *msg)
{
    writer_open(w, "items", '[');
    for (uint32_t i = 0; i < listed->asked_count; i++) {
        const struct rec_render_task *task = listed_find(listed, listed->asked[i]);
        if (task)
            render_task_write(w, NULL, task, render_live_of(msg, task->id), STATUS_FIELDS);
    }
    writer_close(w, ']');
    writer_open(w, "missing", '[');
    for (uint32_t i = 0; i < listed->asked_count; i++) {
        if (!listed_find(listed, listed->asked[i]))
            writer_uint(w, NULL, listed->asked[i]);
    }
    writer_close(w, ']');
}

static void page_write(struct writer *w, const struct listed *listed, const struct msg *msg)
{
    writer_open(w, "items", '[');
    for (uint32_t i = 0; i < listed->count; i++)
        render_task_write(w, NULL, listed->tasks[i], render_live_of(msg, listed->tasks[i]->id), (struct str){NULL, 0});
    writer_close(w, ']');
    writer_uint(w, "total", listed->total);
    if (listed->lower_bound)
        writer_bool(w, "total_is_lower_bound", true);
    writer_uint(w, "page", listed->page);
    writer_uint(w, "page_size", listed->size);
    writer_uint(w, "total_pages", (listed->total + listed->size - 1) / listed->size);
}

static void on_listed_live(struct request *request, const struct msg *msg)
{
    const struct listed *listed = request->own;
    struct writer w;

    render_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    if (listed->asked)
        batch_write(&w, listed, msg);
    else
        page_write(&w, listed, msg);
    writer_close(&w, '}');
    render_close(request, &w, 200);
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct listed *listed = request->own;
    uint64_t *ids = request_alloc(request, rows->rows.count * sizeof *ids + 1);
    uint32_t open = 0;
    size_t bytes = 0;
    struct str own;

    listed->tasks = request_alloc(request, rows->rows.count * sizeof *listed->tasks + 1);
    for (uint32_t i = 0; i < rows->rows.count; i++)
        bytes += rows->rows.items[i].value.len + sizeof(struct rec_render_task);
    if (!ids || !listed->tasks || !budget_hold(&request->gateway->budget, &request->held, bytes)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        const struct rec_render_task *task = render_row(request, &rows->rows.items[i]);
        if (!task)
            return;
        if (render_whose(request, &own) && !str_eq(own, task->unionid))
            continue; /* of a batch: to him there is no such task */
        listed->tasks[listed->count++] = task;
        if (!render_status_final(task->status))
            ids[open++] = task->id;
    }
    listed->total = rows->total;
    listed->lower_bound = rows->total_is_lower_bound;
    ask_live(request, ids, open, on_listed_live);
}

/* ---- a page ---- */

static int sort_read(const struct request *request, struct msg_query *query, struct problem *problem)
{
    static const char *const sorts[][2] = {{"created_at", ""}, {"id", ""}, {"status", "status"}, {"priority", "priority"}};
    struct str name = STR_LIT("created_at"), order = STR_LIT("desc");
    int fault = 0;

    request_param(request, "sort_by", &name, problem, &fault);
    request_param(request, "order", &order, problem, &fault);
    if (fault)
        return -1;
    if (!str_is(order, "asc") && !str_is(order, "desc"))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "order", "enum", order, "asc|desc");
    query->descending = str_is(order, "desc");
    for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
        query->sort = str_of(sorts[i][1]);
        if (str_is(name, sorts[i][0]))
            return 0;
    }
    return problem_value(problem, PROBLEM_BAD_REQUEST, "sort_by", "sort", name, "%s", SORTS);
}

static void filter_text(struct rec_filter_list *filters, const char *field, struct str text)
{
    filters->items[filters->count++] = (struct rec_filter){.field = str_of(field), .op = FILTER_EQ, .text = text};
}

static int filters_read(const struct request *request, struct msg_query *query, struct problem *problem)
{
    struct str text, own;
    int fault = 0;

    if (request_param(request, "status", &text, problem, &fault) && !fault) {
        int status = render_status_parse(text);
        if (status < 0)
            return problem_value(problem, PROBLEM_BAD_REQUEST, "status", "enum", text,
                                 "queued|testing|rendering|paused|completed|failed|cancelled");
        api_filter(&query->filters, "status", FILTER_EQ, (uint64_t)status);
    }
    if (!fault && request_param(request, "engine", &text, problem, &fault) && !fault)
        filter_text(&query->filters, "render_engine", text);
    bool limited = render_whose(request, &own);
    bool given = !fault && request_param(request, "unionid", &text, problem, &fault) && !fault;
    if (fault)
        return -1;
    if (limited && given && !str_eq(own, text))
        return problem_set(problem, PROBLEM_FORBIDDEN, "unionid", "render_whose");
    if (limited || given)
        filter_text(&query->filters, "unionid", given ? text : own);
    return 0;
}

void render_list(struct request *request)
{
    struct rec_filter filters[3];
    struct listed *listed = request->own = request_alloc(request, sizeof *listed);
    struct msg_query query = {.type = TYPE_RENDER_TASK, .filters = {filters, 0}};
    struct problem problem;
    int fault = 0;

    if (!listed) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    *listed = (struct listed){.page = 1, .size = PAGE_DEFAULT};
    api_param_uint(request, "page", 1, INT64_MAX, &listed->page, &problem, &fault);
    api_param_uint(request, "page_size", 1, INT64_MAX, &listed->size, &problem, &fault);
    if (fault || sort_read(request, &query, &problem) != 0 || filters_read(request, &query, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    listed->size = listed->size > PAGE_MAX ? PAGE_MAX : listed->size;
    query.page = listed->page;
    query.size = listed->size;
    ask_send(request, ASK_STORE, &shape_msg_query, &query, on_listed);
}

/* ---- a batch ---- */

static int batch_read(struct request *request, struct listed *listed, struct problem *problem)
{
    const json_t *ids, *id;
    size_t i;

    if (request_read_json(request, problem) != 0)
        return -1;
    ids = json_object_get(request->json, "task_ids");
    if (!ids || json_is_null(ids))
        return problem_set(problem, PROBLEM_INVALID, "task_ids", "required");
    if (!json_is_array(ids))
        return problem_json(problem, "task_ids", "type", ids, "list of integers");
    if (json_array_size(ids) == 0 || json_array_size(ids) > BATCH_MAX)
        return problem_json(problem, "task_ids", "items", ids, "1..%d", BATCH_MAX);
    listed->asked = request_alloc(request, json_array_size(ids) * sizeof *listed->asked);
    if (!listed->asked)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    json_array_foreach((json_t *)(uintptr_t)ids, i, id)
    {
        int64_t number = 0;
        if (!json_integral(id, &number) || number < 1)
            return problem_json(problem, "task_ids", "type", ids, "list of integers");
        listed->asked[listed->asked_count++] = (uint64_t)number;
    }
    return 0;
}

void render_batch(struct request *request)
{
    struct listed *listed = request->own = request_alloc(request, sizeof *listed);
    struct problem problem;

    if (!listed) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    *listed = (struct listed){0};
    if (batch_read(request, listed, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    struct msg_get get = {.type = TYPE_RENDER_TASK, .ids = {listed->asked, listed->asked_count}};
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_listed);
}
