/* What came of a schedule's due times, which the store has, and the next ones, which the scheduler computes. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"

#define TIMES_DEFAULT 10
#define TIMES_MAX 1000

/* ---- /api/tasks/{id}/fires ---- */

/* Entries are made as they fall due. */
static const struct page_sort sorts[] = {{"created_at", ""}, {"due_at", ""}, {"id", ""}, {NULL, NULL}};

static void fire_write(struct writer *w, const struct rec_fire *fire)
{
    writer_open(w, NULL, '{');
    writer_uint(w, "id", fire->id);
    writer_uint(w, "task_id", fire->task_id);
    writer_time(w, "due_at", fire->due_at);
    writer_time(w, "last_due_at", fire->last_due_at);
    writer_uint(w, "count", fire->count);
    if (fire->at_least)
        writer_bool(w, "count_is_lower_bound", true);
    writer_text(w, "outcome", str_of(fire_outcome_name(fire->outcome)));
    writer_text_or_null(w, "reason", str_of(fire_reason_name(fire->reason)));
    writer_text_or_null(w, "detail", fire->detail);
    if (fire->run_id)
        writer_uint(w, "run_id", fire->run_id);
    else
        writer_null(w, "run_id");
    writer_time(w, "decided_at", fire->decided_at);
    writer_close(w, '}');
}

static void on_fires(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_fire fire;
        if (row_fire(request, &rows->rows.items[i], &fire))
            fire_write(&w, &fire);
    }
    page_close(request, &w, rows->total, rows->total_is_lower_bound);
}

/* Of several due times in one entry some may be within the dates. */
static int filters_read(struct request *request, struct rec_filter_list *filters, struct problem *problem)
{
    uint64_t number = 0;
    int fault = 0;

    if (page_word(request, "outcome", fire_outcome_parse, "ran|late|skipped", &number, problem, &fault))
        filters->items[filters->count++] = page_filter("outcome", FILTER_EQ, number);
    if (page_date(request, "start_date", false, &number, problem, &fault))
        filters->items[filters->count++] = page_filter("last_due_at", FILTER_GE, number);
    if (page_date(request, "end_date", true, &number, problem, &fault))
        filters->items[filters->count++] = page_filter("due_at", FILTER_LT, number);
    return fault;
}

static int query_read(struct request *request, struct msg_query *query, struct problem *problem)
{
    uint64_t task = 0;

    if (request_id(request, 0, &task, problem) != 0 || !page_new(request, sorts, problem))
        return -1;
    query->filters.items[query->filters.count++] = page_filter("task_id", FILTER_EQ, task);
    return filters_read(request, &query->filters, problem);
}

static void on_fires_task(struct request *request, const struct msg *msg)
{
    struct rec_filter filters[4];
    struct msg_query query = {.type = TYPE_FIRE, .filters = {filters, 0}};
    struct problem problem;

    if (msg->u.query_rows.rows.count == 0)
        reply_not_found(request, "id", request->match.args[0]);
    else if (query_read(request, &query, &problem) != 0)
        reply_problem(request, &problem);
    else
        page_ask(request, &query, on_fires);
}

void tasks_fires(struct request *request)
{
    struct rec_filter filters[4];
    struct msg_query query = {.filters = {filters, 0}};
    struct problem problem;

    if (query_read(request, &query, &problem) != 0)
        reply_problem(request, &problem);
    else
        row_ask(request, TYPE_TASK, 0, on_fires_task);
}

/* ---- /api/tasks/{id}/fire-times, /api/schedules/preview ---- */

struct times { /* request->own */
    struct str schedule, timezone;
    uint64_t task_id; /* 0: of no task */
    bool paused;
};

static void time_write(struct writer *w, const struct rec_fire_time *time)
{
    char iso[CLOCK_ISO_SIZE], local[64], offset[16];
    unsigned minutes = (unsigned)llabs(time->offset) / 60;

    snprintf(offset, sizeof offset, "%c%02u:%02u", time->offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
    clock_iso((uint64_t)((int64_t)time->at + time->offset * 1000), 0, iso);
    snprintf(local, sizeof local, "%.19s%s", iso, offset);
    writer_open(w, NULL, '{');
    writer_time(w, "at", time->at);
    writer_text(w, "local", str_of(local));
    writer_text(w, "offset", str_of(offset));
    writer_close(w, '}');
}

static void times_write(struct request *request, const struct rec_fire_time_list *list, bool end)
{
    const struct times *times = request->own;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    if (times->task_id) {
        writer_uint(&w, "task_id", times->task_id);
        writer_bool(&w, "paused", times->paused);
    }
    writer_text_or_null(&w, "schedule", times->schedule);
    writer_text(&w, "timezone", times->timezone.len ? times->timezone : STR_LIT("UTC"));
    writer_open(&w, "items", '[');
    for (uint32_t i = 0; i < list->count; i++)
        time_write(&w, &list->items[i]);
    writer_close(&w, ']');
    writer_bool(&w, "end", end);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void on_times(struct request *request, const struct msg *msg)
{
    times_write(request, &msg->u.fire_times_rows.times, msg->u.fire_times_rows.end);
}

static int ask_read(struct request *request, struct msg_fire_times *ask, struct problem *problem)
{
    struct str text;
    int fault = 0;

    ask->count = TIMES_DEFAULT;
    if (page_number(request, "count", 1, &ask->count, problem, &fault) && ask->count > TIMES_MAX) {
        request_param(request, "count", &text, problem, &fault);
        return problem_value(problem, PROBLEM_BAD_REQUEST, "count", "range", text, "1..%d", TIMES_MAX);
    }
    page_date(request, "after", false, &ask->after, problem, &fault);
    return fault;
}

/* What is shown with the answer outlives the message it came in. */
static bool times_keep(struct request *request, const struct msg_fire_times *ask, uint64_t task_id, bool paused)
{
    struct times *times = request->own = request_alloc(request, sizeof *times);
    struct arena *arena = request_arena(request);

    if (!times || !arena)
        return false;
    *times = (struct times){arena_str(arena, ask->schedule), arena_str(arena, ask->timezone), task_id, paused};
    return times->schedule.ptr && times->timezone.ptr;
}

static void times_ask(struct request *request, const struct msg_fire_times *ask, uint64_t task_id, bool paused)
{
    if (!times_keep(request, ask, task_id, paused))
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    else if (ask->schedule.len == 0)
        times_write(request, &(struct rec_fire_time_list){NULL, 0}, true);
    else
        ask_send(request, ASK_SCHEDULER, &shape_msg_fire_times, ask, on_times);
}

static void on_times_task(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct msg_fire_times ask = {0};
    struct rec_task task;
    struct rec_task_stat stat;
    struct problem problem;
    bool has_stat;

    if (rows->rows.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
    } else if (!row_task(request, &rows->rows.items[0], &task, &stat, &has_stat)) {
        row_refuse(request);
    } else if (ask_read(request, &ask, &problem) != 0) {
        reply_problem(request, &problem);
    } else {
        ask.schedule = task.spec.schedule;
        ask.anchor = task.created_at;
        ask.spread = task.spread;
        map_text(task.spec.metadata, STR_LIT("timezone"), &ask.timezone);
        times_ask(request, &ask, task.id, task.status == TASK_PAUSED);
    }
}

void tasks_fire_times(struct request *request)
{
    struct msg_fire_times ask = {0};
    struct problem problem;

    if (ask_read(request, &ask, &problem) != 0)
        reply_problem(request, &problem);
    else
        row_ask(request, TYPE_TASK, 0, on_times_task);
}

void schedules_preview(struct request *request)
{
    struct msg_fire_times ask = {0};
    struct problem problem;
    int fault = ask_read(request, &ask, &problem);

    page_text(request, "schedule", &shape_msg_fire_times, "schedule", &ask.schedule, &problem, &fault);
    page_text(request, "timezone", &shape_msg_fire_times, "timezone", &ask.timezone, &problem, &fault);
    page_text(request, "name", &shape_msg_fire_times, "name", &ask.name, &problem, &fault);
    if (!fault && ask.schedule.len == 0)
        fault = problem_set(&problem, PROBLEM_BAD_REQUEST, "schedule", "required");
    if (fault)
        reply_problem(request, &problem);
    else
        times_ask(request, &ask, 0, false);
}
