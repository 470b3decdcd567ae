/* `gantry logs --system`: lines of the farm's own processes. */
#ifndef GANTRY_CLI_SYSLOG_H
#define GANTRY_CLI_SYSLOG_H

#include "gateway/cli/cli.h"

/* Prints the newest lines, oldest first, and with --follow those that come. Answers the exit code. */
int syslog_print(struct cli *cli);

#endif
