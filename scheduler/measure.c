#include "scheduler/measure.h"

void measure_init(struct measure *measure)
{
    *measure = (struct measure){.durations = HISTOGRAM(histogram_duration), .dispatches = HISTOGRAM(histogram_latency)};
}

/* A worker may say any length. */
static uint64_t microseconds(uint64_t ms)
{
    return ms < (uint64_t)INT64_MAX / 1000 ? ms * 1000 : (uint64_t)INT64_MAX;
}

void measure_attempt(struct measure *measure, uint64_t duration_ms)
{
    histogram_add(&measure->durations, microseconds(duration_ms));
}

void measure_dispatch(struct measure *measure, uint64_t waited_ms)
{
    histogram_add(&measure->dispatches, microseconds(waited_ms));
}

void measure_end(struct measure *measure, enum run_status status, uint64_t wall_ms, bool counted)
{
    uint64_t second = wall_ms / 1000;
    struct measure_second *slot = &measure->seconds[second % MEASURE_SECONDS];

    if (slot->second != second)
        *slot = (struct measure_second){.second = second};
    slot->ended++;
    if (counted)
        measure->ended[status]++;
}

uint64_t measure_last_minute(const struct measure *measure, uint64_t wall_ms)
{
    uint64_t second = wall_ms / 1000, ended = 0;

    for (int i = 0; i < MEASURE_SECONDS; i++) {
        const struct measure_second *slot = &measure->seconds[i];
        if (slot->second + MEASURE_SECONDS > second && slot->second <= second)
            ended += slot->ended;
    }
    return ended;
}
