/* /api/runs/{id}/logs */
#include "gateway/follow.h"
#include "gateway/position.h"
#include "gateway/surfaces/scheduler.h"

#define LOG_PAGE 100

struct logs { /* request->own */
    uint64_t run_id;
    bool follow, newest, behind; /* behind: by after and limit, else by page and size */
    bool backwards;              /* newest line first; pages are counted from there */
    uint64_t after;
    uint64_t skip, limit; /* lines before those that are asked for, and how many these are */
    struct page page;
};

static void read_on(struct request *request);

static void lines_write(struct request *request, const struct msg_log_rows *rows)
{
    const struct logs *logs = request->own;
    uint32_t count = rows->lines.count;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_open(&w, "items", '[');
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = logs->backwards ? count - 1 - k : k;
        const struct rec_log_line *line = &rows->lines.items[i];
        uint64_t before = i > 0 ? position_of(line - 1) : logs->after;
        bool asked_for = i > 0 || !logs->newest; /* what is before the newest lines was not */
        log_write(&w, line, asked_for ? position_missing(before, line, rows->cut) : 0);
    }
    writer_close(&w, ']');
    if (logs->behind || logs->newest)
        writer_uint(&w, "total", rows->total);
    else
        page_write(&w, &logs->page, rows->total, false);
    writer_uint(&w, "next", rows->lines.count > 0 ? rows->next : logs->after);
    writer_uint(&w, "cut", rows->cut);
    writer_bool(&w, "end", rows->end);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void nothing_write(struct request *request, const struct msg_log_rows *rows)
{
    struct msg_log_rows none = {.total = rows->total, .cut = rows->cut, .end = true};

    lines_write(request, &none);
}

static void on_lines(struct request *request, const struct msg *msg)
{
    struct logs *logs = request->own;
    const struct msg_log_rows *rows = &msg->u.log_rows;

    if (logs->skip == 0) {
        lines_write(request, rows);
        return;
    }
    logs->skip -= rows->lines.count < logs->skip ? rows->lines.count : logs->skip;
    if (rows->lines.count > 0)
        logs->after = rows->next;
    if (rows->end || rows->lines.count == 0) /* the page is past the end */
        nothing_write(request, rows);
    else
        read_on(request);
}

/* How many lines there are says where a page lies that is counted from the newest. */
static void on_total(struct request *request, const struct msg *msg)
{
    struct logs *logs = request->own;
    const struct msg_log_rows *rows = &msg->u.log_rows;
    uint64_t newer = logs->skip < rows->total ? logs->skip : rows->total;
    uint64_t left = rows->total - newer;

    logs->limit = left < logs->limit ? left : logs->limit;
    logs->skip = left - logs->limit;
    if (left == 0)
        nothing_write(request, rows);
    else
        read_on(request);
}

static void read_on(struct request *request)
{
    const struct logs *logs = request->own;
    uint64_t limit = logs->skip == 0 ? logs->limit : logs->skip < PAGE_SIZE_MAX ? logs->skip : PAGE_SIZE_MAX;
    struct msg_log_read read = {.run_id = logs->run_id, .after = logs->after, .limit = limit, .newest = logs->newest};

    ask_send(request, ASK_STORE, &shape_msg_log_read, &read, on_lines);
}

static void on_run(struct request *request, const struct msg *msg)
{
    const struct logs *logs = request->own;
    struct msg_log_read first = {.run_id = logs->run_id, .limit = 1};

    if (msg->u.query_rows.rows.count == 0)
        reply_not_found(request, "id", request->match.args[0]);
    else if (logs->follow && !request->head)
        follow_start(request, logs->run_id, logs->after, log_write);
    else if (logs->backwards && !logs->behind && !logs->newest)
        ask_send(request, ASK_STORE, &shape_msg_log_read, &first, on_total);
    else
        read_on(request);
}

static int logs_read(struct request *request, struct logs *logs, struct problem *problem)
{
    static const struct page_sort sorts[] = {{"created_at", ""}, {NULL, NULL}};
    struct str resume = request->headers.last_event_id;
    int fault = page_read(request, LOG_PAGE, sorts, &logs->page, problem);

    page_bool(request, "follow", &logs->follow, problem, &fault);
    page_bool(request, "newest", &logs->newest, problem, &fault);
    logs->behind = page_number(request, "after", 0, &logs->after, problem, &fault);
    if (page_number(request, "limit", 1, &logs->page.size, problem, &fault)) {
        logs->behind = true;
        if (logs->page.size > PAGE_SIZE_MAX)
            logs->page.size = PAGE_SIZE_MAX;
    }
    if (fault)
        return fault;
    logs->limit = logs->page.size;
    logs->backwards = logs->page.descending && uri_param(&request->uri, "order", NULL) > 0; /* the oldest is first unless asked */
    if (logs->follow && logs->backwards)
        return problem_value(problem, PROBLEM_BAD_REQUEST, "order", "exclusive", STR_LIT("desc"), "follow");
    if (logs->follow && resume.len > 0 && !str_is(resume, "0") && !uri_number(resume, &logs->after))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "Last-Event-ID", "format", resume, "an id of this stream");
    if (!logs->behind && !logs->newest) {
        uint64_t pages = logs->page.page - 1;
        logs->skip = pages > INT64_MAX / PAGE_SIZE_MAX ? INT64_MAX : pages * logs->page.size;
    }
    return 0;
}

void runs_logs(struct request *request)
{
    struct logs *logs = request->own = request_alloc(request, sizeof *logs);
    struct msg_get get = {.type = TYPE_RUN};
    struct problem problem;

    if (!logs) {
        problem_set(&problem, PROBLEM_OVERLOADED, NULL, NULL);
        goto error;
    }
    if (request_id(request, 0, &logs->run_id, &problem) != 0 || logs_read(request, logs, &problem) != 0)
        goto error;
    get.ids = (struct uint_list){&logs->run_id, 1};
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_run);
    return;
error:
    reply_problem(request, &problem);
}
