#include "gateway/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "gateway/audit.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/surfaces/surface.h"
#include "proto/log.h"

static void finish(struct request *request, unsigned status, const char *content_type)
{
    request->status = status;
    request->content_type = content_type;
    request->answered = true;
    http_answer(request);
}

/* The answer is whole, and there is room for it until its client has read it. The body is not needed any more by then. */
static bool fits(struct request *request)
{
    return !request->out.failed && budget_hold(&request->gateway->budget, &request->held, request->out.size);
}

void reply_written(struct request *request, unsigned status, const char *content_type)
{
    if (!fits(request)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    finish(request, status, content_type);
}

void reply_done(struct request *request, unsigned status)
{
    reply_written(request, status, "application/json; charset=utf-8");
}

void reply_html(struct request *request, unsigned status)
{
    if (!fits(request)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    request->page = true;
    finish(request, status, "text/html; charset=utf-8");
}

void reply_text(struct request *request, unsigned status, const char *text)
{
    buf_reset(&request->out);
    if (buf_text(&request->out, text) != 0) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    finish(request, status, "text/plain; charset=utf-8");
}

void reply_empty(struct request *request, unsigned status)
{
    buf_reset(&request->out);
    finish(request, status, NULL);
}

bool reply_stream_begin(struct request *request)
{
    struct gateway *gateway = request->gateway;
    struct problem problem;

    if (gateway->streams_max && gateway->streams >= gateway->streams_max) {
        problem_value(&problem, PROBLEM_LIMIT, NULL, "streams", (struct str){NULL, 0}, "%u", gateway->streams_max);
        reply_problem(request, &problem);
        return false;
    }
    gateway->streams++;
    request->streaming = true;
    return true;
}

void reply_stream(struct request *request, const char *content_type, const struct stream *stream)
{
    /* A stream may last for hours, and nothing of what was sent to begin it is needed. */
    buf_free(&request->body);
    budget_release(&request->gateway->budget, &request->held);
    request->stream = *stream;
    finish(request, 200, content_type);
}

void reply_header(struct request *request, const char *name, const char *format, ...)
{
    char value[REPLY_HEADER];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof value)
        return;
    if (buf_add(&request->more, name, strlen(name) + 1) == 0)
        buf_add(&request->more, value, (size_t)len + 1);
}

void reply_file(struct request *request, const char *content_type)
{
    buf_reset(&request->out);
    finish(request, request->file.length < request->file.total ? 206 : 200, content_type);
}

void reply_problem(struct request *request, const struct problem *problem)
{
    const struct surface *surface = request->match.surface;
    unsigned status = problem_status(problem->kind);

    if (problem->kind == PROBLEM_INVALID && surface->invalid)
        status = surface->invalid;
    if (status >= 500)
        log_warn("GTY-HTTP-PROBLEM", "status=%u path=%.*s", status, (int)request->uri.path.len, request->uri.path.ptr);
    audit_refused(request, problem->kind);
    if (request->out.size > BUDGET_SMALL) /* what was meant to be the answer */
        buf_free(&request->out);
    buf_reset(&request->out);
    request->retry_after = problem->retry_after ? problem->retry_after : problem_retry_after(problem->kind);
    surface->write_problem(request, problem);
    budget_charge(&request->gateway->budget, &request->held, request->out.size);
    /* Without memory even for this, http.c has a body that is always there. */
    finish(request, request->out.failed ? 503 : status, "application/json; charset=utf-8");
}

void reply_problem_kind(struct request *request, enum problem_kind kind)
{
    struct problem problem;

    problem_set(&problem, kind, NULL, NULL);
    reply_problem(request, &problem);
}

static enum problem_kind error_kind(uint64_t code, enum ask_whom whom)
{
    switch (code) {
    case ERR_BAD_REQUEST:
        return PROBLEM_BAD_REQUEST;
    case ERR_INVALID:
        return PROBLEM_INVALID;
    case ERR_NOT_FOUND:
        return PROBLEM_NOT_FOUND;
    case ERR_CONFLICT:
        return PROBLEM_CONFLICT;
    case ERR_KEY_REUSED:
        return PROBLEM_KEY_REUSED;
    case ERR_LIMIT: /* the store's: a page that is too large will not become smaller by waiting */
        return whom == ASK_STORE ? PROBLEM_BAD_REQUEST : PROBLEM_LIMIT;
    case ERR_FORBIDDEN:
        return PROBLEM_FORBIDDEN;
    case ERR_NO_MEMORY:
        return PROBLEM_OVERLOADED;
    /* A scheduler that is there refuses because it cannot write: the store is away. */
    case ERR_UNAVAILABLE:
        return PROBLEM_STORE_AWAY;
    case ERR_UNKNOWN_OUTCOME:
        return PROBLEM_STORE_UNKNOWN;
    case ERR_IO:
        return whom == ASK_STORE ? PROBLEM_STORE_AWAY : PROBLEM_INTERNAL;
    default:
        return PROBLEM_INTERNAL;
    }
}

/* What the client gave, where it is in what it sent: a record has texts only, and other names than a query. */
static void given_find(struct request *request, struct problem *problem)
{
    char name[64];
    struct str value;

    if (problem->field.len == 0)
        return;
    if (str_copy(name, sizeof name, problem->field) && uri_param(&request->uri, name, &value) > 0) {
        problem->value = value;
        problem->has_value = true;
    } else if (!problem->has_value) {
        problem->given = request_given(request, problem->field);
        problem->has_value = problem->given != NULL;
    }
}

void reply_error(struct request *request, const struct msg_error *error, enum ask_whom whom)
{
    struct problem problem = {
        .kind = error_kind(error->code, whom),
        .field = error->field,
        .rule = error->rule,
        .value = error->value,
        .has_value = error->value.len > 0,
        .expected = error->expected,
        .sentence = error->text,
    };

    given_find(request, &problem);
    if (whom == ASK_SCHEDULER)
        audit_told(request, error->code);
    if (problem.kind == PROBLEM_INTERNAL)
        log_error("GTY-HTTP-INTERNAL", "code=%s from=%s text=%.*s", error_code_name(error->code),
                  whom == ASK_STORE ? "store" : "scheduler", (int)error->text.len, error->text.ptr);
    reply_problem(request, &problem);
}
