/* /api/system/stats: kept counts of the store, what the scheduler sees this second, and the machine that answers. */
#include "gateway/gateway.h"
#include "gateway/stats.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"

static uint64_t number(const struct stats_part *part, const char *name)
{
    uint64_t value;

    stats_number(part, name, &value);
    return value;
}

static void tasks_write(struct writer *w, const struct stats_part *store)
{
    writer_open(w, "tasks", '{');
    writer_uint(w, "total", number(store, "tasks"));
    writer_uint(w, "active", number(store, "tasks_active"));
    writer_uint(w, "paused", number(store, "tasks_paused"));
    writer_uint(w, "completed", number(store, "tasks_completed"));
    writer_uint(w, "failed", number(store, "tasks_failed"));
    writer_close(w, '}');
}

static void runs_write(struct writer *w, const struct stats_part *store)
{
    writer_open(w, "task_runs", '{');
    writer_uint(w, "total", number(store, "runs"));
    writer_uint(w, "pending", number(store, "runs_pending"));
    writer_uint(w, "running", number(store, "runs_running"));
    writer_uint(w, "completed", number(store, "runs_completed"));
    writer_uint(w, "failed", number(store, "runs_failed"));
    writer_uint(w, "aborted", number(store, "runs_aborted"));
    writer_close(w, '}');
}

static void workers_write(struct writer *w, const struct stats_part *scheduler)
{
    uint64_t active = number(scheduler, "workers_active");
    double load = (double)number(scheduler, "worker_load_milli") / 1000.0;

    writer_open(w, "workers", '{');
    writer_uint(w, "total", number(scheduler, "workers"));
    writer_uint(w, "active", active);
    writer_uint(w, "offline", number(scheduler, "workers_offline"));
    writer_uint(w, "draining", number(scheduler, "workers_draining"));
    writer_rounded(w, "average_load", active > 0 ? load / (double)active : 0, 2);
    writer_close(w, '}');
}

/* Since when one of the processes has been there without a gap: a restart of the others is none of the farm. */
static uint64_t uptime_ms(const struct gateway *gateway, const struct stats_view *view)
{
    uint64_t longest = clock_mono_ms() - gateway->started_ms, now = clock_wall_ms();

    for (int i = 0; i < 2; i++) {
        uint64_t since = number(&view->parts[i], "process_started_ms");
        if (since > 0 && since < now && now - since > longest)
            longest = now - since;
    }
    return longest;
}

static void performance_write(struct writer *w, const struct gateway *gateway, const struct stats_view *view)
{
    const struct stats_part *store = &view->parts[ASK_STORE], *scheduler = &view->parts[ASK_SCHEDULER];
    uint64_t completed = number(store, "runs_completed"), attempts = number(scheduler, "attempts");
    uint64_t ended = completed + number(store, "runs_failed") + number(store, "runs_aborted");

    writer_open(w, "performance", '{');
    if (attempts > 0)
        writer_rounded(w, "average_execution_time", (double)number(scheduler, "attempts_ms") / (double)attempts / 1000.0, 3);
    else
        writer_null(w, "average_execution_time");
    writer_uint(w, "tasks_per_minute", number(scheduler, "ended_last_minute"));
    if (ended > 0)
        writer_rounded(w, "success_rate", 100.0 * (double)completed / (double)ended, 2);
    else
        writer_null(w, "success_rate");
    uptime_write(w, "system_uptime", uptime_ms(gateway, view));
    writer_close(w, '}');
}

static void resources_write(struct writer *w, const struct gateway *gateway, const struct stats_part *store)
{
    uint64_t disk = number(store, "disk_bytes"), spare = number(store, "disk_free_bytes");
    struct resources_now now;

    resources_read(&gateway->resources, &now);
    writer_open(w, "resource_usage", '{');
    writer_rounded(w, "cpu_usage", now.cpu_percent, 1);
    writer_uint(w, "memory_usage", now.memory_mb);
    writer_rounded(w, "disk_usage", disk > spare ? 100.0 * (double)(disk - spare) / (double)disk : 0, 1);
    writer_open(w, "network_io", '{');
    writer_uint(w, "bytes_in", now.bytes_in);
    writer_uint(w, "bytes_out", now.bytes_out);
    writer_close(w, '}');
    writer_close(w, '}');
}

static void on_stats(struct request *request, const struct stats_view *view)
{
    const struct stats_part *store = &view->parts[ASK_STORE], *scheduler = &view->parts[ASK_SCHEDULER];
    struct writer w;

    if (!store->answers || !scheduler->answers) {
        reply_problem_kind(request, store->answers ? PROBLEM_SCHEDULER_AWAY : PROBLEM_STORE_AWAY);
        return;
    }
    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    tasks_write(&w, store);
    runs_write(&w, store);
    workers_write(&w, scheduler);
    performance_write(&w, request->gateway, view);
    resources_write(&w, request->gateway, store);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

void system_stats(struct request *request)
{
    stats_ask(request, on_stats);
}
