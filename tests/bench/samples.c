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
    if (samples->count == 0) {
        return 0;
    }
    qsort(samples->values, samples->count, sizeof *samples->values, compare);
    size_t index = (size_t)((double)samples->count * percent / 100.0);
    return samples->values[index < samples->count ? index : samples->count - 1];
}

void report(json_t *results, const char *name, const char *unit, double rate, struct samples *samples, const char *note)
{
    double middle = samples != NULL ? samples_at(samples, 50) : 0;
    double late = samples != NULL ? samples_at(samples, 99) : 0;

    printf("%-46s %10.0f %-13s", name, rate, unit);
    if (middle > 0) {
        printf(" %9.0f %9.0f", middle, late);
    } else {
        printf(" %9s %9s", "-", "-");
    }
    printf("  %s\n", note);
    fflush(stdout);
    json_array_append_new(results, json_pack("{s:s, s:s, s:f, s:f, s:f, s:s}", "name", name, "unit", unit, "rate", rate, "p50_us",
                                             middle, "p99_us", late, "note", note));
}
