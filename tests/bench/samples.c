#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"

void samples_add(struct samples *samples, uint64_t us)
{
    if (samples->count == samples->size) {
        size_t size = samples->size != 0 ? samples->size * 2 : 4096;
        uint32_t *values = realloc(samples->values, size * sizeof *values);
        if (values == NULL) {
            return;
        }
        samples->values = values;
        samples->size = size;
    }
    samples->values[samples->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void samples_free(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

double samples_at(struct samples *samples, double percent)
{
    qsort(samples->values, samples->count, sizeof *samples->values, compare);
    size_t index = (size_t)((double)samples->count * percent / 100.0);
    return samples->values[index < samples->count ? index : samples->count - 1];
}

int samples_report(struct samples *samples, struct bench *bench, const char *name)
{
    static const struct {
        const char *word;
        double percent;
    } points[] = {{"p50", 50}, {"p99", 99}, {"max", 100}};
    char key[64];

    if (samples->count == 0) {
        return bench_fail(*name ? name : "the latencies", "not one was measured");
    }
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        snprintf(key, sizeof key, "%s%s%s_us", name, *name ? "_" : "", points[i].word);
        bench_put(bench, key, samples_at(samples, points[i].percent));
    }
    return 0;
}
