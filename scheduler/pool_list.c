/* POOL_LIST: pools as they are this second, sorted, a page of them. */
#include <stdlib.h>

#include "scheduler/pool.h"

static const struct column { /* a field of the record that can be sorted by */
    const char *name;
    size_t offset; /* in struct rec_pool */
    bool text;
} columns[] = {
    {"created_at", offsetof(struct rec_pool, created_at), false},
    {"updated_at", offsetof(struct rec_pool, updated_at), false},
    {"name", offsetof(struct rec_pool, name), true},
    {"limit", offsetof(struct rec_pool, limit), false},
    {"running", offsetof(struct rec_pool, running), false},
    {"waiting", offsetof(struct rec_pool, waiting), false},
};
#define COLUMN_COUNT (sizeof columns / sizeof *columns)

struct list_row {
    struct rec_pool record;
    const struct column *column;
    bool descending;
};

static const struct column *column_find(struct str name, struct fault *fault)
{
    char known[128] = "";
    if (!name.len)
        return &columns[0];
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (str_is(name, columns[i].name))
            return &columns[i];
        str_append(known, sizeof known, ", ", columns[i].name);
    }
    fault_set(fault, ERR_BAD_REQUEST, "sort", "sort", name, known, "pools cannot be sorted by \"%.*s\"", (int)name.len, name.ptr);
    return NULL;
}

static int number_order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int text_order(struct str a, struct str b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order : number_order(a.len, b.len);
}

static int row_order(const void *left, const void *right)
{
    const struct list_row *a = left, *b = right;
    const void *x = (const char *)&a->record + a->column->offset, *y = (const char *)&b->record + a->column->offset;
    int order = a->column->text ? text_order(*(const struct str *)x, *(const struct str *)y)
                                : number_order(*(const uint64_t *)x, *(const uint64_t *)y);
    if (!order)
        order = number_order(a->record.id, b->record.id);
    return a->descending ? -order : order;
}

static void row_fill(const struct pool *pool, const struct msg_pool_list *list, const struct column *column, struct list_row *row)
{
    pool_record(pool, &row->record);
    row->record.running = pool->running;
    row->record.waiting = pool->waiting;
    row->column = column;
    row->descending = list->descending;
}

void pool_on_list(struct core *core, const struct core_call *call)
{
    const struct msg_pool_list *list = &call->msg->u.pool_list;
    struct fault fault;
    uint64_t total = 0;
    const struct column *column = column_find(list->sort, &fault);
    struct list_row *rows = arena_alloc(core->arena, (core->pool_count + 1) * sizeof *rows);
    struct rec_pool *records = arena_alloc(core->arena, list->size * sizeof *records);
    if (!column)
        goto error;
    if (!rows || !records) {
        fault_memory(&fault);
        goto error;
    }
    for (size_t i = 0; i < core->pools.size; i++) {
        const struct pool *pool = core->pools.slots[i];
        if (pool && pool->id && (!list->name.len || str_eq(list->name, pool->key)))
            row_fill(pool, list, column, &rows[total++]);
    }
    qsort(rows, (size_t)total, sizeof *rows, row_order);
    uint64_t from = list->page - 1 > total / list->size ? total : (list->page - 1) * list->size;
    uint64_t count = from >= total ? 0 : total - from < list->size ? total - from : list->size;
    for (uint64_t i = 0; i < count; i++)
        records[i] = rows[from + i].record;
    struct msg_pool_rows answer = {.pools = {records, (uint32_t)count}, .total = total};
    journal_send_now(core->journal, &call->from, &shape_msg_pool_rows, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}
