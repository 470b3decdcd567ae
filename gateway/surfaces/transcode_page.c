/* Lists and parameters of the transcode surface. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/json.h"
#include "gateway/surfaces/transcode.h"
#include "proto/clock.h"
#include "proto/log.h"

#define SIZE_MAX_OF_PAGE 1000
#define TEXTS_MAX 16 /* rec_filter.texts */

/* ---- query parameters ---- */

/* Digits, 0 included. */
static bool number_of(struct str text, uint64_t *out)
{
    if (str_is(text, "0")) {
        *out = 0;
        return true;
    }
    return uri_number(text, out);
}

bool api_param_uint(const struct request *request, const char *name, uint64_t low, uint64_t high, uint64_t *out,
                    struct problem *problem, int *fault)
{
    struct str text;
    uint64_t number = 0;

    if (*fault || uri_param(&request->uri, name, NULL) == 0)
        return false;
    request_param(request, name, &text, problem, fault);
    if (*fault)
        return false;
    if (!number_of(text, &number) || number < low || number > high) {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "range", text, "%llu..%llu", (unsigned long long)low,
                               (unsigned long long)high);
        return false;
    }
    *out = number;
    return true;
}

bool api_param_real(const struct request *request, const char *name, double *out, struct problem *problem, int *fault)
{
    char digits[40], *end;
    struct str text;

    if (*fault || !request_param(request, name, &text, problem, fault) || *fault)
        return false;
    *out = str_copy(digits, sizeof digits, text) ? strtod(digits, &end) : -1;
    if (*out < 0 || !isfinite(*out) || *out > 1e12 || *end || digits[0] < '0' || digits[0] > '9') {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "type", text, "a number of MB");
        return false;
    }
    return true;
}

bool api_param_time(const struct request *request, const char *name, bool end, uint64_t *out, struct problem *problem, int *fault)
{
    struct str text;

    if (*fault || !request_param(request, name, &text, problem, fault) || *fault)
        return false;
    if (clock_parse_iso(text.ptr, text.len, out) != 0 || *out > INT64_MAX / 2) {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "format", text, "2024-01-01T00:00:00Z");
        return false;
    }
    if (end) /* times are shown in seconds: one without a fraction means all of its second, a day all of it */
        *out += text.len == 10 ? 86400000 : memchr(text.ptr, '.', text.len) ? 1 : 1000;
    return true;
}

static bool param_named(const struct uri_param *param, const char *name)
{
    size_t len = strlen(name);

    return param->name.len >= len && memcmp(param->name.ptr, name, len) == 0 &&
           (param->name.len == len || str_is((struct str){param->name.ptr + len, param->name.len - (uint32_t)len}, "[]"));
}

bool api_param_bits(const struct request *request, const char *name, uint64_t high, uint64_t *bits, struct problem *problem,
                    int *fault)
{
    *bits = 0;
    for (uint32_t i = 0; !*fault && i < request->uri.param_count; i++) {
        const struct uri_param *param = &request->uri.params[i];
        uint64_t number = 0;
        if (!param_named(param, name) || param->value.len == 0)
            continue;
        if (!number_of(param->value, &number) || number > high)
            *fault =
                problem_value(problem, PROBLEM_BAD_REQUEST, name, "range", param->value, "0..%llu", (unsigned long long)high);
        else
            *bits |= UINT64_C(1) << number;
    }
    return !*fault && *bits != 0;
}

bool api_param_texts(struct request *request, const char *name, struct str_list *out, struct problem *problem, int *fault)
{
    *out = (struct str_list){request_alloc(request, TEXTS_MAX * sizeof(struct str)), 0};
    if (!out->items)
        *fault = problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    for (uint32_t i = 0; !*fault && i < request->uri.param_count; i++) {
        const struct uri_param *param = &request->uri.params[i];
        if (!param_named(param, name) || param->value.len == 0)
            continue;
        if (out->count == TEXTS_MAX || param->value.len > 64)
            *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "items", param->value, "0..%d", TEXTS_MAX);
        else
            out->items[out->count++] = param->value;
    }
    return !*fault && out->count > 0;
}

void api_filter(struct rec_filter_list *filters, const char *field, enum filter_op op, uint64_t number)
{
    filters->items[filters->count++] = (struct rec_filter){.field = str_of(field), .op = op, .number = (int64_t)number};
}

void api_filter_bits(struct rec_filter_list *filters, const char *field, uint64_t bits)
{
    uint64_t only = 0;

    while (bits >> only && !(bits >> only & 1))
        only++;
    if (bits == UINT64_C(1) << only)
        api_filter(filters, field, FILTER_EQ, only);
    else
        api_filter(filters, field, FILTER_IN, bits);
}

/* ---- lists ---- */

static int sort_read(const struct request *request, const struct api_sort *sorts, struct api_page *page, struct problem *problem)
{
    char known[300] = "";
    size_t len = 0;
    struct str name = {NULL, 0}, order = {NULL, 0};
    int fault = 0;

    request_param(request, "sort_by", &name, problem, &fault);
    request_param(request, "order", &order, problem, &fault);
    if (fault)
        return -1;
    if (order.len > 0 && !str_is(order, "asc") && !str_is(order, "desc"))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "order", "enum", order, "asc|desc");
    page->descending = !str_is(order, "asc");
    const struct api_sort *sort = sorts;
    while (name.len > 0 && sort->name && !str_is(name, sort->name))
        sort++;
    if (sort->name) {
        page->sort = str_of(sort->field);
        return 0;
    }
    for (sort = sorts; sort->name && len < sizeof known - 32; sort++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", sort->name);
    return problem_value(problem, PROBLEM_BAD_REQUEST, "sort_by", "sort", name, "%s", known);
}

struct api_page *api_page_read(struct request *request, uint64_t size, const struct api_sort *sorts, struct problem *problem)
{
    struct api_page *page = request->own = request_alloc(request, sizeof *page);
    int fault = 0;

    if (!page) {
        problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
        return NULL;
    }
    *page = (struct api_page){.page = 1, .size = size, .descending = true};
    api_param_uint(request, "page", 1, INT64_MAX, &page->page, problem, &fault);
    api_param_uint(request, "per_page", 1, INT64_MAX, &page->size, problem, &fault);
    if (fault || (sorts && sort_read(request, sorts, page, problem) != 0))
        return NULL;
    if (page->size > SIZE_MAX_OF_PAGE)
        page->size = SIZE_MAX_OF_PAGE;
    return page;
}

void api_page_ask(struct request *request, struct msg_query *query,
                  void (*on_answer)(struct request *request, const struct msg *msg))
{
    const struct api_page *page = request->own;

    query->sort = page->sort;
    query->descending = page->descending;
    query->page = page->page;
    query->size = page->size;
    ask_send(request, ASK_STORE, &shape_msg_query, query, on_answer);
}

void api_page_write(struct writer *w, const struct api_page *page, uint64_t total, bool lower_bound)
{
    uint64_t pages = (total + page->size - 1) / page->size;

    writer_open(w, "pagination", '{');
    writer_uint(w, "total", total);
    if (lower_bound)
        writer_bool(w, "total_is_lower_bound", true);
    writer_uint(w, "pages", pages);
    writer_uint(w, "current_page", page->page);
    writer_uint(w, "per_page", page->size);
    writer_bool(w, "has_next", page->page < pages);
    writer_bool(w, "has_prev", page->page > 1 && pages > 0);
    writer_close(w, '}');
}

/* ---- bodies ---- */

/* 1: there, 0: not there and need not be. */
static int member(const struct request *request, const char *name, enum api_need need, const json_t **out,
                  struct problem *problem)
{
    *out = json_object_get(request->json, name);
    if (*out && !json_is_null(*out))
        return 1;
    return need == API_OPTIONAL ? 0 : problem_set(problem, PROBLEM_INVALID, name, "required");
}

int api_uint(const struct request *request, const char *name, enum api_need need, uint64_t low, uint64_t high, uint64_t *out,
             struct problem *problem)
{
    const json_t *value;
    int64_t number = 0;
    int there = member(request, name, need, &value, problem);

    if (there <= 0)
        return there;
    if (!json_integral(value, &number))
        return problem_json(problem, name, "type", value, "integer");
    if (number < 0 || (uint64_t)number < low || (uint64_t)number > high)
        return problem_json(problem, name, "range", value, "%llu..%llu", (unsigned long long)low, (unsigned long long)high);
    *out = (uint64_t)number;
    return 1;
}

int api_real(const struct request *request, const char *name, enum api_need need, double low, double high, double *out,
             struct problem *problem)
{
    const json_t *value;
    int there = member(request, name, need, &value, problem);

    if (there <= 0)
        return there;
    if (!json_is_number(value))
        return problem_json(problem, name, "type", value, "number");
    double number = json_number_value(value);
    if (!(number >= low && number <= high))
        return problem_json(problem, name, "range", value, "%d..%d", (int)low, (int)high);
    *out = number;
    return 1;
}

int api_bool(const struct request *request, const char *name, bool *out, struct problem *problem)
{
    const json_t *value;
    int there = member(request, name, API_OPTIONAL, &value, problem);

    if (there <= 0)
        return there;
    if (!json_is_boolean(value))
        return problem_json(problem, name, "type", value, "boolean");
    *out = json_is_true(value);
    return 1;
}

int api_text(const struct request *request, const char *name, enum api_need need, uint32_t max, struct str *out,
             struct problem *problem)
{
    const json_t *value;
    int there = member(request, name, need, &value, problem);

    if (there <= 0)
        return there;
    if (!json_is_string(value))
        return problem_json(problem, name, "type", value, "string");
    *out = (struct str){json_string_value(value), (uint32_t)json_string_length(value)};
    if (out->len > max || (need == API_REQUIRED && out->len == 0))
        return problem_json(problem, name, "length", value, "1..%u bytes", max);
    return 1;
}

int api_task_id(const struct request *request, const char *name, uint64_t *out, struct problem *problem)
{
    const json_t *value;
    int64_t number = 0;

    if (member(request, name, API_REQUIRED, &value, problem) < 0)
        return -1;
    if (json_is_string(value)) {
        struct str text = {json_string_value(value), (uint32_t)json_string_length(value)};
        return uri_number(text, out) ? 0 : api_none(problem, name, "task_missing");
    }
    if (!json_integral(value, &number))
        return problem_json(problem, name, "type", value, "a number, or one as a string");
    *out = number > 0 ? (uint64_t)number : 0;
    return number > 0 ? 0 : api_none(problem, name, "task_missing");
}

int api_none(struct problem *problem, const char *field, const char *rule)
{
    return problem_set(problem, PROBLEM_NOT_FOUND, field, rule);
}

int api_path_id(const struct request *request, const char *field, const char *rule, uint64_t *out, struct problem *problem)
{
    return uri_number(request->match.args[0], out) ? 0 : api_none(problem, field, rule);
}

/* ---- commands about tasks ---- */

struct known { /* request->own, once the scheduler has said that it needs it */
    struct rec_transcode_task task;
};

static void on_known(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct arena *arena = request_arena(request);
    struct known *known = request->own;
    struct problem problem;
    struct err err = {0};

    if (rows->rows.count == 0) {
        api_none(&problem, "task_id", "task_missing");
        reply_problem(request, &problem);
        return;
    }
    struct str value = arena ? arena_str(arena, rows->rows.items[0].value) : (struct str){NULL, 0}; /* outlives its message */
    if (!value.ptr || rec_decode_transcode_task(arena, value, &known->task, &err) != 0) {
        reply_problem_kind(request, value.ptr && err.code != ERR_NO_MEMORY ? PROBLEM_INTERNAL : PROBLEM_OVERLOADED);
        return;
    }
    request_handle(request);
}

static bool on_error(struct request *request, const struct msg_error *error)
{
    struct msg_get get = {.type = TYPE_TRANSCODE_TASK, .ids = {&request->subject, 1}};

    if (!str_is(error->rule, "fetch") || request->own)
        return false;
    request->own = request_alloc(request, sizeof(struct known));
    if (request->own)
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_known);
    else
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    return true;
}

void api_command(struct request *request, uint64_t task_id, const struct shape *shape, void *value,
                 void (*on_answer)(struct request *request, const struct msg *msg))
{
    const struct field *field = shape_field(shape, STR_LIT("known"));
    const struct known *known = request->own;
    uint64_t has;

    request->subject_type = TYPE_TRANSCODE_TASK;
    request->subject = task_id;
    if (known) {
        memcpy((char *)value + field->offset, &known->task, sizeof known->task);
        memcpy(&has, value, sizeof has); /* every message begins with its has */
        has |= UINT64_C(1) << field->key;
        memcpy(value, &has, sizeof has);
    }
    request->on_error = on_error;
    ask_send(request, ASK_SCHEDULER, shape, value, on_answer);
}
