/* The distributed task scheduler's dialect: its routes and its envelope. */
#include "gateway/surfaces/scheduler.h"

#include "gateway/json.h"
#include "gateway/surfaces/surface.h"
#include "proto/clock.h"

static const struct route routes[] = {
    {METHOD_POST, "/tasks", tasks_create, ROLE_USER,
     "Creates a task: 201. `name`, `task_type`, `executor` and `command` are required. Also taken: `env` (name to text), "
     "`cwd`, `run_as`, `limits {cpu_seconds, memory_mb, files}`, `labels` (worker labels required), `output` (a file "
     "published once), `pool` (whose limit of runs at once it shares: see `/pools`), `rate` (attempts that may start a "
     "minute, up to 60000; those of one second may start together). `dependencies`: ids or names of tasks, or `{task, on}` "
     "with `on` one of `success`, `failure` (failed for good, or aborted), `any`; others are as "
     "`metadata.dependency_condition` says (`success`). A run waits until the newest run of each has ended as asked; one "
     "that ended otherwise fails it, unless `metadata.on_dependency_failure` is `wait` (for the next one) or `ignore`. A "
     "task without a schedule runs by itself once all have ended as asked since its own newest run. Conditions of single "
     "dependencies are answered, and taken too, as `dependency_conditions` (task to condition). Dependencies are answered by "
     "the names that tasks have now; by id where they were given so, where a name reads as an id, and once the task is "
     "deleted."},
    {METHOD_GET, "/tasks", tasks_list, ROLE_READONLY,
     "Lists tasks. `page`, `size` (at most 1000), `name` (exactly this one: the task that holds it, or else those made for "
     "runs submitted under it), `status`, `task_type`, `priority`, `search`, `tags`, `sort` (`id`, `name`, `status`, "
     "`priority`, `task_type`, `created_at`, `updated_at`, `next_run_at`), `order`."},
    {METHOD_GET, "/tasks/{id}", tasks_get, ROLE_READONLY,
     "A task with its `statistics`; averages are null before the first run."},
    {METHOD_PUT, "/tasks/{id}", tasks_update, ROLE_USER,
     "Changes the fields that are given; null empties `description`, `schedule`, `cwd`, `run_as`, `output`, `pool`, lists "
     "and objects; a `rate` of 0 lifts it."},
    {METHOD_DELETE, "/tasks/{id}", tasks_delete, ROLE_USER,
     "Deletes a task and its history. 409 while it has live runs, unless `force=true`, which aborts them first."},
    {METHOD_GET, "/tasks/{id}/graph", tasks_graph, ROLE_READONLY,
     "Who waits for whom around a task, as it is now: `nodes` (`id`, `name`, `status`, `last_run_status`, `distance`, "
     "`waits_for`: ids of dependencies in the graph that have not ended as they must), the nearest first, and `edges` "
     "(`from` is waited for by `to`, which asks that it ends `on` success, failure or any; `met`). `depth`: steps from the "
     "task (default: all), `direction`: `up` (what it waits for), `down` (what waits for it) or `both` (default). At most "
     "10,000 nodes and 100,000 edges: `truncated` says that there are more."},
    {METHOD_POST, "/tasks/{id}/trigger", tasks_trigger, ROLE_USER,
     "Makes a run of a task: 201. Optional: `parameters`, `priority`, `timeout_seconds`, and `run_at` (a time) or "
     "`delay_seconds`. `estimated_completion` is the start plus the measured mean duration, or plus the timeout before there "
     "is one."},
    {METHOD_POST, "/tasks/{id}/trigger-batch", tasks_trigger_batch, ROLE_USER,
     "Makes up to 1,000 runs, all or none: 201. `items`: a list of what a trigger takes, each with an optional "
     "`idempotency_key`. Answers `run_ids` in the order of the items."},
    {METHOD_POST, "/tasks/{id}/pause", tasks_pause, ROLE_USER, "Pauses a task: nothing of it starts until it is resumed."},
    {METHOD_POST, "/tasks/{id}/resume", tasks_resume, ROLE_USER, "Resumes a paused task."},
    {METHOD_GET, "/tasks/{id}/fires", tasks_fires, ROLE_READONLY,
     "What came of each due time of a task's schedule: `outcome` `ran`, `late` (over ten seconds) or `skipped`, with the "
     "`reason` (`missed`, `farm_full`, `store_away`, `paused`, `overlap_forbidden`, `replaced`, `catchup_none`, "
     "`catchup_one`, `catchup_limit`, `schedule_changed`, `refused`) and the `run_id`. Due times skipped one after the other "
     "for one reason are one item, with their `count` (`count_is_lower_bound: true` when they were too many to count) from "
     "`due_at` to `last_due_at`; what a pause skips is told when it ends. `page`, `size` (at most 1000), `outcome`, "
     "`start_date` and `end_date` (inclusive, UTC), `sort` (`id`, `due_at`, `created_at`: all the same), `order`. Kept: "
     "`cron.fires_max`, `cron.fires_days`."},
    {METHOD_GET, "/tasks/{id}/fire-times", tasks_fire_times, ROLE_READONLY,
     "The next times at which a task is due: `at` in UTC, `local` and `offset` on the clock of its `timezone`. `count` "
     "(default 10, at most 1000), `after` (a time; now). While it is `paused` these are the times at which it would be. "
     "`end` is true when it is never due again behind them."},
    {METHOD_GET, "/schedules/preview", schedules_preview, ROLE_READONLY,
     "The same for a schedule that is not stored: `schedule` (escaped, as it is part of the address), `timezone`, `count`, "
     "`after`, and the `name` of the task it is for, which decides where `~` lies."},
    {METHOD_POST, "/runs", runs_submit, ROLE_USER,
     "Makes a task and its one run in one step: 201, with what a trigger answers. Takes a task's fields (`name` is made up "
     "and `executor` is the `task_type` when missing; no `schedule`) and a trigger's. The task is `completed` or `failed` "
     "with its run."},
    {METHOD_GET, "/runs", runs_list, ROLE_READONLY,
     "Lists runs, those that have not ended with their `progress` and `reason` of this second, where there is one. `page`, "
     "`size` (at most 1000), `task_id`, `status`, `final` (`true`: those that have ended for good, so that "
     "`status=failed&final=true` are those that no retry follows; `false`: the others), `worker_id` (as in `worker-001`), "
     "`start_date` and `end_date` (inclusive, UTC; a date, or a time), `sort` (`id`, `created_at`, `started_at`, "
     "`completed_at`, `status`, `task_id`, `worker_id`), `order`."},
    {METHOD_GET, "/runs/{id}", runs_get, ROLE_READONLY,
     "A run with its newest 100 log lines, its `attempts`, and what is true of it this second: `progress` (percent, null "
     "while nobody has told one), `reason` (why it waits). `retry_count` is the number of retries used so far."},
    {METHOD_GET, "/runs/{id}/why", runs_why, ROLE_READONLY,
     "Why a run waits, this second: `waits`, `reason` (as in lists), `code` (`no_worker`, `busy`, `draining`, `resting`, "
     "`pool`, `rate`, `starting`, `dependency`, `delayed`, `backoff`, `paused`, `farm`, `store`; of others `assigned`, "
     "`running`, `publishing`, `final`), `until` (a time), `dependency` (the first that has not ended as it must: `task_id`, "
     "`task_name`, its open `run_id`, and how many there are in `open`), `queue` (`ahead`: runs before it among those that "
     "the same workers can take, counted up to 10,000), `workers` (`serve_type`, of these `serve_executor`, of these "
     "`can_take` by their labels, of these `with_room`, `busy`, `resting`, `draining`; `missing_labels`: required labels "
     "that some lack)."},
    {METHOD_GET, "/runs/{id}/logs", runs_logs, ROLE_READONLY,
     "The log of a run, oldest line first (`order=desc`: newest first): by `page` and `size` (default 100, at most 1000); "
     "behind a position by `after` and `limit`; or the newest `limit` lines with `newest=true`. Of a run the newest 10,000 "
     "lines or 4 MiB are kept (`store.log_lines`, `store.log_kb`), and 16 KiB of a line: `cut` counts lines that are not, "
     "and the line behind a gap says in `missing` how many. With `follow=true` the answer is `text/event-stream`: an event "
     "`log` a line with its position as id (`after` or `Last-Event-ID` resume behind one), `cut` with `missing` where lines "
     "are no longer kept, `status` when status, attempt or progress change, and `end` once the run is final and its log has "
     "been sent."},
    {METHOD_DELETE, "/runs", runs_purge, ROLE_USER,
     "Removes runs that ended before `before` (required; a time), with their logs: all, or those of a `status` (`completed`, "
     "`failed`, `aborted`) or a `task_id`. It is noted, and carried out some at a time, those that ended first going first, "
     "also over a restart: `matched` says how many there were. Statistics of tasks stay; a task that was made for one run "
     "goes with its last one. `runs.keep_days`, `runs.keep_max` and a task's `metadata.keep_runs` (its newest so many ended "
     "runs) do so by themselves; unless set, runs are kept for ever."},
    {METHOD_POST, "/runs/restart", runs_restart_many, ROLE_USER,
     "Restarts many runs, at most 1,000 a call: `ids`, or a filter: `status` (`failed`, `completed`, `aborted`; required), "
     "`task_id`, `before` (a time: made before it), `after` (an id: above it), `limit`; the lowest ids first. Each is whole "
     "by itself: `results` say of each whether it is `done`, its `new_run_id` or its `error`. `more`: the filter finds "
     "further ones, behind `last_id`. With an `Idempotency-Key` a repeat restarts none twice, also when the first call broke "
     "off."},
    {METHOD_POST, "/runs/abort", runs_abort_many, ROLE_USER,
     "Ends many runs, as above; `status` is `pending` or `running`. Optional: `reason`."},
    {METHOD_POST, "/runs/{id}/restart", runs_restart, ROLE_USER, "Makes a new run like a final one: 201."},
    {METHOD_POST, "/runs/{id}/abort", runs_abort, ROLE_USER, "Ends a run that is not final; 409 if it is. Optional: `reason`."},
    {METHOD_POST, "/runs/{id}/report", runs_report, ROLE_WORKER,
     "What a worker over REST says of a run it holds: `attempt` and `status` are required. `running` keeps it, with "
     "`progress` (percent) and `logs` (texts, or `{timestamp, level, message, stream}`, at most 4,096 lines); `completed` "
     "and `failed` (with `result`, `error_message`, `exit_code`) end the attempt; `aborted` says that it was stopped, as "
     "asked, or gives it back. The repeat of the report that ended it is confirmed again, any other about an attempt that is "
     "over is a 409. Answers the run's `status`, and in `cancel` the runs its worker is to stop."},
    {METHOD_POST, "/runs/{id}/publish", runs_publish, ROLE_WORKER,
     "A worker over REST asks to give the output of a run it holds its name: `attempt`, `path` and `temporary` (absolute "
     "names of two files in one folder), `size` in bytes and `xxh3_128` of what was written are required, `worker_id` is "
     "held against the lease where it is given. The answer says that the grant is on disk: nobody else will be granted one "
     "while this attempt lasts, so the worker renames `temporary` to `path`, which must not be there, and reports the run "
     "`completed`. Asked again for the same output it is granted again; another one is a 409, as is an attempt that is over: "
     "the worker renames nothing then. A run that is granted can no longer be aborted."},
    {METHOD_POST, "/workers", workers_register, ROLE_WORKER,
     "Registers a worker that works over REST: 201. `hostname`, `ip_address`, `port` and `task_types` are required, "
     "`max_concurrent_tasks` is 5 if not given. Also taken: `metadata`, `labels`, `executors` (its task types, and names "
     "that are none of the farm's own), and `name`, by which a worker keeps its id when it registers again. It is then taken "
     "for one that was started anew, whose runs are lost, unless `boot` is the same as before."},
    {METHOD_PUT, "/workers/{id}", workers_update, ROLE_WORKER,
     "Changes `max_concurrent_tasks`, `task_types`, `executors`, `labels` and `metadata`. `status`: `draining`, also of a "
     "worker with a session, takes nothing new until it is `active` again; `offline` gives back what it holds. A worker with "
     "a session says all but `draining` and `metadata` itself: 409."},
    {METHOD_DELETE, "/workers/{id}", workers_remove, ROLE_WORKER,
     "Forgets a worker; what it holds goes back to the queue. 409 for one that has a session, unless `force=true`: when it "
     "says something next it is a new worker."},
    {METHOD_POST, "/workers/{id}/heartbeat", workers_beat, ROLE_WORKER,
     "A worker over REST lives. `current_tasks` (run ids, or `{run_id, attempt}`) keeps its leases; `load_average`, "
     "`memory_usage`, `cpu_usage` and `metadata` are shown. Answers in `cancel` the runs it is to stop, and in "
     "`heartbeat_seconds` how often it is to come. An `Idempotency-Key` is remembered for as long as what the heartbeat "
     "says: of a worker's newest four, and not over a restart of the scheduler, unless something was written."},
    {METHOD_POST, "/workers/{id}/lease", workers_lease, ROLE_WORKER,
     "Gives a worker over REST up to `max` runs (1 if not given, and never more than it has room for), waiting up to "
     "`wait_seconds` (at most 60) for there to be one. What is neither reported nor named in a heartbeat within 10 s "
     "(`lease.accept_seconds`) goes back. With the same `Idempotency-Key` the same runs are given again, as far as it still "
     "holds them; an answer without runs is not kept."},
    {METHOD_GET, "/workers", workers_list, ROLE_READONLY,
     "Lists workers as the scheduler sees them this second. `page`, `size`, `status`, `task_type`, `hostname`, `sort` (`id`, "
     "`hostname`, `ip_address`, `port`, `status`, `max_concurrent_tasks`, `last_heartbeat`, `registered_at`, `created_at`, "
     "`load_average`, `memory_usage`, `cpu_usage`), `order`."},
    {METHOD_GET, "/workers/{id}", workers_get, ROLE_READONLY, "A worker (`worker-001`) with what it runs and what it has done."},
    {METHOD_GET, "/events", events_get, ROLE_READONLY,
     "What happens, live: `text/event-stream`, an event each with its sequence as id, its type as event, and as data what "
     "webhooks get: `event`, `timestamp`, `data`. `type` (a list: `task.failed,worker.*`; by default all but "
     "`worker.heartbeat`, which is sent when asked for by name, without an id), `task_id`, `run_id`; `after` or "
     "`Last-Event-ID` resume behind an id, and an event `cut` says how many in between are `missing` where they are no "
     "longer kept (`events.max`). A client that is slow, or one of very many, gets them later. With `follow=false` a page of "
     "those that are kept: `page`, `size`, `type` (one, or `task.*`), `task_id`, `run_id`, `after`, `order`."},
    {METHOD_POST, "/webhooks", webhooks_create, ROLE_USER,
     "Makes a webhook: 201, with its `secret`, which is shown this once. `url` (http or https; nothing is sent to link-local "
     "addresses and `webhooks.deny_networks`) is required. Optional: `events` (types, or `task.*`; by default all but "
     "`worker.heartbeat`), `secret` (`whsec_` and base64 of the key; other text is the key itself; made up when missing), "
     "`description`, `task_id` (only events of this task), `active`. Deliveries are POSTs of `{event, timestamp, data}`, "
     "signed as Standard Webhooks says (`webhook-id`, `webhook-timestamp`, `webhook-signature`), at least once, and tried "
     "again for a day (`webhooks.retry_ms`) unless answered by a 2xx. They are begun in the order of events, but may arrive "
     "in another. A task's `metadata.notify {failed: [ids], completed: [ids]}` names webhooks that are told of its runs "
     "whatever they want themselves."},
    {METHOD_GET, "/webhooks", webhooks_list, ROLE_READONLY,
     "Lists webhooks. `page`, `size`, `sort` (`id`, `created_at`), `order`."},
    {METHOD_GET, "/webhooks/{id}", webhooks_get, ROLE_READONLY,
     "A webhook with its `statistics`: `delivered`, `failed` (given up), `pending` (to be tried again), `missed` (events "
     "that were dropped by `events.max` before it could be told)."},
    {METHOD_PUT, "/webhooks/{id}", webhooks_update, ROLE_USER,
     "Changes the fields that are given. While `active` is false nothing is sent, and what happens meanwhile is not sent "
     "later."},
    {METHOD_DELETE, "/webhooks/{id}", webhooks_delete, ROLE_USER, "Deletes a webhook with its deliveries."},
    {METHOD_POST, "/webhooks/{id}/ping", webhooks_ping, ROLE_USER,
     "Sends an event `webhook.ping` to it alone: 201, with the delivery."},
    {METHOD_GET, "/webhooks/{id}/deliveries", deliveries_list, ROLE_READONLY,
     "What was sent to it, newest first, after the first try: `event`, `status` (`pending`, `delivered`, `failed`), "
     "`attempts`, `next_at`, and of the newest try `status_code`, `error`, `duration_ms`. The newest `webhooks.keep` that "
     "are over are kept. `page`, `size`, `status`, `order`."},
    {METHOD_POST, "/webhooks/{id}/deliveries/{delivery}/redeliver", deliveries_again, ROLE_USER,
     "Begins a delivery anew, under its old `webhook-id`: 201."},
    {METHOD_GET, "/pools", pools_list, ROLE_READONLY,
     "Lists pools with how many of their runs are `running` and `waiting` this second. `page`, `size`, `sort` (`name`, "
     "`limit`, `running`, `waiting`, `created_at`, `updated_at`), `order`."},
    {METHOD_GET, "/pools/{name}", pools_get, ROLE_READONLY, "A pool as it is this second."},
    {METHOD_PUT, "/pools/{name}", pools_put, ROLE_ADMIN,
     "Makes a pool (201) or changes what is given of it (200): `limit` (how many runs of all tasks that name it may run at "
     "once; 0: none), `description`. A new limit holds at once; what runs already is not stopped. A name is 1 to 64 of "
     "letters, digits and `. _ : -`."},
    {METHOD_DELETE, "/pools/{name}", pools_delete, ROLE_ADMIN, "Deletes a pool. 409 while tasks or runs name it."},
    {METHOD_GET, "/system/health", system_health, ROLE_KNOWN,
     "Health, measured for this answer (kept for one second): a component that does not answer within a second is "
     "`unhealthy`. 503 with the same body when writes cannot work."},
    {METHOD_GET, "/system/stats", system_stats, ROLE_READONLY,
     "Counts of tasks and runs kept, of workers as they are this second, and what they do. `average_execution_time`: "
     "seconds, over all attempts that the workers remembered have ended, null before the first; `tasks_per_minute`: runs "
     "that ended in the last minute; `success_rate`: percent of the runs kept that have ended; `system_uptime`: the longest "
     "that scheduler, store or gateway has been there. `resource_usage` is of the gateway's machine: percent of all "
     "processors over the last seconds, memory in MB, bytes of all network interfaces but loopback since its start; and "
     "percent used of the file system with the store's data folder."},
    {METHOD_GET, "/system/metrics", system_metrics, ROLE_READONLY,
     "The same and more for Prometheus, as `text/plain`. Counters and histograms begin anew with the process that keeps "
     "them; one that does not answer is missing, and `gantry_up` says so."},
    {METHOD_GET, "/system/logs", system_logs, ROLE_READONLY,
     "Lines of the farm's own processes, newest first. `level` (that one and worse), `service` (`store`, `scheduler`, "
     "`gateway`, `worker`), `start_time` and `end_time` (inclusive), `worker_id` (as in `worker-001`), `request_id`, `page`, "
     "`size` (default 50), `order`. A line's `key=value` pairs are in `metadata`, with its `code`. Lines arrive about a "
     "second after they were written; the newest are kept (`store.syslog_mb`, `store.syslog_days`), and those that had to be "
     "dropped on the way are told as `GTY-LOG-DROPPED`."},
    {METHOD_GET, "/system/audit", system_audit, ROLE_ADMIN,
     "Who wrote what, newest first: a line for each write over HTTP that the scheduler has done, or refused for good; "
     "questions of workers for runs, their heartbeats and progress have none. `who` is a key's name, a token's subject, "
     "`network` (a trusted one), `local` (nobody is asked who they are), or null; `kind` says which; `outcome` is `done` or "
     "why not; `target_id` is what was made or changed. Writes that do not reach the scheduler, for want of a credential "
     "(`unauthenticated`) or a role (`forbidden`), as there are too many (`limit`), or as they make no sense, have a line "
     "for the first of its kind and one now and then while they go on, with the number of the others in `more`; `kind` is "
     "`unknown` where it was not settled who asks. What `gantry key` did to the farm's files has `kind` `command`, the user "
     "as `who`, and the command as `path`. Filters: `who`, `method`, `path` (what it begins with), `start_time`, `end_time` "
     "(before it). `page`, `size`, `order`. What is kept: `audit.max`, `audit.days`."},
    {0},
};

const struct surface surface_scheduler = {
    .name = "scheduler",
    .prefix = "/api",
    .routes = routes,
    .write_problem = envelope_problem,
    .doc = "The task scheduler. Answers are `{success, data, metadata}`, errors `{success, error {code, message, details}, "
           "metadata}`. Every POST takes an `Idempotency-Key`: the same key, path and body answer the first answer again for 24 "
           "hours.",
};

/* ---- envelope ---- */

static const char *problem_code(enum problem_kind kind)
{
    static const char *const codes[PROBLEM_COUNT] = {
        [PROBLEM_BAD_REQUEST] = "VALIDATION_ERROR",
        [PROBLEM_INVALID] = "VALIDATION_ERROR",
        [PROBLEM_UNAUTHENTICATED] = "AUTHENTICATION_ERROR",
        [PROBLEM_FORBIDDEN] = "AUTHORIZATION_ERROR",
        [PROBLEM_NOT_FOUND] = "RESOURCE_NOT_FOUND",
        [PROBLEM_METHOD] = "VALIDATION_ERROR",
        [PROBLEM_TIMEOUT] = "VALIDATION_ERROR",
        [PROBLEM_CONFLICT] = "RESOURCE_CONFLICT",
        [PROBLEM_TOO_LARGE] = "VALIDATION_ERROR",
        [PROBLEM_URI_TOO_LONG] = "VALIDATION_ERROR",
        [PROBLEM_MEDIA_TYPE] = "VALIDATION_ERROR",
        [PROBLEM_RANGE] = "VALIDATION_ERROR",
        [PROBLEM_KEY_REUSED] = "VALIDATION_ERROR",
        [PROBLEM_LIMIT] = "SYSTEM_ERROR",
        [PROBLEM_INTERNAL] = "SYSTEM_ERROR",
        [PROBLEM_OVERLOADED] = "SYSTEM_ERROR",
        [PROBLEM_STOPPING] = "SYSTEM_ERROR",
        [PROBLEM_STORE_AWAY] = "DATABASE_ERROR",
        [PROBLEM_SCHEDULER_AWAY] = "MESSAGE_QUEUE_ERROR",
        [PROBLEM_STORE_UNKNOWN] = "DATABASE_ERROR",
        [PROBLEM_SCHEDULER_UNKNOWN] = "MESSAGE_QUEUE_ERROR",
        [PROBLEM_DISK_FULL] = "SYSTEM_ERROR",
    };
    return codes[kind];
}

static void metadata(struct request *request, struct writer *w)
{
    writer_open(w, "metadata", '{');
    writer_time(w, "timestamp", clock_wall_ms());
    writer_text(w, "request_id", str_of(request->rid));
    writer_text(w, "version", STR_LIT(GANTRY_VERSION));
    writer_close(w, '}');
}

void envelope_open(struct request *request, struct writer *w)
{
    buf_reset(&request->out);
    *w = (struct writer){.out = &request->out};
    writer_open(w, NULL, '{');
    writer_bool(w, "success", true);
}

void envelope_close(struct request *request, struct writer *w, unsigned status)
{
    metadata(request, w);
    writer_close(w, '}');
    reply_done(request, status);
}

static void problem_details(struct writer *w, const struct problem *problem)
{
    writer_open(w, "details", '{');
    if (problem->field.len > 0 || problem->rule.len > 0) {
        writer_text_or_null(w, "field", problem->field);
        writer_text_or_null(w, "rule", problem->rule);
        problem_value_write(w, "value", problem);
    }
    writer_close(w, '}');
}

void envelope_problem(struct request *request, const struct problem *problem)
{
    struct writer w = {.out = &request->out};
    struct buf sentence = {.limit = 16384};

    problem_sentence(&sentence, problem, request->lang);
    writer_open(&w, NULL, '{');
    writer_bool(&w, "success", false);
    writer_open(&w, "error", '{');
    writer_text(&w, "code", str_of(problem_code(problem->kind)));
    writer_text(&w, "message", buf_str(&sentence));
    problem_details(&w, problem);
    writer_close(&w, '}');
    metadata(request, &w);
    writer_close(&w, '}');
    buf_free(&sentence);
}

void reply_not_found(struct request *request, const char *field, struct str value)
{
    struct problem problem;

    problem_value(&problem, PROBLEM_NOT_FOUND, field, "not_found", value, NULL);
    reply_problem(request, &problem);
}
