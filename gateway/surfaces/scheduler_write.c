/* Tasks, runs and workers in the words of the dialect. What Gantry adds to it shows only where it is set. */
#include <sodium.h>
#include <stdio.h>

#include "gateway/position.h"
#include "gateway/surfaces/recorder.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/clock.h"
#include "proto/log.h"

static double seconds(uint64_t ms)
{
    return (double)ms / 1000.0;
}

/* The mean of a sum over a number of things; null before there is one. */
static void mean_write(struct writer *w, const char *key, uint64_t sum_ms, uint64_t count)
{
    if (count > 0)
        writer_real(w, key, seconds(sum_ms / count));
    else
        writer_null(w, key);
}

static void times_write(struct writer *w, const struct rec_task *task, const struct rec_task_stat *stat)
{
    writer_time(w, "last_run_at", stat ? stat->last_run_at : 0);
    writer_time(w, "next_run_at", stat && task->status != TASK_PAUSED ? stat->next_run_at : 0);
}

void limits_write(struct writer *w, const struct rec_limits *limits)
{
    writer_open(w, "limits", '{');
    if (limits->cpu_seconds)
        writer_uint(w, "cpu_seconds", limits->cpu_seconds);
    if (limits->memory_mb)
        writer_uint(w, "memory_mb", limits->memory_mb);
    if (limits->files)
        writer_uint(w, "files", limits->files);
    writer_close(w, '}');
}

static void extensions_write(struct writer *w, const struct rec_task_spec *spec)
{
    if (spec->env.len > 1)
        writer_map(w, "env", spec->env);
    if (spec->cwd.len)
        writer_text(w, "cwd", spec->cwd);
    if (spec->run_as.len)
        writer_text(w, "run_as", spec->run_as);
    if (spec->limits.cpu_seconds || spec->limits.memory_mb || spec->limits.files)
        limits_write(w, &spec->limits);
    if (spec->labels.len > 1)
        writer_map(w, "labels", spec->labels);
    if (spec->output.len)
        writer_text(w, "output", spec->output);
    if (spec->dependency_conditions.len > 1)
        writer_map(w, "dependency_conditions", spec->dependency_conditions);
    if (spec->pool.len)
        writer_text(w, "pool", spec->pool);
    if (spec->rate)
        writer_uint(w, "rate", spec->rate);
}

static void statistics_write(struct writer *w, const struct rec_task_stat *stat)
{
    static const char *const words[] = {[RUN_COMPLETED] = "success", [RUN_FAILED] = "failed", [RUN_ABORTED] = "aborted"};
    static const struct rec_task_stat none;

    if (!stat)
        stat = &none;
    writer_open(w, "statistics", '{');
    writer_uint(w, "total_runs", stat->total);
    writer_uint(w, "successful_runs", stat->completed);
    writer_uint(w, "failed_runs", stat->failed);
    mean_write(w, "average_execution_time", stat->duration_ms, stat->completed);
    if (stat->last_final_id > 0 && run_status_final(stat->last_status) && stat->last_status <= RUN_ABORTED)
        writer_text(w, "last_execution_status", str_of(words[stat->last_status]));
    else
        writer_null(w, "last_execution_status");
    writer_close(w, '}');
}

void task_write(struct writer *w, const struct rec_task *task, const struct rec_task_stat *stat, bool statistics)
{
    const struct rec_task_spec *spec = &task->spec;

    writer_open(w, "data", '{');
    writer_uint(w, "id", task->id);
    writer_text(w, "name", spec->name);
    writer_text_or_null(w, "description", spec->description);
    writer_text(w, "task_type", spec->task_type);
    writer_text(w, "executor", spec->executor);
    writer_text(w, "command", spec->command);
    writer_texts(w, "arguments", &spec->arguments);
    writer_text_or_null(w, "schedule", spec->schedule);
    writer_text(w, "priority", str_of(priority_name(spec->priority)));
    writer_uint(w, "retry_count", spec->retry_count);
    writer_uint(w, "timeout_seconds", spec->timeout_seconds);
    writer_text(w, "status", str_of(task_status_name(task->status)));
    writer_time(w, "created_at", task->created_at);
    writer_time(w, "updated_at", task->updated_at);
    times_write(w, task, stat);
    writer_texts(w, "dependencies", &spec->dependencies);
    writer_texts(w, "tags", &spec->tags);
    writer_map(w, "metadata", spec->metadata);
    extensions_write(w, spec);
    if (task->oneshot)
        writer_bool(w, "oneshot", true);
    if (statistics)
        statistics_write(w, stat);
    writer_close(w, '}');
}

void task_write_brief(struct writer *w, const struct rec_task *task, const struct rec_task_stat *stat)
{
    writer_open(w, NULL, '{');
    writer_uint(w, "id", task->id);
    writer_text(w, "name", task->spec.name);
    writer_text_or_null(w, "description", task->spec.description);
    writer_text(w, "task_type", task->spec.task_type);
    writer_text(w, "status", str_of(task_status_name(task->status)));
    writer_text(w, "priority", str_of(priority_name(task->spec.priority)));
    writer_time(w, "created_at", task->created_at);
    writer_time(w, "next_run_at", stat && task->status != TASK_PAUSED ? stat->next_run_at : 0);
    writer_close(w, '}');
}

static void result_write(struct writer *w, const struct rec_run *run)
{
    if (HAS(run, rec_run, result))
        writer_text(w, "result", run->result);
    else
        writer_null(w, "result");
    writer_text_or_null(w, "error_message", run->error_message);
    writer_uint(w, "retry_count", run->retries);
}

/* The progress of a run that has not ended: as of this second, or else as it was kept. */
static bool progress_of(const struct rec_run *run, const struct rec_live_run *live, double *progress)
{
    bool told = live && run->status == RUN_RUNNING && HAS(live, rec_live_run, progress);

    *progress = told ? live->progress : run->progress;
    return told || (run->status != RUN_PENDING && run->progress > 0);
}

static struct str reason_of(const struct rec_run *run, const struct rec_live_run *live)
{
    return live && run->status == RUN_PENDING ? live->reason : (struct str){NULL, 0};
}

void run_write_brief(struct writer *w, const struct rec_run *run, const struct rec_live_run *live)
{
    struct str reason = reason_of(run, live);
    double progress;

    writer_open(w, NULL, '{');
    writer_uint(w, "id", run->id);
    writer_uint(w, "task_id", run->task_id);
    writer_text(w, "task_name", run->task_name);
    writer_text_or_null(w, "worker_id", run->worker_name);
    writer_text(w, "status", str_of(run_status_name(run->status)));
    writer_time(w, "started_at", run->started_at);
    writer_time(w, "completed_at", run->completed_at);
    result_write(w, run);
    writer_time(w, "created_at", run->created_at);
    if (!run_status_final(run->status) && progress_of(run, live, &progress))
        writer_real(w, "progress", progress);
    if (reason.len > 0)
        writer_text(w, "reason", reason);
    writer_close(w, '}');
}

bool run_keep_brief(struct arena *arena, struct rec_run *run, size_t *bytes)
{
    struct rec_run kept = {
        .id = run->id,
        .task_id = run->task_id,
        .task_name = arena_str(arena, run->task_name),
        .worker_name = arena_str(arena, run->worker_name),
        .status = run->status,
        .started_at = run->started_at,
        .completed_at = run->completed_at,
        .result = arena_str(arena, run->result),
        .error_message = arena_str(arena, run->error_message),
        .retries = run->retries,
        .created_at = run->created_at,
        .progress = run->progress,
    };

    if (HAS(run, rec_run, result))
        SET_HAS(&kept, rec_run, result);
    *bytes += sizeof kept + kept.task_name.len + kept.worker_name.len + kept.result.len + kept.error_message.len;
    *run = kept;
    return kept.task_name.ptr && kept.worker_name.ptr && kept.result.ptr && kept.error_message.ptr;
}

static void attempt_write(struct writer *w, const struct rec_attempt *attempt)
{
    writer_open(w, NULL, '{');
    writer_uint(w, "attempt", attempt->number);
    writer_text_or_null(w, "worker_id", attempt->worker_name);
    writer_time(w, "assigned_at", attempt->assigned_at);
    writer_time(w, "started_at", attempt->started_at);
    writer_time(w, "ended_at", attempt->ended_at);
    if (attempt->outcome == OUTCOME_OPEN)
        writer_null(w, "outcome");
    else
        writer_text(w, "outcome", str_of(outcome_name(attempt->outcome)));
    if (HAS(attempt, rec_attempt, exit_code) && attempt->exit_code >= 0) /* -1: ended by a signal */
        writer_int(w, "exit_code", attempt->exit_code);
    else
        writer_null(w, "exit_code");
    if (attempt->signal)
        writer_uint(w, "signal", attempt->signal);
    else
        writer_null(w, "signal");
    writer_text_or_null(w, "error", attempt->error);
    writer_close(w, '}');
}

static void content_write(struct writer *w, const struct rec_published *published)
{
    char hex[65];
    uint32_t len = published->hash.len > 32 ? 32 : published->hash.len;

    sodium_bin2hex(hex, sizeof hex, (const unsigned char *)published->hash.ptr, len);
    writer_uint(w, "size", published->size);
    writer_text(w, "xxh3_128", (struct str){hex, 2 * len});
}

static void published_write(struct writer *w, const struct rec_published *published)
{
    writer_open(w, "output", '{');
    writer_text(w, "path", published->path);
    content_write(w, published);
    writer_close(w, '}');
}

void grant_write(struct writer *w, const struct rec_published *published)
{
    writer_uint(w, "attempt", published->attempt);
    writer_text(w, "path", published->path);
    writer_text(w, "temporary", published->temporary);
    content_write(w, published);
}

static void live_write(struct writer *w, const struct rec_run *run, const struct rec_live_run *live)
{
    double progress;

    if (run->status == RUN_COMPLETED)
        writer_real(w, "progress", 100);
    else if (progress_of(run, live, &progress))
        writer_real(w, "progress", progress);
    else
        writer_null(w, "progress");
    writer_text_or_null(w, "progress_note", live && run->status == RUN_RUNNING ? live->note : (struct str){NULL, 0});
    writer_text_or_null(w, "reason", reason_of(run, live));
}

/* Whose fault it is that a run has failed, in the dialect's codes: its worker's, which was lost or could not run it, or its own. */
static void code_write(struct writer *w, const struct rec_run *run)
{
    uint64_t last = run->attempts.count > 0 ? run->attempts.items[run->attempts.count - 1].outcome : OUTCOME_FAILED;

    if (run->status != RUN_FAILED)
        writer_null(w, "error_code");
    else if (last == OUTCOME_LOST || last == OUTCOME_RETURNED)
        writer_text(w, "error_code", STR_LIT("WORKER_ERROR"));
    else
        writer_text(w, "error_code", STR_LIT("TASK_ERROR"));
}

void run_write_open(struct writer *w, const struct rec_run *run, const struct rec_live_run *live)
{
    bool timed = run->started_at > 0 && run->completed_at >= run->started_at;

    writer_open(w, "data", '{');
    writer_uint(w, "id", run->id);
    writer_uint(w, "task_id", run->task_id);
    writer_text(w, "task_name", run->task_name);
    writer_text_or_null(w, "worker_id", run->worker_name);
    writer_text_or_null(w, "worker_hostname", run->worker_hostname);
    writer_text(w, "status", str_of(run_status_name(run->status)));
    writer_time(w, "started_at", run->started_at);
    writer_time(w, "completed_at", run->completed_at);
    if (timed)
        writer_real(w, "execution_time", seconds(run->completed_at - run->started_at));
    else
        writer_null(w, "execution_time");
    result_write(w, run);
    code_write(w, run);
    writer_text(w, "priority", str_of(priority_name(run->priority)));
    writer_uint(w, "timeout_seconds", run->timeout_seconds);
    writer_time(w, "due_at", run->due_at);
    writer_uint(w, "attempt", run->attempt);
    live_write(w, run, live);
    writer_open(w, "attempts", '[');
    for (uint32_t i = 0; i < run->attempts.count; i++)
        attempt_write(w, &run->attempts.items[i]);
    writer_close(w, ']');
    if (run->restart_of)
        writer_uint(w, "restart_of", run->restart_of);
    if (HAS(run, rec_run, published))
        published_write(w, &run->published);
    if (str_is(run->farm, "record")) /* an address in them may have credentials */
        recorder_parameters_write(w, "parameters", run->parameters);
    else
        writer_map(w, "parameters", run->parameters);
    writer_time(w, "created_at", run->created_at);
}

void log_write_brief(struct writer *w, const struct rec_log_line *line)
{
    writer_open(w, NULL, '{');
    writer_time(w, "timestamp", line->at);
    writer_text(w, "level", str_of(log_level_name((unsigned)line->level)));
    writer_text(w, "message", line->text);
    writer_close(w, '}');
}

void log_write(struct writer *w, const struct rec_log_line *line, uint64_t missing)
{
    static const char *const streams[] = {"system", "stdout", "stderr"};

    writer_open(w, NULL, '{');
    writer_uint(w, "position", position_of(line));
    if (missing > 0)
        writer_uint(w, "missing", missing);
    writer_uint(w, "attempt", line->attempt);
    writer_uint(w, "seq", line->seq);
    writer_time(w, "timestamp", line->at);
    writer_text(w, "level", str_of(log_level_name((unsigned)line->level)));
    writer_text(w, "stream", str_of(streams[line->stream <= STREAM_STDERR ? line->stream : STREAM_SYSTEM]));
    writer_text(w, "message", line->text);
    writer_close(w, '}');
}

void pool_write(struct writer *w, const char *key, const struct rec_pool *pool)
{
    writer_open(w, key, '{');
    writer_text(w, "name", pool->name);
    writer_text_or_null(w, "description", pool->description);
    writer_uint(w, "limit", pool->limit);
    writer_uint(w, "running", pool->running);
    writer_uint(w, "waiting", pool->waiting);
    writer_time(w, "created_at", pool->created_at);
    writer_time(w, "updated_at", pool->updated_at);
    writer_close(w, '}');
}

void uptime_write(struct writer *w, const char *key, uint64_t ms)
{
    uint64_t minutes = ms / 60000;
    char text[48];

    snprintf(text, sizeof text, "%llud %lluh %llum", (unsigned long long)(minutes / 1440),
             (unsigned long long)(minutes / 60 % 24), (unsigned long long)(minutes % 60));
    writer_text(w, key, str_of(text));
}

static uint64_t worker_uptime(const struct rec_worker *worker, uint64_t now_ms)
{
    uint64_t since = worker->connected_at ? worker->connected_at : worker->registered_at;

    return worker->status != WORKER_OFFLINE && now_ms > since ? now_ms - since : 0;
}

/* What a worker over REST names no executors of, it serves as its types. */
static void extras_write(struct writer *w, const struct rec_worker *worker)
{
    bool types = worker->asks && worker->executors.count == 0;

    writer_texts(w, "executors", types ? &worker->task_types : &worker->executors);
    writer_map(w, "labels", worker->labels);
    writer_text(w, "link", worker->asks ? STR_LIT("rest") : STR_LIT("session"));
}

static void worker_write_detail(struct writer *w, const struct rec_worker *worker)
{
    writer_open(w, "current_tasks", '[');
    for (uint32_t i = 0; i < worker->running.count; i++) {
        const struct rec_live_run *run = &worker->running.items[i];
        writer_open(w, NULL, '{');
        writer_uint(w, "run_id", run->run_id);
        writer_uint(w, "task_id", run->task_id);
        writer_text(w, "task_name", run->task_name);
        writer_time(w, "started_at", run->started_at);
        writer_text(w, "status", str_of(run_status_name(run->status)));
        writer_close(w, '}');
    }
    writer_close(w, ']');
    writer_open(w, "statistics", '{');
    writer_uint(w, "total_tasks_executed", worker->total);
    writer_uint(w, "successful_tasks", worker->completed);
    writer_uint(w, "failed_tasks", worker->failed);
    mean_write(w, "average_execution_time", worker->duration_ms, worker->total);
    uptime_write(w, "uptime", worker_uptime(worker, clock_wall_ms()));
    writer_close(w, '}');
    writer_map(w, "metadata", worker->metadata);
    extras_write(w, worker);
}

static void worker_write_common(struct writer *w, const struct rec_worker *worker, uint64_t current)
{
    writer_text(w, "id", worker->name);
    writer_text(w, "hostname", worker->hostname);
    writer_text_or_null(w, "ip_address", worker->ip_address);
    writer_uint(w, "port", worker->port);
    writer_texts(w, "task_types", &worker->task_types);
    writer_uint(w, "max_concurrent_tasks", worker->slots);
    writer_uint(w, "current_task_count", current);
    writer_text(w, "status", str_of(worker_status_name(worker->status)));
    writer_time(w, "last_heartbeat", worker->last_heartbeat);
    writer_time(w, "registered_at", worker->registered_at);
}

void worker_write(struct writer *w, const struct rec_worker *worker, uint64_t current, bool detail)
{
    writer_open(w, detail ? "data" : NULL, '{');
    worker_write_common(w, worker, current);
    writer_real(w, "load_average", worker->load_average);
    writer_uint(w, "memory_usage", worker->memory_mb);
    writer_real(w, "cpu_usage", worker->cpu_percent);
    if (detail)
        worker_write_detail(w, worker);
    writer_close(w, '}');
}

void worker_write_changed(struct writer *w, const struct rec_worker *worker, uint64_t current)
{
    writer_open(w, "data", '{');
    worker_write_common(w, worker, current);
    writer_map(w, "metadata", worker->metadata);
    extras_write(w, worker);
    writer_close(w, '}');
}
