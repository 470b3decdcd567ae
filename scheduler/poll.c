/* Workers over REST that wait for runs. */
#include "scheduler/poll.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/dispatch.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/rest.h"
#include "scheduler/run.h"

bool poll_takes(const struct worker *worker)
{
    return worker->poll && worker->plan_count < worker->poll->max;
}

static void poll_drop(struct core *core, struct worker *worker)
{
    heap_remove(&core->polls, &worker->poll->node);
    free(worker->poll);
    worker->poll = NULL;
    kind_refresh(core, worker);
}

/* ---- answered with nothing ---- */

/* What tells of runs to be stopped leaves behind the commit of what stops them; without room for that they are told later. */
static void answer_empty(struct core *core, const struct worker *worker, const struct address *to, bool over)
{
    struct msg_worker_leased answer = {.over = over};
    struct fault fault;
    if (rest_cancels(core, worker, &answer.cancel) == 0 && answer.cancel.count &&
        core_reserve(core, REST_CANCEL_BYTES(answer.cancel.count), 0, 1, &fault) == 0) {
        journal_send(core->journal, to, &shape_msg_worker_leased, &answer);
        return;
    }
    answer.cancel.count = 0;
    journal_send_now(core->journal, to, &shape_msg_worker_leased, &answer);
}

void poll_end(struct core *core, struct worker *worker, bool over)
{
    if (!worker->poll)
        return;
    answer_empty(core, worker, &worker->poll->to, over);
    poll_drop(core, worker);
}

void poll_expire(struct core *core)
{
    struct heap_node *top;
    while ((top = heap_top(&core->polls)) && (uint64_t)top->key <= core->mono_ms) {
        arena_reset(core->arena);
        poll_end(core, heap_of(top, struct poll, node)->worker, false);
    }
}

/* ---- asked ---- */

/* The place for its question: one a worker, so an older one is over. NULL when out of memory. */
static struct poll *poll_place(struct core *core, struct worker *worker)
{
    if (worker->poll) {
        answer_empty(core, worker, &worker->poll->to, true);
        return worker->poll;
    }
    struct poll *poll = heap_reserve(&core->polls, core->polls.count + 1) ? NULL : calloc(1, sizeof *poll);
    if (!poll)
        return NULL;
    poll->worker = worker;
    poll->node.id = worker->id;
    poll->node.key = INT64_MAX;
    worker->poll = poll;
    heap_push(&core->polls, &poll->node);
    return poll;
}

void poll_on_lease(struct core *core, const struct core_call *call)
{
    const struct msg_worker_lease *lease = &call->msg->u.worker_lease;
    struct fault fault;
    struct worker *worker = rest_worker(core, lease->id, lease->whose, &fault);
    if (!worker || rest_attend(core, worker, &fault))
        goto error;
    rest_forget(core, worker);
    struct poll *poll = poll_place(core, worker);
    if (!poll) {
        fault_memory(&fault);
        goto error;
    }
    poll->to = call->from;
    poll->max = (uint32_t)lease->max;
    memcpy(poll->scope, lease->idem.scope.ptr, sizeof poll->scope);
    memcpy(poll->body, lease->idem.body.ptr, sizeof poll->body);
    /* What is there is given out before it ends, even when it does not wait: see core_settle. */
    poll->node.key = (int64_t)(core->mono_ms + lease->wait_ms);
    heap_moved(&core->polls, &poll->node);
    kind_refresh(core, worker);
    log_debug("GTY-POLL", "worker=%s max=%u ms=%llu", worker->name->data, poll->max, (unsigned long long)lease->wait_ms);
    return;
error:
    core_refuse(core, call, &fault);
}

/* ---- answered with runs ---- */

int poll_prepare(struct core *core, const struct worker *worker, uint32_t count, struct buf *kept)
{
    struct rec_assignment *rows = arena_alloc(core->arena, count * sizeof *rows);
    struct msg_worker_leased brief = {.runs = {rows, count}};
    struct err err;
    if (!rows || keys_reserve(core->keys))
        return -1;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct rec_assignment){.run_id = worker->plan[i]->node.id, .attempt = worker->plan[i]->attempt + 1};
    return msg_encode_worker_leased(kept, &brief, 0, (struct str){0}, &err);
}

size_t poll_bytes(const struct worker *worker, const struct buf *kept)
{
    return 256 + REST_CANCEL_BYTES((size_t)worker->held) + 2 * kept->len;
}

void poll_give(struct core *core, struct worker *worker, struct rec_assignment *rows, uint32_t count, const struct buf *kept)
{
    const struct poll *poll = worker->poll;
    const struct rec_idem idem = {.scope = {(const char *)poll->scope, sizeof poll->scope},
                                  .body = {(const char *)poll->body, sizeof poll->body}};
    struct msg_worker_leased answer = {.runs = {rows, count}};
    if (rest_cancels(core, worker, &answer.cancel))
        answer.cancel.count = 0; /* told with its next heartbeat */
    journal_send(core->journal, &poll->to, &shape_msg_worker_leased, &answer);
    keys_store(core->keys, core->journal, &idem, buf_str(kept), core_steady(core));
    poll_drop(core, worker);
}

/* ---- asked again ---- */

/* Of the runs it was answered with those that it still holds. -1 with fault. */
static int repeat_rows(struct core *core, const struct worker *worker, const struct rec_assignment_list *given,
                       struct msg_worker_leased *answer, size_t *bytes, struct fault *fault)
{
    answer->runs.items = arena_alloc(core->arena, given->count * sizeof *given->items);
    if (!answer->runs.items)
        return fault_memory(fault);
    for (uint32_t i = 0; i < given->count; i++) {
        const struct lease *lease = lease_held(core, worker, given->items[i].run_id, given->items[i].attempt);
        if (!lease || !lease->run)
            continue;
        if (dispatch_row(core, lease->run, &answer->runs.items[answer->runs.count]))
            return fault_memory(fault);
        answer->runs.count++;
        *bytes += dispatch_bytes(lease->run);
    }
    return 0;
}

bool poll_repeats(struct core *core, const struct core_call *call, struct str answer)
{
    const struct msg_worker_lease *lease = &call->msg->u.worker_lease;
    struct msg_worker_leased again = {0};
    struct msg kept;
    struct err err;
    struct fault fault;
    size_t bytes = 256;
    if (call->msg->shape->id != MSG_WORKER_LEASE)
        return false;
    if (msg_decode(core->arena, answer, &kept, &err)) {
        fault_memory(&fault);
        goto error;
    }
    if (kept.shape->id != MSG_WORKER_LEASED)
        return false; /* a refusal */
    struct worker *worker = rest_worker(core, lease->id, lease->whose, &fault);
    if (!worker || rest_attend(core, worker, &fault) ||
        repeat_rows(core, worker, &kept.u.worker_leased.runs, &again, &bytes, &fault) || core_reserve(core, bytes, 0, 1, &fault))
        goto error;
    journal_send(core->journal, &call->from, &shape_msg_worker_leased, &again);
    return true;
error:
    core_refuse(core, call, &fault);
    return true;
}
