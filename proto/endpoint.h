/* Where a socket of the bus is: an endpoint from the settings, with the certificates it needs. */
#ifndef GANTRY_PROTO_ENDPOINT_H
#define GANTRY_PROTO_ENDPOINT_H

#include "proto/curve.h"

#define ENDPOINT_SIZE 512

struct endpoint { /* points into itself: not to be copied */
    char text[ENDPOINT_SIZE];
    struct curve_paths paths;
    struct bus_curve curve; /* for bus_…_new, which copies what it keeps */
};

/* The endpoint of a setting, or ipc://<runtime folder>/<name>.sock when it is empty; see curve_prepare for what listens decides.
 * -1 with err. */
int endpoint_of(const struct settings *settings, enum setting_id id, const char *name, bool listens, struct endpoint *out,
                struct err *err);

#endif
