/* What scheduler and store have counted and measured, asked for at most once a second however many want it. */
#ifndef GANTRY_GATEWAY_STATS_H
#define GANTRY_GATEWAY_STATS_H

#include "gateway/ask.h"
#include "proto/stats.h"

struct stats_part { /* of the scheduler or the store; read-only outside */
    bool answers;   /* within a second */
    double seconds; /* that took */
    struct stats_number {
        char name[64];
        uint64_t value;
    } numbers[STATS_COUNTS];
    struct stats_times {
        char name[64];
        uint32_t count; /* of bounds */
        uint64_t bounds[HISTOGRAM_BOUNDS], counts[HISTOGRAM_BOUNDS + 1];
        uint64_t sum_us;
    } times[STATS_HISTOGRAMS];
    uint32_t number_count, times_count;
};

struct stats_view {
    struct stats_part parts[2]; /* by enum ask_whom */
};

struct stats_asker;

struct stats_asker *stats_asker_new(struct gateway *gateway, struct err *err);
void stats_asker_free(struct stats_asker *asker); /* takes NULL */

/* Calls on_stats, now or when it is measured. One request asks once. */
void stats_ask(struct request *request, void (*on_stats)(struct request *request, const struct stats_view *view));

/* False, and 0, if it is not among them. */
bool stats_number(const struct stats_part *part, const char *name, uint64_t *value);
const struct stats_times *stats_times(const struct stats_part *part, const char *name); /* NULL */

/* What an answer says, for tests and for this process's own; names that are too many are left out. */
void stats_part_fill(struct stats_part *part, const struct msg_stats_answer *answer);

#endif
