#include "store/plan.h"

#include <stdlib.h>

#include "store/count.h"
#include "store/members.h"
#include "store/walk.h"

#define COST_ROW 10 /* looking at a record, against a step from one index entry to the next */
#define COST_STEP 1
#define COST_WORDS 2        /* looking in the index for words alone */
#define TRY_SHARE 4         /* of what may be read is tried on a page that should be near */
#define COLLECT_ALWAYS 2000 /* a group this small is collected without further thought */
#define COLLECT_MOST 1000000

struct plan {
    struct query *query;
    struct page *page;
    int driver;          /* the condition with the smallest group; -1: none has one */
    uint64_t group;      /* how many records that group has; all of the type without a driver */
    uint64_t everything; /* records of the type */
    bool known;          /* page->total is right already */
    uint64_t budget;
    uint64_t seen; /* that match, so far */
    bool exhausted;
};

static uint64_t type_total(struct kv_txn *txn, const struct record *record)
{
    struct key key;
    key_begin(&key, record->type, 0);
    return count_get(txn, key_str(&key));
}

/* Runs of tasks being purged are still in the kept counts; by task they are known. */
static uint64_t hidden_total(struct match *match)
{
    uint64_t task = 0, total = 0;
    struct condition by_task = {.kind = CONDITION_FIELD};
    for (unsigned i = 0; i < match->record->index_count; i++) {
        const struct index *index = &match->record->indexes[i];
        if (index->sort == COLUMN_NONE && index->filter != COLUMN_NONE &&
            str_is(match->record->columns[index->filter].path, "task_id"))
            key_begin(&by_task.group, match->record->type, index->number);
    }
    for (int i = 0; i < 10000 && purge_next(match->txn, PURGE_TASK, task, &task); i++) {
        struct key key = by_task.group;
        key_number(&key, task);
        total += count_get(match->txn, key_str(&key));
    }
    return total;
}

/* Whether the total is kept, and what it is. */
static bool total_known(const struct plan *plan, uint64_t *total)
{
    struct query *query = plan->query;
    struct match *match = &query->match;
    unsigned conditions = match->count - (query->hiding ? 1 : 0);
    *total = plan->everything;
    if (query->narrowed || conditions > 1)
        return false;
    if (conditions == 0) {
        *total -= query->hiding ? hidden_total(match) : 0;
        return true;
    }
    const struct condition *condition = &match->conditions[0];
    *total = condition->count;
    if (!query->hiding)
        return condition->counted;
    if (condition->kind != CONDITION_FIELD || condition->op != FILTER_EQ || !condition->counted ||
        !str_is(match->columns[condition->column].path, "task_id"))
        return false;
    if (purge_under_way(match->txn, PURGE_TASK, (uint64_t)condition->number))
        *total = 0;
    return true;
}

static void plan_begin(struct plan *plan, struct query *query, struct page *page)
{
    *plan = (struct plan){.query = query, .page = page, .driver = -1};
    plan->everything = plan->group = type_total(query->match.txn, query->match.record);
    for (unsigned i = 0; i < query->match.count; i++) {
        const struct condition *condition = &query->match.conditions[i];
        if (condition->grouped && (plan->driver < 0 || condition->count < plan->group)) {
            plan->driver = (int)i;
            plan->group = condition->count;
        }
    }
    plan->known = total_known(plan, &page->total);
    plan->budget = query->max_rows * COST_ROW;
}

/* Whether records of the driver's group must still be looked at. */
static bool plan_checks(const struct plan *plan)
{
    return plan->query->match.count > (plan->driver < 0 ? 0U : 1U);
}

/* ---- walking ---- */

enum check { CHECK_NOTHING, CHECK_RECORD, CHECK_UNSORTED /* and the sort field is empty */ };

static bool sort_value(struct query *query, uint64_t id, struct value *value)
{
    const struct record *record = query->sort_record;
    struct key key = key_of_id(id);
    struct str bytes;
    memset(value, 0, sizeof *value);
    if (kv_get(query->match.txn, TABLE_RECORDS + record->type, key_str(&key), &bytes) != KV_OK)
        return false;
    return record_read(&record->columns[query->sort->filter], 1, bytes, value) == 0;
}

static bool plan_matches(struct plan *plan, const struct walk *walk, enum check check, int except)
{
    struct query *query = plan->query;
    struct value value;
    if (!walk->by_id && (walk->id < query->low || walk->id > query->high))
        return false;
    if (check == CHECK_NOTHING)
        return true;
    if (!match_record(&query->match, walk->id, walk->records ? walk->value : (struct str){NULL, 0}, except))
        return false;
    return check != CHECK_UNSORTED || !sort_value(query, walk->id, &value) || (value.number == 0 && value.text.len == 0);
}

static bool page_full(const struct plan *plan)
{
    return plan->seen >= plan->query->offset + plan->query->size;
}

/* Nothing further has to be read: the page is full, and nobody needs to count what is behind it. */
static bool plan_done(const struct plan *plan)
{
    return plan->known && page_full(plan);
}

static bool plan_pay(struct plan *plan, uint64_t cost)
{
    plan->exhausted = plan->budget < cost;
    plan->budget -= plan->exhausted ? 0 : cost;
    return !plan->exhausted;
}

/* The next that matches. */
static void plan_take(struct plan *plan, uint64_t id)
{
    if (plan->seen >= plan->query->offset && plan->page->count < plan->query->size)
        plan->page->ids[plan->page->count++] = id;
    plan->seen++;
}

/* Another way is tried. */
static void plan_restart(struct plan *plan)
{
    plan->budget = plan->query->max_rows * COST_ROW;
    plan->exhausted = false;
    plan->seen = 0;
    plan->page->count = 0;
}

/* Walks until the end, until the budget is used up, or, with the total known, until the page is full. */
static void plan_stream(struct plan *plan, struct walk *walk, enum check check, int except)
{
    struct query *query = plan->query;
    bool words = check == CHECK_RECORD && query->match.column_count == 0 && query->match.count > (except < 0 ? 0U : 1U);
    uint64_t cost = check == CHECK_NOTHING ? COST_STEP : words ? COST_WORDS : COST_ROW;
    walk->down = query->down;
    walk->low = query->low;
    walk->high = query->high;
    enum kv_result result;
    for (result = walk_first(walk); result == KV_OK && !plan_done(plan); result = walk_next(walk)) {
        if (!plan_pay(plan, cost))
            return;
        if (plan_matches(plan, walk, check, except))
            plan_take(plan, walk->id);
    }
}

/* The driver's group, or all records. */
static int plan_walk_group(const struct plan *plan, struct walk *walk)
{
    struct match *match = &plan->query->match;
    if (plan->driver < 0)
        return walk_records(walk, match->txn, match->record->type);
    const struct condition *driver = &match->conditions[plan->driver];
    if (driver->op != FILTER_IN)
        return walk_index(walk, match->txn, &driver->group, true);
    struct key groups[WALK_PARTS];
    unsigned count = 0;
    for (uint64_t number = 0; number < WALK_PARTS; number++)
        if (driver->number >> number & 1)
            groups[count++] = match_group(match, driver, number);
    return walk_indexes(walk, match->txn, groups, count);
}

static void page_reverse(struct page *page)
{
    for (uint32_t i = 0; i < page->count / 2; i++) {
        uint64_t id = page->ids[i];
        page->ids[i] = page->ids[page->count - 1 - i];
        page->ids[page->count - 1 - i] = id;
    }
}

static int page_by_id(struct plan *plan)
{
    struct query *query = plan->query;
    struct walk walk;
    bool checks = plan_checks(plan);
    if (plan_walk_group(plan, &walk) != 0)
        return -1;
    bool mirrored = plan->known && !checks && query->offset > plan->page->total / 2; /* the other end is nearer */
    if (mirrored) {
        uint64_t end = query->offset + query->size < plan->page->total ? query->offset + query->size : plan->page->total;
        query->size = (uint32_t)(end - query->offset);
        query->offset = plan->page->total - end;
        query->down = !query->down;
    }
    plan_stream(plan, &walk, checks ? CHECK_RECORD : CHECK_NOTHING, plan->driver);
    if (mirrored)
        page_reverse(plan->page);
    walk_end(&walk);
    return 0;
}

/* ---- in the order of a field ---- */

/* The index that has a condition's group in the order of the sort field; NULL when there is none. */
static const struct index *index_of_pair(const struct query *query, const struct condition *condition)
{
    const struct record *record = query->match.record;
    if (query->sort_record != record || condition->kind != CONDITION_FIELD || !condition->grouped || condition->op == FILTER_IN)
        return NULL;
    struct str path = query->match.columns[condition->column].path;
    for (unsigned i = 0; i < record->index_count; i++) {
        const struct index *index = &record->indexes[i];
        if (index->sort != COLUMN_NONE && index->sort == query->sort->filter && str_eq(record->columns[index->filter].path, path))
            return index;
    }
    return NULL;
}

/* The order of the sort field, of the driver's group alone if an index has that; then *paired is true. */
static int plan_walk_order(const struct plan *plan, struct walk *walk, bool *paired)
{
    const struct query *query = plan->query;
    const struct condition *driver = plan->driver < 0 ? NULL : &query->match.conditions[plan->driver];
    const struct index *pair = driver ? index_of_pair(query, driver) : NULL;
    struct key prefix;
    if (pair) {
        prefix = driver->group;
        prefix.bytes[1] = pair->number;
    } else {
        key_begin(&prefix, query->sort_record->type, query->sort->number);
    }
    *paired = pair != NULL;
    return walk_index(walk, query->match.txn, &prefix, false);
}

/* Walks the order of the sort field and looks at each record, then what has no value in it. */
static int page_by_walk(struct plan *plan)
{
    struct query *query = plan->query;
    struct match *match = &query->match;
    struct walk walk;
    bool pair;
    if (plan_walk_order(plan, &walk, &pair) != 0)
        return -1;
    bool checks = pair ? plan_checks(plan) : match->count > 0 || query->sort_record != match->record;
    plan_stream(plan, &walk, checks ? CHECK_RECORD : CHECK_NOTHING, pair ? plan->driver : -1);
    walk_end(&walk);
    if (plan->exhausted || plan_done(plan) || (!pair && !(query->sort->flags & INDEX_SPARSE)))
        return 0;
    if (plan_walk_group(plan, &walk) != 0)
        return -1;
    plan_stream(plan, &walk, CHECK_UNSORTED, plan->driver);
    walk_end(&walk);
    return 0;
}

struct hit {
    uint64_t id;
    struct value value;
};

static int hit_compare(const void *a, const void *b, void *arg)
{
    const struct hit *x = a, *y = b;
    const struct query *query = arg;
    bool x_empty = x->value.number == 0 && x->value.text.len == 0, y_empty = y->value.number == 0 && y->value.text.len == 0;
    if ((query->sort->flags & INDEX_SPARSE) && x_empty != y_empty)
        return x_empty ? 1 : -1;
    uint32_t len = x->value.text.len < y->value.text.len ? x->value.text.len : y->value.text.len;
    int order = len ? memcmp(x->value.text.ptr, y->value.text.ptr, len) : 0;
    if (order == 0)
        order = (x->value.text.len > y->value.text.len) - (x->value.text.len < y->value.text.len);
    if (order == 0)
        order = (x->value.number > y->value.number) - (x->value.number < y->value.number);
    if (order == 0)
        order = (x->id > y->id) - (x->id < y->id);
    return query->down ? -order : order;
}

/* Gathers what matches in the driver's group into *hits, which the caller frees. */
static int hits_gather(struct plan *plan, struct hit **hits, size_t *count)
{
    struct query *query = plan->query;
    struct walk walk;
    size_t size = 0;
    if (plan_walk_group(plan, &walk) != 0)
        return -1;
    walk.down = query->down;
    walk.low = query->low;
    walk.high = query->high;
    enum kv_result result;
    for (result = walk_first(&walk); result == KV_OK; result = walk_next(&walk)) {
        if (!plan_pay(plan, COST_ROW))
            break;
        if (!plan_matches(plan, &walk, plan_checks(plan) ? CHECK_RECORD : CHECK_NOTHING, plan->driver))
            continue;
        if (*count == size) {
            size = size ? size * 2 : 256;
            struct hit *more = realloc(*hits, size * sizeof *more);
            if (!more) {
                walk_end(&walk);
                return -1;
            }
            *hits = more;
        }
        (*hits)[*count].id = walk.id;
        sort_value(query, walk.id, &(*hits)[(*count)++].value);
    }
    walk_end(&walk);
    return 0;
}

static int page_by_collect(struct plan *plan)
{
    struct query *query = plan->query;
    struct hit *hits = NULL;
    size_t count = 0;
    int rc = hits_gather(plan, &hits, &count);
    if (rc == 0 && count > 0)
        qsort_r(hits, count, sizeof *hits, hit_compare, query);
    for (size_t i = query->offset; rc == 0 && i < count && plan->page->count < query->size; i++)
        plan->page->ids[plan->page->count++] = hits[i].id;
    plan->seen = count;
    free(hits);
    return rc;
}

/* The ids of the driver's group. */
static int members_gather(struct plan *plan, struct members *members)
{
    struct walk walk;
    int rc = plan_walk_group(plan, &walk);
    if (rc != 0)
        return rc;
    walk.low = plan->query->low;
    walk.high = plan->query->high;
    enum kv_result result;
    for (result = walk_first(&walk); rc == 0 && result == KV_OK && plan_pay(plan, COST_STEP); result = walk_next(&walk))
        rc = members_add(members, walk.id);
    walk_end(&walk);
    return rc;
}

static void member_take(struct plan *plan, uint64_t id)
{
    bool checks = plan_checks(plan);
    if (checks && !plan_pay(plan, COST_ROW))
        return;
    if (!checks || match_record(&plan->query->match, id, (struct str){NULL, 0}, plan->driver))
        plan_take(plan, id);
}

/* Those that have a value in the sort field, in its order. */
static int members_in_order(struct plan *plan, struct members *members)
{
    struct walk walk;
    bool pair;
    if (plan_walk_order(plan, &walk, &pair) != 0)
        return -1;
    walk.down = plan->query->down;
    enum kv_result result;
    for (result = walk_first(&walk); result == KV_OK && !plan_done(plan) && !plan->exhausted; result = walk_next(&walk)) {
        if (plan_pay(plan, COST_STEP) && members_meet(members, walk.id))
            member_take(plan, walk.id);
    }
    walk_end(&walk);
    return 0;
}

/* Those that were not met there come last, in the order of their ids. */
static void members_rest(struct plan *plan, const struct members *members)
{
    for (size_t i = 0; i < members->count && !plan_done(plan) && !plan->exhausted; i++) {
        size_t at = plan->query->down ? members->count - 1 - i : i;
        if (!members_met(members, at))
            member_take(plan, members_id(members, at));
    }
}

/* A group that is too large to be collected, and far behind others in the order of the field: only ids are looked at. */
static int page_by_members(struct plan *plan)
{
    struct members members = {0};
    int rc = members_gather(plan, &members);
    if (rc == 0 && !plan->exhausted)
        rc = members_in_order(plan, &members);
    if (rc == 0 && !plan->exhausted)
        members_rest(plan, &members);
    members_free(&members);
    return rc;
}

static int page_by_field(struct plan *plan)
{
    struct query *query = plan->query;
    uint64_t wanted = query->offset + query->size;
    bool paired = plan->driver < 0 || index_of_pair(query, &query->match.conditions[plan->driver]);
    bool exact = plan->known && paired && (plan->driver < 0 || !plan_checks(plan));
    bool small = plan->group <= query->max_rows && plan->group <= COLLECT_MOST;
    uint64_t distance =
        plan->known && plan->group > 0 && wanted < UINT32_MAX ? wanted * (plan->everything / plan->group + 1) : plan->everything;
    if (!exact && small && (plan->group <= COLLECT_ALWAYS || plan->group <= distance))
        return page_by_collect(plan);
    if (plan->known && !exact)
        plan->budget /= TRY_SHARE;
    int rc = page_by_walk(plan);
    if (rc != 0 || !plan->exhausted || (page_full(plan) && !small))
        return rc;
    /* The ids of a group that stands in the order already have been walked. */
    if (!small && (paired || plan->group > query->max_rows * COST_ROW))
        return 0;
    plan_restart(plan);
    return small ? page_by_collect(plan) : page_by_members(plan);
}

/* What was to be read is used up, and the page is not what it should be: with a total that is known it must be whole, and without
 * one a page behind others must have something, or it could be taken for one behind the end. A first page says by its lower bound that
 * there may be more. */
static bool page_missed(const struct plan *plan)
{
    const struct page *page = plan->page;
    if (!plan->exhausted || page_full(plan))
        return false;
    return plan->known ? plan->query->offset + page->count < page->total : page->count == 0 && plan->query->offset > 0;
}

int plan_page(struct query *query, struct page *page)
{
    struct plan plan;
    plan_begin(&plan, query, page);
    if (query->nothing || query->low > query->high) {
        page->total = 0;
        return 0;
    }
    if (plan.known && query->offset >= page->total)
        return 0;
    int rc = query->sort ? page_by_field(&plan) : page_by_id(&plan);
    if (!plan.known)
        page->total = plan.seen;
    page->lower_bound = plan.exhausted && !plan.known;
    page->missed = page_missed(&plan);
    return rc;
}
