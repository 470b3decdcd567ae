#include "gateway/fields.h"

#include <stdio.h>

#include "gateway/json.h"

struct reading {
    struct request *request;
    const char *prefix;
    struct problem *problem;
};

static int refuse(const struct reading *in, const struct field *field, const char *rule, const json_t *given,
                  const char *expected)
{
    char name[128];

    snprintf(name, sizeof name, "%s%s", in->prefix, field->name);
    return problem_json(in->problem, name, rule, given, "%s", expected);
}

static int out_of_memory(const struct reading *in)
{
    return problem_set(in->problem, PROBLEM_OVERLOADED, NULL, NULL);
}

static int refuse_bounds(const struct reading *in, const struct field *field, const char *rule, const json_t *given,
                         const char *unit)
{
    char expected[96];

    if (field->high == INT64_MAX)
        snprintf(expected, sizeof expected, ">= %lld%s", (long long)field->low, unit);
    else
        snprintf(expected, sizeof expected, "%lld..%lld%s", (long long)field->low, (long long)field->high, unit);
    return refuse(in, field, rule, given, expected);
}

static int read_text(const struct reading *in, const struct field *field, const json_t *given, struct str *out)
{
    if (!json_is_string(given))
        return refuse(in, field, "type", given, "string");
    size_t len = json_string_length(given);
    if ((int64_t)len < field->low || (int64_t)len > field->high)
        return refuse_bounds(in, field, len == 0 && field->low > 0 ? "required" : "length", given, " bytes");
    *out = (struct str){json_string_value(given), (uint32_t)len};
    return 0;
}

static int read_priority(const struct reading *in, const struct field *field, const json_t *given, uint64_t *out)
{
    int priority = -1;

    if (!json_is_string(given))
        return refuse(in, field, "type", given, "string");
    priority = priority_parse((struct str){json_string_value(given), (uint32_t)json_string_length(given)});
    if (priority < 0)
        return refuse(in, field, "enum", given, "low|normal|high|critical");
    *out = (uint64_t)priority;
    return 0;
}

static int read_number(const struct reading *in, const struct field *field, const json_t *given, int64_t *out)
{
    if (!json_integral(given, out))
        return refuse(in, field, "type", given, "integer");
    if (*out < field->low || *out > field->high)
        return refuse_bounds(in, field, "range", given, "");
    return 0;
}

/* A text of a list; where ids may stand (dependencies) a number counts as its digits. */
static int read_item(const struct reading *in, const struct field *field, const json_t *item, struct str *out)
{
    char digits[24];
    int64_t number;

    if (json_is_string(item)) {
        if (json_string_length(item) > CODEC_STRING_MAX)
            return refuse(in, field, "length", item, "at most 32 KiB each");
        *out = (struct str){json_string_value(item), (uint32_t)json_string_length(item)};
        return 0;
    }
    if (strcmp(field->name, "dependencies") != 0 || !json_integral(item, &number))
        return refuse(in, field, "type", item, "list of strings");
    snprintf(digits, sizeof digits, "%lld", (long long)number);
    struct arena *arena = request_arena(in->request);
    *out = arena ? arena_str(arena, str_of(digits)) : (struct str){NULL, 0};
    return out->ptr ? 0 : out_of_memory(in);
}

static int read_texts(const struct reading *in, const struct field *field, const json_t *given, struct str_list *out)
{
    size_t count = json_array_size(given);

    if (!json_is_array(given))
        return refuse(in, field, "type", given, "list of strings");
    if ((int64_t)count < field->low || (int64_t)count > field->high)
        return refuse_bounds(in, field, "items", given, "");
    out->items = request_alloc(in->request, count * sizeof *out->items);
    if (!out->items)
        return out_of_memory(in);
    for (size_t i = 0; i < count; i++) {
        if (read_item(in, field, json_array_get(given, i), &out->items[i]) != 0)
            return -1;
    }
    out->count = (uint32_t)count;
    return 0;
}

static int read_map(const struct reading *in, const struct field *field, const json_t *given, struct str *out)
{
    struct buf packed = {.limit = (size_t)field->high + 1};
    int result = -1;

    if (!json_is_object(given))
        return refuse(in, field, "type", given, "object");
    if (json_pack_value(&packed, given, CODEC_DEPTH) != 0) {
        if (packed.starved)
            result = out_of_memory(in);
        else if (packed.failed)
            result = refuse_bounds(in, field, "length", given, " bytes");
        else
            result = refuse(in, field, "depth", given, "at most 16 levels");
    } else if ((int64_t)packed.len > field->high) {
        result = refuse_bounds(in, field, "length", given, " bytes");
    } else {
        struct arena *arena = request_arena(in->request);
        *out = arena ? arena_str(arena, buf_str(&packed)) : (struct str){NULL, 0};
        result = out->ptr ? 0 : out_of_memory(in);
    }
    buf_free(&packed);
    return result;
}

static int read_record(const struct reading *in, const struct shape *shape, const json_t *object, const char *const *skip,
                       bool null_clears, char *record);

static int read_nested(const struct reading *in, const struct field *field, const json_t *given, char *member)
{
    char prefix[96];
    const struct reading inner = {in->request, prefix, in->problem};

    snprintf(prefix, sizeof prefix, "%s%s.", in->prefix, field->name);
    return read_record(&inner, field->record, given, NULL, false, member);
}

static int read_field(const struct reading *in, const struct field *field, const json_t *given, char *member)
{
    int64_t number = 0;

    switch (field->kind) {
    case CODEC_STR:
        return read_text(in, field, given, (struct str *)(void *)member);
    case CODEC_UINT:
        if (strcmp(field->name, "priority") == 0)
            return read_priority(in, field, given, (uint64_t *)(void *)member);
        if (read_number(in, field, given, &number) != 0)
            return -1;
        *(uint64_t *)(void *)member = (uint64_t)number;
        return 0;
    case CODEC_INT:
        return read_number(in, field, given, (int64_t *)(void *)member);
    case CODEC_REAL:
        if (!json_is_number(given))
            return refuse(in, field, "type", given, "number");
        *(double *)(void *)member = json_number_value(given);
        return 0;
    case CODEC_BOOL:
        if (!json_is_boolean(given))
            return refuse(in, field, "type", given, "boolean");
        *(bool *)(void *)member = json_is_true(given);
        return 0;
    case CODEC_STRS:
        return read_texts(in, field, given, (struct str_list *)(void *)member);
    case CODEC_MAP:
        return read_map(in, field, given, (struct str *)(void *)member);
    case CODEC_NEST:
        if (!json_is_object(given))
            return refuse(in, field, "type", given, "object");
        return read_nested(in, field, given, member);
    default:
        return 0; /* kinds that no API hands in */
    }
}

/* Whether the field can be empty: then null in an update makes it so. */
static bool empty_allowed(const struct field *field)
{
    switch (field->kind) {
    case CODEC_STR:
    case CODEC_STRS:
    case CODEC_MAP:
        return field->low == 0;
    case CODEC_NEST:
        return true;
    default:
        return false;
    }
}

static bool skipped(const char *const *skip, const char *name)
{
    for (; skip && *skip; skip++) {
        if (strcmp(*skip, name) == 0)
            return true;
    }
    return false;
}

static int read_record(const struct reading *in, const struct shape *shape, const json_t *object, const char *const *skip,
                       bool null_clears, char *record)
{
    uint64_t has = 0;

    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        const json_t *given = skipped(skip, field->name) ? NULL : json_object_get(object, field->name);
        if (!given)
            continue;
        if (json_is_null(given)) {
            if (null_clears && !empty_allowed(field))
                return refuse(in, field, "type", given, "a value");
            if (!null_clears)
                continue;
        } else if (read_field(in, field, given, record + field->offset) != 0) {
            return -1;
        }
        has |= UINT64_C(1) << field->key;
    }
    memcpy(record, &has, sizeof has); /* every record begins with its has */
    return 0;
}

int fields_read(struct request *request, const json_t *object, const struct shape *shape, const char *const *skip,
                const char *prefix, bool null_clears, void *record, struct problem *problem)
{
    const struct reading in = {request, prefix, problem};
    return read_record(&in, shape, object, skip, null_clears, record);
}

int fields_require(const json_t *object, const char *name, const char *prefix, struct problem *problem)
{
    const json_t *given = json_object_get(object, name);
    char full[128];

    if (given && !json_is_null(given))
        return 0;
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return problem_set(problem, PROBLEM_INVALID, full, "required");
}

int fields_texts_only(const json_t *object, const char *name, struct problem *problem)
{
    json_t *map = json_object_get(object, name);
    const char *key;
    json_t *value;
    char full[128];

    json_object_foreach(map, key, value)
    {
        if (json_is_string(value))
            continue;
        snprintf(full, sizeof full, "%s.%s", name, key);
        return problem_json(problem, full, "type", value, "string");
    }
    return 0;
}
