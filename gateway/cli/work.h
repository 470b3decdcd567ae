/* What is to be run, from the command line to the JSON of a task. */
#ifndef GANTRY_CLI_WORK_H
#define GANTRY_CLI_WORK_H

#include <jansson.h>

#include "gateway/cli/cli.h"

/* Adds to `task` what the options and the arguments from `first` on say: executor, command, arguments, env, labels, … .
 * cwd and output become absolute paths; with `here`, cwd is the current folder unless given. -1 with err. */
int work_add(const struct cli *cli, int first, bool here, json_t *task, struct err *err);

/* The values of a repeated NAME=VALUE option as an object; NULL with err, or with err untouched when there are none. */
json_t *work_pairs(const struct cli *cli, const char *option, struct err *err);

#endif
