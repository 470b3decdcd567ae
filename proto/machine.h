/* How busy this machine is, from /proc. */
#ifndef GANTRY_PROTO_MACHINE_H
#define GANTRY_PROTO_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct cpu_sample { /* ticks of all processors since the machine's start; zeroed: none */
    uint64_t busy, total;
};

bool machine_cpu(struct cpu_sample *sample); /* false: it cannot be read, and is as it was */
/* Percent of all processors between two samples; false when that cannot be said: none is older, or a counter went back. */
bool machine_cpu_percent(const struct cpu_sample *older, const struct cpu_sample *newer, double *percent);
bool machine_memory(uint64_t *mb); /* in use; false: it cannot be read, and is as it was */

#endif
