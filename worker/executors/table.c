#include "worker/executors/executor.h"

const struct executor executors[] = {
    {"shell", executor_shell, "/bin/sh -c command, with arguments as $1 and on"},
    {"exec", executor_exec, "command with arguments, without a shell"},
    {"python", executor_python, "python3 command arguments"},
    {"http", executor_http, "command is a URL, or METHOD URL"},
    {NULL, NULL, NULL},
};

const struct executor *executor_find(struct str name)
{
    for (const struct executor *row = executors; row->name; row++)
        if (str_is(name, row->name))
            return row;
    return NULL;
}
