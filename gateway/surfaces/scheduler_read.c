/* What clients say of tasks and triggers, into records. */
#include <stdio.h>

#include "gateway/fields.h"
#include "gateway/json.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"
#include "proto/ident.h"

#define DELAY_MAX 315360000 /* seconds: ten years */

/* What stands in the list of dependencies for {task, on}: the task, as text; `on` goes into conditions. NULL with problem. */
static json_t *dependency_plain(const json_t *item, const char *field, json_t *conditions, struct problem *problem)
{
    json_t *task = json_object_get(item, "task"), *on = json_object_get(item, "on"), *name = NULL;
    char digits[24];
    int64_t number;

    if (json_integral(task, &number)) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        name = json_string(digits);
    } else if (json_is_string(task)) {
        name = json_incref(task);
    } else {
        problem_json(problem, field, "type", task ? task : item, "string or integer");
        return NULL;
    }
    const char *key = json_string_value(name);
    size_t len = json_string_length(name);
    const json_t *other = on && !json_is_null(on) ? json_object_getn(conditions, key, len) : NULL;
    if (other && !json_equal(other, on)) {
        problem_json(problem, field, "dependency_condition", on, "the same wherever the task is named");
        json_decref(name);
        return NULL;
    }
    if (!name || (on && !json_is_null(on) && !other && json_object_setn(conditions, key, len, on) != 0)) {
        problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
        json_decref(name);
        return NULL;
    }
    return name;
}

/* Dependencies that are objects, {task, on}, become their tasks, and dependency_conditions of these. */
static int dependencies_plain(json_t *object, struct problem *problem)
{
    json_t *list = json_object_get(object, "dependencies"), *conditions = json_object_get(object, "dependency_conditions"), *item;
    size_t index;
    char field[48];

    if (!json_is_array(list) || (conditions && !json_is_null(conditions) && !json_is_object(conditions)))
        return 0; /* what is wrong with them is said where fields are read */
    json_array_foreach(list, index, item)
    {
        if (!json_is_object(item))
            continue;
        if (!json_is_object(conditions)) {
            conditions = json_object();
            if (json_object_set_new(object, "dependency_conditions", conditions) != 0)
                return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
        }
        snprintf(field, sizeof field, "dependencies[%zu]", index);
        json_t *name = dependency_plain(item, field, conditions, problem);
        if (!name)
            return -1;
        if (json_array_set_new(list, index, name) != 0)
            return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    }
    return 0;
}

int spec_read(struct request *request, json_t *object, enum spec_use use, struct rec_task_spec *spec, struct problem *problem)
{
    static const char *const required[] = {"name", "task_type", "executor", "command"};

    for (size_t i = 0; use != SPEC_UPDATE && i < sizeof required / sizeof *required; i++) {
        if (use == SPEC_SUBMIT && (i == 0 || i == 2))
            continue;
        if (fields_require(object, required[i], "", problem) != 0)
            return -1;
    }
    if (dependencies_plain(object, problem) != 0 ||
        fields_read(request, object, &shape_rec_task_spec, NULL, "", use == SPEC_UPDATE, spec, problem) != 0)
        return -1;
    if (fields_texts_only(object, "env", problem) != 0 || fields_texts_only(object, "labels", problem) != 0)
        return -1;
    if (use == SPEC_SUBMIT && !HAS(spec, rec_task_spec, executor)) {
        spec->executor = spec->task_type;
        SET_HAS(spec, rec_task_spec, executor);
    }
    return 0;
}

/* A name in problems: "items[3].delay_seconds". */
static const char *full(char out[128], const char *prefix, const char *name)
{
    snprintf(out, 128, "%s%s", prefix, name);
    return out;
}

static int delay_read(const json_t *object, const char *prefix, struct rec_trigger *trigger, struct problem *problem)
{
    const json_t *delay = json_object_get(object, "delay_seconds");
    char name[128];

    if (!delay || json_is_null(delay))
        return 0;
    double seconds = json_number_value(delay);
    if (!json_is_number(delay))
        return problem_json(problem, full(name, prefix, "delay_seconds"), "type", delay, "number");
    if (!(seconds >= 0 && seconds <= DELAY_MAX))
        return problem_json(problem, full(name, prefix, "delay_seconds"), "range", delay, "0..%d", DELAY_MAX);
    trigger->delay_ms = (uint64_t)(seconds * 1000.0);
    SET_HAS(trigger, rec_trigger, delay_ms);
    return 0;
}

static int run_at_read(const json_t *object, const char *prefix, struct rec_trigger *trigger, struct problem *problem)
{
    const json_t *at = json_object_get(object, "run_at");
    char name[128];

    if (!at || json_is_null(at))
        return 0;
    if (!json_is_string(at))
        return problem_json(problem, full(name, prefix, "run_at"), "type", at, "string");
    if (clock_parse_iso(json_string_value(at), json_string_length(at), &trigger->run_at) != 0)
        return problem_json(problem, full(name, prefix, "run_at"), "format", at, "2024-01-01T00:00:00Z");
    if (HAS(trigger, rec_trigger, delay_ms))
        return problem_json(problem, full(name, prefix, "run_at"), "exclusive", at, "delay_seconds");
    SET_HAS(trigger, rec_trigger, run_at);
    return 0;
}

/* An item's own key: in the scope of the request's, so that items of different tasks never meet. */
static int item_key_read(struct request *request, const json_t *object, const char *prefix, struct rec_trigger *trigger,
                         struct problem *problem)
{
    const json_t *key = json_object_get(object, "idempotency_key");
    struct buf body = {.limit = (size_t)1 << 20};
    char name[128];

    if (!key || json_is_null(key))
        return 0;
    if (!json_is_string(key))
        return problem_json(problem, full(name, prefix, "idempotency_key"), "type", key, "string");
    if (json_string_length(key) == 0 || json_string_length(key) > 255)
        return problem_json(problem, full(name, prefix, "idempotency_key"), "length", key, "1..255 bytes");
    unsigned char *hashes = request_alloc(request, (size_t)2 * IDENT_HASH);
    if (!hashes || json_pack_value(&body, object, JSON_DEPTH) != 0) {
        buf_free(&body);
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    }
    const struct str bytes = buf_str(&body);
    request_scope(request, "item", (struct str){json_string_value(key), (uint32_t)json_string_length(key)}, hashes);
    ident_hash(hashes + IDENT_HASH, &bytes, 1);
    buf_free(&body);
    trigger->idem.scope = (struct str){(const char *)hashes, IDENT_HASH};
    trigger->idem.body = (struct str){(const char *)hashes + IDENT_HASH, IDENT_HASH};
    SET_HAS(trigger, rec_trigger, idem);
    return 0;
}

int trigger_read(struct request *request, const json_t *object, const char *prefix, bool item, struct rec_trigger *trigger,
                 struct problem *problem)
{
    static const char *const skips[] = {"run_at", "delay_ms", "idem", NULL};

    if (fields_read(request, object, &shape_rec_trigger, skips, prefix, false, trigger, problem) != 0)
        return -1;
    if (delay_read(object, prefix, trigger, problem) != 0 || run_at_read(object, prefix, trigger, problem) != 0)
        return -1;
    return item ? item_key_read(request, object, prefix, trigger, problem) : 0;
}
