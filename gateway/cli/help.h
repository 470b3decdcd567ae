/* What the table of commands says, as help on a terminal. */
#ifndef GANTRY_CLI_HELP_H
#define GANTRY_CLI_HELP_H

#include <stdio.h>

#include "gateway/cli/cli.h"

void help_overview(FILE *out);
void help_for(const struct command *command, FILE *out);
/* The commands that begin with a word: `gantry task`. */
void help_group(const char *group, FILE *out);

#endif
