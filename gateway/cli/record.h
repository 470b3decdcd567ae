/* What the files of `gantry record …` share. */
#ifndef GANTRY_CLI_RECORD_H
#define GANTRY_CLI_RECORD_H

#include <jansson.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/table.h"

/* What is asked from here on is asked of the recorder's API. */
void record_begin(struct cli *cli);

/* Asks it. The exit code; *data is owned by the caller, NULL where it is not EXIT_FINE: that has been told. */
int record_get(struct cli *cli, const char *path, json_t **data);

/* The row's address, without user and password. */
void record_address_cell(struct table *table, const json_t *row);

#endif
