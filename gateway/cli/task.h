/* Tasks, as commands name them. */
#ifndef GANTRY_CLI_TASK_H
#define GANTRY_CLI_TASK_H

#include "gateway/cli/cli.h"

/* The id of a task given by id or name; 0 with err. */
long long task_find(const struct cli *cli, const char *word, struct err *err);
/* The task that a word names: *id is 0 when there is none. -1 with err, also when there are several. */
int task_named(const struct cli *cli, const char *word, long long *id, struct err *err);

#endif
