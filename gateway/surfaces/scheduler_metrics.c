/* /api/system/metrics: what all processes count, in the words of Prometheus. A process that does not answer is missing, and says so by
 * gantry_up. */
#include <stdio.h>

#include "gateway/gateway.h"
#include "gateway/metrics.h"
#include "gateway/surfaces/scheduler.h"
#include "gateway/surfaces/surface.h"
#include "gateway/traffic.h"

enum of { OF_SCHEDULER = ASK_SCHEDULER, OF_STORE = ASK_STORE };

struct row { /* one number, or with a type of NULL one histogram, of a process */
    const char *family, *type, *labels;
    enum of of;
    const char *name;
    enum metric_unit unit;
    const char *help;
};

#define TASKS "Tasks by status"
#define RUNS "Runs kept, by status"
#define ENDED "Runs that have become final since the scheduler started, by status"
#define DEPTH "Runs that wait, by priority"
#define WAITING                                                                                                                  \
    "Runs that wait, by what they wait for: queued for a worker, delayed for their time, blocked by other tasks, paused with "   \
    "their task"
#define WORKERS "Workers by status"
#define FRAMES "Frames of render tasks that were finished, or have failed for good, since the scheduler started"

static const struct row rows[] = {
    {"scheduler_tasks_total", "gauge", "", OF_STORE, "tasks", METRIC_COUNT, "Total number of tasks"},
    {"scheduler_tasks_active", "gauge", "", OF_STORE, "tasks_active", METRIC_COUNT, "Number of active tasks"},
    {"scheduler_workers_total", "gauge", "", OF_SCHEDULER, "workers", METRIC_COUNT, "Total number of workers"},
    {"scheduler_task_execution_duration_seconds", NULL, "", OF_SCHEDULER, "durations", METRIC_COUNT, "Task execution duration"},
    {"gantry_tasks", "gauge", "status=\"active\"", OF_STORE, "tasks_active", METRIC_COUNT, TASKS},
    {"gantry_tasks", "gauge", "status=\"paused\"", OF_STORE, "tasks_paused", METRIC_COUNT, TASKS},
    {"gantry_tasks", "gauge", "status=\"completed\"", OF_STORE, "tasks_completed", METRIC_COUNT, TASKS},
    {"gantry_tasks", "gauge", "status=\"failed\"", OF_STORE, "tasks_failed", METRIC_COUNT, TASKS},
    {"gantry_runs", "gauge", "status=\"pending\"", OF_STORE, "runs_pending", METRIC_COUNT, RUNS},
    {"gantry_runs", "gauge", "status=\"running\"", OF_STORE, "runs_running", METRIC_COUNT, RUNS},
    {"gantry_runs", "gauge", "status=\"completed\"", OF_STORE, "runs_completed", METRIC_COUNT, RUNS},
    {"gantry_runs", "gauge", "status=\"failed\"", OF_STORE, "runs_failed", METRIC_COUNT, RUNS},
    {"gantry_runs", "gauge", "status=\"aborted\"", OF_STORE, "runs_aborted", METRIC_COUNT, RUNS},
    {"gantry_runs_ended_total", "counter", "status=\"completed\"", OF_SCHEDULER, "ended_completed", METRIC_COUNT, ENDED},
    {"gantry_runs_ended_total", "counter", "status=\"failed\"", OF_SCHEDULER, "ended_failed", METRIC_COUNT, ENDED},
    {"gantry_runs_ended_total", "counter", "status=\"aborted\"", OF_SCHEDULER, "ended_aborted", METRIC_COUNT, ENDED},
    {"gantry_queue_depth", "gauge", "priority=\"low\"", OF_SCHEDULER, "pending_low", METRIC_COUNT, DEPTH},
    {"gantry_queue_depth", "gauge", "priority=\"normal\"", OF_SCHEDULER, "pending_normal", METRIC_COUNT, DEPTH},
    {"gantry_queue_depth", "gauge", "priority=\"high\"", OF_SCHEDULER, "pending_high", METRIC_COUNT, DEPTH},
    {"gantry_queue_depth", "gauge", "priority=\"critical\"", OF_SCHEDULER, "pending_critical", METRIC_COUNT, DEPTH},
    {"gantry_queue_waiting", "gauge", "state=\"queued\"", OF_SCHEDULER, "waiting_queued", METRIC_COUNT, WAITING},
    {"gantry_queue_waiting", "gauge", "state=\"delayed\"", OF_SCHEDULER, "waiting_delayed", METRIC_COUNT, WAITING},
    {"gantry_queue_waiting", "gauge", "state=\"blocked\"", OF_SCHEDULER, "waiting_blocked", METRIC_COUNT, WAITING},
    {"gantry_queue_waiting", "gauge", "state=\"paused\"", OF_SCHEDULER, "waiting_paused", METRIC_COUNT, WAITING},
    {"gantry_workers", "gauge", "status=\"active\"", OF_SCHEDULER, "workers_active", METRIC_COUNT, WORKERS},
    {"gantry_workers", "gauge", "status=\"draining\"", OF_SCHEDULER, "workers_draining", METRIC_COUNT, WORKERS},
    {"gantry_workers", "gauge", "status=\"offline\"", OF_SCHEDULER, "workers_offline", METRIC_COUNT, WORKERS},
    {"gantry_worker_slots", "gauge", "", OF_SCHEDULER, "worker_slots", METRIC_COUNT,
     "Runs that the workers present take at once"},
    {"gantry_worker_slots_busy", "gauge", "", OF_SCHEDULER, "worker_slots_busy", METRIC_COUNT, "Those slots that hold a run"},
    {"gantry_leases", "gauge", "", OF_SCHEDULER, "leases", METRIC_COUNT, "Runs that are with workers"},
    {"gantry_idempotency_keys", "gauge", "", OF_SCHEDULER, "keys", METRIC_COUNT, "Idempotency keys remembered"},
    {"gantry_scheduler_carried_bytes", "gauge", "", OF_SCHEDULER, "carried_bytes", METRIC_COUNT,
     "Parameters and specs of tasks and runs in the memory of the scheduler"},
    {"gantry_transcode_saved_bytes_total", "counter", "", OF_SCHEDULER, "transcode_saved_bytes", METRIC_COUNT,
     "Bytes that accepted results of transcodes are smaller than their sources; less when one is undone"},
    {"gantry_transcode_results", "gauge", "", OF_SCHEDULER, "transcode_results", METRIC_COUNT,
     "Accepted results that have not been undone"},
    {"gantry_render_frames_total", "counter", "status=\"completed\"", OF_SCHEDULER, "render_frames_completed", METRIC_COUNT,
     FRAMES},
    {"gantry_render_frames_total", "counter", "status=\"failed\"", OF_SCHEDULER, "render_frames_failed", METRIC_COUNT, FRAMES},
    {"gantry_scheduler_batches_total", "counter", "", OF_SCHEDULER, "batches", METRIC_COUNT,
     "Batches that the store has confirmed"},
    {"gantry_scheduler_batch_wait_seconds", "gauge", "", OF_SCHEDULER, "batch_waits_ms", METRIC_MS,
     "How long the oldest batch under way has waited to be on disk"},
    {"gantry_scheduler_messages_lost_total", "counter", "", OF_SCHEDULER, "messages_lost", METRIC_COUNT,
     "Messages of the scheduler whose receivers were gone or full"},
    {"gantry_dispatch_latency_seconds", NULL, "", OF_SCHEDULER, "dispatches", METRIC_COUNT,
     "From when a run could start until it was given to a worker"},
    {"gantry_commit_latency_seconds", NULL, "", OF_STORE, "sync", METRIC_COUNT,
     "Making a group of batches durable in the redo log"},
    {"gantry_database_commit_seconds", NULL, "", OF_STORE, "commit", METRIC_COUNT,
     "Transactions of the database, with their syncs"},
    {"gantry_store_commits_total", "counter", "", OF_STORE, "commits", METRIC_COUNT, "Transactions of the database"},
    {"gantry_store_batches_total", "counter", "", OF_STORE, "batches", METRIC_COUNT, "Batches applied"},
    {"gantry_store_changes_total", "counter", "", OF_STORE, "operations", METRIC_COUNT, "Changes in those batches"},
    {"gantry_store_redo_writes_total", "counter", "", OF_STORE, "logged", METRIC_COUNT, "Blocks written to the redo log"},
    {"gantry_store_queries_total", "counter", "", OF_STORE, "queries", METRIC_COUNT, "Snapshots read to answer somebody"},
    {"gantry_store_queued_jobs", "gauge", "", OF_STORE, "queued", METRIC_COUNT, "Batches that the database does not have yet"},
    {"gantry_store_database_bytes", "gauge", "", OF_STORE, "database_bytes", METRIC_COUNT, "Size of the database"},
    {"gantry_store_map_bytes", "gauge", "", OF_STORE, "map_bytes", METRIC_COUNT, "Address space reserved for it"},
    {"gantry_store_redo_bytes", "gauge", "", OF_STORE, "redo_bytes", METRIC_COUNT, "Size of the redo log"},
    {"gantry_store_readers", "gauge", "", OF_STORE, "readers", METRIC_COUNT, "Slots for snapshots"},
    {"gantry_store_readers_active", "gauge", "", OF_STORE, "readers_active", METRIC_COUNT, "Those that are taken"},
    {"gantry_store_disk_bytes", "gauge", "", OF_STORE, "disk_bytes", METRIC_COUNT,
     "Size of the file system with the data folder"},
    {"gantry_store_disk_free_bytes", "gauge", "", OF_STORE, "disk_free_bytes", METRIC_COUNT, "What is free of it"},
    {"gantry_store_log_entries", "gauge", "", OF_STORE, "log_entries", METRIC_COUNT,
     "Lines of the logs of processes that are kept"},
    {"gantry_store_log_entry_bytes", "gauge", "", OF_STORE, "log_entry_bytes", METRIC_COUNT, "Size of those lines"},
    {"gantry_store_log_lines_dropped_total", "counter", "", OF_STORE, "lines_dropped", METRIC_COUNT,
     "Lines of the logs of processes that the store had no room for"},
};

/* What each process counts of itself. */
static const struct process_row {
    const char *family, *type, *name;
    enum metric_unit unit;
    const char *help;
} process_rows[] = {
    {"gantry_process_cpu_seconds_total", "counter", "process_cpu_us", METRIC_US, "Processor time of the process"},
    {"gantry_process_resident_memory_bytes", "gauge", "process_memory_bytes", METRIC_COUNT, "Resident memory of the process"},
    {"gantry_process_open_fds", "gauge", "process_fds", METRIC_COUNT, "Descriptors of the process"},
    {"gantry_process_max_fds", "gauge", "process_fds_max", METRIC_COUNT, "Its limit on them"},
    {"gantry_process_start_time_seconds", "gauge", "process_started_ms", METRIC_MS,
     "When the process was started, in seconds since 1970"},
    {"gantry_bus_messages_received_total", "counter", "bus_received", METRIC_COUNT,
     "Messages that came to the process by the bus"},
    {"gantry_bus_messages_sent_total", "counter", "bus_sent", METRIC_COUNT, "Messages that the process handed to the bus"},
    {"gantry_bus_messages_refused_total", "counter", "bus_refused", METRIC_COUNT, "Messages that the bus could not take"},
    {"gantry_log_lines_total", "counter", "log_lines", METRIC_COUNT, "Lines that the process has logged"},
    {"gantry_log_lines_unread_total", "counter", "log_unread", METRIC_COUNT, "Those that nobody read from its stderr"},
    {"gantry_log_lines_unsent_total", "counter", "log_unsent", METRIC_COUNT, "Those that were dropped on their way to the store"},
};

static void rows_write(struct metrics *metrics, const struct stats_view *view)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        const struct stats_part *part = &view->parts[row->of];
        const struct stats_times *times;
        uint64_t value;
        if (row->type && stats_number(part, row->name, &value))
            metrics_number(metrics, row->family, row->type, row->help, row->labels, row->unit, value);
        else if (!row->type && (times = stats_times(part, row->name)))
            metrics_times(metrics, row->family, row->help, row->labels, times->bounds, times->counts, times->count,
                          times->sum_us);
    }
}

static void processes_write(struct metrics *metrics, const struct stats_view *view, const struct stats_part *own)
{
    const struct stats_part *parts[] = {own, &view->parts[ASK_SCHEDULER], &view->parts[ASK_STORE]};
    static const char *const labels[] = {"process=\"gateway\"", "process=\"scheduler\"", "process=\"store\""};
    uint64_t value;

    for (int k = 0; k < 3; k++)
        metrics_number(metrics, "gantry_up", "gauge", "Whether the process answers", labels[k], METRIC_COUNT, parts[k]->answers);
    for (size_t i = 0; i < sizeof process_rows / sizeof process_rows[0]; i++) {
        const struct process_row *row = &process_rows[i];
        for (int k = 0; k < 3; k++) {
            if (stats_number(parts[k], row->name, &value))
                metrics_number(metrics, row->family, row->type, row->help, labels[k], row->unit, value);
        }
    }
}

/* Patterns of routes and names of methods hold nothing that would have to be escaped. */
static void traffic_write(struct metrics *metrics, const struct gateway *gateway)
{
    char labels[256];

    for (uint32_t i = 0; i < traffic_count(gateway->traffic); i++) {
        const struct traffic_entry *entry = traffic_entry(gateway->traffic, i);
        const struct route *route = entry->route;
        if (entry->status == 0)
            snprintf(labels, sizeof labels, "method=\"other\",route=\"other\",status=\"other\"");
        else
            snprintf(labels, sizeof labels, "method=\"%s\",route=\"%s%s\",status=\"%u\"",
                     route ? method_name(route->method) : "any", route ? entry->surface->prefix : "none",
                     route ? route->path : "", entry->status);
        metrics_times(metrics, "gantry_http_request_duration_seconds",
                      "Requests by route and status, from their first line to their last byte", labels,
                      entry->times.scale->bounds, entry->times.counts, entry->times.scale->count, entry->times.sum_us);
    }
}

/* This process's own. NULL when out of memory. */
static struct stats_part *own_part(struct request *request)
{
    struct stats *stats = request_alloc(request, sizeof *stats);
    struct stats_part *part = stats ? request_alloc(request, sizeof *part) : NULL;

    if (!part)
        return NULL;
    stats_process(stats);
    struct msg_stats_answer answer = stats_answer(stats);
    stats_part_fill(part, &answer);
    return part;
}

static void on_stats(struct request *request, const struct stats_view *view)
{
    struct metrics metrics = {.out = &request->out};
    const struct stats_part *own = own_part(request);

    if (!own) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    buf_reset(&request->out);
    metrics_number(&metrics, "gantry_build_info", "gauge", "The version that answers", "version=\"" GANTRY_VERSION "\"",
                   METRIC_COUNT, 1);
    rows_write(&metrics, view);
    processes_write(&metrics, view, own);
    traffic_write(&metrics, request->gateway);
    reply_written(request, 200, "text/plain; version=0.0.4; charset=utf-8");
}

void system_metrics(struct request *request)
{
    stats_ask(request, on_stats);
}
