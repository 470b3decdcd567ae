#include "gateway/cli/tasks_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cli/yaml.h"
#include "proto/buf.h"
#include "proto/messages.h"

static const char *shown(const char *path)
{
    return strcmp(path, "-") == 0 ? "stdin" : path;
}

/* ---- fields ---- */

/* Members whose words are text whatever they look like: `arguments: [8080, no]` are two texts. */
static bool is_text(const char *member)
{
    const struct field *field = shape_field(&shape_rec_task_spec, str_of(member));

    if (!field)
        return false;
    if (field->kind == CODEC_MAP)
        return strcmp(member, "metadata") != 0; /* which may hold anything */
    return field->kind == CODEC_STR || field->kind == CODEC_STRS;
}

/* The first member that the shape does not have; NULL if there is none. */
static const char *unknown_member(const json_t *object, const struct shape *shape)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!shape_field(shape, str_of(key)))
            return key;
    }
    return NULL;
}

/* The server takes no notice of what it does not know; here it is most likely a slip. */
static int fields_check(const json_t *task, struct err *err)
{
    const char *unknown = unknown_member(task, &shape_rec_task_spec);

    if (unknown)
        return err_set(err, ERR_BAD_REQUEST, "a task has no field \"%s\"", unknown);
    for (size_t i = 0; i < shape_rec_task_spec.count; i++) {
        const struct field *field = &shape_rec_task_spec.fields[i];
        const json_t *given = json_object_get(task, field->name);
        if (field->kind != CODEC_NEST || !given)
            continue;
        unknown = unknown_member(given, field->record);
        if (unknown)
            return err_set(err, ERR_BAD_REQUEST, "there is no field \"%s\" in %s", unknown, field->name);
    }
    return 0;
}

/* ---- files ---- */

/* Adds what a document holds: a task, or a list of them. */
static int tasks_add(json_t *tasks, json_t *document, struct err *err)
{
    size_t count = json_is_array(document) ? json_array_size(document) : 1;

    for (size_t i = 0; i < count; i++) {
        json_t *task = json_is_array(document) ? json_array_get(document, i) : document;
        if (!json_is_object(task))
            return err_set(err, ERR_BAD_REQUEST, "a task is an object");
        if (json_array_size(tasks) == TASKS_FILE_MOST)
            return err_set(err, ERR_LIMIT, "these are more than %d tasks", TASKS_FILE_MOST);
        if (fields_check(task, err) != 0)
            return -1;
        if (json_array_append(tasks, task) != 0)
            return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    return 0;
}

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name), more = strlen(end);

    return len >= more && strcmp(name + len - more, end) == 0;
}

static bool looks_like_json(const char *name, const char *data, size_t size)
{
    size_t at = 0;

    if (ends_in(name, ".json"))
        return true;
    if (ends_in(name, ".yaml") || ends_in(name, ".yml"))
        return false;
    while (at < size && strchr(" \t\r\n", data[at]) && data[at])
        at++;
    return at < size && (data[at] == '{' || data[at] == '[');
}

/* A list of one document; NULL with err. */
static json_t *json_read(const char *data, size_t size, struct err *err)
{
    json_error_t where;
    json_t *value = json_loadb(data, size, JSON_REJECT_DUPLICATES, &where);

    if (!value) {
        err_set(err, ERR_BAD_REQUEST, "line %d: %s", where.line, where.text);
        return NULL;
    }
    json_t *documents = json_array();
    if (json_array_append_new(documents, value) == 0)
        return documents;
    json_decref(documents);
    err_set(err, ERR_NO_MEMORY, "out of memory");
    return NULL;
}

/* A list of documents; NULL with err. */
static json_t *documents_read(const char *name, const char *data, size_t size, struct err *err)
{
    struct err unsaid = {0};

    if (!looks_like_json(name, data, size))
        return yaml_load(data, size, is_text, err);
    json_t *documents = json_read(data, size, err);
    if (documents || ends_in(name, ".json"))
        return documents;
    documents = yaml_load(data, size, is_text, &unsaid); /* {name: a} is YAML too */
    if (documents)
        *err = (struct err){0};
    return documents;
}

json_t *tasks_text(const char *name, const char *data, size_t size, struct err *err)
{
    struct err why = {0};
    json_t *documents = documents_read(name, data, size, &why);
    json_t *tasks = documents ? json_array() : NULL;
    json_t *document;
    size_t index;

    if (documents && !tasks)
        err_set(&why, ERR_NO_MEMORY, "out of memory");
    json_array_foreach(documents, index, document)
    {
        bool nothing = json_is_null(document); /* as behind a last --- */
        if (why.code == 0 && !nothing)
            tasks_add(tasks, document, &why);
    }
    if (why.code == 0 && json_array_size(tasks) == 0)
        err_set(&why, ERR_BAD_REQUEST, "there is no task in it");
    json_decref(documents);
    if (why.code == 0)
        return tasks;
    json_decref(tasks);
    err_set(err, why.code, "%s: %s", shown(name), why.text);
    return NULL;
}

json_t *tasks_file(const char *path, struct err *err)
{
    struct buf data = {.limit = YAML_BYTES + 1};
    char block[16384];
    size_t got;
    bool input = strcmp(path, "-") == 0;
    FILE *file = input ? stdin : fopen(path, "re");

    if (!file) {
        err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    errno = 0;
    while (!data.failed && (got = fread(block, 1, sizeof block, file)) > 0)
        buf_add(&data, block, got);
    int number = ferror(file) ? errno : 0; /* a folder */
    if (!input)
        fclose(file);
    json_t *tasks = NULL;
    if (number != 0)
        err_set(err, ERR_IO, "%s cannot be read: %s", shown(path), strerror(number));
    else if (data.failed)
        err_set(err, data.starved ? ERR_NO_MEMORY : ERR_LIMIT, data.starved ? "out of memory" : "%s is larger than 4 MiB",
                shown(path));
    else
        tasks = tasks_text(path, data.data ? data.data : "", data.len, err);
    buf_free(&data);
    return tasks;
}
