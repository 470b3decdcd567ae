/* `gantry task …` */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/page.h"
#include "gateway/cli/show.h"
#include "gateway/cli/task.h"
#include "gateway/cli/tasks_file.h"
#include "gateway/cli/term.h"
#include "gateway/cli/watch.h"
#include "gateway/cli/work.h"
#include "proto/messages.h"

int task_named(const struct cli *cli, const char *word, long long *id, struct err *err)
{
    char path[1024] = "/tasks?size=1";
    const struct field *name = shape_field(&shape_rec_task_spec, STR_LIT("name"));
    json_t *data;

    *id = 0;
    if (word[0] == '\0' || strlen(word) > (size_t)name->high) { /* of no task */
        return 0;
    }
    if (client_query_add(path, sizeof path, "name", word) != 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    if (client_call(cli->client, "GET", path, NULL, &data, err) != 0) {
        return -1;
    }
    long long total = show_number(data, "total");
    *id = show_number(json_array_get(json_object_get(data, "items"), 0), "id");
    json_decref(data);
    if (total > 1) {
        return err_set(err, ERR_BAD_REQUEST, "%lld tasks are called \"%s\", the newest is %lld: name one by its id", total, word,
                       *id);
    }
    return 0;
}

/* The task whose id a word is: *id is 0 when it is none, or there is no such task. -1 with err. */
static int task_numbered(const struct cli *cli, const char *word, long long *id, struct err *err)
{
    struct err why = {0};
    char *end;

    errno = 0;
    *id = strtoll(word, &end, 10);
    if (errno != 0 || word[strspn(word, "0123456789")] != '\0' || *id <= 0) {
        *id = 0;
        return 0;
    }
    if (client_get(cli->client, NULL, &why, "/tasks/%lld", *id) == 0) {
        return 0;
    }
    *id = 0;
    return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.text);
}

long long task_find(const struct cli *cli, const char *word, struct err *err)
{
    long long number, named;

    if (task_numbered(cli, word, &number, err) != 0 || task_named(cli, word, &named, err) != 0) {
        return 0;
    }
    if (number != 0 && named != 0 && named != number) {
        err_set(err, ERR_BAD_REQUEST, "\"%s\" is the id of task %lld and the name of task %lld: rename one, or give the id %lld",
                word, number, named, named);
        return 0;
    }
    if (number == 0 && named == 0) {
        err_set(err, ERR_NOT_FOUND, "there is no task \"%s\"", word);
    }
    return number != 0 ? number : named;
}

int task_list(struct cli *cli)
{
    static const struct page_filter filters[] = {{"status", "status"}, {"type", "task_type"}, {"priority", "priority"},
                                                 {"search", "search"}, {"tag", "tags"},       {NULL, NULL}};
    static const struct page_column columns[] = {
        {">ID", .member = "id"},
        {"NAME", .member = "name"},
        {"TYPE", .member = "task_type"},
        {"STATUS", .member = "status"},
        {"PRIORITY", .member = "priority"},
        {"NEXT RUN", .member = "next_run_at", .time = true},
        {"DESCRIPTION", .member = "description"},
        {NULL},
    };

    return page_print(cli, "/tasks", filters, columns);
}

static void command_show(const json_t *task)
{
    char text[1024];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", show_text(task, "command"));
    const json_t *argument;
    size_t index;

    json_array_foreach(json_object_get(task, "arguments"), index, argument)
    {
        if (len < sizeof text) {
            len += (size_t)snprintf(text + len, sizeof text - len, " %s", json_string_value(argument));
        }
    }
    show_field("Command:", text);
}

static void task_print(const json_t *task)
{
    const json_t *counts = json_object_get(task, "statistics");

    show_fieldf("Task:", "%lld", show_number(task, "id"));
    show_member("Name:", task, "name");
    show_member("Description:", task, "description");
    show_member("Status:", task, "status");
    show_fieldf("Type:", "%s (executor %s)", show_text(task, "task_type"), show_text(task, "executor"));
    command_show(task);
    show_member("Folder:", task, "cwd");
    show_member("Output:", task, "output");
    show_member("Schedule:", task, "schedule");
    show_member_time("Next run:", task, "next_run_at");
    show_member_time("Last run:", task, "last_run_at");
    show_member("Priority:", task, "priority");
    show_member("Retries:", task, "retry_count");
    show_member("Timeout, s:", task, "timeout_seconds");
    show_member("Depends on:", task, "dependencies");
    show_member("Conditions:", task, "dependency_conditions");
    show_member("Tags:", task, "tags");
    show_member("Pool:", task, "pool");
    show_member("Rate, /min:", task, "rate");
    show_member("Environment:", task, "env");
    show_member("Labels:", task, "labels");
    show_member("Metadata:", task, "metadata");
    if (counts != NULL) {
        show_fieldf("Runs:", "%lld, %lld completed, %lld failed; last %s", show_number(counts, "total_runs"),
                    show_number(counts, "successful_runs"), show_number(counts, "failed_runs"),
                    show_text(counts, "last_execution_status"));
    }
    show_member_time("Created:", task, "created_at");
    show_member_time("Updated:", task, "updated_at");
}

/* Prints a task that the farm answered with; takes it. */
static int task_answer(const struct cli *cli, json_t *task)
{
    if (cli->json) {
        show_json(task);
    } else {
        task_print(task);
    }
    json_decref(task);
    return EXIT_FINE;
}

int task_show(struct cli *cli)
{
    struct err err = {0};
    json_t *task;
    long long id = task_find(cli, args_at(cli->args, 0), &err);

    if (id == 0 || client_get(cli->client, &task, &err, "/tasks/%lld", id) != 0) {
        return show_error(&err);
    }
    return task_answer(cli, task);
}

static int list_add(const struct cli *cli, const char *option, const char *name, json_t *task, struct err *err)
{
    json_t *list = NULL;
    const char *text;
    size_t at = 0;

    while ((text = args_each(cli->args, option, &at)) != NULL) {
        list = list != NULL ? list : json_array();
        if (json_array_append_new(list, json_string(text)) != 0) {
            json_decref(list);
            return err_set(err, ERR_BAD_REQUEST, "--%s is not UTF-8, or there is no memory", option);
        }
    }
    return list == NULL || json_object_set_new(task, name, list) == 0 ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* Options that name a field of the same meaning. */
static int texts_add(const struct cli *cli, json_t *task, struct err *err)
{
    static const char *const fields[][2] = {{"description", "description"},
                                            {"schedule", "schedule"},
                                            {"rename", "name"},
                                            {"executor", "executor"},
                                            {"command", "command"}};

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *text = args_text(cli->args, fields[i][0]);
        if (text != NULL && json_object_set_new(task, fields[i][1], json_string(text)) != 0) {
            return err_set(err, ERR_BAD_REQUEST, "--%s is not UTF-8, or there is no memory", fields[i][0]);
        }
    }
    return 0;
}

static int metadata_add(const struct cli *cli, json_t *task, struct err *err)
{
    const char *text = args_text(cli->args, "metadata");
    json_error_t where;

    if (text == NULL) {
        return 0;
    }
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(value)) {
        json_decref(value);
        return err_set(err, ERR_BAD_REQUEST, "--metadata is a JSON object: %s", value == NULL ? where.text : "this is none");
    }
    return json_object_set_new(task, "metadata", value) == 0 ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* What the options say of a task, over what it says already. */
static int options_add(const struct cli *cli, json_t *task, struct err *err)
{
    if (texts_add(cli, task, err) != 0 || work_add(cli, 1, false, task, err) != 0 ||
        list_add(cli, "depends", "dependencies", task, err) != 0 || list_add(cli, "tag", "tags", task, err) != 0) {
        return -1;
    }
    return metadata_add(cli, task, err);
}

/* What the file holds, or a task of which nothing is said yet; NULL with err. */
static json_t *tasks_given(const struct cli *cli, struct err *err)
{
    const char *path = args_text(cli->args, "file");
    json_t *tasks = path != NULL ? tasks_file(path, err) : json_array();

    if (path == NULL && json_array_append_new(tasks, json_object()) != 0) {
        json_decref(tasks);
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    return tasks;
}

/* The body of an update: the task of the file, and over it the options; NULL with err. */
static json_t *task_body(const struct cli *cli, struct err *err)
{
    json_t *tasks = tasks_given(cli, err);
    json_t *task = NULL;

    if (json_array_size(tasks) > 1) {
        err_set(err, ERR_BAD_REQUEST, "%s holds %zu tasks, expected one", args_text(cli->args, "file"), json_array_size(tasks));
    } else if (tasks != NULL && options_add(cli, json_array_get(tasks, 0), err) == 0) {
        task = json_incref(json_array_get(tasks, 0));
    }
    json_decref(tasks);
    return task;
}

/* NAME and the options are for one task; each has to have a name in the end. */
static int tasks_complete(const struct cli *cli, json_t *tasks, struct err *err)
{
    const char *name = args_at(cli->args, 0);
    json_t *first = json_array_get(tasks, 0), *task;
    size_t index;

    if (json_array_size(tasks) > 1) {
        json_t *options = json_object();
        bool wrong = options_add(cli, options, err) != 0;
        bool given = name != NULL || json_object_size(options) > 0;
        json_decref(options);
        if (wrong || given) {
            return wrong ? -1
                         : err_set(err, ERR_BAD_REQUEST, "NAME and options are for one task, and %s holds %zu",
                                   args_text(cli->args, "file"), json_array_size(tasks));
        }
    } else if (options_add(cli, first, err) != 0) {
        return -1;
    } else if (name != NULL && json_object_set_new(first, "name", json_string(name)) != 0) {
        return err_set(err, ERR_BAD_REQUEST, "the name is not UTF-8");
    }
    json_array_foreach(tasks, index, task)
    {
        if (json_object_get(task, "name") == NULL) {
            return json_array_size(tasks) > 1 ? err_set(err, ERR_BAD_REQUEST, "task %zu has no name", index + 1)
                                              : err_set(err, ERR_BAD_REQUEST, "gantry task create needs a NAME");
        }
    }
    return 0;
}

/* Makes the index-th of them. */
static int task_make(const struct cli *cli, const json_t *tasks, size_t index)
{
    struct err err = {0}, why = {0};
    json_t *data = NULL;
    const json_t *task = json_array_get(tasks, index);

    if (client_post(cli->client, task, &data, &why, "/tasks") != 0) {
        if (json_array_size(tasks) == 1) {
            return show_error(&why);
        }
        err_set(&err, why.code, "task \"%s\" (%zu of %zu): %s", show_text(task, "name"), index + 1, json_array_size(tasks),
                why.text);
        return show_error(&err);
    }
    if (cli->json) {
        return task_answer(cli, data);
    }
    printf("%lld\n", show_number(data, "id"));
    json_decref(data);
    return EXIT_FINE;
}

int task_create(struct cli *cli)
{
    struct err err = {0};
    json_t *tasks = tasks_given(cli, &err);
    int code = EXIT_FINE;

    if (tasks == NULL || tasks_complete(cli, tasks, &err) != 0) {
        json_decref(tasks);
        return show_usage(&err);
    }
    client_set_patience(cli->client, 0, 10000);
    for (size_t i = 0; code == EXIT_FINE && i < json_array_size(tasks);
         i++) { /* what comes later may depend on what comes before */
        code = task_make(cli, tasks, i);
    }
    json_decref(tasks);
    return code;
}

int task_update(struct cli *cli)
{
    struct err err = {0};
    char path[64];
    json_t *data = NULL;
    json_t *body = task_body(cli, &err);

    if (body == NULL) {
        show_error(&err);
        return EXIT_USAGE;
    }
    client_set_patience(cli->client, 0, 10000);
    long long id = task_find(cli, args_at(cli->args, 0), &err);
    snprintf(path, sizeof path, "/tasks/%lld", id);
    int rc = id != 0 ? client_call(cli->client, "PUT", path, body, &data, &err) : -1;
    json_decref(body);
    return rc == 0 ? task_answer(cli, data) : show_error(&err);
}

/* One request for each task named; goes on behind one that fails. */
static int tasks_each(struct cli *cli, const char *method, const char *behind, const char *done)
{
    int code = EXIT_FINE;

    client_set_patience(cli->client, 0, 10000);
    for (int i = 0; i < args_count(cli->args); i++) {
        struct err err = {0};
        char path[128];
        json_t *data = NULL;
        long long id = task_find(cli, args_at(cli->args, i), &err);
        snprintf(path, sizeof path, "/tasks/%lld%s", id, behind);
        if (id == 0 || client_call(cli->client, method, path, NULL, &data, &err) != 0) {
            code = show_error(&err);
        } else if (cli->json) {
            show_json(data);
        } else {
            printf("task %lld %s\n", id, done);
        }
        json_decref(data);
    }
    return code;
}

int task_delete(struct cli *cli)
{
    return tasks_each(cli, "DELETE", args_has(cli->args, "force") ? "?force=true" : "", "deleted");
}

int task_pause(struct cli *cli)
{
    return tasks_each(cli, "POST", "/pause", "paused");
}

int task_resume(struct cli *cli)
{
    return tasks_each(cli, "POST", "/resume", "resumed");
}

/* The body of a trigger; NULL with err. */
static json_t *trigger_body(const struct cli *cli, struct err *err)
{
    const char *priority = args_text(cli->args, "priority");
    const char *at = args_text(cli->args, "at");
    struct err why = {0};
    long long timeout, delay;
    json_t *parameters = work_pairs(cli, "param", &why);
    json_t *body = json_object();
    int rc = 0;

    if (parameters == NULL && why.text[0] != '\0') {
        err_set(err, why.code, "%s", why.text);
        goto error;
    }
    if (args_number(cli->args, "timeout", 1, 31536000, 0, &timeout, err) != 0 ||
        args_number(cli->args, "delay", 0, 31536000, 0, &delay, err) != 0) {
        goto error;
    }
    rc |= parameters != NULL ? json_object_set(body, "parameters", parameters) : 0;
    rc |= priority != NULL ? json_object_set_new(body, "priority", json_string(priority)) : 0;
    rc |= at != NULL ? json_object_set_new(body, "run_at", json_string(at)) : 0;
    rc |= timeout > 0 ? json_object_set_new(body, "timeout_seconds", json_integer(timeout)) : 0;
    rc |= delay > 0 ? json_object_set_new(body, "delay_seconds", json_integer(delay)) : 0;
    if (rc != 0) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    json_decref(parameters);
    return body;
error:
    json_decref(parameters);
    json_decref(body);
    return NULL;
}

int task_trigger(struct cli *cli)
{
    struct err err = {0};
    char path[64];
    json_t *body = trigger_body(cli, &err);

    if (body == NULL) {
        show_error(&err);
        return EXIT_USAGE;
    }
    client_set_patience(cli->client, 2000, 30000);
    long long id = task_find(cli, args_at(cli->args, 0), &err);
    snprintf(path, sizeof path, "/tasks/%lld/trigger", id);
    int code = id != 0 ? watch_submit(cli, path, body) : show_error(&err);
    json_decref(body);
    return code;
}
