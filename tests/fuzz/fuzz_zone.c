/* TZif files. A file that is accepted must cover all time without holes, and show a clock that reads what it says. */
#include <stdint.h>
#include <stdlib.h>

#include "scheduler/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone *zone = zone_read(data, size, NULL);

    if (zone == NULL) {
        return 0;
    }
    for (int64_t at = -4000000000; at < 9000000000; at += 777777777) {
        struct zone_span span = zone_span(zone, at);
        if (span.from > at || span.until <= at || span.offset < -ZONE_OFFSET_MAX || span.offset > ZONE_OFFSET_MAX) {
            abort();
        }
        int64_t instant = zone_instant(zone, at);
        struct zone_span there = zone_span(zone, instant);
        if (instant + there.offset < at) { /* it shows this time, or is the first behind a gap: later */
            abort();
        }
    }
    zone_put(zone);
    return 0;
}
