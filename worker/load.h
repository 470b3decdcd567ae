/* How busy this machine is, from /proc. */
#ifndef GANTRY_WORKER_LOAD_H
#define GANTRY_WORKER_LOAD_H

#include "proto/machine.h"

struct load {              /* zeroed before the first reading */
    double average;        /* of one minute */
    double cpu_percent;    /* of all CPUs, since the reading before */
    uint64_t memory_mb;    /* in use */
    struct cpu_sample cpu; /* the newest */
};

void load_read(struct load *load); /* what cannot be read stays as it is */

#endif
