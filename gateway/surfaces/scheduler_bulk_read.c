/* What a call about many runs says: their ids, or a filter. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/fields.h"
#include "gateway/json.h"
#include "gateway/surfaces/scheduler_bulk.h"
#include "proto/clock.h"

/* Each run once, in the order of their ids: so are those that a filter finds. */
static int id_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void ids_order(struct bulk *bulk)
{
    uint32_t kept = 0;

    qsort(bulk->ids, bulk->count, sizeof *bulk->ids, id_compare);
    for (uint32_t i = 0; i < bulk->count; i++) {
        if (i == 0 || bulk->ids[i] != bulk->ids[i - 1])
            bulk->ids[kept++] = bulk->ids[i];
    }
    bulk->count = kept;
}

static int ids_read(struct request *request, struct bulk *bulk, struct problem *problem)
{
    const json_t *ids = json_object_get(request->json, "ids");
    size_t count = json_array_size(ids);
    char field[32];
    int64_t id;

    if (!json_is_array(ids))
        return problem_json(problem, "ids", "type", ids, "list of integers");
    if (count < 1 || count > BULK_MOST)
        return problem_json(problem, "ids", "items", ids, "1..%d", BULK_MOST);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(ids, i);
        snprintf(field, sizeof field, "ids[%zu]", i);
        if (!json_integral(item, &id))
            return problem_json(problem, field, "type", item, "integer");
        if (id < 1)
            return problem_json(problem, field, "range", item, "at least 1");
        bulk->ids[i] = (uint64_t)id;
    }
    bulk->count = (uint32_t)count;
    bulk->found = true;
    ids_order(bulk);
    return 0;
}

static int number_read(const json_t *object, const char *name, int64_t low, int64_t high, int64_t *out, struct problem *problem)
{
    const json_t *given = json_object_get(object, name);

    if (!given || json_is_null(given))
        return 0;
    if (!json_integral(given, out))
        return problem_json(problem, name, "type", given, "integer");
    if (*out < low || *out > high)
        return problem_json(problem, name, "range", given, "%lld..%lld", (long long)low, (long long)high);
    return 0;
}

static int status_read(const struct request *request, enum bulk_op op, struct msg_query *query, struct problem *problem)
{
    static const char *const words[] = {[BULK_RESTART] = "completed|failed|aborted", [BULK_ABORT] = "pending|running"};
    const json_t *given = json_object_get(request->json, "status");

    if (!given || json_is_null(given))
        return problem_set(problem, PROBLEM_INVALID, "status", "required");
    if (!json_is_string(given))
        return problem_json(problem, "status", "type", given, "string");
    int status = run_status_parse((struct str){json_string_value(given), (uint32_t)json_string_length(given)});
    if (status < 0 || run_status_final((uint64_t)status) != (op == BULK_RESTART))
        return problem_json(problem, "status", "enum", given, "%s", words[op]);
    query->filters.items[query->filters.count++] = page_filter("status", FILTER_EQ, (uint64_t)status);
    return 0;
}

static int before_read(const struct request *request, struct msg_query *query, struct problem *problem)
{
    const json_t *given = json_object_get(request->json, "before");
    uint64_t at;

    if (!given || json_is_null(given))
        return 0;
    if (!json_is_string(given))
        return problem_json(problem, "before", "type", given, "string");
    if (clock_parse_iso(json_string_value(given), json_string_length(given), &at) != 0 || at > INT64_MAX)
        return problem_json(problem, "before", "format", given, "2024-01-01T00:00:00Z");
    query->filters.items[query->filters.count++] = page_filter("created_at", FILTER_LT, at);
    return 0;
}

static int filter_read(const struct request *request, enum bulk_op op, struct msg_query *query, struct problem *problem)
{
    int64_t task_id = 0, after = 0, limit = BULK_MOST;

    if (status_read(request, op, query, problem) != 0 || before_read(request, query, problem) != 0 ||
        number_read(request->json, "task_id", 1, INT64_MAX, &task_id, problem) != 0 ||
        number_read(request->json, "after", 0, INT64_MAX, &after, problem) != 0 ||
        number_read(request->json, "limit", 1, BULK_MOST, &limit, problem) != 0)
        return -1;
    if (task_id)
        query->filters.items[query->filters.count++] = page_filter("task_id", FILTER_EQ, (uint64_t)task_id);
    if (after)
        query->filters.items[query->filters.count++] = page_filter("id", FILTER_GT, (uint64_t)after);
    query->size = (uint64_t)limit;
    return 0;
}

static int reason_read(struct request *request, struct bulk *bulk, struct problem *problem)
{
    static const char *const skips[] = {"id", "idem", "known", NULL};
    struct msg_run_abort abort = {0};
    struct arena *arena = request_arena(request);

    if (bulk->op != BULK_ABORT)
        return 0;
    if (fields_read(request, request->json, &shape_msg_run_abort, skips, "", false, &abort, problem) != 0)
        return -1;
    bulk->reason = arena ? arena_str(arena, abort.reason) : (struct str){NULL, 0};
    return bulk->reason.ptr ? 0 : problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
}

int bulk_read(struct request *request, struct bulk *bulk, struct msg_query *query, struct problem *problem)
{
    if (reason_read(request, bulk, problem) != 0)
        return -1;
    return json_object_get(request->json, "ids") ? ids_read(request, bulk, problem)
                                                 : filter_read(request, bulk->op, query, problem);
}
