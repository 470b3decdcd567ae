#include "gateway/cli/work.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/cli/args.h"
#include "proto/messages.h"

static int out_of_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* json_object_set_new takes the value also when it fails; a text that is no UTF-8 cannot be JSON. */
static int text_add(json_t *task, const char *name, const char *text, struct err *err)
{
    if (!str_utf8(str_of(text))) {
        return err_set(err, ERR_BAD_REQUEST, "%s is not UTF-8", name);
    }
    return json_object_set_new(task, name, json_string(text)) == 0 ? 0 : out_of_memory(err);
}

json_t *work_pairs(const struct cli *cli, const char *option, struct err *err)
{
    json_t *pairs = NULL;
    const char *text;
    size_t at = 0;

    while ((text = args_each(cli->args, option, &at)) != NULL) {
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text || !str_utf8(str_of(text))) {
            err_set(err, ERR_BAD_REQUEST, "--%s is NAME=VALUE, not \"%s\"", option, text);
            goto error;
        }
        char *name = strndup(text, (size_t)(equals - text));
        pairs = pairs != NULL ? pairs : json_object();
        int rc = name != NULL ? json_object_set_new(pairs, name, json_string(equals + 1)) : -1;
        free(name);
        if (rc != 0) {
            out_of_memory(err);
            goto error;
        }
    }
    return pairs;
error:
    json_decref(pairs);
    return NULL;
}

static int pairs_add(const struct cli *cli, const char *option, const char *name, json_t *task, struct err *err)
{
    struct err why = {0};
    json_t *pairs = work_pairs(cli, option, &why);

    if (pairs == NULL) {
        return why.text[0] != '\0' ? err_set(err, why.code, "%s", why.text) : 0;
    }
    return json_object_set_new(task, name, pairs) == 0 ? 0 : out_of_memory(err);
}

static int number_add(const struct cli *cli, const char *option, long long low, long long high, const char *name, json_t *task,
                      struct err *err)
{
    long long value;

    if (args_number(cli->args, option, low, high, -1, &value, err) != 0) {
        return -1;
    }
    if (value < 0) {
        return 0;
    }
    return json_object_set_new(task, name, json_integer(value)) == 0 ? 0 : out_of_memory(err);
}

/* A path as seen from here; it need not exist. */
static int path_add(const char *path, const char *name, json_t *task, struct err *err)
{
    char here[PATH_MAX];
    char whole[2 * PATH_MAX];

    if (path[0] != '/' && getcwd(here, sizeof here) == NULL) {
        return err_set(err, ERR_IO, "the current folder: %s", strerror(errno));
    }
    if (path[0] == '/') {
        snprintf(whole, sizeof whole, "%s", path);
    } else if (path[0] == '\0' || strcmp(path, ".") == 0) {
        snprintf(whole, sizeof whole, "%s", here);
    } else {
        snprintf(whole, sizeof whole, "%s/%s", here, path);
    }
    return text_add(task, name, whole, err);
}

static int arguments_add(const struct cli *cli, int first, json_t *task, struct err *err)
{
    json_t *list = json_array();

    for (int i = first; i < args_count(cli->args); i++) {
        if (!str_utf8(str_of(args_at(cli->args, i)))) {
            json_decref(list);
            return err_set(err, ERR_BAD_REQUEST, "argument %d is not UTF-8", i - first + 1);
        }
        if (json_array_append_new(list, json_string(args_at(cli->args, i))) != 0) {
            json_decref(list);
            return out_of_memory(err);
        }
    }
    return json_object_set_new(task, "arguments", list) == 0 ? 0 : out_of_memory(err);
}

/* Executor, command and arguments: a shell command, an executor's command, or a program. */
static int program_add(const struct cli *cli, int first, json_t *task, struct err *err)
{
    const char *shell = args_text(cli->args, "shell");
    const char *executor = args_text(cli->args, "executor");
    const char *command = args_text(cli->args, "command");
    const char *type = args_text(cli->args, "type");
    const char *program = NULL;

    if (shell != NULL) {
        executor = executor != NULL ? executor : "shell";
        command = shell;
    } else if (command == NULL && args_count(cli->args) > first) {
        executor = executor != NULL ? executor : "exec";
        command = program = args_at(cli->args, first);
    }
    if (executor != NULL && text_add(task, "executor", executor, err) != 0) {
        return -1;
    }
    if (type == NULL && executor != NULL && json_object_get(task, "task_type") == NULL) {
        type = executor;
    }
    if (type != NULL && text_add(task, "task_type", type, err) != 0) {
        return -1;
    }
    if (command == NULL) {
        return 0;
    }
    return text_add(task, "command", command, err) != 0 ? -1 : arguments_add(cli, first + (program != NULL ? 1 : 0), task, err);
}

int work_add(const struct cli *cli, int first, bool here, json_t *task, struct err *err)
{
    const char *cwd = args_text(cli->args, "cwd");
    const char *priority = args_text(cli->args, "priority");
    const char *user = args_text(cli->args, "run-as");
    const char *output = args_text(cli->args, "output");
    const char *pool = args_text(cli->args, "pool");

    cwd = cwd == NULL && here ? "." : cwd;
    if (program_add(cli, first, task, err) != 0 || (cwd != NULL && path_add(cwd, "cwd", task, err) != 0) ||
        (output != NULL && path_add(output, "output", task, err) != 0) ||
        (priority != NULL && text_add(task, "priority", priority, err) != 0) ||
        (user != NULL && text_add(task, "run_as", user, err) != 0) || (pool != NULL && text_add(task, "pool", pool, err) != 0)) {
        return -1;
    }
    if (pairs_add(cli, "env", "env", task, err) != 0 || pairs_add(cli, "label", "labels", task, err) != 0 ||
        number_add(cli, "timeout", 1, 31536000, "timeout_seconds", task, err) != 0 ||
        number_add(cli, "rate", 0, 60000, "rate", task, err) != 0) {
        return -1;
    }
    return number_add(cli, "retries", 0, 100, "retry_count", task, err);
}
