/* Text for Prometheus (exposition format 0.0.4): a family's HELP and TYPE once, then its samples. Samples of a family follow each other. */
#ifndef GANTRY_GATEWAY_METRICS_H
#define GANTRY_GATEWAY_METRICS_H

#include "gateway/stats.h"

struct metrics { /* out is set, the rest zeroed */
    struct buf *out;
    const char *family; /* the one being written */
};

enum metric_unit { METRIC_COUNT, METRIC_MS, METRIC_US }; /* what a number counts; times are written in seconds */

/* labels: `status="active",…` or "". type: "gauge", "counter". */
void metrics_number(struct metrics *metrics, const char *family, const char *type, const char *help, const char *labels,
                    enum metric_unit unit, uint64_t value);
/* bounds and counts as in proto/histogram.h: count bounds in microseconds, and one count more. */
void metrics_times(struct metrics *metrics, const char *family, const char *help, const char *labels, const uint64_t *bounds,
                   const uint64_t *counts, uint32_t count, uint64_t sum_us);

#endif
