/* Tasks in memory: made, found, replaced, forgotten, read back. */
#include "scheduler/task.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/cron.h"
#include "scheduler/depend.h"
#include "scheduler/farms/farm.h"
#include "scheduler/gate.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"

struct task *task_find(const struct core *core, uint64_t id)
{
    return index_id(&core->tasks, id);
}

struct task *task_find_name(const struct core *core, struct str name)
{
    return index_text(&core->task_names, name);
}

void task_rules_clear(struct core *core, struct task_rules *rules)
{
    text_drop(rules->spec);
    text_drop(rules->name);
    queue_class_drop(core, rules->class);
    cron_free(rules->cron);
    free(rules->notify);
    edge_clear(rules);
    *rules = (struct task_rules){0};
}

size_t task_rules_bytes(const struct task_rules *rules)
{
    return rules->spec->str.len + edge_bytes(rules);
}

struct task *task_new(struct core *core, struct task_rules *rules)
{
    struct task *task = calloc(1, sizeof *task);
    if (!task)
        return NULL;
    if (rules->rate && gate_reserve(core, &task->gate, rules->rate, 0)) {
        gate_free(core, task->gate);
        free(task);
        return NULL;
    }
    if (task->gate)
        gate_set(core, task->gate, rules->rate, 0);
    task->rules = *rules;
    task->key = rules->name->str;
    task->created_at = task->updated_at = core->wall_ms;
    core->carried += task_rules_bytes(rules);
    *rules = (struct task_rules){0};
    return task;
}

void task_free(struct core *core, struct task *task)
{
    if (!task)
        return;
    core->carried -= task_rules_bytes(&task->rules);
    task_rules_clear(core, &task->rules);
    gate_free(core, task->gate);
    free(task->dependents);
    free(task->skipped);
    free(task);
}

int task_join_reserve(struct core *core, const struct task_rules *rules)
{
    return index_reserve(&core->tasks, 1) || index_reserve(&core->task_names, 1) ||
                   heap_reserve(&core->schedules, core->tasks.count + 1) || edge_reserve(core, rules)
               ? -1
               : 0;
}

/* The name of an ended one-shot task is free, so that one that comes back may find it taken: then it goes without. */
static void name_take(struct core *core, struct task *task)
{
    struct task *other = task_find_name(core, task->key);
    if (other && (task->oneshot || !other->oneshot))
        return;
    if (other)
        index_remove(&core->task_names, other);
    index_add(&core->task_names, task);
}

void task_join(struct core *core, struct task *task, uint64_t id)
{
    task->due.id = id ? id : core_new_id(core, TYPE_TASK);
    task->stat.id = task->due.id;
    if (task->gate)
        task->gate->node.id = task->due.id;
    index_add(&core->tasks, task);
    core->standing += !task->oneshot;
    name_take(core, task);
    task->prev = core->last_task;
    if (core->last_task)
        core->last_task->next = task;
    else
        core->first_task = task;
    core->last_task = task;
    edge_join(core, task);
    if (task->rules.dep_count)
        depend_recheck(core, task);
}

void task_leave(struct core *core, struct task *task)
{
    while (task->runs)
        run_leave(core, task->runs);
    depend_forget(core, task);
    heap_remove(&core->schedules, &task->due);
    core->standing -= !task->oneshot;
    index_remove(&core->tasks, task);
    index_remove(&core->task_names, task);
    if (task->prev)
        task->prev->next = task->next;
    else
        core->first_task = task->next;
    if (task->next)
        task->next->prev = task->prev;
    else
        core->last_task = task->prev;
    task_free(core, task);
}

void task_gone(struct core *core, uint64_t id, uint64_t updated_at)
{
    core->gone_tasks[core->gone_task_at++ % GONE_TASKS] = (struct gone_task){id, updated_at};
}

void task_let_go(struct core *core, struct task *task)
{
    if (!task->oneshot || task->live || (task->status != TASK_COMPLETED && task->status != TASK_FAILED))
        return;
    task_gone(core, task_id(task), task->updated_at);
    task_leave(core, task);
}

int task_replace_reserve(struct core *core, struct task *task, const struct task_rules *rules)
{
    if (edge_reserve(core, rules))
        return -1;
    if (rules->rate && gate_reserve(core, &task->gate, rules->rate, task->live))
        return -1;
    return rules->class == task->rules.class ? 0 : queue_reserve(rules->class, task->live);
}

/* Its waiting runs pass the gate anew. */
static void rate_follow(struct core *core, struct task *task, uint32_t before)
{
    if (task->rules.rate == before)
        return;
    task->gate->runs = task->live;
    task->gate->node.id = task_id(task);
    for (struct run *run = task->runs; run; run = run->next)
        if (run->state == STATE_QUEUED)
            queue_remove(core, run);
    gate_set(core, task->gate, task->rules.rate, task->stat.last_run_at);
    for (struct run *run = task->runs; run; run = run->next)
        if (run->state == STATE_QUEUED)
            queue_add(core, run);
}

void task_replace(struct core *core, struct task *task, struct task_rules *rules)
{
    struct task_rules old = task->rules;
    edge_leave(task);
    index_remove(&core->task_names, task);
    core->carried += task_rules_bytes(rules);
    core->carried -= task_rules_bytes(&old);
    task->rules = *rules;
    task->key = rules->name->str;
    *rules = old;
    name_take(core, task);
    edge_join(core, task);
    for (struct run *run = task->runs; run; run = run->next)
        if (run->class == old.class)
            run_rehome(core, run, task->rules.class);
    rate_follow(core, task, old.rate);
    depend_recheck(core, task);
    task_rules_clear(core, rules);
}

/* ---- records ---- */

size_t task_bytes(const struct task *task)
{
    return task->rules.spec->str.len + (size_t)task->rules.dep_count * 10 + 96;
}

int task_record(struct core *core, const struct task *task, struct rec_task *record)
{
    struct err err;
    *record = (struct rec_task){.id = task_id(task),
                                .status = task->status,
                                .created_at = task->created_at,
                                .updated_at = task->updated_at,
                                .oneshot = task->oneshot,
                                .spread = task->rules.spread,
                                .dependency_ids = task_deps(&task->rules),
                                .dependency_whens = task_whens(&task->rules)};
    return rec_decode_task_spec(core->arena, task->rules.spec->str, &record->spec, &err);
}

void task_stat_put(struct core *core, const struct task *task)
{
    journal_put(core->journal, TYPE_TASK_STAT, task_id(task), &task->stat);
}

void task_keep_runs(struct core *core, const struct task *task)
{
    struct rec_run_purge purge = {.task_id = task_id(task), .keep = task->rules.keep_runs, .live = task->live};
    if (!purge.keep)
        return;
    SET_HAS(&purge, rec_run_purge, keep);
    journal_purge_runs(core->journal, &purge);
}

void task_arm(struct core *core, struct task *task)
{
    heap_remove(&core->schedules, &task->due);
    if (!task->rules.cron || task->status == TASK_PAUSED)
        task->stat.next_run_at = 0;
    if (!task->stat.next_run_at)
        return;
    task->due.key = (int64_t)task->stat.next_run_at;
    heap_push(&core->schedules, &task->due);
}

/* Its schedule named one time, and that has been. */
static bool nothing_due(const struct task *task)
{
    return task->rules.cron && cron_once(task->rules.cron) && !task->stat.next_run_at;
}

uint8_t task_status_after(const struct task *task, const struct run *run, uint64_t run_status)
{
    bool newest = run->node.id >= task->stat.last_final_id;
    if (task->status == TASK_PAUSED)
        return task->status;
    if (task->oneshot && task->live > 1)
        return task->status; /* its other run decides */
    if (task->oneshot)
        return run_status == RUN_COMPLETED ? TASK_COMPLETED : TASK_FAILED;
    if (run_status == RUN_ABORTED || !newest)
        return task->status;
    if (run_status == RUN_FAILED)
        return TASK_FAILED;
    return nothing_due(task) ? TASK_COMPLETED : TASK_ACTIVE;
}

uint8_t task_status_resumed(const struct task *task)
{
    bool completed = task->stat.last_status == RUN_COMPLETED;
    if (task->live || !task->stat.last_final_id)
        return TASK_ACTIVE;
    if (task->oneshot)
        return completed ? TASK_COMPLETED : TASK_FAILED;
    return nothing_due(task) && completed ? TASK_COMPLETED : TASK_ACTIVE;
}

int task_load(struct core *core, const struct rec_task *record, struct err *err)
{
    struct task_rules rules;
    struct fault fault;
    if (record->oneshot && (record->status == TASK_COMPLETED || record->status == TASK_FAILED))
        return 0; /* comes back when a command names it */
    struct task *other = task_find_name(core, record->spec.name);
    if (task_find(core, record->id) || (other && !other->oneshot && !record->oneshot))
        return err_set(err, ERR_INVALID, "task %llu is there twice", (unsigned long long)record->id);
    if (task_rules_of(core, record, &rules, &fault))
        return err_set(err, fault.code, "task %llu: %.200s", (unsigned long long)record->id, fault.text);
    struct task *task = task_join_reserve(core, &rules) ? NULL : task_new(core, &rules);
    if (!task) {
        task_rules_clear(core, &rules);
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    task->created_at = record->created_at;
    task->updated_at = record->updated_at;
    task->status = (uint8_t)record->status;
    task->oneshot = record->oneshot;
    task_join(core, task, record->id);
    return 0;
}

/* A dependency may have a higher id than who waits for it, so edges are made when all are loaded. */
int task_loaded(struct core *core)
{
    if (core->linked)
        return 0;
    core->linked = true;
    for (struct task *task = core->first_task; task; task = task->next)
        task->dependent_count = 0;
    for (struct task *task = core->first_task; task; task = task->next) {
        if (edge_reserve(core, &task->rules))
            return -1;
        edge_join(core, task);
        task_arm(core, task);
    }
    return 0;
}

/* ---- tasks that are not kept ---- */

/* When a task that is no longer kept was changed last; 0: not lately. The newest entry counts. */
static uint64_t task_gone_at(const struct core *core, uint64_t id)
{
    for (uint32_t i = 1; i <= GONE_TASKS; i++) {
        const struct gone_task *gone = &core->gone_tasks[(core->gone_task_at - i) % GONE_TASKS];
        if (gone->id == id)
            return gone->updated_at;
    }
    return 0;
}

/* A record read before the task's last change was on disk does not count. */
static bool known_is_old(const struct core *core, const struct rec_task *known)
{
    return (known->status != TASK_COMPLETED && known->status != TASK_FAILED) || known->updated_at < task_gone_at(core, known->id);
}

static struct task *task_back(struct core *core, const struct rec_task *known, const struct rec_task_stat *stat,
                              struct fault *fault)
{
    struct err err = {0};
    if (task_load(core,
                  &(struct rec_task){.id = known->id,
                                     .spec = known->spec,
                                     .status = TASK_ACTIVE,
                                     .created_at = known->created_at,
                                     .updated_at = known->updated_at,
                                     .dependency_ids = known->dependency_ids,
                                     .spread = known->spread,
                                     .dependency_whens = known->dependency_whens,
                                     .oneshot = true},
                  &err)) {
        fault_set(fault, err.code, NULL, NULL, (struct str){0}, NULL, "%.200s", err.text);
        return NULL;
    }
    struct task *task = task_find(core, known->id);
    task->status = (uint8_t)known->status;
    if (stat) {
        task->stat = *stat;
        task->stat.id = known->id;
    }
    if (stat && task->gate)
        gate_set(core, task->gate, task->rules.rate, stat->last_run_at);
    return task;
}

struct task *task_get(struct core *core, uint64_t id, const struct rec_task *known, const struct rec_task_stat *known_stat,
                      struct fault *fault)
{
    struct task *task = task_find(core, id);
    if (task)
        return task;
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    if (id >= core->next_id[TYPE_TASK] || task_gone_at(core, id) == UINT64_MAX ||
        (known && (known->id != id || !known->oneshot))) {
        fault_set(fault, ERR_NOT_FOUND, "id", "not_found", str_of(text), "the id of a task", "there is no task %s", text);
        return NULL;
    }
    if (known && known_is_old(core, known)) {
        fault_set(fault, ERR_UNAVAILABLE, "id", "", str_of(text), NULL, "the record of task %s is being written: ask again",
                  text);
        return NULL;
    }
    if (known)
        return task_back(core, known, known_stat, fault);
    fault_set(fault, ERR_NOT_FOUND, "id", FAULT_FETCH, str_of(text), "the id of a task",
              "task %s is not kept in memory: ask again with its record", text);
    return NULL;
}
