/* Many runs restarted or aborted in one call, and ended runs removed.
 *
 * Each run is whole by itself: its records are in one batch, with a key of its own, so that a call that breaks off half-way and is
 * repeated does nothing twice. The gateway brings what a call is about in parts, as a part with its records must fit into a message; the
 * last part brings the results of all, and the answer to it is what the call's key answers from then on.
 */
#include "scheduler/bulk.h"

#include "scheduler/audit.h"
#include "scheduler/command.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/task.h"

#define BULK_RESTART 1
#define RESULT_BYTES 128 /* of a result, encoded */

static void result_fault(struct rec_bulk_result *result, const struct fault *fault)
{
    result->code = (uint64_t)fault->code;
    result->rule = str_of(fault->rule); /* literal */
}

static void result_refuse(struct rec_bulk_result *result, int code, const char *rule)
{
    result->code = (uint64_t)code;
    result->rule = str_of(rule);
}

/* Whether the item is to be done. If not, the result says what was done for its key before. */
static bool item_new(struct core *core, const struct rec_bulk_item *item, bool restart, struct rec_bulk_result *result)
{
    struct str answer;
    enum key_verdict verdict = keys_find(core->keys, &item->idem, &answer);
    if (verdict == KEY_NEW)
        return true;
    uint64_t run = verdict == KEY_KNOWN ? command_answered(core, answer) : 0;
    if (!run)
        result_refuse(result, ERR_KEY_REUSED, "key_reused");
    else if (restart)
        result->new_run_id = run;
    result->status = restart ? RUN_PENDING : RUN_ABORTED;
    return false;
}

static void item_restart(struct core *core, const struct msg_run_bulk *bulk, uint32_t at, struct rec_bulk_result *result)
{
    const struct rec_run *known = &bulk->runs.items[at];
    bool alone = bulk->items.count == 1 && HAS(bulk, msg_run_bulk, task);
    struct fault fault;
    if (run_find(core, known->id)) {
        result_refuse(result, ERR_CONFLICT, "not_final");
        return;
    }
    if (known->id != result->id || !run_status_final(known->status) || known->id >= core->next_id[TYPE_RUN]) {
        result_refuse(result, ERR_NOT_FOUND, "not_found");
        return;
    }
    struct run *run = command_repeat(core, known, alone ? &bulk->task : NULL,
                                     alone && HAS(bulk, msg_run_bulk, stat) ? &bulk->stat : NULL, RUN_BRIEF_BYTES, &fault);
    if (!run) {
        result_fault(result, &fault);
        return;
    }
    command_remember(core, core->idem, run);
    result->new_run_id = run->node.id;
    result->status = RUN_PENDING;
}

static void item_abort(struct core *core, const struct msg_run_bulk *bulk, struct rec_bulk_result *result)
{
    struct run *run = run_find(core, result->id);
    struct msg_run_answer answer = {.run = {.id = result->id, .status = RUN_ABORTED, .created_at = core->wall_ms}};
    struct buf bytes = {0};
    struct fault fault;
    struct err err;
    if (!run && result->id >= core->next_id[TYPE_RUN]) {
        result_refuse(result, ERR_NOT_FOUND, "not_found");
        return;
    }
    if (!run) {
        result_refuse(result, ERR_CONFLICT, "final");
        return;
    }
    struct ending ending = {.outcome = OUTCOME_ABORTED,
                            .cancel = run->lease != NULL,
                            .extra = RUN_BRIEF_BYTES,
                            .error = bulk->reason.len ? bulk->reason : STR_LIT("aborted by request")};
    if (msg_encode_run_answer(&bytes, &answer, 0, (struct str){0}, &err)) {
        fault_memory(&fault);
        result_fault(result, &fault);
    } else if (retry_end(core, run, &ending, &fault)) {
        result_fault(result, &fault);
    } else {
        keys_store(core->keys, core->journal, core->idem, buf_str(&bytes), core_steady(core));
        result->status = RUN_ABORTED;
    }
    buf_free(&bytes);
}

/* What says "come back": the rest of the call need not be tried, and none of it is remembered. */
static bool result_passes(const struct rec_bulk_result *result)
{
    return result->code == ERR_UNAVAILABLE || result->code == ERR_LIMIT || result->code == ERR_NO_MEMORY;
}

/* All items; results holds as many. */
static void items_do(struct core *core, const struct msg_run_bulk *bulk, struct rec_bulk_result *results)
{
    const struct rec_idem *whole = core->idem;
    bool restart = bulk->op == BULK_RESTART;
    for (uint32_t i = 0; i < bulk->items.count; i++) {
        const struct rec_bulk_item *item = &bulk->items.items[i];
        results[i].id = item->id;
        if (i > 0 && result_passes(&results[i - 1])) {
            results[i].code = results[i - 1].code;
            results[i].rule = results[i - 1].rule;
            continue;
        }
        core->idem = &item->idem; /* rooms that are reserved count its key */
        if (!item_new(core, item, restart, &results[i]))
            continue;
        if (restart)
            item_restart(core, bulk, i, &results[i]);
        else
            item_abort(core, bulk, &results[i]);
    }
    core->idem = whole;
}

void bulk_on_ask(struct core *core, const struct core_call *call)
{
    const struct msg_run_bulk *bulk = &call->msg->u.run_bulk;
    uint32_t before = bulk->last ? bulk->before.count : 0, count = bulk->items.count;
    struct msg_run_bulk_answer answer = {.end = bulk->last, .more = bulk->more};
    struct fault fault;
    bool passes = false;
    if ((bulk->op == BULK_RESTART && bulk->runs.count != count) || before + count > 1000) {
        fault_set(&fault, ERR_INVALID, "items", "items", (struct str){0}, "a record for each item, and at most 1000 in all",
                  "the items do not fit");
        core_refuse(core, call, &fault);
        return;
    }
    struct rec_bulk_result *results = arena_alloc(core->arena, (size_t)(before + count) * sizeof *results + 1);
    if (!results) {
        fault_memory(&fault);
        core_refuse(core, call, &fault);
        return;
    }
    if (before)
        memcpy(results, bulk->before.items, before * sizeof *results);
    items_do(core, bulk, results + before);
    answer.results = (struct rec_bulk_result_list){results, before + count};
    for (uint32_t i = 0; i < answer.results.count; i++)
        passes = passes || result_passes(&results[i]);
    size_t bytes = (size_t)answer.results.count * RESULT_BYTES + 64;
    if (core_reserve(core, 0, bytes, 2, &fault))
        core_refuse(core, call, &fault); /* what was done stays done, by its keys: asked again, it is told */
    else if (bulk->last && !passes)
        core_answer(core, call, &shape_msg_run_bulk_answer, &answer);
    else {
        journal_send(core->journal, &call->from, &shape_msg_run_bulk_answer, &answer);
        audit_answer(core, call, &shape_msg_run_bulk_answer, &answer); /* the key remembers nothing, but something was done */
    }
}

void bulk_on_purge(struct core *core, const struct core_call *call)
{
    const struct rec_run_purge *asked = &call->msg->u.run_purge.purge;
    struct rec_run_purge purge = {.before = asked->before, .status = asked->status, .task_id = asked->task_id};
    struct msg_done done = {0};
    struct fault fault;
    if (!purge.before) {
        fault_set(&fault, ERR_INVALID, "before", "required", (struct str){0}, "a time", "before is required");
        core_refuse(core, call, &fault);
        return;
    }
    if (HAS(asked, rec_run_purge, status))
        SET_HAS(&purge, rec_run_purge, status);
    if (core_reserve(core, 64, 64, 2, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    journal_purge_runs(core->journal, &purge);
    core_answer(core, call, &shape_msg_done, &done);
}
