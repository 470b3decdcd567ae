/* What a client may say of a task: defaults, merging, and every rule a spec must keep. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/cron.h"
#include "scheduler/depend.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/rest.h"
#include "scheduler/schedule.h"
#include "scheduler/task.h"
#include "scheduler/webhook.h"
#include "scheduler/zone.h"

#define DEFAULT_RETRIES 3
#define DEFAULT_TIMEOUT 3600
#define ENV_NAME_MAX 255
#define KEEP_RUNS_MAX 1000000
#define STATUS_MAX 32 /* that a request may expect */
#define NOTIFY_MAX 16 /* webhooks that one end is told to, whatever they want themselves */

static size_t member_size(const struct field *field)
{
    switch ((enum codec_kind)field->kind) {
    case CODEC_BOOL:
        return sizeof(bool);
    case CODEC_INT:
    case CODEC_UINT:
        return sizeof(uint64_t);
    case CODEC_REAL:
        return sizeof(double);
    case CODEC_STR:
    case CODEC_BLOB:
    case CODEC_MAP:
        return sizeof(struct str);
    case CODEC_STRS:
        return sizeof(struct str_list);
    case CODEC_UINTS:
        return sizeof(struct uint_list);
    case CODEC_NEST:
        return field->record->size;
    case CODEC_LIST:
        break;
    }
    return sizeof(struct str_list); /* every list is a pointer and a count */
}

void task_spec_merge(struct rec_task_spec *spec, const struct rec_task_spec *patch)
{
    for (size_t i = 0; i < shape_rec_task_spec.count; i++) {
        const struct field *field = &shape_rec_task_spec.fields[i];
        if (patch->has >> field->key & 1)
            memcpy((char *)spec + field->offset, (const char *)patch + field->offset, member_size(field));
    }
    spec->has |= patch->has;
}

void task_spec_defaults(struct rec_task_spec *spec)
{
    if (!HAS(spec, rec_task_spec, priority))
        spec->priority = PRIORITY_NORMAL;
    if (!HAS(spec, rec_task_spec, retry_count))
        spec->retry_count = DEFAULT_RETRIES;
    if (!HAS(spec, rec_task_spec, timeout_seconds))
        spec->timeout_seconds = DEFAULT_TIMEOUT;
    for (size_t i = 0; i < shape_rec_task_spec.count; i++)
        spec->has |= UINT64_C(1) << shape_rec_task_spec.fields[i].key;
}

/* ---- rules ---- */

static int check_required(const struct rec_task_spec *spec, struct fault *fault)
{
    const struct {
        const char *name;
        struct str value;
    } fields[] = {{"name", spec->name}, {"task_type", spec->task_type}, {"executor", spec->executor}, {"command", spec->command}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!fields[i].value.len)
            return fault_set(fault, ERR_INVALID, fields[i].name, "required", (struct str){0}, "a text that is not empty",
                             "%s is required", fields[i].name);
    return 0;
}

bool task_executor_known(struct str executor)
{
    static const char *const known[] = {"shell", "exec", "python", "http"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(executor, known[i]))
            return true;
    return false;
}

/* What an executor's name means to workers over REST is theirs: they need not announce it. */
static int check_executor(const struct core *core, const struct rec_task_spec *spec, struct fault *fault)
{
    struct str executor = spec->executor;
    if (task_executor_known(executor) || index_text(&core->executors, executor) || rest_only(core, spec->task_type))
        return 0;
    return fault_set(fault, ERR_INVALID, "executor", "unknown_executor", executor,
                     "shell, exec, python, http, or what a worker has announced", "no worker knows the executor \"%.*s\"",
                     (int)executor.len, executor.ptr);
}

/* Maps have been checked when the message was decoded: nothing here asks anew whether they are such. */

/* A map of names to texts; label says which. */
static int check_texts(struct str map, const char *label, struct fault *fault)
{
    struct reader reader = {map.ptr, map.ptr + map.len};
    struct token token;
    if (!map.len)
        return 0;
    if (reader_next(&reader, &token) || token.kind != TOKEN_MAP)
        return fault_set(fault, ERR_INVALID, label, "text_map", (struct str){0}, "an object of texts", "%s is not an object",
                         label);
    for (uint32_t i = 0, count = token.u.count; i < count; i++) {
        struct token name;
        if (reader_next(&reader, &name) || reader_next(&reader, &token) || token.kind != TOKEN_STR)
            return fault_set(fault, ERR_INVALID, label, "text_map", name.kind == TOKEN_STR ? name.u.text : (struct str){0},
                             "an object of texts", "the values of %s must be texts", label);
    }
    return 0;
}

/* What no worker could put into an environment. */
static int check_env(struct str env, struct fault *fault)
{
    struct reader reader = {env.ptr, env.ptr + env.len};
    struct token token;
    if (check_texts(env, "env", fault))
        return -1;
    uint32_t count = env.len && reader_next(&reader, &token) == 0 ? token.u.count : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct token name;
        if (reader_next(&reader, &name) || reader_next(&reader, &token))
            return 0; /* cannot be: it has been read before */
        struct str text = name.u.text;
        if (!text.len || text.len > ENV_NAME_MAX || memchr(text.ptr, '=', text.len) || memchr(text.ptr, '\0', text.len))
            return fault_set(fault, ERR_INVALID, "env", "format", text, "names of 1 to 255 bytes without = and NUL",
                             "env has a name that no variable can have");
        if (token.u.text.len && memchr(token.u.text.ptr, '\0', token.u.text.len))
            return fault_set(fault, ERR_INVALID, "env", "format", text, "values without NUL", "a value of env holds a NUL byte");
    }
    return 0;
}

static int check_path(struct str path, const char *field, struct fault *fault)
{
    if (path.len && path.ptr[0] != '/')
        return fault_set(fault, ERR_INVALID, field, "absolute", path, "a path that begins with /", "%s must be absolute", field);
    return 0;
}

/* Not asked of a task that keeps the pool it has. */
static int check_pool(const struct core *core, struct str name, struct fault *fault)
{
    const struct pool *pool = name.len ? pool_find(core, name) : NULL;
    if (!name.len || (pool && pool->id))
        return 0;
    return fault_set(fault, ERR_INVALID, "pool", "unknown_pool", name, "the name of a pool", "there is no pool \"%.*s\"",
                     (int)name.len, name.ptr);
}

/* One of the words in metadata, as its place in the list; the first when it is absent. */
static int check_word(struct str metadata, const char *key, const char *const *words, uint8_t *out, struct fault *fault)
{
    struct token token;
    char field[64], expected[128] = "";
    *out = 0;
    if (!map_find(metadata, key, &token) || token.kind == TOKEN_NIL)
        return 0;
    for (uint8_t i = 0; words[i]; i++) {
        if (token.kind == TOKEN_STR && str_is(token.u.text, words[i])) {
            *out = i;
            return 0;
        }
        str_append(expected, sizeof expected, ", ", words[i]);
    }
    snprintf(field, sizeof field, "metadata.%s", key);
    return fault_set(fault, ERR_INVALID, field, "enum", token.kind == TOKEN_STR ? token.u.text : (struct str){0}, expected,
                     "%s must be one of: %s", field, expected);
}

static int check_keep_runs(struct str metadata, uint64_t *out, struct fault *fault)
{
    static const char expected[] = "a whole number from 1 to 1000000";
    struct token token;
    *out = 0;
    if (!map_find(metadata, "keep_runs", &token) || token.kind == TOKEN_NIL)
        return 0;
    if (token.kind != TOKEN_UINT || token.u.natural < 1 || token.u.natural > KEEP_RUNS_MAX)
        return fault_set(fault, ERR_INVALID, "metadata.keep_runs", token.kind == TOKEN_UINT ? "range" : "type",
                         token.kind == TOKEN_STR ? token.u.text : (struct str){0}, expected, "metadata.keep_runs must be %s",
                         expected);
    *out = token.u.natural;
    return 0;
}

/* The bytes of a key's value in a map that is valid; false if it is absent or nil. */
static bool value_of(struct str map, const char *key, struct str *value)
{
    struct reader reader = {map.ptr, map.ptr + map.len};
    struct token token;
    if (!map.len || reader_next(&reader, &token) || token.kind != TOKEN_MAP)
        return false;
    for (uint32_t left = token.u.count; left; left--) {
        if (reader_next(&reader, &token))
            return false;
        const char *start = reader.at;
        if (reader_skip(&reader, CODEC_DEPTH))
            return false;
        if (token.kind == TOKEN_STR && str_is(token.u.text, key)) {
            *value = (struct str){start, (uint32_t)(reader.at - start)};
            reader = (struct reader){start, start + value->len};
            return reader_next(&reader, &token) == 0 && token.kind != TOKEN_NIL;
        }
    }
    return false;
}

/* ---- metadata.notify: webhooks told of its runs' ends ---- */

#define NOTIFY_FIELD "metadata.notify"
#define NOTIFY_EXPECTED "{failed: [webhook ids], completed: [webhook ids]}, at most 16 each"

static int notify_fault(struct fault *fault, struct str value)
{
    return fault_set(fault, ERR_INVALID, NOTIFY_FIELD, "format", value, NOTIFY_EXPECTED,
                     NOTIFY_FIELD " must be " NOTIFY_EXPECTED);
}

/* The ids in one of its lists, behind those that are there. */
static int notify_list(struct str notify, const char *key, uint64_t *ids, uint8_t *count, struct fault *fault)
{
    struct str list;
    struct token token;
    *count = 0;
    if (!value_of(notify, key, &list))
        return 0;
    struct reader reader = {list.ptr, list.ptr + list.len};
    if (reader_next(&reader, &token) || token.kind != TOKEN_ARRAY || token.u.count > NOTIFY_MAX)
        return notify_fault(fault, (struct str){0});
    for (uint32_t left = token.u.count; left; left--) {
        if (reader_next(&reader, &token) || token.kind != TOKEN_UINT || !token.u.natural || token.u.natural > INT64_MAX)
            return notify_fault(fault, token.kind == TOKEN_STR ? token.u.text : (struct str){0});
        ids[(*count)++] = token.u.natural;
    }
    return 0;
}

static int check_notify(const struct rec_task_spec *spec, struct task_rules *rules, struct fault *fault)
{
    uint64_t ids[2 * NOTIFY_MAX];
    struct str notify;
    struct token token;
    if (!value_of(spec->metadata, "notify", &notify))
        return 0;
    struct reader reader = {notify.ptr, notify.ptr + notify.len};
    if (reader_next(&reader, &token) || token.kind != TOKEN_MAP)
        return notify_fault(fault, token.kind == TOKEN_STR ? token.u.text : (struct str){0});
    if (notify_list(notify, "failed", ids, &rules->notify_failed, fault) ||
        notify_list(notify, "completed", ids + rules->notify_failed, &rules->notify_completed, fault)) {
        rules->notify_failed = rules->notify_completed = 0;
        return -1;
    }
    size_t count = (size_t)rules->notify_failed + rules->notify_completed;
    if (!count)
        return 0;
    rules->notify = malloc(count * sizeof *ids);
    if (!rules->notify)
        return fault_memory(fault);
    memcpy(rules->notify, ids, count * sizeof *ids);
    return 0;
}

/* Not asked of stored records: a webhook may have been deleted since. */
static int check_notified(const struct core *core, const struct task_rules *rules, struct fault *fault)
{
    char value[32];
    for (size_t i = 0; i < (size_t)rules->notify_failed + rules->notify_completed; i++) {
        snprintf(value, sizeof value, "%llu", (unsigned long long)rules->notify[i]);
        if (!webhook_find(core, rules->notify[i]))
            return fault_set(fault, ERR_INVALID, NOTIFY_FIELD, "unknown_webhook", str_of(value), "ids of webhooks that exist",
                             "there is no webhook %s to notify", value);
    }
    return 0;
}

static int check_metadata(const struct rec_task_spec *spec, struct task_rules *rules, struct fault *fault)
{
    static const char *const failure[] = {"fail", "wait", "ignore", NULL};
    static const char *const catchup[] = {"one", "all", "none", NULL};
    static const char *const overlap[] = {"allow", "forbid", "replace", NULL};
    uint8_t when;
    if (check_word(spec->metadata, "on_dependency_failure", failure, &rules->on_failure, fault) ||
        check_word(spec->metadata, "catchup", catchup, &rules->catchup, fault) ||
        check_word(spec->metadata, "concurrency_policy", overlap, &rules->overlap, fault) ||
        check_word(spec->metadata, "dependency_condition", depends_words, &when, fault) ||
        check_keep_runs(spec->metadata, &rules->keep_runs, fault) || check_notify(spec, rules, fault))
        return -1;
    rules->when = (uint8_t)(WHEN_SUCCESS + when);
    return 0;
}

/* Not asked of stored records: what was let in once must load. */
static int check_timezone(struct str metadata, struct fault *fault)
{
    struct token token;
    if (!map_find(metadata, "timezone", &token) || token.kind == TOKEN_NIL || token.kind == TOKEN_STR)
        return 0;
    return fault_set(fault, ERR_INVALID, "metadata.timezone", "type", (struct str){0}, "the name of a time zone",
                     "metadata.timezone must be a text");
}

/* ---- metadata.http, which the executor http reads ---- */

static int check_headers(struct str headers, struct fault *fault)
{
    static const char field[] = "metadata.http.headers";
    struct reader reader = {headers.ptr, headers.ptr + headers.len};
    struct token map, name, value;
    if (check_texts(headers, field, fault))
        return -1;
    uint32_t count = reader_next(&reader, &map) == 0 ? map.u.count : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (reader_next(&reader, &name) || reader_next(&reader, &value))
            return 0; /* cannot be: it has been read before */
        const struct str parts[] = {name.u.text, value.u.text};
        for (size_t k = 0; k < 2; k++)
            if (parts[k].len && (memchr(parts[k].ptr, '\n', parts[k].len) || memchr(parts[k].ptr, '\r', parts[k].len) ||
                                 memchr(parts[k].ptr, '\0', parts[k].len)))
                return fault_set(fault, ERR_INVALID, field, "format", name.u.text, "headers without line breaks and NUL",
                                 "a header holds a line break or NUL");
    }
    return 0;
}

static int check_status(struct reader *reader, struct fault *fault)
{
    static const char field[] = "metadata.http.expected_status", expected[] = "a status from 100 to 599, or a list of them";
    struct token token;
    char text[32] = "";
    if (reader_next(reader, &token) == 0 && token.kind == TOKEN_UINT && token.u.natural >= 100 && token.u.natural <= 599)
        return 0;
    if (token.kind != TOKEN_UINT && token.kind != TOKEN_INT)
        return fault_set(fault, ERR_INVALID, field, "type", token.kind == TOKEN_STR ? token.u.text : (struct str){0}, expected,
                         "%s must be %s", field, expected);
    if (token.kind == TOKEN_UINT)
        snprintf(text, sizeof text, "%llu", (unsigned long long)token.u.natural);
    else
        snprintf(text, sizeof text, "%lld", (long long)token.u.integer);
    return fault_set(fault, ERR_INVALID, field, "range", str_of(text), expected, "%s must be %s", field, expected);
}

static int check_statuses(struct str statuses, struct fault *fault)
{
    struct reader reader = {statuses.ptr, statuses.ptr + statuses.len}, list = reader;
    struct token token;
    if (reader_next(&list, &token) || token.kind != TOKEN_ARRAY)
        return check_status(&reader, fault);
    if (token.u.count > STATUS_MAX)
        return fault_set(fault, ERR_INVALID, "metadata.http.expected_status", "items", (struct str){0}, "at most 32",
                         "metadata.http.expected_status has more than %d items", STATUS_MAX);
    for (uint32_t i = 0; i < token.u.count; i++)
        if (check_status(&list, fault))
            return -1;
    return 0;
}

/* Not asked of stored records either, nor of other executors: what metadata means to those is theirs. */
static int check_http(const struct rec_task_spec *spec, struct fault *fault)
{
    struct str http, value;
    struct token token;
    if (!str_is(spec->executor, "http") || !value_of(spec->metadata, "http", &http))
        return 0;
    struct reader reader = {http.ptr, http.ptr + http.len};
    if (reader_next(&reader, &token) || token.kind != TOKEN_MAP)
        return fault_set(fault, ERR_INVALID, "metadata.http", "object", token.kind == TOKEN_STR ? token.u.text : (struct str){0},
                         "an object", "metadata.http is not an object");
    if (value_of(http, "headers", &value) && check_headers(value, fault))
        return -1;
    return value_of(http, "expected_status", &value) ? check_statuses(value, fault) : 0;
}

static int check_zone(struct str name, struct fault *fault)
{
    struct err err = {0};
    struct zone *zone = zone_get(name, &err);
    if (!zone && err.code == ERR_NO_MEMORY)
        return fault_memory(fault);
    if (!zone)
        return fault_set(fault, ERR_INVALID, "metadata.timezone", "format", name, "an IANA name like Europe/Berlin", "%.200s",
                         err.text);
    zone_put(zone);
    return 0;
}

/* rules->spread: as it was so far. */
static int check_schedule(const struct core *core, const struct rec_task_spec *spec, bool anew, struct task_rules *rules,
                          struct fault *fault)
{
    struct str zone = {0};
    struct err err = {0};
    if (!spec->schedule.len)
        return 0;
    if (!rules->spread && memchr(spec->schedule.ptr, '~', spec->schedule.len))
        rules->spread = cron_spread(spec->name);
    map_text(spec->metadata, STR_LIT("timezone"), &zone);
    if (check_zone(zone, fault))
        return -1;
    rules->cron = cron_parse(spec->schedule, zone, rules->spread, &err);
    if (!rules->cron)
        return schedule_refuse(fault, ERR_INVALID, spec->schedule, &err);
    if (anew && !cron_next(rules->cron, core->wall_ms, core->wall_ms))
        return fault_set(fault, ERR_INVALID, "schedule", "schedule", spec->schedule, "a time that is still to come",
                         "the schedule is never due again");
    return 0;
}

static int rules_fill(struct core *core, const struct rec_task_spec *spec, struct task_rules *rules, struct fault *fault)
{
    struct buf bytes = {0};
    struct err err = {0};
    struct str farm = {0};
    if (rec_encode_task_spec(&bytes, spec, &err)) {
        bool memory = bytes.failed || err.code == ERR_NO_MEMORY;
        buf_free(&bytes);
        if (memory)
            return fault_memory(fault);
        if (err.code != ERR_LIMIT)
            return fault_set(fault, ERR_INVALID, "spec", "range", (struct str){0}, NULL, "%.200s", err.text);
    }
    if (err.code == ERR_LIMIT || bytes.len > TASK_SPEC_BYTES) {
        buf_free(&bytes);
        return fault_set(fault, ERR_INVALID, "spec", "size", (struct str){0}, "at most 384 KiB in all", "the task is too large");
    }
    if (map_text(spec->metadata, STR_LIT("farm"), &farm))
        rules->farm = farm_find(core, farm);
    rules->spec = text_new(buf_str(&bytes));
    rules->name = text_new(spec->name);
    rules->class = queue_class_get(core, spec, NULL);
    rules->timeout_seconds = (uint32_t)spec->timeout_seconds;
    rules->rate = (uint32_t)spec->rate;
    rules->priority = (uint8_t)spec->priority;
    rules->retry_count = (uint8_t)spec->retry_count;
    buf_free(&bytes);
    if (!rules->spec || !rules->name || !rules->class)
        return fault_memory(fault);
    return 0;
}

int task_check(struct core *core, const struct rec_task_spec *spec, const struct task *self, uint64_t changed,
               struct task_rules *rules, struct fault *fault)
{
    struct rec_task_spec given = {.has = changed};
    bool new_schedule = !self || HAS(&given, rec_task_spec, schedule), new_pool = !self || HAS(&given, rec_task_spec, pool);
    *rules = (struct task_rules){.spread = self ? self->rules.spread : 0};
    if (check_required(spec, fault) || check_executor(core, spec, fault) || check_env(spec->env, fault) ||
        check_texts(spec->labels, "labels", fault) || check_path(spec->cwd, "cwd", fault) ||
        (new_pool && check_pool(core, spec->pool, fault)) || check_metadata(spec, rules, fault) ||
        check_timezone(spec->metadata, fault) || check_http(spec, fault) ||
        (HAS(&given, rec_task_spec, metadata) && check_notified(core, rules, fault)) ||
        check_schedule(core, spec, new_schedule, rules, fault))
        goto error;
    struct task *other = task_find_name(core, spec->name);
    if (other && other != self && (!self || !str_eq(spec->name, self->rules.name->str))) {
        fault_set(fault, ERR_CONFLICT, "name", "unique", spec->name, "a name no other task has",
                  "there is a task named \"%.*s\" already", (int)spec->name.len, spec->name.ptr);
        goto error;
    }
    bool depends_anew = HAS(&given, rec_task_spec, dependencies) || HAS(&given, rec_task_spec, dependency_conditions);
    const struct uint_list ids = self ? task_deps(&self->rules) : (struct uint_list){0};
    const struct uint_list whens = self ? task_whens(&self->rules) : (struct uint_list){0};
    if (!self || depends_anew ? edge_resolve(core, spec, self, rules, fault) : edge_load(rules, &ids, &whens, fault))
        goto error;
    if (rules_fill(core, spec, rules, fault))
        goto error;
    return 0;
error:
    task_rules_clear(core, rules);
    return -1;
}

/* What was right when it was stored may not be so here (a time zone that this machine does not have, a stricter version): that must
 * not keep the whole farm from starting. The task goes on without what cannot be read. */
static bool load_fails(const struct rec_task_spec *spec, const struct fault *fault)
{
    if (fault->code == ERR_NO_MEMORY)
        return true;
    log_error("GTY-TASK-UNREADABLE", "name=%.*s field=%s %s: it goes on without", (int)spec->name.len, spec->name.ptr,
              fault->field, fault->text);
    return false;
}

int task_rules_of(struct core *core, const struct rec_task *record, struct task_rules *rules, struct fault *fault)
{
    const struct rec_task_spec *spec = &record->spec;
    *rules = (struct task_rules){.spread = record->spread, .when = WHEN_SUCCESS};
    if ((check_metadata(spec, rules, fault) && load_fails(spec, fault)) ||
        (check_schedule(core, spec, false, rules, fault) && load_fails(spec, fault)) || rules_fill(core, spec, rules, fault) ||
        edge_load(rules, &record->dependency_ids, &record->dependency_whens, fault)) {
        task_rules_clear(core, rules);
        return -1;
    }
    return 0;
}
