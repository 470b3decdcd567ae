/* When the disk will be full, at the pace of the last days.
 *
 * The pace is what was written since a time from which on everything is still there: the oldest go first, so that is when the oldest of them
 * was written, or a week ago.
 */
#ifndef GANTRY_GATEWAY_RECORDINGS_FORECAST_H
#define GANTRY_GATEWAY_RECORDINGS_FORECAST_H

#include "gateway/recordings_keep.h"

struct recordings_outlook { /* what it depends on beside the recordings */
    struct recordings_limits limits;
    uint64_t keep_free; /* bytes that retention keeps free; 0: it does not */
    uint64_t free;      /* bytes */
    uint64_t min_free;  /* with less nothing is recorded: the disk counts as full */
};

enum recordings_fate {
    FATE_UNKNOWN, /* too little was recorded to tell */
    FATE_IDLE,    /* at this pace it takes longer than a century */
    FATE_KEPT,    /* retention keeps it below */
    FATE_FULL,    /* it is */
    FATE_FILLS,
};

struct recordings_forecast {
    uint64_t count, bytes, held_bytes; /* of all recordings */
    uint64_t observed_ms;              /* how long the pace was looked at */
    uint64_t bytes_per_day;
    enum recordings_fate fate;
    uint64_t full_at; /* wall ms, of FATE_FULL and FATE_FILLS; else 0 */
};

/* Of what recordings_look has found. */
void recordings_foresee(const struct recordings *recordings, const struct recordings_outlook *outlook,
                        struct recordings_forecast *forecast);

#endif
