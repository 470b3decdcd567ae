/* /api/events */
#include "gateway/event_type.h"
#include "gateway/event_write.h"
#include "gateway/stream.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/log.h"

/* type=task.failed,worker.* and repeated ones alike. */
static int types_read(const struct request *request, uint64_t *types, struct problem *problem)
{
    bool any = false;

    for (uint32_t i = 0; i < request->uri.param_count; i++) {
        struct str words = request->uri.params[i].value, word;
        if (!str_is(request->uri.params[i].name, "type"))
            continue;
        while (str_item(&words, &word)) {
            if (!event_types_add(types, word))
                return problem_value(problem, PROBLEM_BAD_REQUEST, "type", "enum", word, "%s", event_types_known());
            any = true;
        }
    }
    if (!any)
        *types = event_types_default();
    return 0;
}

struct wish { /* request->own, of a stream */
    struct stream_filter filter;
    uint64_t after;
    bool resumes; /* it is given; else the stream begins where the events end now */
};

static int wish_read(const struct request *request, struct wish *wish, struct problem *problem)
{
    struct str resume = request->headers.last_event_id;
    struct stream_filter *filter = &wish->filter;
    int fault = types_read(request, &filter->types, problem);

    page_number(request, "task_id", 1, &filter->task_id, problem, &fault);
    page_number(request, "run_id", 1, &filter->run_id, problem, &fault);
    wish->resumes = page_number(request, "after", 0, &wish->after, problem, &fault) || resume.len > 0;
    if (fault)
        return fault;
    if (str_is(resume, "0"))
        wish->after = 0;
    else if (resume.len > 0 && !uri_number(resume, &wish->after))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "Last-Event-ID", "format", resume, "an id of this stream");
    return 0;
}

/* ---- follow=false: a page of those that are kept ---- */

static const struct page_sort sorts[] = {{"created_at", ""}, {"id", ""}, {NULL, NULL}};

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct arena *arena = request_arena(request);
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_event event;
        struct err err = {.code = ERR_NO_MEMORY};
        if (arena && rec_decode_event(arena, rows->rows.items[i].value, &event, &err) == 0) {
            writer_open(&w, NULL, '{');
            writer_uint(&w, "id", event.id);
            event_write_members(&w, &event);
            writer_close(&w, '}');
        } else if (err.code == ERR_NO_MEMORY) {
            request->out.failed = true;
        } else {
            log_error("GTY-ROW-DAMAGED", "event=%llu %s", (unsigned long long)rows->rows.items[i].id, err.text);
        }
    }
    page_close(request, &w, rows->total, rows->total_is_lower_bound);
}

/* One type, or all that begin alike (task.*). */
static int type_filter(struct request *request, struct str type, struct rec_filter_list *filters, struct problem *problem)
{
    bool several = type.ptr[type.len - 1] == '*';
    uint64_t known = 0;

    if (type.len == 1 || !event_types_add(&known, type))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "type", "enum", type, "%s", event_types_known());
    if (!several) {
        filters->items[filters->count++] = page_filter_text("type", FILTER_EQ, type);
        return 0;
    }
    type.len--;
    char *behind = request_alloc(request, type.len);
    if (!behind)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    memcpy(behind, type.ptr, type.len);
    behind[type.len - 1]++; /* from "task." on, up to "task/" */
    filters->items[filters->count++] = page_filter_text("type", FILTER_GE, type);
    filters->items[filters->count++] = page_filter_text("type", FILTER_LT, (struct str){behind, type.len});
    return 0;
}

static void list(struct request *request)
{
    struct rec_filter filters[5];
    struct msg_query query = {.type = TYPE_EVENT, .filters = {filters, 0}};
    struct problem problem;
    struct str type;
    uint64_t number = 0;
    int fault = page_new(request, sorts, &problem) ? 0 : -1;

    if (page_text(request, "type", &shape_rec_event, "type", &type, &problem, &fault))
        fault = type_filter(request, type, &query.filters, &problem);
    if (page_number(request, "task_id", 1, &number, &problem, &fault))
        filters[query.filters.count++] = page_filter("task_id", FILTER_EQ, number);
    if (page_number(request, "run_id", 1, &number, &problem, &fault))
        filters[query.filters.count++] = page_filter("run_id", FILTER_EQ, number);
    if (page_number(request, "after", 0, &number, &problem, &fault))
        filters[query.filters.count++] = page_filter("id", FILTER_GT, number);
    if (fault)
        reply_problem(request, &problem);
    else
        page_ask(request, &query, on_listed);
}

/* Who has the answer's head misses nothing that is committed from then on. */
static void on_head(struct request *request, const struct msg *msg)
{
    const struct wish *wish = request->own;
    uint64_t newest = msg->u.event_rows.newest;
    bool known = wish->resumes && wish->after < newest; /* an id that is not there yet is of another database */

    stream_start(request, &wish->filter, known ? wish->after : newest);
}

static void stream(struct request *request)
{
    struct wish *wish = request->own = request_alloc(request, sizeof *wish);
    struct msg_event_read head = {0};
    struct problem problem;

    if (!wish)
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    else if (wish_read(request, wish, &problem) != 0)
        reply_problem(request, &problem);
    else
        ask_send(request, ASK_STORE, &shape_msg_event_read, &head, on_head);
}

void events_get(struct request *request)
{
    struct problem problem;
    bool follow = true;
    int fault = 0;

    page_bool(request, "follow", &follow, &problem, &fault);
    if (fault)
        reply_problem(request, &problem);
    else if (!follow || request->head)
        list(request);
    else
        stream(request);
}
