/* /api/workers: answered by the scheduler, as their state is of this second. */
#include "gateway/surfaces/scheduler.h"

static const struct page_sort sorts[] = {
    {"created_at", ""},
    {"registered_at", ""},
    {"id", "name"},
    {"hostname", "hostname"},
    {"ip_address", "ip_address"},
    {"port", "port"},
    {"status", "status"},
    {"max_concurrent_tasks", "slots"},
    {"last_heartbeat", "last_heartbeat"},
    {"load_average", "load_average"},
    {"memory_usage", "memory_mb"},
    {"cpu_usage", "cpu_percent"},
    {NULL, NULL},
};

static uint64_t current_of(const struct msg_worker_rows *rows, uint32_t index)
{
    return index < rows->current.count ? rows->current.items[index] : 0;
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_worker_rows *rows = &msg->u.worker_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->workers.count; i++)
        worker_write(&w, &rows->workers.items[i], current_of(rows, i), false);
    page_close(request, &w, rows->total, false);
}

void workers_list(struct request *request)
{
    struct msg_worker_list list = {0};
    struct problem problem;
    int fault = 0;
    const struct page *page = page_new(request, sorts, &problem);

    if (!page)
        goto error;
    if (page_word(request, "status", worker_status_parse, "active|draining|offline", &list.status, &problem, &fault))
        SET_HAS(&list, msg_worker_list, status);
    page_text(request, "task_type", &shape_msg_worker_list, "task_type", &list.task_type, &problem, &fault);
    page_text(request, "hostname", &shape_msg_worker_list, "hostname", &list.hostname, &problem, &fault);
    if (fault)
        goto error;
    list.sort = page->sort;
    list.descending = page->descending;
    list.page = page->page;
    list.size = page->size;
    ask_send(request, ASK_SCHEDULER, &shape_msg_worker_list, &list, on_listed);
    return;
error:
    reply_problem(request, &problem);
}

static void on_got(struct request *request, const struct msg *msg)
{
    const struct msg_worker_rows *rows = &msg->u.worker_rows;
    struct writer w;

    if (rows->workers.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
        return;
    }
    envelope_open(request, &w);
    worker_write(&w, &rows->workers.items[0], current_of(rows, 0), true);
    envelope_close(request, &w, 200);
}

void workers_get(struct request *request)
{
    struct msg_worker_list list = {.name = request->match.args[0], .page = 1, .size = 1};

    if (list.name.len > shape_field(&shape_msg_worker_list, STR_LIT("name"))->high) {
        reply_not_found(request, "id", list.name);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_worker_list, &list, on_got);
}
