/* Reads that wait until the database shows what was acknowledged before they came (intake_ahead), in their order. */
#ifndef GANTRY_STORE_HOLD_H
#define GANTRY_STORE_HOLD_H

#include "proto/bus.h"

#define HOLD_MAX 4096

struct held;
struct hold {
    struct held *first, **last; /* last NULL: nothing was held yet */
    uint32_t count;
};

/* Keeps a copy of the call. -1: there are HOLD_MAX of them, or no memory. */
int hold_add(struct hold *hold, const struct bus_call *call);
/* Handles them all as if they came now. */
void hold_release(struct hold *hold, struct bus_server *server);
void hold_free(struct hold *hold); /* who asked asks again */

#endif
