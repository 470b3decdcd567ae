/* Many runs at once. */
#ifndef GANTRY_CLI_BULK_H
#define GANTRY_CLI_BULK_H

#include "gateway/cli/cli.h"

/* Whether the options name runs by a filter. */
bool bulk_wanted(const struct cli *cli);
/* Does it ("restart", "abort") to all that the options name, a thousand a call. Answers the exit code. */
int bulk_runs(struct cli *cli, const char *verb);

#endif
