/* A worker's session: HELLO, HEARTBEAT, DRAIN, BYE, and what they say of its leases.
 *
 * HELLO lists what the worker holds. A lease of ours that it does not list: from another boot, or accepted, it is lost; not yet
 * accepted, it never arrived and goes back unharmed, unless its ASSIGN still waits to leave for this very session. What it lists and
 * is not its lease is named in `drop`, except a result that was accepted already: that one it sends again and it is acknowledged
 * again.
 */
#include "proto/ident.h"
#include "proto/log.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define PROTOCOL_VERSION 1

static uint64_t boot_hash(struct str boot)
{
    unsigned char out[IDENT_HASH];
    uint64_t hash;
    ident_hash(out, &boot, 1);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

static bool boot_replaced(const struct worker *worker, struct str boot)
{
    uint64_t hash = boot_hash(boot);
    for (uint32_t i = 0; i < WORKER_BOOTS; i++)
        if (worker->boots[i] == hash)
            return true;
    return false;
}

#define SERVED_MAX 64 /* bytes: what a task can name (rec_task_spec) */

/* What no task can name is of no use, and 64 of them would not fit the worker's record. */
int worker_check_served(const struct str_list *names, const char *field, struct fault *fault)
{
    for (uint32_t i = 0; i < names->count; i++)
        if (names->items[i].len > SERVED_MAX)
            return fault_set(fault, ERR_INVALID, field, "length", names->items[i], "at most 64 bytes each",
                             "%s[%u] has %u bytes: at most %d expected", field, i, names->items[i].len, SERVED_MAX);
    return 0;
}

static int hello_check(struct core *core, const struct core_call *call, const struct worker *worker, struct fault *fault)
{
    const struct msg_hello *hello = &call->msg->u.hello;
    if (!ident_valid(hello->ident))
        return fault_set(fault, ERR_INVALID, "ident", "ident", hello->ident, "1 to 64 characters out of A-Z a-z 0-9 . _ : -",
                         "the worker's ident has characters it must not have");
    if (!ident_valid(hello->boot))
        return fault_set(fault, ERR_INVALID, "boot", "ident", hello->boot, "1 to 64 characters out of A-Z a-z 0-9 . _ : -",
                         "the worker's boot has characters it must not have");
    if (worker_check_served(&hello->task_types, "task_types", fault) ||
        worker_check_served(&hello->executors, "executors", fault))
        return -1;
    if (worker && worker->asks)
        return fault_set(fault, ERR_CONFLICT, "ident", "link", hello->ident, NULL, "a worker of this ident works over REST");
    const struct worker *before =
        index_text(&core->worker_peers, (struct str){(const char *)&call->from.peer, sizeof call->from.peer});
    if (before && before != worker) /* a connection a worker: else one peer could make as many as it has messages */
        return fault_set(fault, ERR_CONFLICT, "ident", "session", hello->ident, NULL,
                         "this connection is another worker's session");
    if (!worker && worker_check_room(core, "ident", hello->ident, fault))
        return -1;
    if (worker && worker->bound && worker->key[0] && !str_is(call->key, worker->key))
        return fault_set(fault, ERR_FORBIDDEN, "ident", "key", hello->ident, NULL,
                         "a worker of this ident is here, with another key");
    if (worker && boot_replaced(worker, hello->boot))
        return fault_set(fault, ERR_CONFLICT, "boot", "superseded", hello->boot, NULL,
                         "a newer start of this worker has taken its place");
    return 0;
}

static struct rec_worker hello_record(const struct msg_hello *hello)
{
    return (struct rec_worker){.ident = hello->ident,
                               .hostname = hello->hostname,
                               .ip_address = hello->ip_address,
                               .task_types = hello->task_types,
                               .executors = hello->executors,
                               .slots = hello->slots,
                               .labels = hello->labels,
                               .protocol = PROTOCOL_VERSION,
                               .boot = hello->boot};
}

/* Its ASSIGN waits for the disk, and will reach this very session: the worker cannot know of it yet. */
static bool lease_on_its_way(const struct core *core, const struct lease *lease)
{
    return lease->state == LEASE_ASSIGNED && !journal_committed(core->journal, lease->batch);
}

/* Ends what the worker does not hold any more; -1 when that has to be tried again. */
static int hello_reconcile(struct core *core, struct worker *worker, const struct core_call *call)
{
    const struct msg_hello *hello = &call->msg->u.hello;
    bool same_boot = str_eq(text_str(worker->boot), hello->boot);
    bool same_session = same_boot && worker->bound && memcmp(&worker->peer, &call->from.peer, sizeof worker->peer) == 0;
    worker->beats++;
    for (uint32_t i = 0; i < hello->running.count; i++) {
        struct lease *lease = lease_held(core, worker, hello->running.items[i].run_id, hello->running.items[i].attempt);
        if (lease)
            lease->beat = worker->beats;
    }
    for (struct lease *lease = worker->leases, *next; lease; lease = next) {
        next = lease->next;
        if (lease->beat == worker->beats || (same_session && lease_on_its_way(core, lease)))
            continue;
        bool unseen = lease->state == LEASE_ASSIGNED || lease->state == LEASE_REBUILT;
        if (lease_take(core, lease, same_boot && unseen ? OUTCOME_RETURNED : OUTCOME_LOST,
                       same_boot ? "its worker does not hold it" : "its worker was started anew"))
            return -1;
    }
    return 0;
}

/* A result that was accepted and whose acknowledgement may be under way is not dropped. */
static bool accepted_before(const struct core *core, uint64_t run_id, uint64_t number)
{
    uint64_t outcome = OUTCOME_OPEN;
    const struct run *run = run_find(core, run_id);
    const struct rec_attempt *attempt = run ? run_attempt(run, number) : NULL;
    if (attempt)
        outcome = attempt->outcome;
    else if (!recent_has(core, run_id, number, &outcome))
        return false;
    return outcome >= OUTCOME_COMPLETED && outcome <= OUTCOME_TIMEOUT;
}

/* Renews what it lists and holds; the rest goes to drops. cancels: held, but to be stopped (NULL: dropped). */
static void session_listed(struct core *core, struct worker *worker, const struct rec_lease_list *listed,
                           struct lease_rows *drops, struct lease_rows *cancels)
{
    for (uint32_t i = 0; i < listed->count; i++) {
        const struct rec_lease *row = &listed->items[i];
        struct lease *lease = lease_claim(core, worker, row->run_id, row->attempt);
        if (lease && lease->state == LEASE_CANCELLED) {
            if (cancels) {
                lease_rows_add(core, cancels, row->run_id, row->attempt, "cancelled");
            } else {
                lease_rows_add(core, drops, row->run_id, row->attempt, "cancelled");
                lease_end(core, lease);
            }
        } else if (lease) {
            if (row->started_at) {
                lease->started_at = row->started_at;
                lease_started(core, lease);
            }
        } else if (!accepted_before(core, row->run_id, row->attempt)) {
            lease_rows_add(core, drops, row->run_id, row->attempt, LEASE_WHY_STALE);
        }
    }
}

static void session_bind(struct core *core, struct worker *worker, const struct bus_peer *peer, bool same_boot)
{
    if (worker->bound && memcmp(&worker->peer, peer, sizeof *peer) != 0 && !same_boot)
        core->gone[core->gone_at++ % GONE_MAX] = worker->peer;
    if (!same_boot && text_str(worker->boot).len)
        worker->boots[worker->boots_at++ % WORKER_BOOTS] = boot_hash(worker->boot->str);
    worker_unbind(core, worker);
    worker->peer = *peer;
    worker->bound = worker->present = true;
    index_add(&core->worker_peers, worker);
    worker_heard(core, worker);
}

static size_t hello_bytes(const struct msg_hello *hello, const struct core_call *call)
{
    size_t rows = hello->running.count < LEASE_ROWS_MAX ? hello->running.count : LEASE_ROWS_MAX;
    return call->frame.len + rows * LEASE_ROW_BYTES + 1024 + EVENT_BYTES;
}

static void session_credit(struct core *core, struct worker *worker, uint64_t credit)
{
    worker->credit = (uint32_t)(credit > worker->slots ? credit : worker->slots);
    kind_refresh(core, worker);
}

/* The session stands: everything that cannot fail. Takes kind. */
static void hello_accept(struct core *core, const struct core_call *call, struct worker *worker, struct kind *kind,
                         bool same_boot, struct lease_rows *drops)
{
    const struct msg_hello *hello = &call->msg->u.hello;
    bool was_offline = worker->status == WORKER_OFFLINE;
    str_copy(worker->key, sizeof worker->key, call->key);
    session_credit(core, worker, hello->credit);
    worker->grace_ms = (uint32_t)hello->grace_ms;
    heap_remove(&core->offline, &worker->offline);
    worker->drains = hello->draining;
    worker->status = worker_standing(worker);
    worker->rest_until = 0;
    worker->last_heartbeat = core->wall_ms;
    if (!same_boot || was_offline)
        worker->connected_at = core->wall_ms;
    session_listed(core, worker, &hello->running, drops, NULL);
    kind_join(core, worker, kind);
    worker_put(core, worker);
    if (was_offline) {
        struct rec_event event = {.type = STR_LIT("worker.registered"),
                                  .worker_name = worker->name->str,
                                  .status = str_of(worker_status_name(worker->status))};
        core_event(core, &event);
    }
    struct msg_welcome welcome = {.worker_id = worker->id,
                                  .name = worker->name->str,
                                  .protocol = PROTOCOL_VERSION,
                                  .heartbeat_ms = core->config.heartbeat_ms,
                                  .lease_ms = core->config.lease_ms,
                                  .drop = drops->list};
    journal_send(core->journal, &call->from, &shape_msg_welcome, &welcome);
    log_info("GTY-WORKER-HELLO", "worker=%s slots=%u held=%u", worker->name->data, worker->slots, worker->held);
}

void worker_on_hello(struct core *core, const struct core_call *call)
{
    const struct msg_hello *hello = &call->msg->u.hello;
    struct worker *worker = index_text(&core->worker_idents, hello->ident);
    struct rec_worker record = hello_record(hello);
    struct kind *kind = NULL;
    struct lease_rows drops = {0};
    struct fault fault;
    bool same_boot = worker && str_eq(text_str(worker->boot), hello->boot);
    if (hello_check(core, call, worker, &fault))
        goto error;
    fault_memory(&fault);
    if (lease_rows_reserve(core, &drops, hello->running.count))
        goto error;
    if (worker && hello_reconcile(core, worker, call)) {
        fault_set(&fault, ERR_UNAVAILABLE, NULL, NULL, (struct str){0}, NULL, "the store is away: say HELLO again");
        goto error;
    }
    size_t bytes = hello_bytes(hello, call) + (worker ? worker_bytes(worker) : WORKER_FORGET_BYTES);
    if (core_reserve(core, bytes, 0, EVENT_OPS + 4, &fault))
        goto error;
    fault_memory(&fault);
    kind = kind_get(core, &record);
    if (!kind)
        goto error;
    if (!worker) {
        worker = worker_enrol(core, &record);
        if (!worker)
            goto error;
        session_bind(core, worker, &call->from.peer, true);
    } else {
        struct text *old_boot = text_keep(worker->boot);
        if (worker_describe(core, worker, &record)) {
            text_drop(old_boot);
            goto error;
        }
        struct text *boot = worker->boot;
        worker->boot = old_boot; /* session_bind remembers the one it replaces */
        session_bind(core, worker, &call->from.peer, same_boot);
        worker->boot = boot;
        text_drop(old_boot);
    }
    hello_accept(core, call, worker, kind, same_boot, &drops);
    return;
error:
    kind_drop(core, kind);
    core_refuse(core, call, &fault);
}

/* Leases that this heartbeat failed to name: forgiven LEASE_MISSES times. */
static void heartbeat_misses(struct core *core, struct worker *worker)
{
    for (struct lease *lease = worker->leases, *next; lease; lease = next) {
        next = lease->next;
        if (lease->beat == worker->beats || lease->state == LEASE_ASSIGNED)
            continue;
        if (lease->misses < UINT8_MAX)
            lease->misses++;
        if (lease->misses > LEASE_MISSES && lease_take(core, lease, OUTCOME_LOST, "its worker does not name it any more"))
            return;
    }
}

void worker_on_heartbeat(struct core *core, const struct core_call *call)
{
    const struct msg_heartbeat *beat = &call->msg->u.heartbeat;
    struct worker *worker = worker_of_call(core, call);
    struct lease_rows drops = {0}, cancels = {0};
    struct fault fault;
    if (!worker || lease_rows_reserve(core, &drops, beat->running.count) ||
        lease_rows_reserve(core, &cancels, beat->running.count))
        return;
    worker->load_average = beat->load_average;
    worker->memory_mb = beat->memory_mb;
    worker->cpu_percent = beat->cpu_percent;
    worker->beats++;
    if (HAS(beat, msg_heartbeat, credit))
        session_credit(core, worker, beat->credit);
    if (HAS(beat, msg_heartbeat, grace_ms))
        worker->grace_ms = (uint32_t)beat->grace_ms;
    session_listed(core, worker, &beat->running, &drops, &cancels);
    heartbeat_misses(core, worker);
    struct msg_heartbeat_ack ack = {.drop = drops.list, .heartbeat_ms = core->config.heartbeat_ms};
    struct msg_cancel cancel = {.leases = cancels.list};
    if (!drops.list.count && !cancels.list.count) {
        journal_send_now(core->journal, &call->from, &shape_msg_heartbeat_ack, &ack);
        return;
    }
    if (core_reserve(core, (size_t)LEASE_ROW_BYTES * (drops.list.count + cancels.list.count) + 64, 0, 2, &fault))
        return; /* it is told at its next one */
    if (cancels.list.count) {
        struct address to = worker_address(worker);
        journal_send(core->journal, &to, &shape_msg_cancel, &cancel);
    }
    journal_send(core->journal, &call->from, &shape_msg_heartbeat_ack, &ack);
}

void worker_on_drain(struct core *core, const struct core_call *call)
{
    struct worker *worker = worker_of_call(core, call);
    struct fault fault;
    if (!worker)
        return;
    if (worker->status == WORKER_DRAINING)
        worker->drains = true; /* as well as it is ordered to */
    else if (core_reserve(core, worker_bytes(worker), 0, 2, &fault))
        core_refuse(core, call, &fault);
    else {
        worker->drains = true;
        worker->status = WORKER_DRAINING;
        kind_refresh(core, worker);
        worker_put(core, worker);
    }
}

void worker_on_bye(struct core *core, const struct core_call *call)
{
    struct worker *worker = worker_of_call(core, call);
    struct fault fault;
    if (!worker)
        return;
    if (lease_take_all(core, worker, OUTCOME_RETURNED, "its worker said goodbye") == 0 &&
        core_reserve(core, worker_bytes(worker) + EVENT_BYTES, 0, EVENT_OPS + 2, &fault) == 0)
        worker_part(core, worker, "it said goodbye");
}

void core_check_keys(struct core *core, bool (*lets_in)(void *self, struct str key), void *self)
{
    for (struct worker *worker = core->first_worker, *next; worker; worker = next) {
        struct fault fault;
        next = worker->next;
        if (!worker->bound || !worker->key[0] || lets_in(self, str_of(worker->key)))
            continue;
        log_warn("GTY-WORKER-REVOKED", "worker=%s its key is let in no more", worker->name->data);
        /* Without room now its leases end when it has been silent for a whole lease: nothing it says is heard. */
        if (lease_take_all(core, worker, OUTCOME_LOST, "its worker's key was revoked") == 0 &&
            core_reserve(core, worker_bytes(worker) + EVENT_BYTES, 0, EVENT_OPS + 2, &fault) == 0)
            worker_part(core, worker, "its key was revoked");
    }
}
