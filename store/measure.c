#include "store/measure.h"

#include <sys/statvfs.h>

#include "store/count.h"
#include "store/key.h"

/* Kept counts: of all records of a type (index 0), or of those with a value in a counted index. */
static const struct kept {
    const char *name;
    uint8_t type, index;
    uint64_t value;
} kept[] = {
    {"tasks", TYPE_TASK, 0, 0},
    {"tasks_active", TYPE_TASK, 1, TASK_ACTIVE},
    {"tasks_paused", TYPE_TASK, 1, TASK_PAUSED},
    {"tasks_completed", TYPE_TASK, 1, TASK_COMPLETED},
    {"tasks_failed", TYPE_TASK, 1, TASK_FAILED},
    {"runs", TYPE_RUN, 0, 0},
    {"runs_pending", TYPE_RUN, 1, RUN_PENDING},
    {"runs_running", TYPE_RUN, 1, RUN_RUNNING},
    {"runs_completed", TYPE_RUN, 1, RUN_COMPLETED},
    {"runs_failed", TYPE_RUN, 1, RUN_FAILED},
    {"runs_aborted", TYPE_RUN, 1, RUN_ABORTED},
    {"log_entries", TYPE_LOG_ENTRY, 0, 0},
};

static void fill_kept(struct kv_txn *snapshot, struct stats *stats)
{
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        struct key key;
        key_begin(&key, kept[i].type, kept[i].index);
        if (kept[i].index > 0)
            key_number(&key, kept[i].value);
        stats_count(stats, kept[i].name, count_get(snapshot, key_str(&key)));
    }
    stats_count(stats, "log_entry_bytes", syslog_bytes(snapshot));
}

static void fill_disk(const struct measured *measured, struct stats *stats)
{
    struct kv_stat stat;
    struct statvfs disk;

    kv_stat(measured->kv, &stat);
    stats_count(stats, "database_bytes", stat.used_bytes);
    stats_count(stats, "map_bytes", stat.map_bytes);
    stats_count(stats, "redo_bytes", measured->redo ? redo_bytes(measured->redo) : 0);
    stats_count(stats, "readers", stat.readers_total);
    stats_count(stats, "readers_active", stat.readers_active);
    if (statvfs(measured->folder, &disk) == 0) {
        stats_count(stats, "disk_bytes", (uint64_t)disk.f_blocks * disk.f_frsize);
        stats_count(stats, "disk_free_bytes", (uint64_t)disk.f_bavail * disk.f_frsize);
    }
}

void measure_fill(const struct measured *measured, struct stats *stats)
{
    static struct histogram commit; /* lives until the answer is sent */
    struct commit_status status;

    committer_status(measured->committer, &status);
    committer_times(measured->committer, &commit);
    fill_kept(measured->snapshot, stats);
    stats_count(stats, "commits", status.commits);
    stats_count(stats, "batches", status.batches);
    stats_count(stats, "operations", status.operations);
    stats_count(stats, "queued", status.queued);
    stats_count(stats, "logged", intake_logged(measured->intake));
    stats_count(stats, "queries", measured->queries);
    stats_count(stats, "lines_dropped", status.lines_dropped);
    fill_disk(measured, stats);
    stats_process(stats);
    stats_histogram(stats, "sync", intake_times(measured->intake));
    stats_histogram(stats, "commit", &commit);
}
