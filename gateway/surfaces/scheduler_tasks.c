/* /api/tasks */
#include <stdio.h>

#include "gateway/fields.h"
#include "gateway/surfaces/scheduler.h"

static const struct page_sort sorts[] = {
    {"created_at", ""},
    {"id", ""},
    {"name", "spec.name"},
    {"status", "status"},
    {"priority", "spec.priority"},
    {"task_type", "spec.task_type"},
    {"updated_at", "updated_at"},
    {"next_run_at", "next_run_at"},
    {NULL, NULL},
};

/* ---- answers ---- */

static void task_answer(struct request *request, const struct msg *msg, unsigned status)
{
    const struct msg_task_answer *answer = &msg->u.task_answer;
    struct writer w;

    envelope_open(request, &w);
    task_write(&w, &answer->task, HAS(answer, msg_task_answer, stat) ? &answer->stat : NULL, false);
    envelope_close(request, &w, status);
}

static void on_created(struct request *request, const struct msg *msg)
{
    task_answer(request, msg, 201);
}

static void on_updated(struct request *request, const struct msg *msg)
{
    task_answer(request, msg, 200);
}

static void on_status(struct request *request, const struct msg *msg)
{
    const struct rec_task *task = &msg->u.task_answer.task;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "id", task->id);
    writer_text(&w, "status", str_of(task_status_name(task->status)));
    writer_time(&w, "updated_at", task->updated_at);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void on_deleted(struct request *request, const struct msg *msg)
{
    struct writer w;
    (void)msg;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_text(&w, "message", str_of(text_of(TEXT_TASK_DELETED, request->lang)));
    writer_uint(&w, "deleted_id", request->subject);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void on_triggered_batch(struct request *request, const struct msg *msg)
{
    const struct uint_list *ids = &msg->u.run_batch_answer.run_ids;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_open(&w, "run_ids", '[');
    for (uint32_t i = 0; i < ids->count; i++)
        writer_uint(&w, NULL, ids->items[i]);
    writer_close(&w, ']');
    writer_close(&w, '}');
    envelope_close(request, &w, 201);
}

/* ---- handlers ---- */

void tasks_create(struct request *request)
{
    struct msg_task_create create = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        spec_read(request, request->json, SPEC_CREATE, &create.spec, &problem) != 0 ||
        request_idem(request, &create.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_task_create, &create, on_created);
    return;
error:
    reply_problem(request, &problem);
}

void tasks_update(struct request *request)
{
    struct msg_task_update update = {0};
    struct problem problem;

    if (request_id(request, 0, &update.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        spec_read(request, request->json, SPEC_UPDATE, &update.spec, &problem) != 0 ||
        request_idem(request, &update.idem, &problem) != 0)
        goto error;
    command_send(request, TYPE_TASK, update.id, &shape_msg_task_update, &update, on_updated);
    return;
error:
    reply_problem(request, &problem);
}

void tasks_delete(struct request *request)
{
    struct msg_task_delete delete = {0};
    struct problem problem;
    int fault = request_id(request, 0, &delete.id, &problem);

    page_bool(request, "force", &delete.force, &problem, &fault);
    if (fault || request_idem(request, &delete.idem, &problem) != 0)
        goto error;
    command_send(request, TYPE_TASK, delete.id, &shape_msg_task_delete, &delete, on_deleted);
    return;
error:
    reply_problem(request, &problem);
}

static void pause_or_resume(struct request *request, bool paused)
{
    struct msg_task_pause pause = {.paused = paused};
    struct problem problem;

    if (request_id(request, 0, &pause.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        request_idem(request, &pause.idem, &problem) != 0)
        goto error;
    command_send(request, TYPE_TASK, pause.id, &shape_msg_task_pause, &pause, on_status);
    return;
error:
    reply_problem(request, &problem);
}

void tasks_pause(struct request *request)
{
    pause_or_resume(request, true);
}

void tasks_resume(struct request *request)
{
    pause_or_resume(request, false);
}

void tasks_trigger(struct request *request)
{
    struct msg_run_trigger trigger = {0};
    struct problem problem;

    if (request_id(request, 0, &trigger.task_id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        trigger_read(request, request->json, "", false, &trigger.trigger, &problem) != 0 ||
        request_idem(request, &trigger.idem, &problem) != 0)
        goto error;
    command_send(request, TYPE_TASK, trigger.task_id, &shape_msg_run_trigger, &trigger, run_on_triggered);
    return;
error:
    reply_problem(request, &problem);
}

static int items_read(struct request *request, struct rec_trigger_list *out, struct problem *problem)
{
    const json_t *items = json_object_get(request->json, "items");
    char prefix[32];

    if (fields_require(request->json, "items", "", problem) != 0)
        return -1;
    if (!json_is_array(items))
        return problem_json(problem, "items", "type", items, "list of objects");
    size_t count = json_array_size(items);
    if (count < 1 || count > 1000)
        return problem_json(problem, "items", "items", items, "1..1000");
    out->items = request_alloc(request, count * sizeof *out->items);
    if (!out->items)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(items, i);
        snprintf(prefix, sizeof prefix, "items[%zu]", i);
        if (!json_is_object(item))
            return problem_json(problem, prefix, "type", item, "object");
        snprintf(prefix, sizeof prefix, "items[%zu].", i);
        if (trigger_read(request, item, prefix, true, &out->items[i], problem) != 0)
            return -1;
    }
    out->count = (uint32_t)count;
    return 0;
}

void tasks_trigger_batch(struct request *request)
{
    struct msg_run_trigger_batch batch = {0};
    struct problem problem;

    if (request_id(request, 0, &batch.task_id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        items_read(request, &batch.items, &problem) != 0 || request_idem(request, &batch.idem, &problem) != 0)
        goto error;
    command_send(request, TYPE_TASK, batch.task_id, &shape_msg_run_trigger_batch, &batch, on_triggered_batch);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- reading ---- */

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_task task;
        struct rec_task_stat stat;
        bool has_stat = false;
        if (row_task(request, &rows->rows.items[i], &task, &stat, &has_stat))
            task_write_brief(&w, &task, has_stat ? &stat : NULL);
    }
    page_close(request, &w, rows->total, rows->total_is_lower_bound);
}

/* What the parameters ask for; *named: tasks of one name. */
static int filters_read(struct request *request, struct msg_query *query, bool *named, struct problem *problem)
{
    struct rec_filter_list *filters = &query->filters;
    struct str text;
    uint64_t number = 0;
    int fault = 0;

    *named = page_text(request, "name", &shape_rec_task_spec, "name", &text, problem, &fault);
    if (*named)
        filters->items[filters->count++] = page_filter_text("spec.name", FILTER_EQ, text);
    if (page_word(request, "status", task_status_parse, "active|paused|completed|failed", &number, problem, &fault))
        filters->items[filters->count++] = page_filter("status", FILTER_EQ, number);
    if (page_word(request, "priority", priority_parse, "low|normal|high|critical", &number, problem, &fault))
        filters->items[filters->count++] = page_filter("spec.priority", FILTER_EQ, number);
    if (page_text(request, "task_type", &shape_rec_task_spec, "task_type", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("spec.task_type", FILTER_EQ, text);
    if (page_text(request, "tags", &shape_rec_filter, "text", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("spec.tags", FILTER_HAS, text);
    page_text(request, "search", &shape_msg_query, "search", &query->search, problem, &fault);
    return fault;
}

static void list_ask(struct request *request, bool held);

/* A name belongs to one task; runs that were submitted under it have tasks of their own, which are looked for only without that one. */
static void on_held(struct request *request, const struct msg *msg)
{
    if (msg->u.query_rows.total > 0)
        on_listed(request, msg);
    else
        list_ask(request, false);
}

/* So many runs were submitted under the name that looking for the task among theirs is refused: as if it were not there. */
static bool on_held_error(struct request *request, const struct msg_error *error)
{
    if (!str_is(error->rule, "reach"))
        return false;
    list_ask(request, false);
    return true;
}

static void list_ask(struct request *request, bool held)
{
    struct rec_filter filters[6];
    struct msg_query query = {.type = TYPE_TASK, .also = TYPE_TASK_STAT, .filters = {filters, 0}};
    struct problem problem;
    bool named;

    if (!page_new(request, sorts, &problem) || filters_read(request, &query, &named, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    held = held && named;
    if (held)
        filters[query.filters.count++] = page_filter("oneshot", FILTER_EQ, false);
    request->on_error = held ? on_held_error : NULL;
    page_ask(request, &query, held ? on_held : on_listed);
}

void tasks_list(struct request *request)
{
    list_ask(request, true);
}

static void on_got(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct rec_task task;
    struct rec_task_stat stat;
    bool has_stat = false;
    struct writer w;

    if (rows->rows.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
    } else if (!row_task(request, &rows->rows.items[0], &task, &stat, &has_stat)) {
        row_refuse(request);
    } else {
        envelope_open(request, &w);
        task_write(&w, &task, has_stat ? &stat : NULL, true);
        envelope_close(request, &w, 200);
    }
}

void tasks_get(struct request *request)
{
    row_ask(request, TYPE_TASK, TYPE_TASK_STAT, on_got);
}
