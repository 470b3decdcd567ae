/* What the store has counted and measured, for STATS: counts that are kept, so that a million rows cost what none do. */
#ifndef GANTRY_STORE_MEASURE_H
#define GANTRY_STORE_MEASURE_H

#include "proto/stats.h"
#include "store/intake.h"

struct measured { /* what is looked at; all borrowed */
    struct kv *kv;
    struct kv_txn *snapshot;
    struct committer *committer;
    const struct intake *intake;
    const struct redo *redo; /* NULL: none */
    const char *folder;      /* on the disk that is meant */
    uint64_t queries;
};

/* tasks, tasks_<status>, runs, runs_<status>, log_entries, log_entry_bytes; commits, batches, operations, queued, logged, queries,
 * lines_dropped; database_bytes, map_bytes, redo_bytes, readers, readers_active; disk_bytes, disk_free_bytes; those of every process
 * (stats.h); and the histograms sync and commit. */
void measure_fill(const struct measured *measured, struct stats *stats);

#endif
