/* How long things took: counts in fixed buckets, kept by the process that measures. Cheap: no memory, no clock of its own. */
#ifndef GANTRY_PROTO_HISTOGRAM_H
#define GANTRY_PROTO_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS 16

struct histogram_scale {
    uint32_t count;
    uint64_t bounds[HISTOGRAM_BOUNDS]; /* upper ends of the buckets in microseconds, growing */
};

extern const struct histogram_scale histogram_latency;  /* 100 us to 10 s: of requests, commits, waits */
extern const struct histogram_scale histogram_duration; /* 0.1 s to an hour: of runs */

struct histogram {
    const struct histogram_scale *scale;
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last in use: above all bounds */
    uint64_t sum_us;                       /* stays at its largest value rather than begin anew */
};

#define HISTOGRAM(s) ((struct histogram){.scale = &(s)})

void histogram_add(struct histogram *histogram, uint64_t us);

#endif
