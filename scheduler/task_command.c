/* Commands about tasks: create, update, delete, pause. */
#include <stdio.h>

#include "scheduler/command.h"
#include "scheduler/depend.h"
#include "scheduler/lease.h"
#include "scheduler/room.h"
#include "scheduler/run.h"
#include "scheduler/schedule.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

static void task_event(struct core *core, const struct task *task, const char *type)
{
    struct rec_event event = {.type = str_of(type),
                              .task_id = task_id(task),
                              .task_name = task->rules.name->str,
                              .status = str_of(task_status_name(task->status))};
    core_event(core, &event);
}

/* The task as it is now: put, and the answer to the command. spec: decoded already. */
static void task_put_answer(struct core *core, const struct core_call *call, const struct task *task,
                            const struct rec_task_spec *spec)
{
    struct msg_task_answer answer = {
        .task = {.id = task_id(task),
                 .spec = *spec,
                 .status = task->status,
                 .created_at = task->created_at,
                 .updated_at = task->updated_at,
                 .oneshot = task->oneshot,
                 .spread = task->rules.spread,
                 .dependency_ids = task_deps(&task->rules),
                 .dependency_whens = task_whens(&task->rules)},
        .stat = task->stat,
    };
    SET_HAS(&answer, msg_task_answer, stat);
    journal_put(core->journal, TYPE_TASK, answer.task.id, &answer.task);
    task_stat_put(core, task);
    core_answer(core, call, &shape_msg_task_answer, &answer);
}

static int task_reserve(struct core *core, const struct task_rules *rules, struct fault *fault)
{
    size_t bytes = rules->spec->str.len + (size_t)rules->dep_count * 10 + 256;
    return core_reserve(core, bytes + TASK_STAT_BYTES + EVENT_BYTES + SCHEDULE_BYTES + TASK_KEEP_BYTES, bytes + TASK_STAT_BYTES,
                        EVENT_OPS + SCHEDULE_OPS + 5, fault);
}

void task_on_create(struct core *core, const struct core_call *call)
{
    struct rec_task_spec spec = call->msg->u.task_create.spec;
    struct task_rules rules;
    struct fault fault;
    uint64_t given = spec.has;
    task_spec_defaults(&spec);
    if (task_check(core, &spec, NULL, given, &rules, &fault))
        goto error;
    if (room_task(core, task_rules_bytes(&rules), &fault) || task_reserve(core, &rules, &fault))
        goto error_rules;
    struct task *task = task_join_reserve(core, &rules) ? NULL : task_new(core, &rules);
    if (!task) {
        fault_memory(&fault);
        goto error_rules;
    }
    task_join(core, task, 0);
    schedule_begin(core, task);
    task_arm(core, task);
    task_put_answer(core, call, task, &spec);
    task_event(core, task, "task.created");
    return;
error_rules:
    task_rules_clear(core, &rules);
error:
    core_refuse(core, call, &fault);
}

static bool schedule_touched(const struct rec_task_spec *patch)
{
    return HAS(patch, rec_task_spec, schedule) || HAS(patch, rec_task_spec, metadata);
}

void task_on_update(struct core *core, const struct core_call *call)
{
    const struct msg_task_update *update = &call->msg->u.task_update;
    const struct rec_task *known = HAS(update, msg_task_update, known) ? &update->known : NULL;
    struct task_rules rules = {0};
    struct rec_task record;
    struct fault fault;
    struct task *task =
        task_get(core, update->id, known, HAS(update, msg_task_update, known_stat) ? &update->known_stat : NULL, &fault);
    if (!task)
        goto error;
    if (task_record(core, task, &record) || edge_show(core, &task->rules, &record.spec)) {
        fault_memory(&fault);
        goto error;
    }
    task_spec_merge(&record.spec, &update->spec);
    if (HAS(&update->spec, rec_task_spec, dependencies) && !HAS(&update->spec, rec_task_spec, dependency_conditions))
        record.spec.dependency_conditions = (struct str){0}; /* they were those of the dependencies before */
    if (task->oneshot && record.spec.schedule.len) {
        fault_set(&fault, ERR_INVALID, "schedule", "schedule", record.spec.schedule, "none: it runs when it is triggered",
                  "a task made for one run has no schedule");
        goto error;
    }
    if (task_check(core, &record.spec, task, update->spec.has, &rules, &fault))
        goto error;
    size_t now = task_rules_bytes(&task->rules), then = task_rules_bytes(&rules);
    if ((then > now && room_bytes(core, then - now, &fault)) || task_reserve(core, &rules, &fault))
        goto error;
    if (task_replace_reserve(core, task, &rules)) {
        fault_memory(&fault);
        goto error;
    }
    struct text *before = text_keep(task->rules.spec); /* what the merged spec borrows from */
    bool keeps_fewer = rules.keep_runs && (!task->rules.keep_runs || rules.keep_runs < task->rules.keep_runs);
    if (schedule_touched(&update->spec))
        schedule_end(core, task);
    task_replace(core, task, &rules);
    task->updated_at = core->wall_ms;
    if (schedule_touched(&update->spec)) {
        schedule_begin(core, task);
        if (task->status == TASK_COMPLETED && task->stat.next_run_at)
            task->status = TASK_ACTIVE;
    }
    task_arm(core, task);
    task_put_answer(core, call, task, &record.spec);
    task_event(core, task, "task.updated");
    if (keeps_fewer)
        task_keep_runs(core, task);
    text_drop(before);
    task_let_go(core, task);
    return;
error:
    task_rules_clear(core, &rules);
    if (task)
        task_let_go(core, task);
    core_refuse(core, call, &fault);
}

/* Its waiting runs are looked at again: held, or let go on. */
static void task_replace_runs(struct core *core, struct task *task)
{
    for (struct run *run = task->runs; run; run = run->next)
        if (run_waits(run))
            run_move(core, run, CHANGE_PLACE);
}

void task_on_pause(struct core *core, const struct core_call *call)
{
    const struct msg_task_pause *pause = &call->msg->u.task_pause;
    const struct rec_task *known = HAS(pause, msg_task_pause, known) ? &pause->known : NULL;
    struct rec_task record;
    struct fault fault;
    struct task *task =
        task_get(core, pause->id, known, HAS(pause, msg_task_pause, known_stat) ? &pause->known_stat : NULL, &fault);
    if (!task)
        goto error;
    if (task_record(core, task, &record)) {
        fault_memory(&fault);
        goto error;
    }
    if (task_reserve(core, &task->rules, &fault))
        goto error;
    bool paused = task->status == TASK_PAUSED;
    if (pause->paused != paused) {
        if (pause->paused)
            schedule_pause(task);
        else
            schedule_resume(core, task);
        task->status = pause->paused ? TASK_PAUSED : task_status_resumed(task);
        task->updated_at = core->wall_ms;
        task_arm(core, task);
        task_replace_runs(core, task);
        depend_recheck(core, task);
        task_event(core, task, "task.updated");
    }
    task_put_answer(core, call, task, &record.spec);
    task_let_go(core, task);
    return;
error:
    if (task)
        task_let_go(core, task);
    core_refuse(core, call, &fault);
}

/* ---- delete ---- */

static int delete_check(const struct task *task, bool force, struct fault *fault)
{
    char value[32];
    if (force)
        return 0;
    snprintf(value, sizeof value, "%u", task->live);
    if (task->live)
        return fault_set(fault, ERR_CONFLICT, "id", "live_runs", str_of(value), "no pending or running run, or force",
                         "the task has %u runs that have not ended", task->live);
    if (task->dependent_count)
        return fault_set(fault, ERR_CONFLICT, "id", "dependents", task->dependents[0].task->rules.name->str,
                         "no task that waits for it, or force", "the task %s waits for it",
                         task->dependents[0].task->rules.name->data);
    return 0;
}

/* Its workers are told to stop; the runs themselves go with the task. */
static void delete_runs(struct core *core, struct task *task)
{
    for (struct run *run = task->runs; run; run = run->next) {
        struct lease *lease = run->lease;
        if (!lease)
            continue;
        struct address to = worker_address(lease->worker);
        struct rec_lease row = {.run_id = run->node.id, .attempt = run->attempt, .reason = STR_LIT("its task was deleted")};
        struct msg_cancel cancel = {.leases = {&row, 1}};
        lease_cancel(core, lease);
        if (to.peer.len)
            journal_send(core->journal, &to, &shape_msg_cancel, &cancel);
    }
}

static uint32_t leased_runs(const struct task *task)
{
    uint32_t count = 0;
    for (const struct run *run = task->runs; run; run = run->next)
        count += run->lease != NULL;
    return count;
}

void task_on_delete(struct core *core, const struct core_call *call)
{
    const struct msg_task_delete *delete = &call->msg->u.task_delete;
    const struct rec_task *known = HAS(delete, msg_task_delete, known) ? &delete->known : NULL;
    struct msg_done done = {.id = delete->id};
    struct fault fault;
    struct task *task = task_get(core, delete->id, known, NULL, &fault);
    if (!task || delete_check(task, delete->force, &fault))
        goto error;
    uint32_t leased = leased_runs(task);
    if (core_reserve(core, EVENT_BYTES + (size_t)leased * 128 + 64, 64, EVENT_OPS + 5 + leased, &fault))
        goto error;
    delete_runs(core, task);
    task_event(core, task, "task.deleted");
    journal_delete(core->journal, TYPE_TASK, delete->id);
    journal_delete(core->journal, TYPE_TASK_STAT, delete->id);
    journal_purge_task(core->journal, delete->id);
    task_gone(core, delete->id, UINT64_MAX);
    core_answer(core, call, &shape_msg_done, &done);
    task_leave(core, task);
    return;
error:
    if (task)
        task_let_go(core, task);
    core_refuse(core, call, &fault);
}
