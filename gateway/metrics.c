#include "gateway/metrics.h"

#include <stdio.h>

static void head(struct metrics *metrics, const char *family, const char *type, const char *help)
{
    if (metrics->family && strcmp(metrics->family, family) == 0)
        return;
    metrics->family = family;
    buf_printf(metrics->out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family, type);
}

/* A name with its labels, if it has any. */
static void sample(struct metrics *metrics, const char *family, const char *suffix, const char *labels)
{
    buf_printf(metrics->out, "%s%s%s%s%s ", family, suffix, *labels ? "{" : "", labels, *labels ? "}" : "");
}

void metrics_number(struct metrics *metrics, const char *family, const char *type, const char *help, const char *labels,
                    enum metric_unit unit, uint64_t value)
{
    head(metrics, family, type, help);
    sample(metrics, family, "", labels);
    if (unit == METRIC_COUNT)
        buf_printf(metrics->out, "%llu\n", (unsigned long long)value);
    else
        buf_printf(metrics->out, "%.6f\n", (double)value / (unit == METRIC_MS ? 1e3 : 1e6));
}

/* 0.1, 1.0: as numbers that stay what they are when they are read. */
static const char *bound_text(char out[32], uint64_t us)
{
    size_t len = (size_t)snprintf(out, 32, "%.10g", (double)us / 1e6);

    if (len == strspn(out, "0123456789"))
        snprintf(out + len, 32 - len, ".0");
    return out;
}

void metrics_times(struct metrics *metrics, const char *family, const char *help, const char *labels, const uint64_t *bounds,
                   const uint64_t *counts, uint32_t count, uint64_t sum_us)
{
    uint64_t below = 0;
    char bound[32];

    head(metrics, family, "histogram", help);
    for (uint32_t i = 0; i <= count; i++) {
        below += counts[i];
        buf_printf(metrics->out, "%s_bucket{%s%sle=\"%s\"} %llu\n", family, labels, *labels ? "," : "",
                   i < count ? bound_text(bound, bounds[i]) : "+Inf", (unsigned long long)below);
    }
    sample(metrics, family, "_sum", labels);
    buf_printf(metrics->out, "%.6f\n", (double)sum_us / 1e6);
    sample(metrics, family, "_count", labels);
    buf_printf(metrics->out, "%llu\n", (unsigned long long)below);
}
