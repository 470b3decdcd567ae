/* Lists: their query parameters, the question to the store, and what stands around the items of an answer. */
#include <stdio.h>

#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"

#define DAY_MS UINT64_C(86400000)

bool page_number(const struct request *request, const char *name, uint64_t low, uint64_t *out, struct problem *problem,
                 int *fault)
{
    struct str text;
    uint64_t number = 0;

    if (*fault || uri_param(&request->uri, name, NULL) == 0)
        return false;
    request_param(request, name, &text, problem, fault);
    if (*fault)
        return false;
    bool zero = str_is(text, "0");
    if ((!zero && !uri_number(text, &number)) || number < low) {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "range", text, "at least %llu", (unsigned long long)low);
        return false;
    }
    *out = number;
    return true;
}

bool page_word(const struct request *request, const char *name, int (*parse)(struct str word), const char *words, uint64_t *out,
               struct problem *problem, int *fault)
{
    struct str text;

    if (*fault || !request_param(request, name, &text, problem, fault) || *fault)
        return false;
    int number = parse(text);
    if (number < 0) {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "enum", text, "%s", words);
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

bool page_text(const struct request *request, const char *name, const struct shape *shape, const char *field, struct str *out,
               struct problem *problem, int *fault)
{
    struct str text;

    if (*fault || !request_param(request, name, &text, problem, fault) || *fault)
        return false;
    unsigned most = (unsigned)shape_field(shape, str_of(field))->high;
    if (text.len > most) {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "length", text, "1..%u bytes", most);
        return false;
    }
    *out = text;
    return true;
}

static int parse_bool(struct str word)
{
    if (str_is(word, "true") || str_is(word, "1"))
        return 1;
    return str_is(word, "false") || str_is(word, "0") ? 0 : -1;
}

static int parse_order(struct str word)
{
    return str_is(word, "asc") ? 0 : str_is(word, "desc") ? 1 : -1;
}

bool page_bool(const struct request *request, const char *name, bool *out, struct problem *problem, int *fault)
{
    uint64_t value = 0;

    if (!page_word(request, name, parse_bool, "true|false", &value, problem, fault))
        return false;
    *out = value == 1;
    return true;
}

bool page_date(const struct request *request, const char *name, bool end, uint64_t *out, struct problem *problem, int *fault)
{
    struct str text;

    if (*fault || !request_param(request, name, &text, problem, fault) || *fault)
        return false;
    if (clock_parse_iso(text.ptr, text.len, out) != 0 || *out > INT64_MAX - DAY_MS) {
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "format", text,
                               "a day or a time, like YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ");
        return false;
    }
    if (end)
        *out += text.len == 10 ? DAY_MS : 1;
    return true;
}

static int sort_refuse(const struct page_sort *sorts, struct str given, struct problem *problem)
{
    char known[300] = "";
    size_t len = 0;

    for (; sorts->name && len < sizeof known - 32; sorts++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", sorts->name);
    return problem_value(problem, PROBLEM_BAD_REQUEST, "sort", "sort", given, "%s", known);
}

int page_read(const struct request *request, uint64_t size, const struct page_sort *sorts, struct page *out,
              struct problem *problem)
{
    struct str name = STR_LIT("created_at");
    uint64_t descending = 1;
    int fault = 0;

    *out = (struct page){.page = 1, .size = size};
    page_number(request, "page", 1, &out->page, problem, &fault);
    page_number(request, "size", 1, &out->size, problem, &fault);
    page_word(request, "order", parse_order, "asc|desc", &descending, problem, &fault);
    if (!fault)
        request_param(request, "sort", &name, problem, &fault);
    if (fault)
        return -1;
    if (name.len == 0)
        name = STR_LIT("created_at");
    const struct page_sort *sort = sorts;
    while (sort->name && !str_is(name, sort->name))
        sort++;
    if (!sort->name)
        return sort_refuse(sorts, name, problem);
    out->sort = str_of(sort->field);
    out->descending = descending == 1;
    if (out->size > PAGE_SIZE_MAX)
        out->size = PAGE_SIZE_MAX;
    return 0;
}

void page_write(struct writer *w, const struct page *page, uint64_t total, bool lower_bound)
{
    writer_uint(w, "total", total);
    if (lower_bound)
        writer_bool(w, "total_is_lower_bound", true);
    writer_uint(w, "page", page->page);
    writer_uint(w, "size", page->size);
    writer_uint(w, "total_pages", (total + page->size - 1) / page->size);
}

struct page *page_new(struct request *request, const struct page_sort *sorts, struct problem *problem)
{
    struct page *page = request->own = request_alloc(request, sizeof *page);

    if (!page) {
        problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
        return NULL;
    }
    return page_read(request, PAGE_SIZE, sorts, page, problem) == 0 ? page : NULL;
}

void page_ask(struct request *request, struct msg_query *query, void (*on_answer)(struct request *request, const struct msg *msg))
{
    const struct page *page = request->own;

    query->sort = page->sort;
    query->descending = page->descending;
    query->page = page->page;
    query->size = page->size;
    ask_send(request, ASK_STORE, &shape_msg_query, query, on_answer);
}

struct rec_filter page_filter(const char *field, enum filter_op op, uint64_t number)
{
    return (struct rec_filter){.field = str_of(field), .op = op, .number = (int64_t)number};
}

struct rec_filter page_filter_text(const char *field, enum filter_op op, struct str text)
{
    return (struct rec_filter){.field = str_of(field), .op = op, .text = text};
}

void page_open(struct request *request, struct writer *w)
{
    envelope_open(request, w);
    writer_open(w, "data", '{');
    writer_open(w, "items", '[');
}

void page_close(struct request *request, struct writer *w, uint64_t total, bool lower_bound)
{
    writer_close(w, ']');
    page_write(w, request->own, total, lower_bound);
    writer_close(w, '}');
    envelope_close(request, w, 200);
}
