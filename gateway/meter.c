#include "gateway/meter.h"

void meter_add(struct meter *meter, uint64_t now_ms, uint64_t time_us)
{
    uint64_t second = now_ms / 1000;
    struct meter_second *slot = &meter->seconds[second % METER_SECONDS];

    if (slot->second != second)
        *slot = (struct meter_second){.second = second};
    slot->requests++;
    slot->time_us += time_us;
    if (meter->requests++ == 0)
        meter->began_ms = now_ms;
}

static struct meter_second sum(const struct meter *meter, uint64_t now_ms)
{
    struct meter_second all = {0};
    uint64_t second = now_ms / 1000;

    for (int i = 0; i < METER_SECONDS; i++) {
        if (meter->seconds[i].second + METER_SECONDS > second && meter->seconds[i].second <= second) {
            all.requests += meter->seconds[i].requests;
            all.time_us += meter->seconds[i].time_us;
        }
    }
    return all;
}

double meter_rate(const struct meter *meter, uint64_t now_ms)
{
    uint64_t age_ms = now_ms - meter->began_ms;

    if (meter->requests == 0)
        return 0;
    if (age_ms > METER_SECONDS * 1000)
        age_ms = METER_SECONDS * 1000;
    return (double)sum(meter, now_ms).requests / (age_ms < 1000 ? 1.0 : (double)age_ms / 1000.0);
}

double meter_seconds(const struct meter *meter, uint64_t now_ms)
{
    struct meter_second all = sum(meter, now_ms);
    return all.requests ? (double)all.time_us / (double)all.requests / 1e6 : 0;
}
