#include "gateway/event_write.h"

#include "gateway/event_type.h"

static void data_write(struct writer *w, const struct rec_event *event)
{
    bool health = str_is(event->type, "system.health_check");

    if (event->task_id > 0) {
        writer_uint(w, "task_id", event->task_id);
        writer_text(w, "task_name", event->task_name);
    }
    if (event->run_id > 0)
        writer_uint(w, "run_id", event->run_id);
    if (event->attempt > 0)
        writer_uint(w, "attempt", event->attempt);
    if (event->worker_name.len > 0)
        writer_text(w, "worker_id", event->worker_name);
    if (event->status.len > 0)
        writer_text(w, "status", event->status);
    if (event->detail.len > 0)
        writer_text(w, health ? "message" : event->run_id > 0 ? "error_message" : "reason", event->detail);
}

void event_write_members(struct writer *w, const struct rec_event *event)
{
    writer_text(w, "event", event->type);
    writer_time(w, "timestamp", event->at);
    writer_open(w, "data", '{');
    data_write(w, event);
    writer_close(w, '}');
}

void event_write(struct writer *w, const struct rec_event *event)
{
    writer_open(w, NULL, '{');
    event_write_members(w, event);
    writer_close(w, '}');
}

void event_write_beat(struct writer *w, const struct rec_worker *worker)
{
    writer_open(w, NULL, '{');
    writer_text(w, "event", STR_LIT(EVENT_HEARTBEAT));
    writer_time(w, "timestamp", worker->last_heartbeat);
    writer_open(w, "data", '{');
    writer_text(w, "worker_id", worker->name);
    writer_text(w, "hostname", worker->hostname);
    writer_text(w, "status", str_of(worker_status_name(worker->status)));
    writer_real(w, "load_average", worker->load_average);
    writer_uint(w, "memory_usage", worker->memory_mb);
    writer_real(w, "cpu_usage", worker->cpu_percent);
    writer_close(w, '}');
    writer_close(w, '}');
}
