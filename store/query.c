#include "store/query.h"

#include "store/count.h"
#include "store/plan.h"
#include "store/shown.h"
#include "store/walk.h"

static int error_fill(struct msg_error *error, int code, const char *text)
{
    error->code = (uint64_t)code;
    error->text = str_of(text);
    return -1;
}

static int error_field(struct msg_error *error, const char *field, const char *rule, struct str value, struct str expected,
                       const char *text)
{
    error->field = str_of(field);
    error->rule = str_of(rule);
    error->value = value;
    error->expected = expected;
    return error_fill(error, ERR_BAD_REQUEST, text);
}

static bool purging(struct kv_txn *txn)
{
    uint64_t task;
    return purge_next(txn, PURGE_TASK, 0, &task);
}

/* ---- sorting ---- */

static const struct index *sort_index(const struct record *record, struct str field)
{
    for (unsigned i = 0; i < record->index_count; i++) {
        const struct index *index = &record->indexes[i];
        if (index->filter == COLUMN_NONE || index->sort != COLUMN_NONE)
            continue;
        const struct column *column = &record->columns[index->filter];
        if (column->kind != CODEC_STRS && column->kind != CODEC_UINTS && str_eq(column->path, field))
            return index;
    }
    return NULL;
}

static struct str sorts_known(const struct record *record, struct arena *arena)
{
    struct buf buf = {.limit = 1000};
    buf_text(&buf, "id");
    if (record->grows != COLUMN_NONE)
        buf_printf(&buf, ", %s", record->columns[record->grows].path.ptr);
    for (unsigned i = 0; i < record->column_count; i++) {
        if (sort_index(record, record->columns[i].path))
            buf_printf(&buf, ", %s", record->columns[i].path.ptr);
    }
    if (record->join_field)
        buf_printf(&buf, ", %s", record->join_field);
    struct str known = arena_str(arena, buf_str(&buf));
    buf_free(&buf);
    return known.ptr ? known : STR_LIT("");
}

static int sort_resolve(struct query *query, struct arena *arena, struct str field, struct msg_error *error)
{
    const struct record *record = query->match.record;
    query->sort_record = record;
    if (field.len == 0 || str_is(field, "id") ||
        (record->grows != COLUMN_NONE && str_eq(field, record->columns[record->grows].path)))
        return 0;
    query->sort = sort_index(record, field);
    if (!query->sort && record->join_field && str_is(field, record->join_field)) {
        query->sort_record = record_of(record->join_type);
        query->sort = sort_index(query->sort_record, field);
    }
    if (!query->sort)
        return error_field(error, "sort", "sort", field, sorts_known(record, arena), "no such field to sort by");
    return 0;
}

/* ---- conditions on what grows with the id: they narrow the ids ---- */

/* The first id whose growing field is at least `value`, by halving: ids grow with time. */
static enum kv_result id_at(struct match *match, uint64_t value, uint64_t *id)
{
    const struct record *record = match->record;
    struct kv_cursor *cursor = kv_cursor_new(match->txn, TABLE_RECORDS + record->type);
    if (!cursor)
        return KV_MEMORY;
    struct kv_pair pair;
    enum kv_result result = kv_last(cursor, &pair);
    uint64_t low = 1, high = result == KV_OK ? key_id_at_end(pair.key) + 1 : 1;
    while (low < high && (result == KV_OK || result == KV_NONE)) {
        uint64_t middle = low + (high - low) / 2;
        struct key key = key_of_id(middle);
        struct value field = {0};
        result = kv_seek(cursor, key_str(&key), &pair);
        uint64_t found = result == KV_OK ? key_id_at_end(pair.key) : high;
        if (found < high && record_read(&record->columns[record->grows], 1, pair.value, &field) != 0)
            result = KV_CORRUPT;
        if (found >= high || field.number >= value)
            high = middle;
        else
            low = found + 1;
    }
    kv_cursor_free(cursor);
    *id = low;
    return result == KV_NONE ? KV_OK : result;
}

static void ids_narrow(struct query *query, uint64_t op, uint64_t number)
{
    bool above = op == FILTER_GE || op == FILTER_GT || op == FILTER_EQ;
    bool below = op == FILTER_LT || op == FILTER_EQ;
    uint64_t low = op == FILTER_GT ? number + 1 : number;
    query->narrowed = true;
    if (above && low > query->low)
        query->low = low;
    if (!below)
        return;
    if (op == FILTER_LT && number == 0)
        query->nothing = true;
    else if ((op == FILTER_LT ? number - 1 : number) < query->high)
        query->high = op == FILTER_LT ? number - 1 : number;
}

/* 1 when the filter narrowed the ids, 0 when it is an ordinary condition. */
static int filter_on_ids(struct query *query, const struct rec_filter *filter, struct msg_error *error)
{
    const struct record *record = query->match.record;
    bool grows = record->grows != COLUMN_NONE && str_eq(filter->field, record->columns[record->grows].path);
    if ((!grows && !str_is(filter->field, "id")) || filter->op == FILTER_HAS || filter->op == FILTER_IN)
        return 0;
    uint64_t number = filter->number > 0 ? (uint64_t)filter->number : 0;
    if (filter->number < 0 && filter->op != FILTER_GE && filter->op != FILTER_GT)
        query->nothing = true; /* below or at a negative number there is nothing; above it is everything */
    uint64_t op = filter->number < 0 ? FILTER_GE : filter->op;
    if (!grows) {
        ids_narrow(query, op, number);
        return 1;
    }
    uint64_t first = 0, behind = 0;
    enum kv_result result = id_at(&query->match, op == FILTER_GT ? number + 1 : number, &first);
    if (result == KV_OK && op == FILTER_EQ)
        result = id_at(&query->match, number + 1, &behind);
    if (result != KV_OK)
        return error_fill(error, ERR_IO, kv_result_text(result));
    ids_narrow(query, op == FILTER_LT ? FILTER_LT : FILTER_GE, first);
    if (op == FILTER_EQ)
        ids_narrow(query, FILTER_LT, behind);
    return 1;
}

static int query_parse(struct query *query, struct arena *arena, const struct msg_query *msg, struct msg_error *error)
{
    for (uint32_t i = 0; i < msg->filters.count; i++) {
        int ids = filter_on_ids(query, &msg->filters.items[i], error);
        if (ids < 0 || (ids == 0 && match_filter(&query->match, arena, &msg->filters.items[i], error) != 0))
            return -1;
    }
    bool wordless = false;
    if (msg->search.len > 0 && match_search(&query->match, msg->search, &wordless, error) != 0)
        return -1;
    query->nothing |= wordless;
    query->hiding = query->match.record->type == TYPE_RUN && purging(query->match.txn);
    if (query->hiding)
        match_visible(&query->match);
    query->down = msg->descending;
    query->size = (uint32_t)msg->size;
    query->offset = msg->page - 1 < UINT64_MAX / 4096 ? (msg->page - 1) * msg->size : UINT64_MAX / 4;
    return sort_resolve(query, arena, msg->sort, error);
}

/* ---- rows ---- */

/* Adds the record with this id, as it is shown where there is an arena, and the one that comes along; nothing when it is not there. */
static int row_add(struct kv_txn *txn, struct arena *arena, unsigned type, unsigned also, uint64_t id, struct rec_row_list *rows,
                   size_t *bytes, struct msg_error *error)
{
    struct rec_row *row = &rows->items[rows->count];
    struct key key = key_of_id(id);
    *row = (struct rec_row){.id = id};
    enum kv_result result = kv_get(txn, TABLE_RECORDS + type, key_str(&key), &row->value);
    if (result == KV_NONE)
        return 0;
    if (result == KV_OK && arena && type == TYPE_TASK)
        result = shown_task(txn, arena, &row->value);
    if (result == KV_OK && also) {
        result = kv_get(txn, TABLE_RECORDS + also, key_str(&key), &row->also);
        if (result == KV_NONE)
            result = KV_OK;
    }
    if (result != KV_OK)
        return error_fill(error, result == KV_MEMORY ? ERR_NO_MEMORY : ERR_IO, kv_result_text(result));
    *bytes += row->value.len + row->also.len + 32;
    if (*bytes > QUERY_BYTES)
        return error_fill(error, ERR_LIMIT, "the records of this page are too large for one answer: ask for fewer");
    rows->count++;
    return 0;
}

static int types_check(uint64_t type, uint64_t also, struct msg_error *error)
{
    if (record_of(type) && (also == 0 || record_of(also)))
        return 0;
    return error_field(error, "type", "type", STR_LIT(""), STR_LIT(""), "no such type of record");
}

static int page_refuse(struct msg_error *error, const struct msg_query *msg)
{
    return error_field(
        error, msg->sort.len > 0 ? "sort" : "page", "reach", msg->sort, STR_LIT("fewer rows before this page"),
        "this page lies behind more rows than a query may read: narrow the filter, or ask for an earlier page, or in "
        "the order of creation");
}

int query_page(struct kv_txn *snapshot, struct arena *arena, uint64_t max_rows, const struct msg_query *msg,
               struct msg_query_rows *out, struct msg_error *error)
{
    struct query query = {
        .match = {.txn = snapshot, .record = record_of(msg->type)}, .high = UINT64_MAX - 1, .max_rows = max_rows};
    memset(out, 0, sizeof *out);
    if (types_check(msg->type, msg->also, error) != 0 || query_parse(&query, arena, msg, error) != 0)
        return -1;
    struct page page = {.ids = arena_alloc(arena, msg->size * sizeof *page.ids)};
    out->rows.items = arena_alloc(arena, msg->size * sizeof *out->rows.items);
    int rc = page.ids && out->rows.items ? plan_page(&query, &page) : -1;
    match_end(&query.match);
    if (rc != 0)
        return error_fill(error, ERR_NO_MEMORY, "out of memory");
    if (page.missed)
        return page_refuse(error, msg);
    size_t bytes = 0;
    for (uint32_t i = 0; i < page.count; i++) {
        if (msg->ids_only)
            out->rows.items[out->rows.count++] = (struct rec_row){.id = page.ids[i]};
        else if (row_add(snapshot, NULL, (unsigned)msg->type, (unsigned)msg->also, page.ids[i], &out->rows, &bytes, error) != 0)
            return -1;
    }
    out->total = page.total;
    out->total_is_lower_bound = page.lower_bound;
    return 0;
}

bool query_run_visible(struct kv_txn *snapshot, uint64_t run_id)
{
    struct match match = {.txn = snapshot, .record = record_of(TYPE_RUN)};
    match_visible(&match); /* asks for no word: there is no cursor to be freed */
    return match_record(&match, run_id, (struct str){NULL, 0}, -1);
}

int query_get(struct kv_txn *snapshot, struct arena *arena, const struct msg_get *get, struct msg_query_rows *out,
              struct msg_error *error)
{
    memset(out, 0, sizeof *out);
    if (types_check(get->type, get->also, error) != 0)
        return -1;
    out->rows.items = arena_alloc(arena, get->ids.count * sizeof *out->rows.items);
    if (!out->rows.items)
        return error_fill(error, ERR_NO_MEMORY, "out of memory");
    bool hiding = get->type == TYPE_RUN && purging(snapshot);
    size_t bytes = 0;
    for (uint32_t i = 0; i < get->ids.count; i++) {
        uint64_t id = get->ids.items[i];
        if (hiding && !query_run_visible(snapshot, id))
            continue;
        if (row_add(snapshot, arena, (unsigned)get->type, (unsigned)get->also, id, &out->rows, &bytes, error) != 0)
            return -1;
    }
    out->total = out->rows.count;
    return 0;
}

/* ---- rebuilding ---- */

/* Prepares the walk of a scan: all records, or those with a number in an indexed field. */
static int scan_begin(struct walk *walk, struct kv_txn *snapshot, const struct record *record, const struct msg_scan *scan,
                      struct arena *arena, struct msg_error *error)
{
    int rc;
    if (scan->field.len == 0) {
        rc = walk_records(walk, snapshot, record->type);
    } else {
        const struct index *index = sort_index(record, scan->field);
        if (!index || record->columns[index->filter].kind == CODEC_STR || ((index->flags & INDEX_SPARSE) && scan->number == 0))
            return error_field(error, "field", "scan", scan->field, sorts_known(record, arena), "no index of numbers to scan by");
        struct key prefix;
        key_begin(&prefix, record->type, index->number);
        key_number(&prefix, scan->number);
        rc = walk_index(walk, snapshot, &prefix, true);
    }
    walk->low = scan->after + 1;
    return rc == 0 ? 0 : error_fill(error, ERR_NO_MEMORY, "out of memory");
}

int query_scan(struct kv_txn *snapshot, struct arena *arena, const struct msg_scan *scan, struct msg_scan_rows *out,
               struct msg_error *error)
{
    memset(out, 0, sizeof *out);
    struct walk walk = {0};
    if (types_check(scan->type, 0, error) != 0 || scan_begin(&walk, snapshot, record_of(scan->type), scan, arena, error) != 0)
        return -1;
    out->rows.items = arena_alloc(arena, scan->limit * sizeof *out->rows.items);
    int rc = out->rows.items ? 0 : error_fill(error, ERR_NO_MEMORY, "out of memory");
    bool hiding = scan->type == TYPE_RUN && purging(snapshot);
    size_t bytes = 0;
    enum kv_result result = rc == 0 ? walk_first(&walk) : KV_OK;
    while (rc == 0 && result == KV_OK && out->rows.count < scan->limit && bytes < SCAN_BYTES) {
        if (!hiding || query_run_visible(snapshot, walk.id))
            rc = row_add(snapshot, NULL, (unsigned)scan->type, 0, walk.id, &out->rows, &bytes, error);
        result = walk_next(&walk);
    }
    out->end = result == KV_NONE;
    walk_end(&walk);
    if (rc == 0 && result != KV_OK && result != KV_NONE)
        rc = error_fill(error, ERR_IO, kv_result_text(result));
    return rc;
}

/* ---- events ---- */

/* The first and the last id there is. */
static enum kv_result events_ends(struct kv_txn *snapshot, struct msg_event_rows *out)
{
    struct kv_cursor *cursor = kv_cursor_new(snapshot, TABLE_RECORDS + TYPE_EVENT);
    struct key first = key_of_id(0);
    struct kv_pair pair;
    if (!cursor)
        return KV_MEMORY;
    enum kv_result result = kv_seek(cursor, key_str(&first), &pair);
    if (result == KV_OK)
        out->oldest = key_id_at_end(pair.key);
    if (result == KV_OK)
        result = kv_last(cursor, &pair);
    if (result == KV_OK)
        out->newest = key_id_at_end(pair.key);
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_OK : result;
}

int query_events(struct kv_txn *snapshot, struct arena *arena, const struct msg_event_read *read, struct msg_event_rows *out,
                 struct msg_error *error)
{
    struct walk walk = {0};
    size_t bytes = 0;
    memset(out, 0, sizeof *out);
    enum kv_result result = events_ends(snapshot, out);
    if (result != KV_OK)
        return error_fill(error, ERR_IO, kv_result_text(result));
    if (read->limit == 0 || read->after >= out->newest)
        return 0;
    out->rows.items = arena_alloc(arena, read->limit * sizeof *out->rows.items);
    if (!out->rows.items || walk_records(&walk, snapshot, TYPE_EVENT) != 0)
        return error_fill(error, ERR_NO_MEMORY, "out of memory");
    walk.low = read->after + 1;
    for (result = walk_first(&walk); result == KV_OK && out->rows.count < read->limit && bytes < EVENTS_BYTES;
         result = walk_next(&walk)) {
        out->rows.items[out->rows.count++] = (struct rec_row){.id = walk.id, .value = walk.value};
        bytes += walk.value.len;
    }
    walk_end(&walk);
    return result == KV_OK || result == KV_NONE ? 0 : error_fill(error, ERR_IO, kv_result_text(result));
}
