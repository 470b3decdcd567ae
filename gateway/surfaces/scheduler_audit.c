/* /api/system/audit: who wrote what, from the store. */
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"

#define LAST_CHARACTER "\xf4\x8f\xbf\xbf" /* U+10FFFF: behind whatever else follows a prefix */

static const struct page_sort sorts[] = {{"created_at", ""}, {"timestamp", ""}, {"id", ""}, {NULL, NULL}};

static const char *kind_name(uint64_t kind)
{
    static const char *const names[] = {
        [AUDIT_NOBODY] = "nobody", [AUDIT_LOCAL] = "open",      [AUDIT_NETWORK] = "network", [AUDIT_KEY] = "key",
        [AUDIT_TOKEN] = "token",   [AUDIT_UNKNOWN] = "unknown", [AUDIT_COMMAND] = "command"};

    return kind < sizeof names / sizeof *names ? names[kind] : "?";
}

static const char *outcome_of(const struct rec_audit *line)
{
    if (!line->code)
        return "done";
    return line->code == ERR_FORBIDDEN && line->kind == AUDIT_NOBODY ? "unauthenticated" : error_code_name(line->code);
}

static void line_write(struct writer *w, const struct rec_audit *line)
{
    writer_open(w, NULL, '{');
    writer_uint(w, "id", line->id);
    writer_time(w, "timestamp", line->at);
    writer_text_or_null(w, "who", line->who);
    writer_text(w, "kind", str_of(kind_name(line->kind)));
    writer_text_or_null(w, "address", line->address);
    writer_text(w, "method", line->method);
    writer_text(w, "path", line->path);
    writer_text(w, "outcome", str_of(outcome_of(line)));
    if (line->target)
        writer_uint(w, "target_id", line->target);
    else
        writer_null(w, "target_id");
    writer_text_or_null(w, "request_id", line->request_id);
    if (line->more)
        writer_uint(w, "more", line->more);
    writer_close(w, '}');
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_audit line;
        if (row_audit(request, &rows->rows.items[i], &line))
            line_write(&w, &line);
    }
    page_close(request, &w, rows->total, rows->total_is_lower_bound);
}

/* A time, or a day (its beginning). */
static bool time_read(const struct request *request, const char *name, uint64_t *out, struct problem *problem, int *fault)
{
    struct str text;

    if (*fault || !request_param(request, name, &text, problem, fault) || *fault)
        return false;
    if (clock_parse_iso(text.ptr, text.len, out) != 0) {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "format", text, "2024-01-01T00:00:00Z");
        return false;
    }
    return true;
}

/* Paths that begin with this: from it on, up to behind the last that could. */
static int path_filter(struct request *request, struct str path, struct rec_filter_list *filters, struct problem *problem)
{
    const uint32_t more = sizeof LAST_CHARACTER - 1;
    char *behind = request_alloc(request, (size_t)path.len + more);

    if (!behind)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    memcpy(behind, path.ptr, path.len);
    memcpy(behind + path.len, LAST_CHARACTER, more);
    filters->items[filters->count++] = page_filter_text("path", FILTER_GE, path);
    filters->items[filters->count++] = page_filter_text("path", FILTER_LT, (struct str){behind, path.len + more});
    return 0;
}

static int filters_read(struct request *request, struct rec_filter_list *filters, struct problem *problem)
{
    struct str text;
    uint64_t at = 0;
    int fault = 0;

    if (page_text(request, "who", &shape_rec_audit, "who", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("who", FILTER_EQ, text);
    if (page_text(request, "method", &shape_rec_audit, "method", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("method", FILTER_EQ, text);
    if (page_text(request, "path", &shape_rec_audit, "path", &text, problem, &fault))
        fault = path_filter(request, text, filters, problem);
    if (time_read(request, "start_time", &at, problem, &fault))
        filters->items[filters->count++] = page_filter("at", FILTER_GE, at);
    if (time_read(request, "end_time", &at, problem, &fault))
        filters->items[filters->count++] = page_filter("at", FILTER_LT, at);
    return fault;
}

void system_audit(struct request *request)
{
    struct rec_filter filters[6];
    struct msg_query query = {.type = TYPE_AUDIT, .filters = {filters, 0}};
    struct problem problem;

    if (!page_new(request, sorts, &problem) || filters_read(request, &query.filters, &problem) != 0)
        reply_problem(request, &problem);
    else
        page_ask(request, &query, on_listed);
}
