/* Where the farm answers over HTTP. */
#ifndef GANTRY_CLI_ADDRESS_H
#define GANTRY_CLI_ADDRESS_H

#include "proto/settings.h"

/* For a client: --url, GANTRY_URL, the port that a farm on this data folder wrote down, or http://localhost:PORT. */
void address_of_farm(const struct settings *settings, char *out, size_t size);

/* For the farm itself, as a client on this machine would call it; false while its port is not known. */
bool address_of_own(const struct settings *settings, char *out, size_t size);

#endif
