/* DELETE /api/runs */
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"

struct purge { /* request->own */
    struct rec_run_purge purge;
    uint64_t matched;
    bool lower_bound, counted;
};

static void purge_send(struct request *request);

static void on_noted(struct request *request, const struct msg *msg)
{
    const struct purge *purge = request->own;
    struct writer w;
    (void)msg;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_text(&w, "message", str_of(text_of(TEXT_RUNS_GOING, request->lang)));
    writer_uint(&w, "matched", purge->matched);
    if (purge->lower_bound)
        writer_bool(&w, "matched_is_lower_bound", true);
    writer_time(&w, "before", purge->purge.before);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void on_counted(struct request *request, const struct msg *msg)
{
    struct purge *purge = request->own;

    purge->matched = msg->u.query_rows.total;
    purge->lower_bound = msg->u.query_rows.total_is_lower_bound;
    purge->counted = true;
    purge_send(request);
}

static void purge_send(struct request *request)
{
    struct purge *purge = request->own;
    struct msg_run_purge message = {.purge = purge->purge};
    struct problem problem;

    if (request_idem(request, &message.idem, &problem) != 0)
        reply_problem(request, &problem);
    else
        ask_send(request, ASK_SCHEDULER, &shape_msg_run_purge, &message, on_noted);
}

/* How many there are now: for people, before any of them goes. */
static void count_ask(struct request *request)
{
    const struct rec_run_purge *purge = &((struct purge *)request->own)->purge;
    struct rec_filter filters[3];
    struct msg_query query = {.type = TYPE_RUN, .filters = {filters, 0}, .page = 1, .size = 1, .ids_only = true};

    filters[query.filters.count++] = page_filter("completed_at", FILTER_LT, purge->before);
    if (HAS(purge, rec_run_purge, status))
        filters[query.filters.count++] = page_filter("status", FILTER_EQ, purge->status);
    else
        filters[query.filters.count++] = page_filter("status", FILTER_IN, RUN_STATUSES_FINAL);
    if (purge->task_id)
        filters[query.filters.count++] = page_filter("task_id", FILTER_EQ, purge->task_id);
    ask_send(request, ASK_STORE, &shape_msg_query, &query, on_counted);
}

static int parse_final(struct str word)
{
    int status = run_status_parse(word);
    return status >= 0 && run_status_final((uint64_t)status) ? status : -1;
}

static int purge_read(const struct request *request, struct rec_run_purge *purge, struct problem *problem)
{
    struct str text;
    int fault = 0;

    if (page_word(request, "status", parse_final, "completed|failed|aborted", &purge->status, problem, &fault))
        SET_HAS(purge, rec_run_purge, status);
    page_number(request, "task_id", 1, &purge->task_id, problem, &fault);
    if (fault)
        return -1;
    if (!request_param(request, "before", &text, problem, &fault))
        return fault ? -1 : problem_value(problem, PROBLEM_BAD_REQUEST, "before", "required", (struct str){NULL, 0}, NULL);
    if (clock_parse_iso(text.ptr, text.len, &purge->before) != 0 || purge->before > INT64_MAX || purge->before == 0)
        return problem_value(problem, PROBLEM_BAD_REQUEST, "before", "format", text, "2024-01-01T00:00:00Z");
    return 0;
}

void runs_purge(struct request *request)
{
    struct purge *purge = request->own;
    struct problem problem;

    if (purge && purge->counted) { /* the scheduler said to come back */
        purge_send(request);
        return;
    }
    purge = request->own = request_alloc(request, sizeof *purge);
    if (!purge)
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    else if (purge_read(request, &purge->purge, &problem) != 0)
        reply_problem(request, &problem);
    else
        count_ask(request);
}
