/* What a process has counted and measured, gathered for one STATS_ANSWER. */
#ifndef GANTRY_PROTO_STATS_H
#define GANTRY_PROTO_STATS_H

#include "proto/histogram.h"
#include "proto/messages.h"

#define STATS_COUNTS 128
#define STATS_HISTOGRAMS 16

struct stats { /* zeroed is ready for use */
    struct rec_count counts[STATS_COUNTS];
    struct rec_histogram histograms[STATS_HISTOGRAMS];
    uint32_t count_count, histogram_count;
};

/* name is borrowed, and so is the histogram, until the answer is sent. What does not fit is left out. */
void stats_count(struct stats *stats, const char *name, uint64_t value);
void stats_histogram(struct stats *stats, const char *name, const struct histogram *histogram);

/* What is true of every process: process_cpu_us, process_memory_bytes (resident), process_fds, process_fds_max, process_started_ms,
 * bus_received, bus_sent, bus_refused, log_lines, log_unread, log_unsent. */
void stats_process(struct stats *stats);

/* Borrows from stats. */
struct msg_stats_answer stats_answer(struct stats *stats);

#endif
