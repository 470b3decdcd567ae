/* /api/v1/logs */
#include "gateway/surfaces/transcode.h"
#include "proto/log.h"

#define PAGE_DEFAULT 20
#define LEVEL_MAX 3
#define LINE_BYTES (16u << 10) /* rec_transcode_log.text */

static const struct api_sort sorts[] = {
    {"id", ""},
    {"log_time", ""},
    {"log_level", "level"},
    {NULL, NULL},
};

static void log_write(struct writer *w, const char *key, const struct rec_transcode_log *line)
{
    writer_open(w, key, '{');
    writer_uint(w, "id", line->id);
    if (line->task_id)
        writer_uint(w, "task_id", line->task_id);
    else
        writer_null(w, "task_id");
    writer_time(w, "log_time", line->at);
    writer_uint(w, "log_level", line->level);
    writer_text(w, "log_message", line->text);
    writer_close(w, '}');
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct arena *arena = request_arena(request);
    struct writer w;

    api_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    writer_open(&w, "logs", '[');
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_transcode_log line;
        struct err err = {.code = ERR_NO_MEMORY};
        if (arena && rec_decode_transcode_log(arena, rows->rows.items[i].value, &line, &err) == 0)
            log_write(&w, NULL, &line);
        else if (err.code == ERR_NO_MEMORY)
            request->out.failed = true;
        else
            log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)rows->rows.items[i].id, err.text);
    }
    writer_close(&w, ']');
    api_page_write(&w, request->own, rows->total, rows->total_is_lower_bound);
    writer_close(&w, '}');
    api_close(request, &w, 200);
}

void api_logs_list(struct request *request)
{
    struct rec_filter filters[5];
    struct msg_query query = {.type = TYPE_TRANSCODE_LOG, .filters = {filters, 0}};
    struct problem problem;
    uint64_t number;
    int fault = 0;

    if (!api_page_read(request, PAGE_DEFAULT, sorts, &problem))
        goto error;
    if (api_param_bits(request, "log_level", LEVEL_MAX, &number, &problem, &fault))
        api_filter_bits(&query.filters, "level", number);
    if (api_param_uint(request, "task_id", 1, INT64_MAX, &number, &problem, &fault))
        api_filter(&query.filters, "task_id", FILTER_EQ, number);
    if (api_param_uint(request, "after", 0, INT64_MAX - 1, &number, &problem, &fault))
        api_filter(&query.filters, "id", FILTER_GT, number);
    if (api_param_time(request, "start_time", false, &number, &problem, &fault))
        api_filter(&query.filters, "at", FILTER_GE, number);
    if (api_param_time(request, "end_time", true, &number, &problem, &fault))
        api_filter(&query.filters, "at", FILTER_LT, number);
    if (fault)
        goto error;
    api_page_ask(request, &query, on_listed);
    return;
error:
    reply_problem(request, &problem);
}

static void on_created(struct request *request, const struct msg *msg)
{
    struct writer w;

    api_open(request, &w, 201, TEXT_API_LOGGED);
    log_write(&w, "data", &msg->u.transcode_logged.log);
    api_close(request, &w, 201);
}

void api_logs_create(struct request *request)
{
    struct msg_transcode_log asked = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 || api_task_id(request, "task_id", &asked.task_id, &problem) != 0 ||
        api_uint(request, "log_level", API_REQUIRED, 0, LEVEL_MAX, &asked.level, &problem) < 0 ||
        api_text(request, "log_message", API_REQUIRED, 1 << 20, &asked.text, &problem) < 0 ||
        request_owner(request, &asked.whose, &problem) != 0 || request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    asked.text = str_cut(asked.text, LINE_BYTES);
    CLEAR_HAS(&asked.idem, rec_idem, by); /* nobody's act */
    api_command(request, asked.task_id, &shape_msg_transcode_log, &asked, on_created);
}
