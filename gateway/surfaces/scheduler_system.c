/* /api/system */
#include "gateway/gateway.h"
#include "gateway/health.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"

static void part_open(struct writer *w, const char *name, const struct health_part *part)
{
    writer_open(w, name, '{');
    writer_text(w, "status", str_of(health_word(part->ready)));
    if (part->trouble[0])
        writer_text(w, "message", str_of(part->trouble));
}

static void time_write(struct writer *w, const struct health_part *part)
{
    if (part->answers)
        writer_rounded(w, "response_time", part->seconds, 6);
    else
        writer_null(w, "response_time");
}

static void database_write(struct writer *w, const struct health_part *store)
{
    uint64_t total = health_count(store, "readers_total"), active = health_count(store, "readers_active");

    part_open(w, "database", store);
    time_write(w, store);
    writer_open(w, "connection_pool", '{');
    writer_uint(w, "total", total);
    writer_uint(w, "active", active);
    writer_uint(w, "idle", total > active ? total - active : 0);
    writer_close(w, '}');
    writer_close(w, '}');
}

static void on_health(struct request *request, const struct health_view *view)
{
    const struct health_part *store = &view->parts[ASK_STORE], *scheduler = &view->parts[ASK_SCHEDULER];
    const struct meter *meter = &request->gateway->meter;
    uint64_t now_ms = clock_mono_ms();
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_text(&w, "status", str_of(health_state_word(view->state)));
    writer_time(&w, "timestamp", view->wall_ms);
    writer_text(&w, "version", STR_LIT(GANTRY_VERSION));
    writer_open(&w, "components", '{');
    database_write(&w, store);
    writer_open(&w, "message_queue", '{'); /* the bus: that the scheduler answers at all */
    writer_text(&w, "status", str_of(health_word(scheduler->answers)));
    time_write(&w, scheduler);
    writer_uint(&w, "queue_size", health_count(scheduler, "messages_queued"));
    writer_close(&w, '}');
    part_open(&w, "scheduler", scheduler);
    writer_uint(&w, "active_workers", health_count(scheduler, "workers_active"));
    writer_uint(&w, "pending_tasks", health_count(scheduler, "runs_pending"));
    writer_close(&w, '}');
    writer_open(&w, "api", '{');
    writer_text(&w, "status", STR_LIT("healthy"));
    writer_rounded(&w, "request_rate", meter_rate(meter, now_ms), 2);
    writer_rounded(&w, "response_time", meter_seconds(meter, now_ms), 6);
    writer_close(&w, '}');
    writer_close(&w, '}');
    writer_close(&w, '}');
    request->retry_after = view->state == HEALTH_UNHEALTHY ? 1 : 0;
    envelope_close(request, &w, view->state == HEALTH_UNHEALTHY ? 503 : 200);
}

void system_health(struct request *request)
{
    health_ask(request, on_health);
}
