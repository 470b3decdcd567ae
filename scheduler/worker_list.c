/* WORKER_LIST: workers as they are this second, filtered, sorted, a page of them. */
#include <stdio.h>
#include <stdlib.h>

#include "scheduler/lease.h"
#include "scheduler/live.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

struct column { /* a field of the record that can be sorted by */
    const char *name;
    enum { COLUMN_NUMBER, COLUMN_REAL, COLUMN_TEXT } kind;
    size_t offset; /* in struct rec_worker */
};

static const struct column columns[] = {
    {"registered_at", COLUMN_NUMBER, offsetof(struct rec_worker, registered_at)},
    {"created_at", COLUMN_NUMBER, offsetof(struct rec_worker, registered_at)},
    {"id", COLUMN_NUMBER, offsetof(struct rec_worker, id)},
    {"name", COLUMN_TEXT, offsetof(struct rec_worker, name)},
    {"hostname", COLUMN_TEXT, offsetof(struct rec_worker, hostname)},
    {"ip_address", COLUMN_TEXT, offsetof(struct rec_worker, ip_address)},
    {"port", COLUMN_NUMBER, offsetof(struct rec_worker, port)},
    {"status", COLUMN_NUMBER, offsetof(struct rec_worker, status)},
    {"slots", COLUMN_NUMBER, offsetof(struct rec_worker, slots)},
    {"last_heartbeat", COLUMN_NUMBER, offsetof(struct rec_worker, last_heartbeat)},
    {"connected_at", COLUMN_NUMBER, offsetof(struct rec_worker, connected_at)},
    {"load_average", COLUMN_REAL, offsetof(struct rec_worker, load_average)},
    {"memory_mb", COLUMN_NUMBER, offsetof(struct rec_worker, memory_mb)},
    {"cpu_percent", COLUMN_REAL, offsetof(struct rec_worker, cpu_percent)},
    {"total", COLUMN_NUMBER, offsetof(struct rec_worker, total)},
    {"completed", COLUMN_NUMBER, offsetof(struct rec_worker, completed)},
    {"failed", COLUMN_NUMBER, offsetof(struct rec_worker, failed)},
};
#define COLUMN_COUNT (sizeof columns / sizeof *columns)

struct list_row { /* one worker that passed the filters */
    struct rec_worker record;
    const struct worker *worker;
    const struct column *column;
    bool descending;
};

static const struct column *column_find(struct str name)
{
    if (!name.len)
        return &columns[0];
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (str_is(name, columns[i].name))
            return &columns[i];
    return NULL;
}

static int column_fault(struct str name, struct fault *fault)
{
    char known[400] = "";
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        str_append(known, sizeof known, ", ", columns[i].name);
    return fault_set(fault, ERR_BAD_REQUEST, "sort", "sort", name, known, "workers cannot be sorted by \"%.*s\"", (int)name.len,
                     name.ptr);
}

static int text_order(struct str a, struct str b)
{
    int order = memcmp(a.ptr ? a.ptr : "", b.ptr ? b.ptr : "", a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int row_order(const void *left, const void *right)
{
    const struct list_row *a = left, *b = right;
    const void *x = (const char *)&a->record + a->column->offset, *y = (const char *)&b->record + a->column->offset;
    int order = 0;
    if (a->column->kind == COLUMN_NUMBER)
        order = (*(const uint64_t *)x > *(const uint64_t *)y) - (*(const uint64_t *)x < *(const uint64_t *)y);
    else if (a->column->kind == COLUMN_REAL)
        order = (*(const double *)x > *(const double *)y) - (*(const double *)x < *(const double *)y);
    else
        order = text_order(*(const struct str *)x, *(const struct str *)y);
    if (!order)
        order = (a->record.id > b->record.id) - (a->record.id < b->record.id);
    return a->descending ? -order : order;
}

static bool passes(const struct worker *worker, const struct msg_worker_list *list)
{
    return (!list->name.len || str_eq(list->name, worker->name->str)) &&
           (!HAS(list, msg_worker_list, status) || list->status == worker->status) &&
           (!list->task_type.len || text_list_has(worker->types, worker->type_count, list->task_type)) &&
           (!list->hostname.len || str_eq(list->hostname, text_str(worker->hostname)));
}

static void row_fill(struct list_row *row, const struct worker *worker)
{
    worker_record(worker, &row->record);
    row->worker = worker;
    row->record.load_average = worker->load_average;
    row->record.memory_mb = worker->memory_mb;
    row->record.cpu_percent = worker->cpu_percent;
}

/* What it runs now, for an answer about one worker. */
static int row_running(struct core *core, struct list_row *row)
{
    uint32_t count = 0;
    struct rec_live_run *runs = arena_alloc(core->arena, row->worker->held * sizeof *runs);
    if (!runs)
        return -1;
    for (const struct lease *lease = row->worker->leases; lease && count < 4096; lease = lease->next)
        if (lease->run && live_fill(core, lease->run, &runs[count]) == 0)
            count++;
    row->record.running = (struct rec_live_run_list){runs, count};
    return 0;
}

static int list_answer(struct core *core, const struct core_call *call, struct list_row *rows, uint64_t total)
{
    const struct msg_worker_list *list = &call->msg->u.worker_list;
    uint64_t from = list->page - 1 > total / list->size ? total : (list->page - 1) * list->size;
    uint64_t count = total - from < list->size ? total - from : list->size;
    struct rec_worker *records = arena_alloc(core->arena, count * sizeof *records);
    uint64_t *current = arena_alloc(core->arena, count * sizeof *current);
    if (!records || !current)
        return -1;
    for (uint64_t i = 0; i < count; i++) {
        if (list->name.len && row_running(core, &rows[from + i]))
            return -1;
        records[i] = rows[from + i].record;
        current[i] = rows[from + i].worker->held;
    }
    struct msg_worker_rows answer = {
        .workers = {records, (uint32_t)count}, .total = total, .current = {current, (uint32_t)count}};
    journal_send_now(core->journal, &call->from, &shape_msg_worker_rows, &answer);
    return 0;
}

void worker_on_list(struct core *core, const struct core_call *call)
{
    const struct msg_worker_list *list = &call->msg->u.worker_list;
    const struct column *column = column_find(list->sort);
    uint64_t total = 0;
    struct fault fault;
    if (!column) {
        column_fault(list->sort, &fault);
        goto error;
    }
    fault_memory(&fault);
    struct list_row *rows = arena_alloc(core->arena, core->workers.count * sizeof *rows);
    if (!rows)
        goto error;
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        if (!passes(worker, list))
            continue;
        row_fill(&rows[total], worker);
        rows[total].column = column;
        rows[total++].descending = list->descending;
    }
    qsort(rows, (size_t)total, sizeof *rows, row_order);
    if (list_answer(core, call, rows, total))
        goto error;
    return;
error:
    core_refuse(core, call, &fault);
}
