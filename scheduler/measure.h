/* What the core measures of its own work: ends of runs, how long attempts took, how long runs waited for a worker. */
#ifndef GANTRY_SCHEDULER_MEASURE_H
#define GANTRY_SCHEDULER_MEASURE_H

#include "proto/histogram.h"
#include "proto/messages.h"

#define MEASURE_SECONDS 60

struct measure {
    struct histogram durations;      /* of attempts that their workers ended */
    struct histogram dispatches;     /* from when a run could start until it was given to a worker */
    uint64_t ended[RUN_ABORTED + 1]; /* runs by their final status */
    struct measure_second {
        uint64_t second; /* wall */
        uint64_t ended;
    } seconds[MEASURE_SECONDS];
};

void measure_init(struct measure *measure);

/* An attempt has ended by its worker's word. */
void measure_attempt(struct measure *measure, uint64_t duration_ms);
void measure_dispatch(struct measure *measure, uint64_t waited_ms);
/* A run has become final at that time; counted: by this process, not read from what another one left. */
void measure_end(struct measure *measure, enum run_status status, uint64_t wall_ms, bool counted);

/* Runs that ended in the last minute. */
uint64_t measure_last_minute(const struct measure *measure, uint64_t wall_ms);

#endif
