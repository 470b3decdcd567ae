/* /api/runs, without its logs */
#include "gateway/fields.h"
#include "gateway/gateway.h"
#include "gateway/surfaces/scheduler.h"

#define DETAIL_LINES 100 /* newest log lines shown with a run */

static const struct page_sort sorts[] = {
    {"created_at", ""},           {"id", ""},
    {"started_at", "started_at"}, {"completed_at", "completed_at"},
    {"status", "status"},         {"task_id", "task_id"},
    {"worker_id", "worker_name"}, {NULL, NULL},
};

/* ---- answers of commands ---- */

void run_on_triggered(struct request *request, const struct msg *msg)
{
    const struct msg_run_answer *answer = &msg->u.run_answer;
    const struct rec_run *run = &answer->run;
    uint64_t start = run->due_at > run->created_at ? run->due_at : run->created_at;
    uint64_t estimate = answer->estimated_completion;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "task_id", run->task_id);
    writer_uint(&w, "run_id", run->id);
    writer_text(&w, "status", str_of(run_status_name(run->status)));
    writer_text_or_null(&w, "worker_id", run->worker_name);
    writer_time(&w, "started_at", run->started_at);
    /* Nothing measured yet: it ends by its timeout at the latest. */
    writer_time(&w, "estimated_completion", estimate ? estimate : start + run->timeout_seconds * 1000);
    writer_close(&w, '}');
    envelope_close(request, &w, 201);
}

static void on_restarted(struct request *request, const struct msg *msg)
{
    const struct rec_run *run = &msg->u.run_answer.run;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "original_run_id", request->subject);
    writer_uint(&w, "new_run_id", run->id);
    writer_text(&w, "status", str_of(run_status_name(run->status)));
    writer_time(&w, "started_at", run->created_at); /* in this dialect the time of the request */
    writer_close(&w, '}');
    envelope_close(request, &w, 201);
}

static void on_aborted(struct request *request, const struct msg *msg)
{
    const struct rec_run *run = &msg->u.run_answer.run;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "id", run->id);
    writer_text(&w, "status", str_of(run_status_name(run->status)));
    writer_time(&w, "completed_at", run->completed_at);
    writer_text(&w, "message", str_of(text_of(TEXT_RUN_ABORTED, request->lang)));
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

/* ---- commands ---- */

void runs_submit(struct request *request)
{
    struct msg_run_submit submit = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        spec_read(request, request->json, SPEC_SUBMIT, &submit.spec, &problem) != 0 ||
        trigger_read(request, request->json, "", false, &submit.trigger, &problem) != 0 ||
        request_idem(request, &submit.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_run_submit, &submit, run_on_triggered);
    return;
error:
    reply_problem(request, &problem);
}

void runs_restart(struct request *request)
{
    struct msg_run_restart restart = {0};
    struct problem problem;

    if (request_id(request, 0, &restart.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        request_idem(request, &restart.idem, &problem) != 0)
        goto error;
    command_send(request, TYPE_RUN, restart.id, &shape_msg_run_restart, &restart, on_restarted);
    return;
error:
    reply_problem(request, &problem);
}

void runs_abort(struct request *request)
{
    static const char *const skips[] = {"id", "idem", "known", NULL};
    struct msg_run_abort abort = {0};
    struct problem problem;

    if (request_id(request, 0, &abort.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        fields_read(request, request->json, &shape_msg_run_abort, skips, "", false, &abort, &problem) != 0 ||
        request_idem(request, &abort.idem, &problem) != 0)
        goto error;
    command_send(request, TYPE_RUN, abort.id, &shape_msg_run_abort, &abort, on_aborted);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- the list ---- */

struct listed {       /* request->own, while the scheduler is asked about runs that have not ended */
    struct page page; /* the first, as page_close looks for it there */
    struct rec_run *runs;
    uint32_t count;
    uint64_t total;
    bool lower_bound;
};

static const struct rec_live_run *live_of(const struct msg *msg, uint64_t id)
{
    for (uint32_t i = 0; msg && i < msg->u.run_live_rows.runs.count; i++) {
        if (msg->u.run_live_rows.runs.items[i].run_id == id)
            return &msg->u.run_live_rows.runs.items[i];
    }
    return NULL;
}

static void listed_write(struct request *request, const struct msg *msg)
{
    const struct listed *listed = request->own;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < listed->count; i++) {
        const struct rec_run *run = &listed->runs[i];
        run_write_brief(&w, run, run_status_final(run->status) ? NULL : live_of(msg, run->id));
    }
    page_close(request, &w, listed->total, listed->lower_bound);
}

/* Reads the runs of a page. False when out of memory. */
static bool listed_read(struct request *request, struct listed *listed, const struct rec_row_list *rows)
{
    listed->runs = request_alloc(request, rows->count * sizeof *listed->runs + 1);
    listed->count = 0;
    for (uint32_t i = 0; listed->runs && i < rows->count; i++) {
        if (row_run(request, &rows->items[i], &listed->runs[listed->count]))
            listed->count++;
    }
    return listed->runs != NULL;
}

/* They outlive their message. False when there is no room. */
static bool listed_keep(struct request *request, const struct listed *listed)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < listed->count; i++) {
        if (!run_keep_brief(request_arena(request), &listed->runs[i], &bytes))
            return false;
    }
    return budget_hold(&request->gateway->budget, &request->held, bytes);
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct listed *listed = request_alloc(request, sizeof *listed);
    uint64_t *ids = request_alloc(request, rows->rows.count * sizeof *ids + 1);
    struct msg_run_live live = {.ids = {ids, 0}};

    if (!listed || !ids || !listed_read(request, listed, &rows->rows)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    listed->page = *(const struct page *)request->own;
    listed->total = rows->total;
    listed->lower_bound = rows->total_is_lower_bound;
    request->own = listed;
    for (uint32_t i = 0; i < listed->count; i++) {
        if (!run_status_final(listed->runs[i].status))
            ids[live.ids.count++] = listed->runs[i].id;
    }
    if (live.ids.count == 0)
        listed_write(request, NULL);
    else if (listed_keep(request, listed))
        ask_soft(request, ASK_SCHEDULER, &shape_msg_run_live, &live, listed_write);
    else
        reply_problem_kind(request, PROBLEM_OVERLOADED);
}

static int filters_read(struct request *request, struct rec_filter_list *filters, struct problem *problem)
{
    struct str text;
    uint64_t number = 0;
    int fault = 0;

    if (page_number(request, "task_id", 1, &number, problem, &fault))
        filters->items[filters->count++] = page_filter("task_id", FILTER_EQ, number);
    bool final = false, by_status = page_word(request, "status", run_status_parse, "pending|running|completed|failed|aborted",
                                              &number, problem, &fault);
    bool by_final = page_bool(request, "final", &final, problem, &fault);
    if (by_status)
        filters->items[filters->count++] = page_filter("status", FILTER_EQ, number);
    else if (by_final)
        filters->items[filters->count++] = page_filter("status", FILTER_IN, final ? RUN_STATUSES_FINAL : RUN_STATUSES_OPEN);
    if (by_status && by_final && run_status_final(number) != final)
        filters->items[filters->count++] = page_filter("id", FILTER_LT, 0); /* none is both */
    if (page_date(request, "start_date", false, &number, problem, &fault))
        filters->items[filters->count++] = page_filter("created_at", FILTER_GE, number);
    if (page_date(request, "end_date", true, &number, problem, &fault))
        filters->items[filters->count++] = page_filter("created_at", FILTER_LT, number);
    if (page_text(request, "worker_id", &shape_rec_run, "worker_name", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("worker_name", FILTER_EQ, text);
    return fault;
}

void runs_list(struct request *request)
{
    struct rec_filter filters[6];
    struct msg_query query = {.type = TYPE_RUN, .filters = {filters, 0}};
    struct problem problem;

    if (!page_new(request, sorts, &problem) || filters_read(request, &query.filters, &problem) != 0)
        goto error;
    page_ask(request, &query, on_listed);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- one run: its record, then what is true of it this second, then its newest lines ---- */

struct detail {
    struct rec_run run;
    struct rec_live_run live;
    bool has_live;
};

static void on_lines(struct request *request, const struct msg *msg)
{
    const struct detail *detail = request->own;
    const struct msg_log_rows *rows = &msg->u.log_rows;
    struct writer w;

    envelope_open(request, &w);
    run_write_open(&w, &detail->run, detail->has_live ? &detail->live : NULL);
    writer_open(&w, "logs", '[');
    for (uint32_t i = 0; i < rows->lines.count; i++)
        log_write_brief(&w, &rows->lines.items[i]);
    writer_close(&w, ']');
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void ask_lines(struct request *request)
{
    const struct detail *detail = request->own;
    struct msg_log_read read = {.run_id = detail->run.id, .limit = DETAIL_LINES, .newest = true};

    ask_send(request, ASK_STORE, &shape_msg_log_read, &read, on_lines);
}

static void on_live(struct request *request, const struct msg *msg)
{
    struct detail *detail = request->own;
    struct arena *arena = request_arena(request);

    if (msg && msg->u.run_live_rows.runs.count > 0) {
        detail->live = msg->u.run_live_rows.runs.items[0];
        detail->live.note = arena_str(arena, detail->live.note);
        detail->live.reason = arena_str(arena, detail->live.reason);
        detail->has_live = detail->live.note.ptr && detail->live.reason.ptr;
    }
    ask_lines(request);
}

static void on_run(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct arena *arena = request_arena(request);
    struct detail *detail = request->own = request_alloc(request, sizeof *detail);

    if (rows->rows.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
        return;
    }
    /* The record outlives the message it came in. */
    struct rec_row row = rows->rows.items[0];
    row.value = arena && detail ? arena_str(arena, row.value) : (struct str){NULL, 0};
    if (!row.value.ptr) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    } else if (!row_run(request, &row, &detail->run)) {
        row_refuse(request);
    } else if (run_status_final(detail->run.status)) {
        ask_lines(request);
    } else {
        struct msg_run_live live = {.ids = {&detail->run.id, 1}};
        ask_soft(request, ASK_SCHEDULER, &shape_msg_run_live, &live, on_live);
    }
}

void runs_get(struct request *request)
{
    row_ask(request, TYPE_RUN, 0, on_run);
}
