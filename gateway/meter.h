/* What the gateway measures of itself: requests answered in the last minute, and how long they took. */
#ifndef GANTRY_GATEWAY_METER_H
#define GANTRY_GATEWAY_METER_H

#include <stdint.h>

#define METER_SECONDS 60

struct meter { /* zeroed is ready for use */
    struct meter_second {
        uint64_t second;
        uint64_t requests;
        uint64_t time_us;
    } seconds[METER_SECONDS];
    uint64_t began_ms; /* of the first request; a young process divides by its age */
    uint64_t requests; /* since the start */
};

void meter_add(struct meter *meter, uint64_t now_ms, uint64_t time_us);
double meter_rate(const struct meter *meter, uint64_t now_ms);    /* requests a second */
double meter_seconds(const struct meter *meter, uint64_t now_ms); /* mean time of one; 0 when there were none */

#endif
