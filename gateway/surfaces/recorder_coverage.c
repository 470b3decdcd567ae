/* /coverage: what was due, and what was recorded, by stream and day; and what is missing of which recording. */
#include "gateway/surfaces/recorder.h"
#include "proto/log.h"

static void write_day(struct writer *w, const struct rec_recorder_day *day)
{
    double due = (double)day->due_seconds, recorded = (double)day->recorded_ms / 1000;
    writer_open(w, NULL, '{');
    writer_uint(w, "stream_id", day->stream);
    writer_uint(w, "day", day->day);
    writer_text(w, "output_filename", day->output);
    writer_uint(w, "due_seconds", day->due_seconds);
    writer_rounded(w, "recorded_seconds", recorded, 3);
    writer_rounded(w, "missing_seconds", recorded < due ? due - recorded : 0, 3);
    writer_uint(w, "unplanned_seconds", day->unplanned_seconds);
    writer_rounded(w, "lost_seconds", (double)day->lost_ms / 1000, 3);
    writer_rounded(w, "extra_seconds", (double)day->extra_ms / 1000, 3);
    writer_rounded(w, "coverage", due > 0 ? (recorded < due ? recorded / due : 1) : 0, 4);
    writer_uint(w, "completed", day->completed);
    writer_uint(w, "failed", day->failed);
    writer_uint(w, "cancelled", day->cancelled);
    writer_uint(w, "gaps", day->gaps);
    writer_rounded(w, "gap_seconds", (double)day->gap_ms / 1000, 3);
    writer_close(w, '}');
}

static void write_gaps(struct writer *w, const struct rec_recorder_gaps *one, enum text_lang lang)
{
    double missing = 0;
    writer_open(w, NULL, '{');
    writer_uint(w, "recording_id", one->id);
    writer_uint(w, "stream_id", one->stream);
    writer_uint(w, "day", one->day);
    writer_text(w, "timestamp", one->cycle);
    writer_text(w, "output_filename", one->output);
    recorder_time_write(w, "start_time", one->started_at);
    writer_uint(w, "planned_seconds", one->seconds);
    writer_uint(w, "status", one->status);
    writer_text(w, "status_text", str_of(text_of(recorder_status(one->status, true), lang)));
    writer_open(w, "gaps", '[');
    for (uint32_t i = 0; i < one->gaps.count; i++) {
        const struct rec_recording_gap *gap = &one->gaps.items[i];
        missing += gap->seconds;
        writer_open(w, NULL, '{');
        writer_rounded(w, "at", gap->at, 3);
        writer_rounded(w, "seconds", gap->seconds, 3);
        writer_text(w, "cause", gap->cause);
        writer_close(w, '}');
    }
    writer_close(w, ']');
    writer_rounded(w, "missing_seconds", missing, 3);
    writer_close(w, '}');
}

/* One of the rows that were asked for; -1 with err. */
static int write_row(struct request *request, struct arena *arena, struct writer *w, struct str value, struct err *err)
{
    struct rec_recorder_day day;
    struct rec_recorder_gaps gaps;
    if (request->match.route->handle == recorder_coverage_gaps) {
        if (rec_decode_recorder_gaps(arena, value, &gaps, err) != 0)
            return -1;
        write_gaps(w, &gaps, request->lang);
        return 0;
    }
    if (rec_decode_recorder_day(arena, value, &day, err) != 0)
        return -1;
    write_day(w, &day);
    return 0;
}

static void on_rows(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct arena *arena = request_arena(request);
    struct writer w;
    recorder_open(request, &w);
    writer_uint(&w, "count", rows->rows.count);
    writer_uint(&w, "total", rows->total);
    if (rows->total_is_lower_bound)
        writer_bool(&w, "total_is_lower_bound", true);
    writer_open(&w, request->match.route->handle == recorder_coverage_gaps ? "recordings" : "days", '[');
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct err err = {.code = ERR_NO_MEMORY};
        if (arena && write_row(request, arena, &w, rows->rows.items[i].value, &err) == 0)
            continue;
        if (err.code == ERR_NO_MEMORY)
            request->out.failed = true;
        else
            log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)rows->rows.items[i].id, err.text);
    }
    writer_close(&w, ']');
    recorder_close(request, &w, 200);
}

/* A number of the query; its initial value where there is none. -1 with problem. */
static int number(const struct request *request, const char *name, uint64_t most, uint64_t *out, struct problem *problem)
{
    struct str text = {0};
    int fault = 0;
    if (!request_param(request, name, &text, problem, &fault))
        return fault;
    if (uri_number(text, out) && (!most || *out <= most))
        return 0;
    return most ? problem_value(problem, PROBLEM_BAD_REQUEST, name, "range", text, "1..%llu", (unsigned long long)most)
                : problem_value(problem, PROBLEM_BAD_REQUEST, name, "format", text, "a number from 1");
}

static void filter_add(struct msg_query *query, struct str field, enum filter_op op, uint64_t number)
{
    if (number)
        query->filters.items[query->filters.count++] = (struct rec_filter){.field = field, .op = op, .number = (int64_t)number};
}

static void coverage_ask(struct request *request, enum record_type type)
{
    uint64_t stream = 0, day = 0, since = 0;
    struct rec_filter filters[3];
    struct msg_query query = {.type = type, .filters = {filters, 0}, .descending = true, .page = 1, .size = 1000};
    struct problem problem;
    if (number(request, "stream_id", INT64_MAX, &stream, &problem) != 0 ||
        number(request, "day", 99991231, &day, &problem) != 0 || number(request, "since", 99991231, &since, &problem) != 0 ||
        number(request, "page", 0, &query.page, &problem) != 0 || number(request, "per_page", 1000, &query.size, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    filter_add(&query, STR_LIT("stream"), FILTER_EQ, stream);
    filter_add(&query, STR_LIT("day"), FILTER_EQ, day);
    filter_add(&query, STR_LIT("day"), FILTER_GE, since);
    ask_send(request, ASK_STORE, &shape_msg_query, &query, on_rows);
}

void recorder_coverage(struct request *request)
{
    coverage_ask(request, TYPE_RECORDER_DAY);
}

void recorder_coverage_gaps(struct request *request)
{
    coverage_ask(request, TYPE_RECORDER_GAPS);
}
