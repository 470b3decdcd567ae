/* /api/system/logs: lines of all processes, newest first. */
#include <stdio.h>

#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"
#include "proto/log.h"

#define SYSLOG_PAGE 50
#define PAIRS_MOST 24 /* of one line that are told by name */

static const struct page_sort sorts[] = {
    {"created_at", ""},
    {"timestamp", ""},
    {NULL, NULL},
};

/* ---- one line ---- */

struct pairs { /* names written so far: an object has each once */
    char names[PAIRS_MOST][32];
    int count;
};

static bool pair_new(struct pairs *pairs, const char *name)
{
    for (int i = 0; i < pairs->count; i++) {
        if (strcmp(pairs->names[i], name) == 0)
            return false;
    }
    if (pairs->count == PAIRS_MOST)
        return false;
    return str_copy(pairs->names[pairs->count++], sizeof pairs->names[0], str_of(name));
}

static void pair_text(struct writer *w, struct pairs *pairs, const char *name, struct str value)
{
    if (value.len > 0 && pair_new(pairs, name))
        writer_text(w, name, value);
}

/* A number stays one. */
static void pair_write(struct writer *w, struct pairs *pairs, const char *name, struct str value)
{
    uint64_t number = 0;
    bool digits = value.len > 0 && value.len <= 15 && (value.ptr[0] != '0' || value.len == 1);

    for (uint32_t i = 0; digits && i < value.len; i++) {
        digits = value.ptr[i] >= '0' && value.ptr[i] <= '9';
        number = number * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    if (!digits)
        pair_text(w, pairs, name, value);
    else if (pair_new(pairs, name))
        writer_uint(w, name, number);
}

/* The name that the API has for what a line calls so. */
static const char *name_of(const char *word)
{
    return strcmp(word, "run") == 0      ? "run_id"
           : strcmp(word, "task") == 0   ? "task_id"
           : strcmp(word, "worker") == 0 ? "worker_id"
                                         : word;
}

/* The key of `key=value`; false when the word is no such. */
static bool word_key(struct str word, char key[32])
{
    const char *equals = word.len > 0 ? memchr(word.ptr, '=', word.len) : NULL;
    size_t len = equals ? (size_t)(equals - word.ptr) : 0;

    if (len == 0 || len >= 28)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!((word.ptr[i] >= 'a' && word.ptr[i] <= 'z') || word.ptr[i] == '_'))
            return false;
    }
    return str_copy(key, 32, (struct str){word.ptr, (uint32_t)len});
}

/* The pairs stand before the words. */
static void text_pairs(struct writer *w, struct pairs *pairs, struct str text)
{
    while (text.len > 0) {
        const char *blank = memchr(text.ptr, ' ', text.len);
        struct str word = {text.ptr, blank ? (uint32_t)(blank - text.ptr) : text.len};
        char key[32];
        if (!word_key(word, key))
            return;
        uint32_t before = (uint32_t)strlen(key) + 1;
        pair_write(w, pairs, name_of(key), (struct str){word.ptr + before, word.len - before});
        text.ptr += word.len + (blank != NULL);
        text.len -= word.len + (blank != NULL);
    }
}

static void entry_write(struct writer *w, const struct rec_log_entry *entry)
{
    struct pairs pairs = {.count = 0};
    char id[24];

    snprintf(id, sizeof id, "%llu", (unsigned long long)entry->id);
    writer_open(w, NULL, '{');
    writer_text(w, "id", str_of(id)); /* a text: it is larger than what all readers of JSON keep exact */
    writer_time(w, "timestamp", entry->at);
    writer_text(w, "level", str_of(log_level_name((unsigned)entry->level)));
    writer_text(w, "service", entry->service);
    writer_text(w, "message", entry->text.len > 0 ? entry->text : entry->code);
    writer_open(w, "metadata", '{');
    pair_text(w, &pairs, "code", entry->code);
    pair_text(w, &pairs, "request_id", entry->request_id);
    pair_text(w, &pairs, "worker_id", entry->source);
    text_pairs(w, &pairs, entry->text);
    writer_close(w, '}');
    writer_close(w, '}');
}

static void on_rows(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_log_entry entry;
        if (row_log_entry(request, &rows->rows.items[i], &entry))
            entry_write(&w, &entry);
    }
    page_close(request, &w, rows->total, rows->total_is_lower_bound);
}

/* ---- the question ---- */

/* Times are shown in seconds: an end without a fraction means all of its second. */
static bool end_read(const struct request *request, uint64_t *end, struct problem *problem, int *fault)
{
    struct str text = {NULL, 0};

    if (!page_date(request, "end_time", true, end, problem, fault))
        return false;
    request_param(request, "end_time", &text, problem, fault);
    if (text.len > 10 && !memchr(text.ptr, '.', text.len))
        *end += 999;
    return true;
}

static int filters_read(const struct request *request, struct rec_filter_list *filters, struct problem *problem)
{
    uint64_t number;
    struct str text;
    int fault = 0;

    /* That level and what is worse; debug is all there is. */
    if (page_word(request, "level", log_level_parse, "debug|info|warn|error", &number, problem, &fault) && number > LOG_DEBUG)
        filters->items[filters->count++] = page_filter("levels", FILTER_HAS, number);
    if (page_text(request, "service", &shape_rec_log_entry, "service", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("service", FILTER_EQ, text);
    if (page_text(request, "worker_id", &shape_rec_log_entry, "source", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("source", FILTER_EQ, text);
    if (page_text(request, "request_id", &shape_rec_log_entry, "request_id", &text, problem, &fault))
        filters->items[filters->count++] = page_filter_text("request_id", FILTER_EQ, text);
    if (page_date(request, "start_time", false, &number, problem, &fault))
        filters->items[filters->count++] = page_filter("at", FILTER_GE, number);
    if (end_read(request, &number, problem, &fault))
        filters->items[filters->count++] = page_filter("at", FILTER_LT, number);
    return fault;
}

void system_logs(struct request *request)
{
    struct rec_filter filters[6];
    struct msg_query query = {.type = TYPE_LOG_ENTRY, .filters = {filters, 0}};
    struct page *page = request->own = request_alloc(request, sizeof *page);
    struct problem problem;

    if (!page) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (page_read(request, SYSLOG_PAGE, sorts, page, &problem) != 0 || filters_read(request, &query.filters, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    page_ask(request, &query, on_rows);
}
