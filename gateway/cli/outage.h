/* Tells on stderr that the farm is away, and that it answers again, once each. */
#ifndef GANTRY_CLI_OUTAGE_H
#define GANTRY_CLI_OUTAGE_H

#include "gateway/cli/progress.h"
#include "proto/str.h"

struct outage { /* zeroed: it is not away, and nothing else stands there */
    bool told;
    struct progress *bar;     /* what stands there goes meanwhile; may be NULL */
    void (*clear)(void *arg); /* likewise */
    void *arg;
};

/* why: it is away; NULL: it answers. For client_on_retry, with the outage as arg. */
void outage_tell(void *arg, const struct err *why);

#endif
