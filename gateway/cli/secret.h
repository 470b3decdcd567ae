/* The key that the command calls the farm with. Never an argument: everybody on a machine sees those of everybody's processes. */
#ifndef GANTRY_CLI_SECRET_H
#define GANTRY_CLI_SECRET_H

#include "proto/settings.h"

#define SECRET_SIZE 8192 /* a token may be long */

/* GANTRY_KEY, or else the first line of the file that --key-file (GANTRY_KEY_FILE) names; "" when there is neither. A file that everybody
 * may read or write is refused. -1 with err. */
int secret_find(const struct settings *settings, char out[SECRET_SIZE], struct err *err);

#endif
