/* Leases: begun, renewed, cancelled, taken away, expired.
 *
 * Two lists hold them by the time they were renewed (assigned ones by when their ASSIGN left), so the first of a list is the
 * first to be over. Those whose ASSIGN waits for its commit are in a third, in the order of their batches: however slow the store is,
 * the worker has its whole time to accept. A cancelled lease is in no list: its worker's word, its next session or its silence ends it.
 */
#include "scheduler/lease.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/kind.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define REJECT_REST_MS 1000 /* a worker that said no is not asked again at once */

struct lease *lease_new(struct core *core)
{
    struct lease *lease = NULL;
    if (index_reserve(&core->leases, core->lease_total + 1 - core->leases.count) == 0 &&
        heap_reserve(&core->backstops, core->lease_total + 1) == 0)
        lease = calloc(1, sizeof *lease);
    if (lease) {
        lease->progress = -1;
        core->lease_total++;
    }
    return lease;
}

void lease_free(struct core *core, struct lease *lease)
{
    if (!lease)
        return;
    core->lease_total--;
    pool_drop(core, lease->pool);
    free(lease->note);
    free(lease);
}

static struct lease_list *lease_list(struct core *core, const struct lease *lease)
{
    if (lease->state == LEASE_CANCELLED || lease->worker->kept)
        return NULL;
    if (lease->state != LEASE_ASSIGNED)
        return &core->accepted;
    return lease->left ? &core->assigned : &core->leaving;
}

static void list_remove(struct core *core, struct lease *lease)
{
    struct lease_list *list = lease_list(core, lease);
    if (!list)
        return;
    if (lease->list_prev)
        lease->list_prev->list_next = lease->list_next;
    else
        list->first = lease->list_next;
    if (lease->list_next)
        lease->list_next->list_prev = lease->list_prev;
    else
        list->last = lease->list_prev;
    lease->list_next = lease->list_prev = NULL;
}

static void list_append(struct core *core, struct lease *lease)
{
    struct lease_list *list = lease_list(core, lease);
    lease->renewed = core->mono_ms;
    if (!list)
        return;
    lease->list_prev = list->last;
    if (list->last)
        list->last->list_next = lease;
    else
        list->first = lease;
    list->last = lease;
}

void lease_begin(struct core *core, struct lease *lease, struct run *run, struct worker *worker, enum lease_state state)
{
    lease->key = lease_key(run->node.id, run->attempt);
    lease->backstop.id = run->node.id;
    lease->run = run;
    lease->worker = worker;
    lease->state = (uint8_t)state;
    lease->batch = journal_forming(core->journal);
    lease->beat = worker->beats;
    run->lease = lease;
    lease->pool = run->class->pool;
    pool_take(lease->pool);
    index_add(&core->leases, lease);
    lease->next = worker->leases;
    if (worker->leases)
        worker->leases->prev = lease;
    worker->leases = lease;
    worker->held++;
    kind_refresh(core, worker);
    list_append(core, lease);
}

void lease_end(struct core *core, struct lease *lease)
{
    struct worker *worker = lease->worker;
    list_remove(core, lease);
    heap_remove(&core->backstops, &lease->backstop);
    index_remove(&core->leases, lease);
    if (lease->prev)
        lease->prev->next = lease->next;
    else
        worker->leases = lease->next;
    if (lease->next)
        lease->next->prev = lease->prev;
    worker->held--;
    if (lease->run)
        lease->run->lease = NULL;
    lease_repool(core, lease, NULL);
    lease_free(core, lease);
    kind_refresh(core, worker);
}

void lease_repool(struct core *core, struct lease *lease, struct pool *pool)
{
    struct pool *before = lease->pool;
    lease->pool = pool;
    pool_take(pool);
    pool_give(core, before);
}

void lease_cancel(struct core *core, struct lease *lease)
{
    list_remove(core, lease);
    heap_remove(&core->backstops, &lease->backstop);
    lease->state = LEASE_CANCELLED;
    lease->renewed = core->mono_ms;
    lease->misses = 0;
    lease->run->lease = NULL;
    lease->run = NULL;
}

void lease_started(struct core *core, struct lease *lease)
{
    if (lease->state == LEASE_CANCELLED || lease->backstop.place || !lease->run->timeout_seconds)
        return;
    uint64_t limit = lease->run->timeout_seconds * UINT64_C(1000) + lease->worker->grace_ms;
    lease->backstop.key = (int64_t)(core->mono_ms + limit + LEASE_BACKSTOP_MS);
    heap_push(&core->backstops, &lease->backstop);
}

/* The worker was heard about it: ACCEPTED if it was not, and a full term from now. */
static void lease_renew(struct core *core, struct lease *lease)
{
    lease->misses = 0;
    lease->beat = lease->worker->beats;
    if (lease->state == LEASE_CANCELLED) {
        lease->renewed = core->mono_ms;
        return;
    }
    list_remove(core, lease);
    if (lease->state != LEASE_ACCEPTED) {
        lease->state = LEASE_ACCEPTED;
        run_move(core, lease->run, CHANGE_ACCEPT);
    }
    list_append(core, lease);
    if (lease->worker->credit <= lease->worker->slots)
        lease_started(core, lease);
}

struct lease *lease_held(struct core *core, const struct worker *worker, uint64_t run_id, uint64_t attempt)
{
    struct lease *lease = index_id(&core->leases, lease_key(run_id, attempt));
    return lease && lease->worker == worker ? lease : NULL;
}

struct lease *lease_claim(struct core *core, const struct worker *worker, uint64_t run_id, uint64_t attempt)
{
    struct lease *lease = lease_held(core, worker, run_id, attempt);
    if (lease)
        lease_renew(core, lease);
    return lease;
}

int lease_take(struct core *core, struct lease *lease, enum outcome outcome, const char *why)
{
    struct fault fault;
    struct run *run = lease->run;
    const struct worker *worker = lease->worker;
    if (!run) {
        lease_end(core, lease);
        return 0;
    }
    struct ending ending = {.outcome = outcome, .error = str_of(why)};
    unsigned long long id = run->node.id;
    uint32_t attempt = run->attempt;
    if (retry_end(core, run, &ending, &fault))
        return -1; /* while the store is away this is tried at every tick: nothing is lost yet */
    log_info(outcome == OUTCOME_LOST ? "GTY-LEASE-LOST" : "GTY-LEASE-RETURNED", "run=%llu attempt=%u worker=%s %s", id, attempt,
             worker->name->data, why);
    return 0;
}

int lease_take_all(struct core *core, struct worker *worker, enum outcome outcome, const char *why)
{
    while (worker->leases)
        if (lease_take(core, worker->leases, outcome, why))
            return -1;
    return 0;
}

static void list_renew(struct lease_list *list, uint64_t now)
{
    for (struct lease *lease = list->first; lease; lease = lease->list_next)
        lease->renewed = now;
}

void lease_renew_all(struct core *core)
{
    list_renew(&core->assigned, core->mono_ms);
    list_renew(&core->accepted, core->mono_ms);
}

void lease_leave(struct core *core)
{
    struct lease *lease;
    while ((lease = core->leaving.first) && journal_committed(core->journal, lease->batch)) {
        list_remove(core, lease);
        lease->left = true;
        list_append(core, lease);
    }
}

uint64_t lease_term(const struct core *core)
{
    uint64_t term = core->config.lease_ms;
    return core->mono_ms < core->old_term_until && core->old_term_ms > term ? core->old_term_ms : term;
}

void lease_shorten(struct core *core, uint64_t term)
{
    uint64_t until = core->mono_ms + 2 * core->config.heartbeat_ms;
    if (term >= core->config.lease_ms)
        return;
    core->old_term_ms = lease_term(core);
    if (core->old_term_until < until)
        core->old_term_until = until;
}

static bool lease_over(const struct core *core, const struct lease *lease, uint64_t term)
{
    return lease && core->mono_ms >= lease->renewed + term;
}

static void backstop_fire(struct core *core)
{
    struct heap_node *top;
    struct fault fault;
    while ((top = heap_top(&core->backstops)) && (uint64_t)top->key <= core->mono_ms) {
        struct lease *lease = heap_of(top, struct lease, backstop);
        struct ending ending = {.outcome = OUTCOME_TIMEOUT,
                                .cancel = true,
                                .error = STR_LIT("it ran over its timeout and its worker did not end it")};
        if (retry_end(core, lease->run, &ending, &fault)) {
            top->key = (int64_t)(core->mono_ms + 1000); /* no room now */
            heap_moved(&core->backstops, top);
        }
    }
}

void lease_expire(struct core *core)
{
    while (lease_over(core, core->assigned.first, core->config.accept_ms)) {
        struct worker *worker = core->assigned.first->worker;
        if (lease_take(core, core->assigned.first, OUTCOME_RETURNED, "the worker did not accept it in time"))
            return;
        worker_rest(core, worker, core->config.heartbeat_ms);
    }
    while (lease_over(core, core->accepted.first, lease_term(core))) {
        struct worker *worker = core->accepted.first->worker;
        if (lease_take(core, core->accepted.first, OUTCOME_LOST, "the worker said nothing of it for a whole lease"))
            return;
        /* If it has died, the run would go to it again until that is known. */
        worker_rest(core, worker, core->config.heartbeat_ms);
    }
    backstop_fire(core);
}

uint64_t lease_next(const struct core *core)
{
    uint64_t next = UINT64_MAX;
    if (core->assigned.first)
        next = core->assigned.first->renewed + core->config.accept_ms;
    if (core->accepted.first && core->accepted.first->renewed + lease_term(core) < next)
        next = core->accepted.first->renewed + lease_term(core);
    if (core->backstops.count && (uint64_t)heap_top(&core->backstops)->key < next)
        next = (uint64_t)heap_top(&core->backstops)->key;
    return next;
}

/* ---- rows for answers ---- */

int lease_rows_reserve(struct core *core, struct lease_rows *rows, uint32_t more)
{
    uint32_t need = more < LEASE_ROWS_MAX - rows->list.count ? rows->list.count + more : LEASE_ROWS_MAX;
    if (need <= rows->size)
        return 0;
    struct rec_lease *items = arena_alloc(core->arena, need * sizeof *items);
    if (!items)
        return -1;
    if (rows->list.count)
        memcpy(items, rows->list.items, rows->list.count * sizeof *items);
    rows->list.items = items;
    rows->size = need;
    return 0;
}

/* Whether no attempt of the run will take over what this one made: the run is final, or this one is over and was granted nothing. */
static bool output_spent(const struct core *core, uint64_t run_id, uint64_t attempt)
{
    const struct run *run = run_find(core, run_id);
    bool granted = run && run->more && run->more->published.attempt == attempt;
    bool current = run && run->lease && run->attempt == attempt;
    return !granted && !current;
}

void lease_rows_add(const struct core *core, struct lease_rows *rows, uint64_t run_id, uint64_t attempt, const char *reason)
{
    if (rows->list.count == rows->size)
        return;
    rows->list.items[rows->list.count++] = (struct rec_lease){
        .run_id = run_id, .attempt = attempt, .reason = str_of(reason), .spent = reason && output_spent(core, run_id, attempt)};
}

/* ---- results accepted lately ---- */

void recent_add(struct core *core, uint64_t run_id, uint64_t attempt, uint64_t outcome)
{
    uint64_t key = lease_key(run_id, attempt);
    struct recent *slot = &core->recent[core->recent_at % RECENT_MAX];
    if (!attempt || key == UINT64_MAX || index_id(&core->recent_index, key))
        return;
    if (slot->key)
        index_remove(&core->recent_index, slot);
    *slot = (struct recent){.key = key, .outcome = (uint8_t)outcome};
    index_add(&core->recent_index, slot);
    core->recent_at++;
}

bool recent_has(const struct core *core, uint64_t run_id, uint64_t attempt, uint64_t *outcome)
{
    const struct recent *recent = index_id(&core->recent_index, lease_key(run_id, attempt));
    if (recent)
        *outcome = recent->outcome;
    return recent != NULL;
}

/* ---- ACCEPT and REJECT ---- */

static void refuse_rows(struct core *core, const struct core_call *call, const struct lease_rows *rows)
{
    struct fault fault;
    struct msg_refused refused = {.leases = rows->list};
    if (rows->list.count && core_reserve(core, (size_t)rows->list.count * LEASE_ROW_BYTES, 0, 1, &fault) == 0)
        journal_send(core->journal, &call->from, &shape_msg_refused, &refused);
}

void lease_on_accept(struct core *core, const struct core_call *call)
{
    const struct rec_lease_list *list = &call->msg->u.accept.leases;
    struct worker *worker = worker_of_call(core, call);
    struct lease_rows refusals = {0};
    if (!worker || lease_rows_reserve(core, &refusals, list->count))
        return;
    for (uint32_t i = 0; i < list->count; i++)
        if (!lease_claim(core, worker, list->items[i].run_id, list->items[i].attempt))
            lease_rows_add(core, &refusals, list->items[i].run_id, list->items[i].attempt, LEASE_WHY_STALE);
    refuse_rows(core, call, &refusals);
}

void lease_on_reject(struct core *core, const struct core_call *call)
{
    const struct rec_lease_list *list = &call->msg->u.reject.leases;
    struct worker *worker = worker_of_call(core, call);
    if (!worker)
        return;
    for (uint32_t i = 0; i < list->count; i++) {
        struct lease *lease = lease_held(core, worker, list->items[i].run_id, list->items[i].attempt);
        char why[300];
        if (!lease)
            continue; /* taken from it already: nothing to give back */
        snprintf(why, sizeof why, "the worker rejected it: %.*s", (int)list->items[i].reason.len,
                 list->items[i].reason.len ? list->items[i].reason.ptr : "");
        if (lease_take(core, lease, OUTCOME_RETURNED, why))
            break; /* no room now: the time to accept runs out, or its lease does */
    }
    worker_rest(core, worker, REJECT_REST_MS);
}
