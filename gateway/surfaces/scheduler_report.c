/* POST /api/runs/{id}/report: what a worker over REST says of a run it holds. */
#include "gateway/audit.h"
#include "gateway/fields.h"
#include "gateway/json.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"
#include "proto/log.h"

#define LINES_MAX 4096 /* msg_run_report.logs */
#define LINE_MAX (16u << 10)

static void on_reported(struct request *request, const struct msg *msg)
{
    const struct msg_run_reported *reported = &msg->u.run_reported;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "run_id", reported->run_id);
    writer_uint(&w, "attempt", reported->attempt);
    writer_text(&w, "status", str_of(run_status_name(reported->status)));
    rest_write_cancel(&w, &reported->cancel);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

/* ---- lines ---- */

static int too_many(const json_t *logs, struct problem *problem)
{
    return problem_json(problem, "logs", "items", logs, "0..%d", LINES_MAX);
}

/* Splits a text into lines, each like `line`, cut to what is kept of one. -1: there are too many. */
static int lines_add(struct rec_log_line_list *out, struct rec_log_line line, struct str text)
{
    bool more = true;

    if (text.len > 0 && text.ptr[text.len - 1] == '\n')
        text.len--;
    while (more) {
        const char *end = text.len > 0 ? memchr(text.ptr, '\n', text.len) : NULL;
        struct str one = {text.ptr, end ? (uint32_t)(end - text.ptr) : text.len};
        if (out->count == LINES_MAX)
            return -1;
        line.text = str_cut(one, LINE_MAX);
        out->items[out->count++] = line;
        more = end != NULL;
        if (more)
            text = (struct str){end + 1, text.len - one.len - 1};
    }
    return 0;
}

static bool word_read(const json_t *item, const char *name, struct str *out)
{
    const json_t *given = json_object_get(item, name);

    *out = (struct str){json_string_value(given), (uint32_t)json_string_length(given)};
    return given && !json_is_null(given);
}

static int stream_parse(struct str word)
{
    return str_is(word, "stdout")   ? STREAM_STDOUT
           : str_is(word, "stderr") ? STREAM_STDERR
           : str_is(word, "system") ? STREAM_SYSTEM
                                    : -1;
}

/* {timestamp, level, message, stream} */
static int line_read(const json_t *item, struct rec_log_line *line, struct str *text, struct problem *problem)
{
    struct str word;

    if (!word_read(item, "message", text))
        return problem_set(problem, PROBLEM_INVALID, "logs[].message", "required");
    if (!text->ptr)
        return problem_json(problem, "logs[].message", "type", json_object_get(item, "message"), "string");
    if (word_read(item, "timestamp", &word) && (!word.ptr || clock_parse_iso(word.ptr, word.len, &line->at) != 0))
        return problem_json(problem, "logs[].timestamp", "format", json_object_get(item, "timestamp"), "2024-01-01T00:00:00Z");
    if (word_read(item, "level", &word)) {
        int level = word.ptr ? log_level_parse(word) : -1;
        if (level < 0)
            return problem_json(problem, "logs[].level", "enum", json_object_get(item, "level"), "debug|info|warn|error");
        line->level = (uint64_t)level;
    }
    if (word_read(item, "stream", &word)) {
        int stream = word.ptr ? stream_parse(word) : -1;
        if (stream < 0)
            return problem_json(problem, "logs[].stream", "enum", json_object_get(item, "stream"), "stdout|stderr|system");
        line->stream = (uint64_t)stream;
    }
    return 0;
}

static int logs_read(struct request *request, struct rec_log_line_list *out, struct problem *problem)
{
    const json_t *logs = json_object_get(request->json, "logs"), *item;
    size_t index;

    if (!logs || json_is_null(logs))
        return 0;
    if (!json_is_array(logs))
        return problem_json(problem, "logs", "type", logs, "list of strings");
    out->items = request_alloc(request, LINES_MAX * sizeof *out->items);
    if (!out->items)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    json_array_foreach(logs, index, item)
    {
        struct rec_log_line line = {.seq = 1, .level = LOG_INFO, .stream = STREAM_STDOUT};
        struct str text = {json_string_value(item), (uint32_t)json_string_length(item)};
        if (!json_is_string(item) && !json_is_object(item))
            return problem_json(problem, "logs", "type", item, "list of strings");
        if (json_is_object(item) && line_read(item, &line, &text, problem) != 0)
            return -1;
        if (lines_add(out, line, text) != 0)
            return too_many(logs, problem);
    }
    return 0;
}

/* ---- the rest of it ---- */

static int status_read(const json_t *object, uint64_t *out, struct problem *problem)
{
    const json_t *status = json_object_get(object, "status");
    int word = json_is_string(status)
                   ? run_status_parse((struct str){json_string_value(status), (uint32_t)json_string_length(status)})
                   : -1;

    if (fields_require(object, "status", "", problem) != 0)
        return -1;
    if (!json_is_string(status))
        return problem_json(problem, "status", "type", status, "string");
    if (word < RUN_RUNNING)
        return problem_json(problem, "status", "enum", status, "running|completed|failed|aborted");
    *out = (uint64_t)word;
    return 0;
}

void runs_report(struct request *request)
{
    static const char *const skips[] = {"idem", "run_id", "status", "logs", "whose", "known", NULL};
    struct msg_run_report report = {0};
    struct problem problem;

    if (request_id(request, 0, &report.run_id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        fields_require(request->json, "attempt", "", &problem) != 0 ||
        fields_read(request, request->json, &shape_msg_run_report, skips, "", false, &report, &problem) != 0 ||
        status_read(request->json, &report.status, &problem) != 0 || logs_read(request, &report.logs, &problem) != 0 ||
        request_owner(request, &report.whose, &problem) != 0 || request_idem(request, &report.idem, &problem) != 0)
        goto error;
    if (report.status == RUN_RUNNING) /* a sign of life, and nobody's act: it would drive those out of the audit log */
        audit_unsign(request, &report.idem);
    command_send(request, TYPE_RUN, report.run_id, &shape_msg_run_report, &report, on_reported);
    return;
error:
    reply_problem(request, &problem);
}
