/* Commands about runs: trigger, batch, submit, restart, abort; and what is true of runs this second. */
#include "scheduler/command.h"

#include <stdio.h>

#include "proto/log.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/fire.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/retry.h"
#include "scheduler/room.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

static struct run_plan plan_of(const struct core *core, struct task *task, const struct rec_trigger *trigger)
{
    struct run_plan plan = {.task = task,
                            .class = task->rules.class,
                            .name = task->rules.name,
                            .timeout_seconds = task->rules.timeout_seconds,
                            .priority = task->rules.priority,
                            .retry_count = task->rules.retry_count};
    run_plan_trigger(core, &plan, trigger);
    return plan;
}

/* An ended one-shot task that runs again is active again; its record with the new status, to be put. */
static int task_wake(struct core *core, struct task *task, struct rec_task **record)
{
    *record = NULL;
    if (!task->oneshot || (task->status != TASK_COMPLETED && task->status != TASK_FAILED))
        return 0;
    *record = arena_alloc(core->arena, sizeof **record);
    return *record ? task_record(core, task, *record) : -1;
}

static void task_woken(struct core *core, struct task *task, struct rec_task *record)
{
    if (!record)
        return;
    task->status = TASK_ACTIVE;
    task->updated_at = core->wall_ms;
    record->status = TASK_ACTIVE;
    record->updated_at = core->wall_ms;
    journal_put(core->journal, TYPE_TASK, task_id(task), record);
}

static bool task_expands(const struct task *task)
{
    return task->rules.farm && task->rules.farm->expand;
}

/* What the run made of it takes in the journal; runs that its farm makes count in core->farm_bytes. */
static size_t own_bytes(const struct task *task, struct str parameters)
{
    return task_expands(task) ? 0 : run_create_bytes(task, parameters);
}

/* How many there are to be of one trigger. */
static uint32_t run_count(const struct core *core, const struct task *task)
{
    return task_expands(task) ? core->farm_count : 1;
}

/* What the task's farm makes of a trigger waits in core->farm_runs. -1 with fault. */
static int expand(struct core *core, const struct task *task, const struct rec_trigger *trigger, struct fault *fault)
{
    struct rec_task record;
    struct err err = {0};
    if (task_record(core, task, &record))
        return fault_memory(fault);
    if (farm_expand(core, &record, task->rules.farm, trigger, &err)) {
        /* What is too large for a farm will be so when it is asked again: that is no "come back". */
        int code = err.code && err.code != ERR_LIMIT ? err.code : ERR_INVALID;
        return fault_set(fault, code, "task", "farm", (struct str){0}, NULL, "%.200s", err.text);
    }
    return room_runs(core, core->farm_count, 0, fault); /* they have been made: their bytes count already */
}

/* The run that is planned, or what its task's farm makes of the trigger; reserves for itself. The first, or NULL with fault. */
static struct run *make(struct core *core, const struct run_plan *plan, const struct rec_trigger *trigger, size_t extra,
                        struct fault *fault)
{
    struct task *task = plan->task;
    struct rec_task *woken;
    bool expands = task_expands(task);
    if (room_runs(core, 1, plan->parameters.len, fault))
        return NULL;
    if (task_wake(core, task, &woken)) {
        fault_memory(fault);
        return NULL;
    }
    if (expands && expand(core, task, trigger, fault))
        goto error;
    size_t bytes = core->farm_bytes + own_bytes(task, plan->parameters) + extra + (woken ? task_bytes(task) : 0);
    if (core_reserve(core, bytes, RUN_BRIEF_BYTES, run_count(core, task) * RUN_CREATE_OPS + 2 + FIRE_OPS, fault))
        goto error;
    struct run *run = expands ? farm_commit(core) : run_create(core, plan);
    if (run)
        task_woken(core, task, woken);
    else
        fault_memory(fault);
    return run;
error:
    farm_discard(core);
    return NULL;
}

struct run *command_trigger(struct core *core, struct task *task, const struct rec_trigger *trigger, size_t extra,
                            struct fault *fault)
{
    struct run_plan plan = plan_of(core, task, trigger);
    return make(core, &plan, trigger, extra, fault);
}

bool command_refused(const struct fault *fault)
{
    if (fault->code == ERR_NO_MEMORY || fault->code == ERR_UNAVAILABLE)
        return false;
    return fault->code != ERR_LIMIT || !fault->rule || strcmp(fault->rule, ROOM_RULE) != 0;
}

static uint64_t estimate(const struct core *core, const struct run *run)
{
    const struct rec_task_stat *stat = run->task ? &run->task->stat : NULL;
    if (!stat || !stat->completed)
        return 0;
    uint64_t start = run->due_at > core->wall_ms ? run->due_at : core->wall_ms;
    uint64_t end = start + stat->duration_ms / stat->completed;
    return end < INT64_MAX ? end : INT64_MAX;
}

static void answer_run(struct core *core, const struct core_call *call, const struct run *run)
{
    struct msg_run_answer answer = {.estimated_completion = estimate(core, run)};
    run_record(run, NULL, &answer.run);
    run_brief(&answer.run);
    core_answer(core, call, &shape_msg_run_answer, &answer);
}

void command_on_trigger(struct core *core, const struct core_call *call)
{
    const struct msg_run_trigger *trigger = &call->msg->u.run_trigger;
    const struct rec_task *known = HAS(trigger, msg_run_trigger, known) ? &trigger->known : NULL;
    struct task *task = NULL;
    struct run *run = NULL;
    struct fault fault;
    if (trigger->task_id) {
        task = task_get(core, trigger->task_id, known, HAS(trigger, msg_run_trigger, known_stat) ? &trigger->known_stat : NULL,
                        &fault);
    } else {
        task = task_find_name(core, trigger->task_name);
        if (!task)
            fault_set(&fault, ERR_NOT_FOUND, "name", "not_found", trigger->task_name, "the name of a task",
                      "there is no task named \"%.*s\"", (int)trigger->task_name.len, trigger->task_name.ptr);
    }
    if (task)
        run = command_trigger(core, task, &trigger->trigger, 0, &fault);
    if (!run)
        goto error;
    answer_run(core, call, run);
    return;
error:
    if (task)
        task_let_go(core, task);
    core_refuse(core, call, &fault);
}

/* ---- a batch: all or none ---- */

struct batch_item {
    uint64_t known;  /* the run its key has made before; 0: none */
    struct run *run; /* made for it, not yet in the tables */
    bool by_farm;    /* the first of those that wait in core->farm_runs */
    uint32_t twin;   /* the first item with its key; itself: none before */
    struct str scope;
};

uint64_t command_answered(struct core *core, struct str answer)
{
    struct msg msg;
    struct err err;
    if (msg_decode(core->arena, answer, &msg, &err) || msg.shape->id != MSG_RUN_ANSWER)
        return 0;
    return msg.u.run_answer.run.id;
}

/* Finds items that have the key of an earlier one. */
static int batch_twins(struct core *core, const struct rec_trigger_list *items, struct batch_item *rows)
{
    struct index seen;
    index_init(&seen, offsetof(struct batch_item, scope), true, core->clock.random(core->clock.self));
    if (index_reserve(&seen, items->count))
        return -1;
    for (uint32_t i = 0; i < items->count; i++) {
        rows[i].twin = i;
        if (!HAS(&items->items[i], rec_trigger, idem))
            continue;
        rows[i].scope = items->items[i].idem.scope;
        const struct batch_item *twin = index_text(&seen, rows[i].scope);
        if (twin)
            rows[i].twin = (uint32_t)(twin - rows);
        else
            index_add(&seen, &rows[i]);
    }
    index_free(&seen);
    return 0;
}

static int batch_item_key(struct core *core, const struct rec_trigger_list *items, uint32_t i, struct batch_item *rows,
                          struct fault *fault)
{
    const struct rec_trigger *item = &items->items[i];
    struct str answer;
    char field[48];
    if (!HAS(item, rec_trigger, idem))
        return 0;
    uint32_t twin = rows[i].twin;
    enum key_verdict verdict = keys_find(core->keys, &item->idem, &answer);
    if (verdict == KEY_REUSED || !str_eq(items->items[twin].idem.body, item->idem.body)) {
        snprintf(field, sizeof field, "items[%u].idempotency_key", i);
        return fault_set(fault, ERR_KEY_REUSED, field, "key_reused", (struct str){0}, "the same body with the same key",
                         "the key of item %u was used with another body", i);
    }
    if (verdict == KEY_KNOWN)
        rows[i].known = command_answered(core, answer);
    return 0;
}

void command_remember(struct core *core, const struct rec_idem *idem, const struct run *run)
{
    struct msg_run_answer answer = {.estimated_completion = estimate(core, run)};
    struct buf bytes = {0};
    struct err err;
    run_record(run, NULL, &answer.run);
    run_brief(&answer.run);
    if (msg_encode_run_answer(&bytes, &answer, 0, (struct str){0}, &err) == 0)
        keys_store(core->keys, core->journal, idem, buf_str(&bytes), core_steady(core));
    buf_free(&bytes);
}

static int batch_item_make(struct core *core, struct task *task, const struct rec_trigger *item, struct batch_item *row,
                           struct fault *fault)
{
    struct run_plan plan = plan_of(core, task, item);
    uint32_t first = core->farm_count;
    row->by_farm = task_expands(task);
    if (!row->by_farm)
        row->run = run_new(core, &plan);
    else if (expand(core, task, item, fault) == 0)
        row->run = core->farm_runs[first];
    else
        return -1;
    return row->run ? 0 : fault_memory(fault);
}

static int batch_prepare(struct core *core, struct task *task, const struct rec_trigger_list *items, struct batch_item *rows,
                         size_t *bytes, struct fault *fault)
{
    uint32_t keys = 0;
    if (batch_twins(core, items, rows))
        return fault_memory(fault);
    for (uint32_t i = 0; i < items->count; i++) {
        const struct rec_trigger *item = &items->items[i];
        if (batch_item_key(core, items, i, rows, fault))
            return -1;
        if (rows[i].known || rows[i].twin != i)
            continue;
        if (batch_item_make(core, task, item, &rows[i], fault))
            return -1;
        bool keyed = HAS(item, rec_trigger, idem);
        *bytes += own_bytes(task, item->parameters) + (keyed ? 2 * RUN_BRIEF_BYTES : 0);
        keys += keyed;
    }
    return keys_reserve_many(core->keys, keys + 1) ? fault_memory(fault) : 0;
}

static void batch_commit(struct core *core, const struct core_call *call, const struct rec_trigger_list *items,
                         struct batch_item *rows, uint64_t *ids)
{
    farm_commit(core);
    for (uint32_t i = 0; i < items->count; i++) {
        if (rows[i].run) {
            if (!rows[i].by_farm) {
                run_join(core, rows[i].run);
                run_announce(core, rows[i].run, NULL);
            }
            if (HAS(&items->items[i], rec_trigger, idem))
                command_remember(core, &items->items[i].idem, rows[i].run);
            ids[i] = rows[i].run->node.id;
        } else {
            ids[i] = rows[i].known ? rows[i].known : ids[rows[i].twin];
        }
    }
    struct msg_run_batch_answer answer = {.run_ids = {ids, items->count}};
    core_answer(core, call, &shape_msg_run_batch_answer, &answer);
}

void command_on_trigger_batch(struct core *core, const struct core_call *call)
{
    const struct msg_run_trigger_batch *batch = &call->msg->u.run_trigger_batch;
    const struct rec_task *known = HAS(batch, msg_run_trigger_batch, known) ? &batch->known : NULL;
    uint32_t count = batch->items.count;
    size_t bytes = 0, carried = 0;
    struct rec_task *woken = NULL;
    struct fault fault;
    struct batch_item *rows = arena_alloc(core->arena, count * sizeof *rows);
    uint64_t *ids = arena_alloc(core->arena, count * sizeof *ids);
    struct task *task =
        task_get(core, batch->task_id, known, HAS(batch, msg_run_trigger_batch, known_stat) ? &batch->known_stat : NULL, &fault);
    if (!task)
        goto error;
    if (!rows || !ids || task_wake(core, task, &woken)) {
        fault_memory(&fault);
        goto error;
    }
    for (uint32_t i = 0; i < count; i++)
        carried += batch->items.items[i].parameters.len;
    if (room_runs(core, count, carried, &fault) || batch_prepare(core, task, &batch->items, rows, &bytes, &fault))
        goto error;
    bytes += core->farm_bytes + (woken ? task_bytes(task) : 0);
    if (core_reserve(core, bytes, (size_t)count * 9 + 64, (count + core->farm_count) * (RUN_CREATE_OPS + 2) + 2, &fault))
        goto error;
    bool any = false; /* that no key has made before */
    for (uint32_t i = 0; i < count; i++)
        any = any || rows[i].run;
    task_woken(core, task, any ? woken : NULL);
    batch_commit(core, call, &batch->items, rows, ids);
    task_let_go(core, task);
    return;
error:
    for (uint32_t i = 0; rows && i < count; i++)
        if (!rows[i].by_farm)
            run_free(core, rows[i].run);
    farm_discard(core);
    if (task)
        task_let_go(core, task);
    core_refuse(core, call, &fault);
}

/* ---- submit: a task and its one run ---- */

static void submit_name(const struct core *core, struct rec_task_spec *spec, char *name, size_t size)
{
    unsigned long long id = core->next_id[TYPE_TASK];
    if (HAS(spec, rec_task_spec, name) && spec->name.len)
        return;
    snprintf(name, size, "run-%llu", id);
    for (unsigned n = 2; task_find_name(core, str_of(name)); n++)
        snprintf(name, size, "run-%llu-%u", id, n);
    spec->name = str_of(name);
    SET_HAS(spec, rec_task_spec, name);
}

static struct task *submit_task(struct core *core, struct task_rules *rules)
{
    struct task *task = task_join_reserve(core, rules) ? NULL : task_new(core, rules);
    if (task)
        task->oneshot = true;
    return task;
}

static void submit_put(struct core *core, const struct task *task, const struct rec_task_spec *spec)
{
    struct rec_task record = {.id = task_id(task),
                              .spec = *spec,
                              .status = task->status,
                              .created_at = task->created_at,
                              .updated_at = task->updated_at,
                              .oneshot = true,
                              .dependency_ids = task_deps(&task->rules),
                              .dependency_whens = task_whens(&task->rules)};
    journal_put(core->journal, TYPE_TASK, record.id, &record);
    struct rec_event event = {
        .type = STR_LIT("task.created"), .task_id = record.id, .task_name = spec->name, .status = STR_LIT("active")};
    core_event(core, &event);
}

void command_on_submit(struct core *core, const struct core_call *call)
{
    const struct msg_run_submit *submit = &call->msg->u.run_submit;
    struct rec_task_spec spec = submit->spec;
    struct task_rules rules = {0};
    struct task *task = NULL;
    struct fault fault;
    char name[64];
    submit_name(core, &spec, name, sizeof name);
    task_spec_defaults(&spec);
    if (spec.schedule.len) {
        fault_set(&fault, ERR_INVALID, "schedule", "schedule", spec.schedule, "none: run_at or delay_seconds",
                  "a run that is submitted has no schedule");
        goto error;
    }
    if (task_check(core, &spec, NULL, spec.has, &rules, &fault) ||
        room_runs(core, 1, submit->trigger.parameters.len + task_rules_bytes(&rules), &fault))
        goto error;
    if (!(task = submit_task(core, &rules))) {
        fault_memory(&fault);
        goto error;
    }
    task_join(core, task, 0); /* as its farm must find it; nobody has heard of it yet */
    struct batch_item row = {0};
    if (batch_item_make(core, task, &submit->trigger, &row, &fault))
        goto error_task;
    size_t bytes = core->farm_bytes + own_bytes(task, submit->trigger.parameters) + task_bytes(task) + 256 + RUN_EVENT_BYTES;
    uint32_t ops = run_count(core, task) * RUN_CREATE_OPS + EVENT_OPS + 3;
    if (core_reserve(core, bytes, RUN_BRIEF_BYTES, ops, &fault))
        goto error_task;
    submit_put(core, task, &spec);
    if (!row.by_farm) {
        run_join(core, row.run);
        run_announce(core, row.run, NULL);
    }
    farm_commit(core);
    answer_run(core, call, row.run);
    return;
error_task:
    if (!row.by_farm)
        run_free(core, row.run);
    farm_discard(core);
    core->next_id[TYPE_TASK] = task_id(task); /* nobody has heard of it */
    task_leave(core, task);
error:
    task_rules_clear(core, &rules);
    core_refuse(core, call, &fault);
}

/* ---- restart and abort ---- */

static void not_kept(const struct core *core, uint64_t id, struct fault *fault)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    if (id >= core->next_id[TYPE_RUN])
        fault_set(fault, ERR_NOT_FOUND, "id", "not_found", str_of(text), "the id of a run", "there is no run %s", text);
    else
        fault_set(fault, ERR_NOT_FOUND, "id", FAULT_FETCH, str_of(text), "the id of a run",
                  "run %s is not kept in memory: ask again with its record", text);
}

struct run *command_repeat(struct core *core, const struct rec_run *known, const struct rec_task *known_task,
                           const struct rec_task_stat *known_stat, size_t extra, struct fault *fault)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)known->id);
    if (HAS(known, rec_run, spec)) {
        fault_set(fault, ERR_CONFLICT, "id", "farm", str_of(text), NULL, "run %s is repeated by its farm only", text);
        return NULL;
    }
    struct task *task = task_get(core, known->task_id, known_task, known_stat, fault);
    if (!task)
        return NULL;
    struct rec_trigger trigger = {.parameters = known->parameters, .priority = known->priority};
    SET_HAS(&trigger, rec_trigger, priority);
    if (known->timeout_seconds) {
        trigger.timeout_seconds = known->timeout_seconds;
        SET_HAS(&trigger, rec_trigger, timeout_seconds);
    }
    struct run_plan plan = plan_of(core, task, &trigger);
    plan.retry_count = (uint8_t)known->retry_count;
    plan.restart_of = known->id;
    struct run *run = make(core, &plan, &trigger, extra, fault);
    if (!run)
        task_let_go(core, task);
    return run;
}

void command_on_restart(struct core *core, const struct core_call *call)
{
    const struct msg_run_restart *restart = &call->msg->u.run_restart;
    const struct rec_run *known = &restart->known;
    struct run *live = run_find(core, restart->id), *run = NULL;
    struct fault fault;
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)restart->id);
    if (live) {
        fault_set(&fault, ERR_CONFLICT, "id", "not_final", str_of(text), "a run that has ended", "run %s has not ended yet",
                  text);
        goto error;
    }
    if (!HAS(restart, msg_run_restart, known) || known->id != restart->id || restart->id >= core->next_id[TYPE_RUN]) {
        not_kept(core, restart->id, &fault);
        goto error;
    }
    run = command_repeat(core, known, HAS(restart, msg_run_restart, known_task) ? &restart->known_task : NULL,
                         HAS(restart, msg_run_restart, known_stat) ? &restart->known_stat : NULL, 0, &fault);
    if (!run)
        goto error;
    answer_run(core, call, run);
    return;
error:
    core_refuse(core, call, &fault);
}

void command_on_abort(struct core *core, const struct core_call *call)
{
    const struct msg_run_abort *abort = &call->msg->u.run_abort;
    struct run *run = run_find(core, abort->id);
    struct fault fault;
    char text[24];
    if (!run && HAS(abort, msg_run_abort, known) && abort->known.id == abort->id) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)abort->id);
        fault_set(&fault, ERR_CONFLICT, "id", "final", str_of(text), "a run that has not ended", "run %s has ended already",
                  text);
        goto error;
    }
    if (!run) {
        not_kept(core, abort->id, &fault);
        goto error;
    }
    struct ending ending = {.outcome = OUTCOME_ABORTED,
                            .cancel = run->lease != NULL,
                            .call = call,
                            .error = abort->reason.len ? abort->reason : STR_LIT("aborted by request")};
    if (retry_end(core, run, &ending, &fault))
        goto error;
    return;
error:
    core_refuse(core, call, &fault);
}
