/* The machine that the gateway runs on, from /proc: how busy it is, and what went over its network. */
#ifndef GANTRY_GATEWAY_RESOURCES_H
#define GANTRY_GATEWAY_RESOURCES_H

#include "proto/machine.h"

#define RESOURCES_EVERY_MS 5000

struct resources { /* zeroed is ready for use */
    struct cpu_sample older, newer;
};

struct resources_now {
    double cpu_percent;           /* of all processors, over the last RESOURCES_EVERY_MS to twice that; less at first */
    uint64_t memory_mb;           /* used by whatever runs there */
    uint64_t bytes_in, bytes_out; /* of all interfaces but loopback, since the machine's start */
};

/* Called every RESOURCES_EVERY_MS, and at the start. */
void resources_sample(struct resources *resources);
/* What cannot be read is 0. */
void resources_read(const struct resources *resources, struct resources_now *now);

#endif
