/* `gantry task apply`: the farm's tasks become what files say. */
#include <stdio.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/task.h"
#include "gateway/cli/tasks_file.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"

#define RETRIES 3            /* of a task that does not say */
#define TIMEOUT_SECONDS 3600 /* likewise */

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* Every task of the files, each with a name that no other has; NULL with err. */
static json_t *files_read(const struct cli *cli, struct err *err)
{
    json_t *all = json_array(), *names = json_object(), *task;
    const char *path;
    size_t at = 0, index;
    int rc = all && names ? 0 : no_memory(err);

    while (rc == 0 && (path = args_each(cli->args, "file", &at)) != NULL) {
        json_t *tasks = tasks_file(path, err);
        rc = !tasks ? -1 : json_array_extend(all, tasks) != 0 ? no_memory(err) : 0;
        json_decref(tasks);
    }
    json_array_foreach(all, index, task)
    {
        const char *name = json_string_value(json_object_get(task, "name"));
        if (rc == 0 && (!name || !name[0]))
            rc = err_set(err, ERR_BAD_REQUEST, "task %zu of the files has no name", index + 1);
        else if (rc == 0 && json_object_get(names, name))
            rc = err_set(err, ERR_BAD_REQUEST, "the files have two tasks of the name \"%s\"", name);
        else if (rc == 0 && json_object_set_new(names, name, json_true()) != 0)
            rc = no_memory(err);
    }
    json_decref(names);
    if (rc == 0)
        return all;
    json_decref(all);
    return NULL;
}

/* What a field is that the file does not name; NULL: there is nothing to say of it. */
static json_t *unnamed(const struct field *field)
{
    switch (field->kind) {
    case CODEC_STR:
    case CODEC_STRS:
    case CODEC_MAP:
        return field->low == 0 ? json_null() : NULL;
    case CODEC_NEST:
        return json_null();
    default:
        break;
    }
    if (strcmp(field->name, "priority") == 0)
        return json_string("normal");
    if (strcmp(field->name, "retry_count") == 0)
        return json_integer(RETRIES);
    if (strcmp(field->name, "rate") == 0)
        return json_integer(0); /* none */
    return strcmp(field->name, "timeout_seconds") == 0 ? json_integer(TIMEOUT_SECONDS) : NULL;
}

/* The task as a whole, with what the file leaves out as it is at first; NULL with err. */
static json_t *whole_task(json_t *task, struct err *err)
{
    json_t *whole = json_copy(task);

    for (size_t i = 0; whole && i < shape_rec_task_spec.count; i++) {
        const struct field *field = &shape_rec_task_spec.fields[i];
        json_t *value = json_object_get(task, field->name) ? NULL : unnamed(field);
        if (value && json_object_set_new(whole, field->name, value) != 0) {
            json_decref(whole);
            whole = NULL;
        }
    }
    if (!whole)
        no_memory(err);
    return whole;
}

static bool is_empty(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) || (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_integer(value) && json_integer_value(value) == 0); /* a rate: what is not answered */
}

/* Whether what the farm has is what is wanted already; a spelling that it changed only costs an update. */
static bool is_same(const json_t *there, json_t *wanted)
{
    const char *name;
    json_t *value;

    json_object_foreach(wanted, name, value)
    {
        const json_t *has = json_object_get(there, name);
        if (!(is_empty(has) && is_empty(value)) && !json_equal(has, value))
            return false;
    }
    return true;
}

/* One that is there becomes as the file says. *done: what has happened. */
static int task_change(const struct cli *cli, json_t *task, json_t **data, const char **done, struct err *err)
{
    const char *name = json_string_value(json_object_get(task, "name"));
    long long id;
    char path[64];

    if (task_named(cli, name, &id, err) != 0)
        return -1;
    if (id == 0) /* deleted since */
        return err_set(err, ERR_NOT_FOUND, "there is no task \"%s\"", name);
    snprintf(path, sizeof path, "/tasks/%lld", id);
    json_t *wanted = whole_task(task, err);
    if (!wanted || client_call(cli->client, "GET", path, NULL, data, err) != 0) {
        json_decref(wanted);
        return -1;
    }
    *done = "unchanged";
    int rc = 0;
    if (json_is_true(json_object_get(*data, "oneshot"))) {
        rc = err_set(err, ERR_CONFLICT, "a single run of that name has not ended yet: its name is free then");
    } else if (!is_same(*data, wanted)) {
        json_decref(*data);
        *done = "updated";
        rc = client_call(cli->client, "PUT", path, wanted, data, err);
    }
    json_decref(wanted);
    return rc;
}

/* Making it comes first: only a refusal because of its name says for sure that there is one. */
static int task_put(const struct cli *cli, json_t *task, json_t **data, const char **done, struct err *err)
{
    struct err why = {0};

    *done = "created";
    if (client_call(cli->client, "POST", "/tasks", task, data, &why) == 0)
        return 0;
    if (why.code != ERR_CONFLICT)
        return err_set(err, why.code, "%s", why.text);
    return task_change(cli, task, data, done, err);
}

int task_apply(struct cli *cli)
{
    struct err err = {0};
    json_t *tasks, *task;
    size_t index;
    int code = EXIT_FINE;

    if (!args_has(cli->args, "file")) {
        err_set(&err, ERR_BAD_REQUEST, "gantry task apply needs -f FILE");
        return show_usage(&err);
    }
    tasks = files_read(cli, &err);
    if (!tasks)
        return show_usage(&err);
    client_set_patience(cli->client, 0, 10000);
    json_array_foreach(tasks, index, task)
    {
        const char *name = json_string_value(json_object_get(task, "name"));
        const char *done;
        struct err why = {0};
        json_t *data = NULL;
        if (task_put(cli, task, &data, &done, &why) != 0) {
            err_set(&err, why.code, "task \"%s\" (%zu of %zu): %s", name, index + 1, json_array_size(tasks), why.text);
            code = show_error(&err);
            json_decref(data);
            break; /* what comes behind may depend on it; applying again does the rest */
        }
        if (cli->json)
            show_json(data);
        else
            term_line(stdout, false, "task %lld %s %s", show_number(data, "id"), name, done);
        json_decref(data);
    }
    json_decref(tasks);
    return code;
}
