/* Workers that work over REST: registered, changed, removed. */
#include "scheduler/rest.h"

#include <stdio.h>

#include "proto/ident.h"
#include "proto/log.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/poll.h"

/* ---- who is meant, and who may ---- */

bool rest_owns(const struct worker *worker, struct str whose)
{
    if (!whose.len)
        return true;
    return worker->asks && (!worker->owner_len || str_eq(whose, worker_owner(worker)));
}

static struct worker *find(struct core *core, struct str id, struct str whose, struct fault *fault)
{
    struct worker *worker = index_text(&core->worker_names, id);
    if (!worker)
        fault_set(fault, ERR_NOT_FOUND, "id", "not_found", id, "the id of a worker", "there is no worker \"%.*s\"", (int)id.len,
                  id.ptr);
    else if (!rest_owns(worker, whose))
        fault_set(fault, ERR_FORBIDDEN, "id", "owner", id, NULL, "worker %s was registered by somebody else", worker->name->data);
    else
        return worker;
    return NULL;
}

static int refuse_link(const struct worker *worker, const char *field, struct fault *fault)
{
    return fault_set(fault, ERR_CONFLICT, field, "link", worker->name->str, NULL, "worker %s %s, and says that itself",
                     worker->name->data, worker->kept ? "works through its farm's API" : "has a session of the worker protocol");
}

struct worker *rest_worker(struct core *core, struct str id, struct str whose, struct fault *fault)
{
    struct worker *worker = find(core, id, whose, fault);
    if (!worker || (worker->asks && !worker->kept))
        return worker;
    refuse_link(worker, "id", fault);
    return NULL;
}

void rest_forget(struct core *core, struct worker *worker)
{
    for (struct lease *lease = worker->leases, *next; lease; lease = next) {
        next = lease->next;
        if (lease->state == LEASE_CANCELLED && core->mono_ms >= lease->renewed + lease_term(core))
            lease_end(core, lease);
    }
}

int rest_attend(struct core *core, struct worker *worker, struct fault *fault)
{
    struct rec_worker record;
    worker->last_heartbeat = core->wall_ms;
    if (worker->order == WORKER_OFFLINE) {
        if (worker->offline.place) { /* it stays away, and is not forgotten */
            worker->offline.key = (int64_t)core->wall_ms;
            heap_moved(&core->offline, &worker->offline);
        }
        return 0;
    }
    if (worker->present) {
        worker_heard(core, worker);
        return 0;
    }
    if (core_reserve(core, worker_bytes(worker) + EVENT_BYTES, 0, EVENT_OPS + 2, fault))
        return -1;
    worker_record(worker, &record);
    struct kind *kind = kind_get(core, &record);
    if (!kind)
        return fault_memory(fault);
    worker_arrive(core, worker, kind);
    log_info("GTY-WORKER-BACK", "worker=%s it is heard of again", worker->name->data);
    return 0;
}

bool rest_only(const struct core *core, struct str type)
{
    bool any = false;
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        if (!text_list_has(worker->types, worker->type_count, type))
            continue;
        if (!worker->asks)
            return false;
        any = true;
    }
    return any;
}

int rest_cancels(struct core *core, const struct worker *worker, struct uint_list *cancel)
{
    *cancel = (struct uint_list){0};
    for (const struct lease *lease = worker->leases; lease; lease = lease->next) {
        if (lease->state != LEASE_CANCELLED)
            continue;
        if (!cancel->items)
            cancel->items = arena_alloc(core->arena, worker->held * sizeof *cancel->items);
        if (!cancel->items)
            return -1;
        cancel->items[cancel->count++] = lease->key >> 20;
    }
    return 0;
}

/* ---- POST /workers ---- */

static int register_check(const struct core *core, const struct msg_worker_register *asked, const struct worker *worker,
                          struct fault *fault)
{
    static const char expected[] = "1 to 64 characters out of A-Z a-z 0-9 . _ : -";
    if (asked->name.len && !ident_valid(asked->name))
        return fault_set(fault, ERR_INVALID, "name", "ident", asked->name, expected, "the name has characters it must not have");
    if (asked->boot.len && !ident_valid(asked->boot))
        return fault_set(fault, ERR_INVALID, "boot", "ident", asked->boot, expected, "boot has characters it must not have");
    if (worker_check_served(&asked->task_types, "task_types", fault) ||
        worker_check_served(&asked->executors, "executors", fault))
        return -1;
    if (worker && (!worker->asks || worker->kept))
        return refuse_link(worker, "name", fault);
    /* One that is away may come back with another credential: keys are renewed. */
    if (worker && worker->present && !rest_owns(worker, asked->whose))
        return fault_set(fault, ERR_FORBIDDEN, "name", "owner", asked->name, NULL, "worker %s was registered by somebody else",
                         worker->name->data);
    return worker ? 0 : worker_check_room(core, "name", asked->name, fault);
}

/* What a former start of it held is lost; what it may not even have heard of goes back. -1: no room now. */
static int former_ends(struct core *core, struct worker *worker)
{
    for (struct lease *lease = worker->leases, *next; lease; lease = next) {
        next = lease->next;
        if (lease_take(core, lease, lease->state == LEASE_ASSIGNED ? OUTCOME_RETURNED : OUTCOME_LOST,
                       "its worker was started anew"))
            return -1;
    }
    poll_end(core, worker, true);
    return 0;
}

static struct rec_worker register_record(const struct msg_worker_register *asked)
{
    return (struct rec_worker){.ident = asked->name,
                               .boot = asked->boot,
                               .hostname = asked->hostname,
                               .ip_address = asked->ip_address,
                               .port = asked->port,
                               .task_types = asked->task_types,
                               .executors = asked->executors,
                               .slots = asked->max_concurrent_tasks,
                               .labels = asked->labels,
                               .metadata = asked->metadata,
                               .owner = asked->whose,
                               .asks = true};
}

/* A worker of this record, which nobody knows yet; its ident is made up when it brings none. NULL when out of memory. */
static struct worker *register_new(struct core *core, struct rec_worker record)
{
    char ident[40] = "";
    while (!record.ident.len || (*ident && index_text(&core->worker_idents, record.ident))) {
        snprintf(ident, sizeof ident, "rest-%016llx", (unsigned long long)core->clock.random(core->clock.self));
        record.ident = str_of(ident);
    }
    return worker_enrol(core, &record);
}

/* The same for one that is known. -1 when out of memory, nothing changed. */
static int register_again(struct core *core, struct worker *worker, const struct rec_worker *record)
{
    struct text *metadata = text_new(record->metadata);
    if (!metadata || worker_describe(core, worker, record)) {
        text_drop(metadata);
        return -1;
    }
    text_drop(worker->metadata);
    worker->metadata = metadata;
    worker_set_owner(worker, record->owner);
    if (worker->order == WORKER_OFFLINE)
        worker->order = WORKER_ACTIVE; /* that it is there is its own word; draining is not over by that */
    return 0;
}

static void answer_worker(struct core *core, const struct core_call *call, const struct worker *worker)
{
    struct msg_worker_answer answer = {.current = worker->held};
    worker_record(worker, &answer.worker);
    answer.worker.load_average = worker->load_average;
    answer.worker.memory_mb = worker->memory_mb;
    answer.worker.cpu_percent = worker->cpu_percent;
    core_answer(core, call, &shape_msg_worker_answer, &answer);
}

void rest_on_register(struct core *core, const struct core_call *call)
{
    const struct msg_worker_register *asked = &call->msg->u.worker_register;
    struct worker *worker = asked->name.len ? index_text(&core->worker_idents, asked->name) : NULL;
    struct rec_worker record = register_record(asked);
    struct kind *kind = NULL;
    struct fault fault;
    if (register_check(core, asked, worker, &fault))
        goto error;
    bool same_start = worker && asked->boot.len && str_eq(text_str(worker->boot), asked->boot);
    if (worker && !same_start && former_ends(core, worker)) {
        fault_set(&fault, ERR_UNAVAILABLE, NULL, NULL, (struct str){0}, NULL, "the store is away: register again");
        goto error;
    }
    size_t bytes = call->frame.len + 1024 + EVENT_BYTES + WORKER_FORGET_BYTES;
    if (core_reserve(core, bytes, call->frame.len + (size_t)1024, EVENT_OPS + 4, &fault))
        goto error;
    fault_memory(&fault);
    if (!(kind = kind_get(core, &record)))
        goto error;
    if (worker) {
        if (register_again(core, worker, &record))
            goto error;
    } else if (!(worker = register_new(core, record))) {
        goto error;
    }
    worker->credit = worker->slots;
    worker->grace_ms = WORKER_ASKS_GRACE_MS;
    worker_arrive(core, worker, kind);
    answer_worker(core, call, worker);
    log_info("GTY-WORKER-REGISTERED", "worker=%s slots=%u over REST", worker->name->data, worker->slots);
    return;
error:
    kind_drop(core, kind);
    core_refuse(core, call, &fault);
}

/* ---- PUT /workers/{id} ---- */

/* A worker with a session, or of a farm's API, says of itself what it serves and how much of it, and that it is there. */
static int update_check(const struct worker *worker, const struct msg_worker_update *asked, struct fault *fault)
{
    if (worker_check_served(&asked->task_types, "task_types", fault) ||
        worker_check_served(&asked->executors, "executors", fault))
        return -1;
    if (worker->asks && !worker->kept)
        return 0;
    if (HAS(asked, msg_worker_update, max_concurrent_tasks))
        return refuse_link(worker, "max_concurrent_tasks", fault);
    if (HAS(asked, msg_worker_update, task_types))
        return refuse_link(worker, "task_types", fault);
    if (HAS(asked, msg_worker_update, executors))
        return refuse_link(worker, "executors", fault);
    if (HAS(asked, msg_worker_update, labels))
        return refuse_link(worker, "labels", fault);
    if (HAS(asked, msg_worker_update, status) && asked->status == WORKER_OFFLINE && worker->present && !worker->kept)
        return refuse_link(worker, "status", fault);
    return 0;
}

static void update_record(const struct worker *worker, const struct msg_worker_update *asked, struct rec_worker *record)
{
    worker_record(worker, record);
    if (HAS(asked, msg_worker_update, max_concurrent_tasks))
        record->slots = asked->max_concurrent_tasks;
    if (HAS(asked, msg_worker_update, task_types))
        record->task_types = asked->task_types;
    if (HAS(asked, msg_worker_update, executors))
        record->executors = asked->executors;
    if (HAS(asked, msg_worker_update, labels))
        record->labels = asked->labels;
    if (HAS(asked, msg_worker_update, metadata))
        record->metadata = asked->metadata;
}

/* Its texts anew, and its kind (takes the reference). -1 when out of memory, nothing changed. */
static int update_describe(struct core *core, struct worker *worker, const struct rec_worker *record, struct kind *kind)
{
    struct text *metadata = text_new(record->metadata);
    if (!metadata || (worker->asks && worker_describe(core, worker, record))) {
        text_drop(metadata);
        return -1;
    }
    text_drop(worker->metadata);
    worker->metadata = metadata;
    if (worker->asks)
        worker->credit = worker->slots;
    if (kind)
        kind_join(core, worker, kind);
    return 0;
}

/* What it is to be from now on. A worker over REST that is to be active counts as heard now: it has a full term to say something. */
static void update_order(struct core *core, struct worker *worker, uint64_t status, struct kind *arrives)
{
    worker->order = (uint8_t)(worker->asks || status != WORKER_OFFLINE ? status : worker->order);
    if (worker->order == WORKER_OFFLINE) {
        worker_part(core, worker, "it was taken offline");
    } else if (arrives) {
        worker_arrive(core, worker, arrives);
    } else if (worker->present) {
        worker->status = worker_standing(worker);
        kind_refresh(core, worker);
    }
}

void rest_on_update(struct core *core, const struct core_call *call)
{
    const struct msg_worker_update *asked = &call->msg->u.worker_update;
    struct fault fault;
    struct worker *worker = find(core, asked->id, asked->whose, &fault);
    struct rec_worker record;
    struct kind *kind = NULL;
    if (!worker || update_check(worker, asked, &fault))
        goto error;
    bool ordered = HAS(asked, msg_worker_update, status);
    bool leaves = worker->asks && ordered && asked->status == WORKER_OFFLINE;
    if (leaves && lease_take_all(core, worker, OUTCOME_RETURNED, "its worker was taken offline")) {
        fault_set(&fault, ERR_UNAVAILABLE, NULL, NULL, (struct str){0}, NULL, "the store is away: ask again");
        goto error;
    }
    update_record(worker, asked, &record);
    size_t bytes = call->frame.len + worker_bytes(worker) + 512;
    if (core_reserve(core, bytes + EVENT_BYTES, bytes, EVENT_OPS + 4, &fault))
        goto error;
    fault_memory(&fault);
    bool arrives = worker->asks && ordered && !leaves && !worker->present;
    if (worker->asks && !leaves && (worker->present || arrives) && !(kind = kind_get(core, &record)))
        goto error;
    if (update_describe(core, worker, &record, arrives ? NULL : kind))
        goto error;
    if (ordered)
        update_order(core, worker, asked->status, arrives ? kind : NULL);
    worker_put(core, worker);
    answer_worker(core, call, worker);
    return;
error:
    kind_drop(core, kind);
    core_refuse(core, call, &fault);
}

/* ---- DELETE /workers/{id} ---- */

void rest_on_remove(struct core *core, const struct core_call *call)
{
    const struct msg_worker_remove *asked = &call->msg->u.worker_remove;
    struct fault fault;
    struct worker *worker = find(core, asked->id, asked->whose, &fault);
    struct msg_done done = {0};
    if (!worker)
        goto error;
    if (worker->bound && !asked->force) {
        fault_set(&fault, ERR_CONFLICT, "id", "connected", worker->name->str, "a worker that is offline, or force",
                  "worker %s has a session", worker->name->data);
        goto error;
    }
    if (lease_take_all(core, worker, OUTCOME_RETURNED, "its worker was unregistered")) {
        fault_set(&fault, ERR_UNAVAILABLE, NULL, NULL, (struct str){0}, NULL, "the store is away: ask again");
        goto error;
    }
    if (core_reserve(core, worker_bytes(worker) + EVENT_BYTES + WORKER_FORGET_BYTES, 64, EVENT_OPS + 4, &fault))
        goto error;
    done.id = worker->id;
    struct rec_event event = {.type = STR_LIT("worker.unregistered"),
                              .worker_name = worker->name->str,
                              .status = STR_LIT("offline"),
                              .detail = STR_LIT("unregistered")};
    if (worker->status == WORKER_OFFLINE)
        core_event(core, &event);
    else
        worker_part(core, worker, "unregistered");
    worker_forget(core, worker);
    core_answer(core, call, &shape_msg_done, &done);
    return;
error:
    core_refuse(core, call, &fault);
}
