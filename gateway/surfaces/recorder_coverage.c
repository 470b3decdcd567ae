/* /coverage: what was due, and what was recorded, by stream and day. */
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
    writer_rounded(w, "coverage", due > 0 ? (recorded < due ? recorded / due : 1) : 0, 4);
    writer_uint(w, "completed", day->completed);
    writer_uint(w, "failed", day->failed);
    writer_uint(w, "cancelled", day->cancelled);
    writer_uint(w, "gaps", day->gaps);
    writer_rounded(w, "gap_seconds", (double)day->gap_ms / 1000, 3);
    writer_close(w, '}');
}

static void on_days(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct arena *arena = request_arena(request);
    struct writer w;
    recorder_open(request, &w);
    writer_uint(&w, "count", rows->rows.count);
    writer_uint(&w, "total", rows->total);
    if (rows->total_is_lower_bound)
        writer_bool(&w, "total_is_lower_bound", true);
    writer_open(&w, "days", '[');
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_recorder_day day;
        struct err err = {.code = ERR_NO_MEMORY};
        if (arena && rec_decode_recorder_day(arena, rows->rows.items[i].value, &day, &err) == 0)
            write_day(&w, &day);
        else if (err.code == ERR_NO_MEMORY)
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

void recorder_coverage(struct request *request)
{
    uint64_t stream = 0, day = 0;
    struct rec_filter filters[2];
    struct msg_query query = {.type = TYPE_RECORDER_DAY, .filters = {filters, 0}, .descending = true, .page = 1, .size = 1000};
    struct problem problem;
    if (number(request, "stream_id", INT64_MAX, &stream, &problem) != 0 ||
        number(request, "day", 99991231, &day, &problem) != 0 || number(request, "page", 0, &query.page, &problem) != 0 ||
        number(request, "per_page", 1000, &query.size, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    if (stream)
        filters[query.filters.count++] =
            (struct rec_filter){.field = STR_LIT("stream"), .op = FILTER_EQ, .number = (int64_t)stream};
    if (day)
        filters[query.filters.count++] = (struct rec_filter){.field = STR_LIT("day"), .op = FILTER_EQ, .number = (int64_t)day};
    ask_send(request, ASK_STORE, &shape_msg_query, &query, on_days);
}
