/* Workers: known by their ident, heard through a session, judged by their silence.
 *
 * A session is a ROUTER peer. HELLO binds it to a worker; a newer boot of the same ident replaces an older one for good, whose
 * messages are refused from then on. What a worker holds is reconciled at each HELLO (worker_session.c).
 */
#include "scheduler/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/poll.h"

struct worker *worker_find(const struct core *core, uint64_t id)
{
    return index_id(&core->workers, id);
}

static struct worker *worker_find_name(const struct core *core, struct str name)
{
    return index_text(&core->worker_names, name);
}

struct address worker_address(const struct worker *worker)
{
    struct address to = {.door = DOOR_WORKERS};
    if (worker->bound)
        to.peer = worker->peer;
    return to;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    free(worker->poll);
    text_drop(worker->name);
    text_drop(worker->ident_text);
    text_drop(worker->hostname);
    text_drop(worker->ip_address);
    text_drop(worker->boot);
    text_drop(worker->labels);
    text_drop(worker->metadata);
    free(worker->types);
    free(worker->executors);
    free(worker->plan);
    free(worker);
}

/* ---- heard and silent ---- */

static void quiet_remove(struct core *core, struct worker *worker)
{
    if (!worker->listed)
        return;
    if (worker->more_quiet)
        worker->more_quiet->more_lively = worker->more_lively;
    else
        core->quiet = worker->more_lively;
    if (worker->more_lively)
        worker->more_lively->more_quiet = worker->more_quiet;
    else
        core->lively = worker->more_quiet;
    worker->more_quiet = worker->more_lively = NULL;
    worker->listed = false;
}

void worker_heard(struct core *core, struct worker *worker)
{
    quiet_remove(core, worker);
    worker->heard = core->mono_ms;
    if (worker->kept)
        return;
    worker->more_quiet = core->lively;
    if (core->lively)
        core->lively->more_lively = worker;
    else
        core->quiet = worker;
    core->lively = worker;
    worker->listed = true;
}

void worker_keep(struct core *core, struct worker *worker)
{
    quiet_remove(core, worker);
    worker->kept = true;
}

void worker_unbind(struct core *core, struct worker *worker)
{
    if (worker->bound)
        index_remove(&core->worker_peers, worker);
    worker->bound = worker->present = false;
}

static void worker_goes_offline(struct core *core, struct worker *worker)
{
    worker->status = WORKER_OFFLINE;
    worker->offline.key = (int64_t)worker->last_heartbeat;
    worker->offline.id = worker->id;
    heap_push(&core->offline, &worker->offline);
}

void worker_part(struct core *core, struct worker *worker, const char *why)
{
    worker->rest_until = 0; /* whoever comes back is there again */
    quiet_remove(core, worker);
    worker_unbind(core, worker);
    kind_leave(core, worker);
    if (worker->status == WORKER_OFFLINE)
        return;
    worker_goes_offline(core, worker);
    worker_put(core, worker);
    struct rec_event event = {.type = STR_LIT("worker.unregistered"),
                              .worker_name = worker->name->str,
                              .status = STR_LIT("offline"),
                              .detail = str_of(why)};
    core_event(core, &event);
    log_info("GTY-WORKER-OFFLINE", "worker=%s %s", worker->name->data, why);
}

/* ---- those that work over REST ---- */

uint8_t worker_standing(const struct worker *worker)
{
    if (worker->order == WORKER_OFFLINE)
        return WORKER_OFFLINE;
    return worker->drains || worker->order == WORKER_DRAINING ? WORKER_DRAINING : WORKER_ACTIVE;
}

void worker_arrive(struct core *core, struct worker *worker, struct kind *kind)
{
    bool was_offline = worker->status == WORKER_OFFLINE;
    heap_remove(&core->offline, &worker->offline);
    worker->status = worker_standing(worker);
    worker->present = true;
    worker->last_heartbeat = core->wall_ms;
    worker_heard(core, worker);
    kind_join(core, worker, kind);
    if (was_offline) {
        struct rec_event event = {.type = STR_LIT("worker.registered"),
                                  .worker_name = worker->name->str,
                                  .status = str_of(worker_status_name(worker->status))};
        worker->connected_at = core->wall_ms;
        core_event(core, &event);
    }
    worker_put(core, worker);
}

void worker_silence(struct core *core)
{
    struct fault fault;
    while (core->quiet && core->mono_ms >= core->quiet->heard + lease_term(core)) {
        struct worker *worker = core->quiet;
        if (lease_take_all(core, worker, OUTCOME_LOST, "its worker fell silent") ||
            core_reserve(core, worker_bytes(worker) + EVENT_BYTES, 0, EVENT_OPS + 2, &fault))
            return; /* no room now: at the next tick */
        worker_part(core, worker, "silent for a whole lease");
    }
}

/* ---- forgotten ---- */

#define PRUNE_MAX 64 /* in one tick */

/* Nothing is left of a worker's when it goes offline; only a store that was mended by hand may say otherwise. */
struct worker *worker_oldest(const struct core *core)
{
    struct heap_node *top = heap_top(&core->offline);
    struct worker *worker = top ? heap_of(top, struct worker, offline) : NULL;
    return worker && !worker->leases ? worker : NULL;
}

void worker_forget(struct core *core, struct worker *worker)
{
    log_info("GTY-WORKER-FORGOTTEN", "worker=%s ident=%s", worker->name->data, worker->ident_text->data);
    poll_end(core, worker, false);
    farm_forgot(core, worker->id);
    journal_delete(core->journal, TYPE_WORKER, worker->id);
    heap_remove(&core->offline, &worker->offline);
    index_remove(&core->workers, worker);
    index_remove(&core->worker_idents, worker);
    index_remove(&core->worker_names, worker);
    if (worker->prev)
        worker->prev->next = worker->next;
    else
        core->first_worker = worker->next;
    if (worker->next)
        worker->next->prev = worker->prev;
    else
        core->last_worker = worker->prev;
    worker_free(worker);
}

int worker_check_room(const struct core *core, const char *field, struct str ident, struct fault *fault)
{
    if (core->workers.count < core->config.workers_max || worker_oldest(core))
        return 0;
    return fault_set(fault, ERR_LIMIT, field, "limit", ident, NULL, "there are too many workers");
}

struct worker *worker_enrol(struct core *core, const struct rec_worker *record)
{
    char name[32];
    struct worker *oldest = core->workers.count >= core->config.workers_max ? worker_oldest(core) : NULL;
    struct rec_worker named = *record;
    named.id = core->next_id[TYPE_WORKER];
    snprintf(name, sizeof name, "worker-%03llu", (unsigned long long)named.id);
    named.name = str_of(name);
    struct worker *worker = worker_make(core, &named);
    if (!worker)
        return NULL;
    core_new_id(core, TYPE_WORKER);
    worker->registered_at = core->wall_ms;
    worker->status = WORKER_OFFLINE;
    worker_join(core, worker);
    if (oldest)
        worker_forget(core, oldest);
    return worker;
}

void worker_prune(struct core *core)
{
    struct worker *worker;
    struct fault fault;
    for (uint32_t i = 0; i < PRUNE_MAX && (worker = worker_oldest(core)); i++) {
        if (worker->last_heartbeat + core->config.workers_ms > core->wall_ms ||
            core_reserve(core, WORKER_FORGET_BYTES, 0, WORKER_FORGET_OPS, &fault))
            return;
        worker_forget(core, worker);
    }
}

void worker_rest(struct core *core, struct worker *worker, uint64_t ms)
{
    worker->rest_until = core->mono_ms + ms;
    if (!core->rest_until || worker->rest_until < core->rest_until)
        core->rest_until = worker->rest_until;
    kind_refresh(core, worker);
}

void worker_rested(struct core *core)
{
    if (!core->rest_until || core->mono_ms < core->rest_until)
        return;
    core->rest_until = 0;
    for (struct worker *worker = core->first_worker; worker; worker = worker->next) {
        if (worker->rest_until > core->mono_ms && (!core->rest_until || worker->rest_until < core->rest_until))
            core->rest_until = worker->rest_until;
        if (worker->place == PLACE_RESTS)
            kind_refresh(core, worker);
    }
}

/* ---- who is speaking ---- */

static bool peer_gone(const struct core *core, const struct bus_peer *peer)
{
    for (uint32_t i = 0; i < GONE_MAX; i++)
        if (core->gone[i].len && memcmp(&core->gone[i], peer, sizeof *peer) == 0)
            return true;
    return false;
}

/* The leases a message names: what a replaced session is told to stop. */
static void named_leases(const struct core *core, const struct msg *msg, struct lease_rows *rows)
{
    const struct rec_lease_list *list = NULL;
    switch (msg->shape->id) {
    case MSG_HEARTBEAT:
        list = &msg->u.heartbeat.running;
        break;
    case MSG_ACCEPT:
        list = &msg->u.accept.leases;
        break;
    case MSG_REJECT:
        list = &msg->u.reject.leases;
        break;
    case MSG_PUBLISH:
        lease_rows_add(core, rows, msg->u.publish.run_id, msg->u.publish.output.attempt, LEASE_WHY_STALE);
        break;
    case MSG_LOG:
        lease_rows_add(core, rows, msg->u.log.chunk.run_id, msg->u.log.chunk.attempt, LEASE_WHY_STALE);
        break;
    case MSG_PROGRESS:
        for (uint32_t i = 0; i < msg->u.progress.items.count && i < rows->size; i++)
            lease_rows_add(core, rows, msg->u.progress.items.items[i].run_id, msg->u.progress.items.items[i].attempt,
                           LEASE_WHY_STALE);
        break;
    case MSG_RESULT:
        for (uint32_t i = 0; i < msg->u.result.items.count && i < rows->size; i++)
            lease_rows_add(core, rows, msg->u.result.items.items[i].run_id, msg->u.result.items.items[i].attempt,
                           LEASE_WHY_STALE);
        break;
    default:
        break;
    }
    for (uint32_t i = 0; list && i < list->count && i < rows->size; i++)
        lease_rows_add(core, rows, list->items[i].run_id, list->items[i].attempt, LEASE_WHY_STALE);
}

static void refuse_gone(struct core *core, const struct core_call *call)
{
    struct lease_rows rows = {0};
    struct fault fault;
    struct msg_error error = {.code = ERR_CONFLICT,
                              .rule = STR_LIT("superseded"),
                              .field = STR_LIT("boot"),
                              .text = STR_LIT("a newer start of this worker has taken its place")};
    if (lease_rows_reserve(core, &rows, 4096) == 0) {
        named_leases(core, call->msg, &rows);
        struct msg_refused refused = {.leases = rows.list};
        if (rows.list.count && core_reserve(core, (size_t)rows.list.count * LEASE_ROW_BYTES, 0, 2, &fault) == 0)
            journal_send(core->journal, &call->from, &shape_msg_refused, &refused);
    }
    journal_send_now(core->journal, &call->from, &shape_msg_error, &error);
}

struct worker *worker_of_call(struct core *core, const struct core_call *call)
{
    struct str key = {(const char *)&call->from.peer, sizeof call->from.peer};
    struct worker *worker = index_text(&core->worker_peers, key);
    if (worker) {
        worker_heard(core, worker);
        worker->last_heartbeat = core->wall_ms;
        return worker;
    }
    if (peer_gone(core, &call->from.peer)) {
        refuse_gone(core, call);
        return NULL;
    }
    struct msg_error error = {.code = ERR_PROTOCOL, .rule = STR_LIT("hello"), .text = STR_LIT("no session: say HELLO first")};
    journal_send_now(core->journal, &call->from, &shape_msg_error, &error);
    return NULL;
}

/* ---- its record ---- */

void worker_record(const struct worker *worker, struct rec_worker *record)
{
    *record = (struct rec_worker){
        .id = worker->id,
        .name = worker->name->str,
        .ident = worker->ident,
        .hostname = text_str(worker->hostname),
        .ip_address = text_str(worker->ip_address),
        .port = worker->port,
        .task_types = {worker->types, worker->type_count},
        .executors = {worker->executors, worker->executor_count},
        .slots = worker->slots,
        .labels = text_str(worker->labels),
        .status = worker->status,
        .registered_at = worker->registered_at,
        .metadata = text_str(worker->metadata),
        .protocol = worker->protocol,
        .last_heartbeat = worker->last_heartbeat,
        .total = worker->total,
        .completed = worker->completed,
        .failed = worker->failed,
        .duration_ms = worker->duration_ms,
        .connected_at = worker->connected_at,
        .boot = text_str(worker->boot),
        .asks = worker->asks,
        .order = worker->order,
        .owner = worker_owner(worker),
    };
}

void worker_set_owner(struct worker *worker, struct str owner)
{
    worker->owner_len = (uint8_t)(owner.len <= sizeof worker->owner ? owner.len : 0);
    if (worker->owner_len)
        memcpy(worker->owner, owner.ptr, worker->owner_len);
}

struct str worker_owner(const struct worker *worker)
{
    return (struct str){(const char *)worker->owner, worker->owner_len};
}

size_t worker_bytes(const struct worker *worker)
{
    size_t bytes = 416 + worker->name->str.len + worker->ident.len + text_str(worker->hostname).len +
                   text_str(worker->ip_address).len + text_str(worker->labels).len + text_str(worker->metadata).len +
                   text_str(worker->boot).len;
    for (uint32_t i = 0; i < worker->type_count; i++)
        bytes += worker->types[i].len + 5;
    for (uint32_t i = 0; i < worker->executor_count; i++)
        bytes += worker->executors[i].len + 5;
    return bytes;
}

void worker_put(struct core *core, const struct worker *worker)
{
    struct rec_worker record;
    worker_record(worker, &record);
    journal_put(core->journal, TYPE_WORKER, worker->id, &record);
}

/* ---- made ---- */

#define EXECUTORS_MAX 4096 /* known by name; more are not remembered */

static int executors_note(struct core *core, const struct str_list *executors)
{
    for (uint32_t i = 0; i < executors->count && core->executors.count < EXECUTORS_MAX; i++) {
        if (index_text(&core->executors, executors->items[i]))
            continue;
        struct text *text = text_new(executors->items[i]);
        if (!text || index_reserve(&core->executors, 1)) {
            text_drop(text);
            return -1;
        }
        index_add(&core->executors, text);
    }
    return 0;
}

struct worker *worker_make(struct core *core, const struct rec_worker *record)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->name = text_new(record->name);
    worker->ident_text = text_new(record->ident);
    worker->metadata = text_new(record->metadata);
    if (!worker->name || !worker->ident_text || !worker->metadata || worker_describe(core, worker, record) ||
        heap_reserve(&core->offline, core->workers.count + 1) || index_reserve(&core->workers, 1) ||
        index_reserve(&core->worker_idents, 1) || index_reserve(&core->worker_names, 1) ||
        index_reserve(&core->worker_peers, core->workers.count + 1 - core->worker_peers.count)) { /* each may have a session */
        worker_free(worker);
        return NULL;
    }
    worker->id = record->id;
    worker->asks = record->asks;
    worker->order = (uint8_t)record->order;
    worker_set_owner(worker, record->owner);
    worker->ident = worker->ident_text->str;
    worker->name_key = worker->name->str;
    worker->peer_key = (struct str){(const char *)&worker->peer, sizeof worker->peer};
    return worker;
}

void worker_join(struct core *core, struct worker *worker)
{
    index_add(&core->workers, worker);
    index_add(&core->worker_idents, worker);
    index_add(&core->worker_names, worker);
    worker->prev = core->last_worker;
    if (core->last_worker)
        core->last_worker->next = worker;
    else
        core->first_worker = worker;
    core->last_worker = worker;
}

int worker_describe(struct core *core, struct worker *worker, const struct rec_worker *record)
{
    struct text *hostname = text_new(record->hostname), *ip = text_new(record->ip_address), *boot = text_new(record->boot),
                *labels = text_new(record->labels);
    struct str *types = NULL, *executors = NULL;
    if (!hostname || !ip || !boot || !labels || text_list_copy(&types, &record->task_types) ||
        text_list_copy(&executors, &record->executors) || executors_note(core, &record->executors)) {
        text_drop(hostname);
        text_drop(ip);
        text_drop(boot);
        text_drop(labels);
        free(types);
        free(executors);
        return -1;
    }
    text_drop(worker->hostname);
    text_drop(worker->ip_address);
    text_drop(worker->boot);
    text_drop(worker->labels);
    free(worker->types);
    free(worker->executors);
    worker->hostname = hostname;
    worker->ip_address = ip;
    worker->boot = boot;
    worker->labels = labels;
    worker->types = types;
    worker->type_count = record->task_types.count;
    worker->executors = executors;
    worker->executor_count = record->executors.count;
    worker->slots = (uint32_t)record->slots;
    worker->protocol = (uint16_t)record->protocol;
    worker->port = (uint16_t)record->port;
    return 0;
}

/* One that works over REST says no HELLO: it is here again at once. */
static int load_asking(struct core *core, struct worker *worker, const struct rec_worker *record, struct err *err)
{
    struct kind *kind = kind_get(core, record);
    if (!kind)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    worker->grace_ms = WORKER_ASKS_GRACE_MS;
    worker->present = true;
    kind_join(core, worker, kind);
    return 0;
}

int worker_load(struct core *core, const struct rec_worker *record, struct err *err)
{
    if (worker_find(core, record->id) || index_text(&core->worker_idents, record->ident) || worker_find_name(core, record->name))
        return err_set(err, ERR_INVALID, "worker %llu is there twice", (unsigned long long)record->id);
    struct worker *worker = worker_make(core, record);
    if (!worker)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    worker->status = (uint8_t)record->status;
    worker->credit = worker->slots;
    worker->registered_at = record->registered_at;
    worker->last_heartbeat = record->last_heartbeat;
    worker->connected_at = record->connected_at;
    worker->total = record->total;
    worker->completed = record->completed;
    worker->failed = record->failed;
    worker->duration_ms = record->duration_ms;
    worker_join(core, worker);
    if (worker->status == WORKER_OFFLINE) {
        worker_goes_offline(core, worker);
        return 0;
    }
    /* Until it says HELLO again it counts as heard now: it has a full lease to do so. What its record says is when it said HELLO last. */
    worker->last_heartbeat = core->wall_ms;
    worker_heard(core, worker);
    return worker->asks ? load_asking(core, worker, record, err) : 0;
}
