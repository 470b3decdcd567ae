/* The scheduler's core: what it is made of, how it is rebuilt, and which message goes where. */
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/audit.h"
#include "scheduler/bulk.h"
#include "scheduler/command.h"
#include "scheduler/core_state.h"
#include "scheduler/depend.h"
#include "scheduler/dispatch.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/fire_times.h"
#include "scheduler/gate.h"
#include "scheduler/graph.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/live.h"
#include "scheduler/poll.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/report.h"
#include "scheduler/rest.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/timer.h"
#include "scheduler/webhook.h"
#include "scheduler/why.h"
#include "scheduler/worker.h"

#define KEYS_EXPIRE_MS 100
#define KEYS_EXPIRE_OPS 256
#define ARENA_BYTES ((size_t)256 << 20)

/* In the order of looking: what comes a thousand times a second before what comes once. */
const struct core_route core_routes[] = {
    {MSG_TASK_CREATE, DOOR_EITHER, task_on_create, "makes a task"},
    {MSG_TASK_UPDATE, DOOR_EITHER, task_on_update, "changes a task"},
    {MSG_TASK_DELETE, DOOR_EITHER, task_on_delete, "deletes a task and its history"},
    {MSG_TASK_PAUSE, DOOR_EITHER, task_on_pause, "pauses or resumes a task"},
    {MSG_RUN_TRIGGER, DOOR_EITHER, command_on_trigger, "makes a run of a task"},
    {MSG_RUN_TRIGGER_BATCH, DOOR_EITHER, command_on_trigger_batch, "makes many runs of a task, all or none"},
    {MSG_RUN_SUBMIT, DOOR_EITHER, command_on_submit, "makes a task and its one run"},
    {MSG_RUN_RESTART, DOOR_EITHER, command_on_restart, "makes a run like one that has ended"},
    {MSG_RUN_ABORT, DOOR_EITHER, command_on_abort, "ends a run"},
    {MSG_POOL_PUT, DOOR_COMMANDS, pool_on_put, "makes or changes a pool"},
    {MSG_POOL_DELETE, DOOR_COMMANDS, pool_on_delete, "deletes a pool that nothing names"},
    {MSG_POOL_LIST, DOOR_COMMANDS, pool_on_list, "pools as they are now"},
    {MSG_AUDIT_NOTE, DOOR_COMMANDS, audit_on_note, "writes that the gateway refused"},
    {MSG_WORKER_LIST, DOOR_COMMANDS, worker_on_list, "workers as they are now"},
    {MSG_RUN_LIVE, DOOR_COMMANDS, live_on_runs, "runs as they are now"},
    {MSG_FIRE_TIMES, DOOR_COMMANDS, fire_times_on_ask, "when a schedule is due next"},
    {MSG_WORKER_REGISTER, DOOR_COMMANDS, rest_on_register, "a worker over REST has started"},
    {MSG_WORKER_UPDATE, DOOR_COMMANDS, rest_on_update, "changes what is said of a worker"},
    {MSG_WORKER_REMOVE, DOOR_COMMANDS, rest_on_remove, "forgets a worker"},
    {MSG_WORKER_BEAT, DOOR_COMMANDS, rest_on_beat, "a worker over REST lives, and holds these"},
    {MSG_WORKER_LEASE, DOOR_COMMANDS, poll_on_lease, "a worker over REST waits for runs"},
    {MSG_RUN_REPORT, DOOR_COMMANDS, rest_on_report, "what a worker over REST says of a run"},
    {MSG_RUN_PUBLISH, DOOR_COMMANDS, rest_on_publish, "may an output of a worker over REST be given its name"},
    {MSG_RUN_BULK, DOOR_COMMANDS, bulk_on_ask, "restarts or ends many runs"},
    {MSG_RUN_PURGE, DOOR_COMMANDS, bulk_on_purge, "has ended runs removed"},
    {MSG_TASK_GRAPH, DOOR_COMMANDS, graph_on_ask, "who waits for whom, around a task"},
    {MSG_RUN_WHY, DOOR_COMMANDS, why_on_ask, "why a run waits"},
    {MSG_HELLO, DOOR_WORKERS, worker_on_hello, "a worker's session begins"},
    {MSG_HEARTBEAT, DOOR_WORKERS, worker_on_heartbeat, "a worker lives, and holds these"},
    {MSG_ACCEPT, DOOR_WORKERS, lease_on_accept, "a worker takes what it was given"},
    {MSG_REJECT, DOOR_WORKERS, lease_on_reject, "a worker gives back what it was given"},
    {MSG_PROGRESS, DOOR_WORKERS, report_on_progress, "how far runs are"},
    {MSG_LOG, DOOR_WORKERS, report_on_log, "lines of a run"},
    {MSG_PUBLISH, DOOR_WORKERS, report_on_publish, "may an output be given its name"},
    {MSG_RESULT, DOOR_WORKERS, report_on_result, "attempts have ended"},
    {MSG_LOG_LINES, DOOR_WORKERS, report_on_lines, "lines of a worker's own log"},
    {MSG_DRAIN, DOOR_WORKERS, worker_on_drain, "a worker takes nothing new"},
    {MSG_BYE, DOOR_WORKERS, worker_on_bye, "a worker leaves"},
    {MSG_WEBHOOK_CREATE, DOOR_COMMANDS, webhook_on_create, "makes a webhook"},
    {MSG_WEBHOOK_UPDATE, DOOR_COMMANDS, webhook_on_update, "changes a webhook"},
    {MSG_WEBHOOK_DELETE, DOOR_COMMANDS, webhook_on_delete, "deletes a webhook with its deliveries"},
    {MSG_WEBHOOK_PING, DOOR_COMMANDS, webhook_on_ping, "tells a webhook that it is one"},
    {MSG_DELIVERY_AGAIN, DOOR_COMMANDS, webhook_on_again, "begins a delivery anew"},
    {MSG_WEBHOOK_CLAIM, DOOR_COMMANDS, webhook_on_claim, "says which gateway delivers, and to whom"},
    {MSG_WEBHOOK_REPORT, DOOR_COMMANDS, webhook_on_report, "what was delivered"},
    {MSG_HEALTH_CHANGED, DOOR_COMMANDS, webhook_on_health, "the farm's health is another"},
    {0, DOOR_COMMANDS, NULL, NULL},
};

static void core_saw(struct core *core, uint64_t wall_ms)
{
    if (wall_ms > core->wall_high)
        core->wall_high = wall_ms;
}

static void core_read_clock(struct core *core)
{
    core->wall_ms = core->clock.wall_ms(core->clock.self);
    core->mono_ms = core->clock.mono_ms(core->clock.self);
    core_saw(core, core->wall_ms);
}

static void core_indexes(struct core *core)
{
    const size_t node_id = offsetof(struct heap_node, id);
    uint64_t seed = core->clock.random(core->clock.self);
    index_init(&core->tasks, offsetof(struct task, due) + node_id, false, seed);
    index_init(&core->task_names, offsetof(struct task, key), true, seed);
    index_init(&core->runs, offsetof(struct run, node) + node_id, false, seed);
    index_init(&core->pools, offsetof(struct pool, key), true, seed);
    index_init(&core->classes, offsetof(struct queue_class, key), true, seed);
    index_init(&core->kinds, offsetof(struct kind, key), true, seed);
    index_init(&core->leases, offsetof(struct lease, key), false, seed);
    index_init(&core->recent_index, offsetof(struct recent, key), false, seed);
    index_init(&core->workers, offsetof(struct worker, id), false, seed);
    index_init(&core->worker_idents, offsetof(struct worker, ident), true, seed);
    index_init(&core->worker_names, offsetof(struct worker, name_key), true, seed);
    index_init(&core->worker_peers, offsetof(struct worker, peer_key), true, seed);
    index_init(&core->executors, offsetof(struct text, str), true, seed);
}

struct core *core_new(const struct core_config *config, const struct core_clock *clock, struct journal *journal,
                      const struct farm *const *farms)
{
    struct core *core = calloc(1, sizeof *core);
    if (!core)
        return NULL;
    core->config = *config;
    core->clock = *clock;
    core->journal = journal;
    core->farms = farms;
    measure_init(&core->measure);
    core_indexes(core);
    core->keys = keys_new(config->keys_max, config->keys_ms);
    core->events = events_new(config->events_max);
    core->webhooks = webhooks_new(clock->wall_ms(clock->self));
    core->arena = arena_new(ARENA_BYTES);
    core->recent = calloc(RECENT_MAX, sizeof *core->recent);
    core->gone_tasks = calloc(GONE_TASKS, sizeof *core->gone_tasks);
    if (!core->keys || !core->events || !core->webhooks || !core->arena || !core->recent || !core->gone_tasks ||
        index_reserve(&core->recent_index, RECENT_MAX + 1)) {
        core_free(core);
        return NULL;
    }
    for (size_t i = 0; i < TYPE_MAX; i++)
        core->next_id[i] = 1;
    core_read_clock(core);
    core->steady_ms = (int64_t)core->wall_ms - (int64_t)core->mono_ms;
    return core;
}

static void free_runs(struct core *core)
{
    for (size_t i = 0; i < core->leases.size; i++)
        lease_free(core, core->leases.slots[i]);
    for (size_t i = 0; i < core->runs.size; i++)
        run_free(core, core->runs.slots[i]);
    while (core->first_task) {
        struct task *task = core->first_task;
        core->first_task = task->next;
        task_free(core, task);
    }
}

void core_free(struct core *core)
{
    if (!core)
        return;
    free_runs(core);
    while (core->first_worker) {
        struct worker *worker = core->first_worker;
        core->first_worker = worker->next;
        worker_free(worker);
    }
    pools_free(core);
    for (size_t i = 0; i < core->kinds.size; i++)
        kind_free(core->kinds.slots[i]);
    for (size_t i = 0; i < core->executors.size; i++)
        text_drop(core->executors.slots[i]);
    struct index *indexes[] = {&core->tasks,        &core->task_names,   &core->runs,      &core->classes,
                               &core->leases,       &core->recent_index, &core->workers,   &core->worker_idents,
                               &core->worker_names, &core->worker_peers, &core->executors, &core->kinds,
                               &core->pools};
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++)
        index_free(indexes[i]);
    heap_free(&core->delays);
    heap_free(&core->schedules);
    heap_free(&core->ready);
    heap_free(&core->gates);
    heap_free(&core->backstops);
    heap_free(&core->offline);
    heap_free(&core->polls);
    keys_free(core->keys);
    events_free(core->events);
    webhooks_free(core->webhooks);
    arena_free(core->arena);
    free(core->recent);
    free(core->gone_tasks);
    free(core->farm_runs);
    free(core);
}

void core_configure(struct core *core, const struct core_config *config)
{
    bool lifts = core->config.lift_ms != config->lift_ms;
    core_read_clock(core);
    lease_shorten(core, config->lease_ms);
    core->config = *config;
    keys_limits(core->keys, config->keys_max, config->keys_ms);
    events_limit(core->events, config->events_max);
    if (lifts)
        queue_rerank(core);
}

/* ---- rebuilding ---- */

static int load_task(struct core *core, struct str value, struct err *err)
{
    struct rec_task record;
    if (rec_decode_task(core->arena, value, &record, err))
        return -1;
    core_saw(core, record.updated_at);
    return task_load(core, &record, err);
}

static int load_stat(struct core *core, struct str value, struct err *err)
{
    struct rec_task_stat record;
    if (rec_decode_task_stat(core->arena, value, &record, err))
        return -1;
    struct task *task = task_find(core, record.id);
    if (!task)
        return 0;
    task->stat = record;
    if (task->gate)
        gate_set(core, task->gate, task->rules.rate, record.last_run_at);
    return 0;
}

static int load_pool(struct core *core, struct str value, struct err *err)
{
    struct rec_pool record;
    return rec_decode_pool(core->arena, value, &record, err) ? -1 : pool_load(core, &record, err);
}

static int load_run(struct core *core, struct str value, struct err *err)
{
    struct rec_run record;
    if (rec_decode_run(core->arena, value, &record, err))
        return -1;
    core_saw(core, record.created_at);
    core_saw(core, record.started_at);
    if (task_loaded(core)) /* where a run waits is a matter of how its task's dependencies stand */
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    return run_load(core, &record, err);
}

static int load_worker(struct core *core, struct str value, struct err *err)
{
    struct rec_worker record;
    return rec_decode_worker(core->arena, value, &record, err) ? -1 : worker_load(core, &record, err);
}

static int load_key(struct core *core, struct str value, struct err *err)
{
    struct rec_key record;
    if (rec_decode_key(core->arena, value, &record, err))
        return -1;
    return keys_load(core->keys, &record) ? err_set(err, ERR_NO_MEMORY, "out of memory") : 0;
}

/* The newest events tell which results were accepted lately. */
static int load_event(struct core *core, struct str value, struct err *err)
{
    struct rec_event record;
    if (rec_decode_event(core->arena, value, &record, err))
        return -1;
    core_saw(core, record.at);
    if (!core->oldest_event)
        core->oldest_event = record.id;
    if (!str_is(record.type, "task.completed") && !str_is(record.type, "task.failed") && !str_is(record.type, "run.aborted"))
        return 0;
    if (record.at + MEASURE_SECONDS * 1000 > core->wall_ms)
        measure_end(&core->measure, RUN_COMPLETED, record.at, false);
    for (uint64_t outcome = OUTCOME_COMPLETED; outcome <= OUTCOME_RETURNED; outcome++)
        if (str_is(record.status, outcome_name(outcome)) && !run_find(core, record.run_id))
            recent_add(core, record.run_id, record.attempt, outcome);
    return 0;
}

int core_load(struct core *core, enum record_type type, struct str value, struct err *err)
{
    arena_reset(core->arena);
    switch (type) {
    case TYPE_TASK:
        return load_task(core, value, err);
    case TYPE_TASK_STAT:
        return load_stat(core, value, err);
    case TYPE_RUN:
        return load_run(core, value, err);
    case TYPE_WORKER:
        return load_worker(core, value, err);
    case TYPE_KEY:
        return load_key(core, value, err);
    case TYPE_EVENT:
        return load_event(core, value, err);
    case TYPE_WEBHOOK:
        return webhook_load(core, value, err);
    case TYPE_DELIVERY:
        return webhook_load_delivery(core, value, err);
    case TYPE_POOL:
        return load_pool(core, value, err);
    default: /* a farm's; others are the store's own */
        return farm_load(core, type, value, err);
    }
}

/* The lease of a run that was running when the scheduler ended: its worker has a full term to say that it holds it. */
static int load_lease(struct core *core, struct run *run, struct err *err)
{
    const struct rec_attempt *attempt = run_attempt(run, run->attempt);
    struct worker *worker = attempt ? worker_find(core, attempt->worker_id) : NULL;
    if (!worker)
        return err_set(err, ERR_INVALID, "run %llu is with a worker that is not known", (unsigned long long)run->node.id);
    struct lease *lease = lease_new(core);
    if (!lease)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    /* With a grant of this attempt it is publishing as before: its output may have its name already, so no abort. */
    bool granted = run->more && run->more->published.attempt == run->attempt;
    run->state = granted ? STATE_PUBLISHING : STATE_ASSIGNED;
    core->states[run->state]++;
    lease_begin(core, lease, run, worker, granted ? LEASE_ACCEPTED : LEASE_REBUILT);
    lease->progress = attempt->progress > 0 ? attempt->progress : -1; /* told over REST, where it is a write */
    return 0;
}

int core_loaded(struct core *core, const uint64_t *next_ids, uint32_t count, struct err *err)
{
    core_read_clock(core);
    for (uint32_t i = 0; i < count && i < TYPE_MAX; i++)
        if (next_ids[i] > core->next_id[i])
            core->next_id[i] = next_ids[i];
    keys_next_id(core->keys, core->next_id[TYPE_KEY]);
    if (keys_newest_at(core->keys)) /* else a wall clock that was set forward meanwhile would let them all go */
        core->steady_ms = (int64_t)keys_newest_at(core->keys) - (int64_t)core->mono_ms;
    events_begin(core->events, core->oldest_event, core->next_id[TYPE_EVENT]);
    webhook_loaded(core);
    if (task_loaded(core))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < core->runs.size; i++) {
        struct run *run = core->runs.slots[i];
        if (run && run->state == STATE_NONE && load_lease(core, run, err))
            return -1;
    }
    /* Whatever crashed between an end and what follows from it follows now. */
    for (struct task *task = core->first_task, *next; task; task = next) {
        next = task->next;
        if (task->rules.dep_count)
            depend_recheck(core, task);
    }
    core_renew_leases(core);
    arena_reset(core->arena);
    return farm_loaded(core, err);
}

/* ---- messages ---- */

static const struct core_route *route_find(const struct core *core, uint16_t id)
{
    for (const struct core_route *route = core_routes; route->id; route++)
        if (route->id == id)
            return route;
    return farm_route(core, id);
}

/* The key of a command: its first field, by the table of messages. NULL: it has none. */
static const struct rec_idem *call_key(const struct msg *msg)
{
    const struct field *field = msg->shape->count ? &msg->shape->fields[0] : NULL;
    if (!field || field->record != &shape_rec_idem)
        return NULL;
    return (const struct rec_idem *)(const void *)((const char *)&msg->u + field->offset);
}

/* Stored records in a command are what the gateway has read from the store. Nobody else's word is taken for one: it could make up tasks
 * and runs that never were. -1 with fault. */
static int check_records(const struct msg *msg, enum door door, struct fault *fault)
{
    uint64_t has;
    if (door == DOOR_COMMANDS)
        return 0;
    memcpy(&has, &msg->u, sizeof has); /* every message begins with its has */
    for (size_t i = 0; i < msg->shape->count; i++) {
        const struct field *field = &msg->shape->fields[i];
        bool stored = field->record && strncmp(field->name, "known", 5) == 0;
        if (stored && has >> field->key & 1)
            return fault_set(fault, ERR_FORBIDDEN, field->name, "known", (struct str){0}, "nothing here",
                             "%s is taken from the gateway only", field->name);
    }
    return 0;
}

void core_key_reused(struct core *core, const struct core_call *call)
{
    struct fault fault;
    fault_set(&fault, ERR_KEY_REUSED, "Idempotency-Key", "key_reused", (struct str){0}, "the same body with the same key",
              "the idempotency key was used with another body");
    core_refuse(core, call, &fault);
}

bool core_key_admits(struct core *core, const struct core_call *call, const struct rec_idem *idem)
{
    struct str answer;
    struct fault fault;
    enum key_verdict verdict = keys_find(core->keys, idem, &answer);
    if (verdict == KEY_NEW)
        return true;
    if (verdict == KEY_KNOWN) {
        if (poll_repeats(core, call, answer))
            ;
        else if (core_reserve(core, answer.len, 0, 1, &fault))
            core_refuse(core, call, &fault);
        else
            journal_send_bytes(core->journal, &call->from, answer);
        return false;
    }
    core_key_reused(core, call);
    return false;
}

/* Who comes to the workers' socket may hand in work there only where keys need not tell whose word it is: a worker's key stands for a role
 * that may not. -1 with fault. */
static int check_client(const struct core *core, const struct core_call *call, struct fault *fault)
{
    enum core_clients clients = core->config.clients;
    if (call->from.door != DOOR_WORKERS || clients == CLIENTS_ALWAYS || (clients == CLIENTS_AUTO && !call->key.len))
        return 0;
    return fault_set(fault, ERR_FORBIDDEN, NULL, "clients", (struct str){0}, NULL,
                     "who comes to the workers' socket hands in no work here (bus.clients): ask over HTTP");
}

bool core_route_takes(const struct core_route *route, enum door door)
{
    return route->door == door || route->door == DOOR_EITHER;
}

void core_handle(struct core *core, const struct core_call *call)
{
    const struct msg *msg = call->msg;
    const struct core_route *route = route_find(core, msg->shape->id);
    const struct rec_idem *idem = call_key(msg);
    struct msg_error error = {.code = ERR_PROTOCOL};
    struct fault fault;
    core_read_clock(core);
    arena_reset(core->arena);
    log_request(msg->rid);
    if (!route || !core_route_takes(route, call->from.door)) {
        error.text =
            route ? STR_LIT("this message belongs on another socket") : STR_LIT("the scheduler does not take this message");
        journal_send_now(core->journal, &call->from, &shape_msg_error, &error);
        return;
    }
    if ((route->door == DOOR_EITHER && check_client(core, call, &fault)) || check_records(msg, call->from.door, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    if (idem && !core_key_admits(core, call, idem))
        return;
    core->idem = idem;
    core->by = audit_asker(call, idem);
    route->handle(core, call);
    core->idem = NULL;
    core->by = NULL;
}

uint64_t core_tick(struct core *core)
{
    struct fault fault;
    core_read_clock(core);
    arena_reset(core->arena);
    if (core->mono_ms >= core->keys_due && core_reserve(core, KEYS_EXPIRE_OPS * 32, 0, KEYS_EXPIRE_OPS, &fault) == 0) {
        keys_expire(core->keys, core->journal, core_steady(core));
        core->keys_due = core->mono_ms + KEYS_EXPIRE_MS;
    }
    webhook_tick(core);
    uint64_t wait = timer_tick(core);
    return core->recheck && depend_work(core) && wait > 10 ? 10 : wait;
}

void core_settle(struct core *core)
{
    core_read_clock(core);
    arena_reset(core->arena);
    if (core->recheck)
        depend_work(core);
    dispatch_settle(core);
    poll_expire(core);
    journal_seal(core->journal);
}

void core_renew_leases(struct core *core)
{
    core_read_clock(core);
    lease_renew_all(core);
    for (struct worker *worker = core->quiet; worker; worker = worker->more_lively)
        worker->heard = core->mono_ms;
    farm_renew(core);
}

void core_on_lines(struct core *core, core_lines *lines, void *self)
{
    core->lines = lines;
    core->lines_self = self;
}

static void count_add(struct rec_count *counts, uint32_t max, uint32_t *at, const char *name, uint64_t value)
{
    if (*at < max)
        counts[(*at)++] = (struct rec_count){.name = str_of(name), .value = value};
}

void core_status(const struct core *core, struct msg_pong *pong, struct rec_count *counts, uint32_t max)
{
    uint64_t workers[3] = {0}, waiting = 0;
    uint32_t at = 0;
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next)
        workers[worker->status]++;
    for (size_t i = 0; i < 4; i++)
        waiting += core->priorities[i];
    count_add(counts, max, &at, "runs_pending", waiting);
    count_add(counts, max, &at, "runs_running",
              core->states[STATE_ASSIGNED] + core->states[STATE_ACCEPTED] + core->states[STATE_PUBLISHING]);
    count_add(counts, max, &at, "pending_low", core->priorities[PRIORITY_LOW]);
    count_add(counts, max, &at, "pending_normal", core->priorities[PRIORITY_NORMAL]);
    count_add(counts, max, &at, "pending_high", core->priorities[PRIORITY_HIGH]);
    count_add(counts, max, &at, "pending_critical", core->priorities[PRIORITY_CRITICAL]);
    count_add(counts, max, &at, "runs_queued", core->states[STATE_QUEUED]);
    count_add(counts, max, &at, "runs_delayed", core->states[STATE_DELAYED]);
    count_add(counts, max, &at, "runs_blocked", core->states[STATE_BLOCKED]);
    count_add(counts, max, &at, "runs_paused", core->states[STATE_HELD]);
    count_add(counts, max, &at, "workers_active", workers[WORKER_ACTIVE]);
    count_add(counts, max, &at, "workers_draining", workers[WORKER_DRAINING]);
    count_add(counts, max, &at, "workers_offline", workers[WORKER_OFFLINE]);
    count_add(counts, max, &at, "tasks", core->tasks.count);
    count_add(counts, max, &at, "keys", keys_count(core->keys));
    count_add(counts, max, &at, "webhooks", webhooks_count(core));
    count_add(counts, max, &at, "deliveries_pending", webhooks_pending(core));
    pong->counts = (struct rec_count_list){counts, at};
    pong->ready = journal_writable(core->journal);
    pong->trouble = str_of(journal_trouble(core->journal));
}
