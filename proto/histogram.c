#include "proto/histogram.h"

const struct histogram_scale histogram_latency = {
    16, {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000}};

/* The first five are those that the API's description shows. */
const struct histogram_scale histogram_duration = {
    11, {100000, 500000, 1000000, 5000000, 10000000, 30000000, 60000000, 300000000, 600000000, 1800000000, 3600000000}};

void histogram_add(struct histogram *histogram, uint64_t us)
{
    uint32_t at = 0;

    while (at < histogram->scale->count && us > histogram->scale->bounds[at])
        at++;
    histogram->counts[at]++;
    histogram->sum_us = us > (uint64_t)INT64_MAX - histogram->sum_us ? (uint64_t)INT64_MAX : histogram->sum_us + us;
}
