/* Why a run waits, in parts: what kind of wait it is, what it waits for, and how the workers are that it could go to. */
#include "scheduler/why.h"

#include "scheduler/depend.h"
#include "scheduler/farms/farm.h"
#include "scheduler/gate.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/live.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

#define AHEAD_MOST 10000u /* runs before it that are counted */
#define LABELS_MOST 64    /* required labels that are told of */

static uint32_t kind_members(const struct kind *kind)
{
    return kind->places[PLACE_NONE] + kind->places[PLACE_BUSY] + kind->places[PLACE_RESTS] + kind->places[PLACE_ROOM];
}

/* The labels that are required. -1 when out of memory. */
static int labels_list(struct core *core, struct str labels, struct rec_why_label_list *list)
{
    struct reader reader = {labels.ptr, labels.ptr + labels.len};
    struct token map, name, value;
    if (!labels.len || reader_next(&reader, &map) || map.kind != TOKEN_MAP)
        return 0;
    uint32_t count = map.u.count < LABELS_MOST ? map.u.count : LABELS_MOST;
    list->items = arena_alloc(core->arena, count * sizeof *list->items + 1);
    if (!list->items)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (reader_next(&reader, &name) || reader_next(&reader, &value))
            return 0;
        if (name.kind == TOKEN_STR && value.kind == TOKEN_STR)
            list->items[list->count++] =
                (struct rec_why_label){.name = str_cut(name.u.text, 256), .value = str_cut(value.u.text, 256)};
    }
    return 0;
}

static void labels_count(const struct kind *kind, struct rec_why_label_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct str has;
        if (!map_text(kind->labels, list->items[i].name, &has) || !str_eq(str_cut(has, 256), list->items[i].value))
            list->items[i].lacking += kind_members(kind);
    }
}

/* Labels that all have are not worth telling. */
static void labels_keep_lacking(struct rec_why_label_list *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].lacking)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

/* The workers that are here, as this class sees them. */
static int workers_count(struct core *core, const struct queue_class *class, struct rec_why_workers *out)
{
    if (labels_list(core, class->labels, &out->labels))
        return -1;
    for (size_t i = 0; i < core->kinds.size; i++) {
        const struct kind *kind = core->kinds.slots[i];
        if (!kind || !kind_serves_type(kind, class))
            continue;
        out->serve_type += kind_members(kind);
        if (!kind_serves_executor(kind, class))
            continue;
        out->serve_executor += kind_members(kind);
        labels_count(kind, &out->labels);
    }
    labels_keep_lacking(&out->labels);
    for (const struct match *match = class->matches; match; match = match->next_kind) {
        out->can_take += kind_members(match->kind);
        out->with_room += match->kind->places[PLACE_ROOM];
        out->busy += match->kind->places[PLACE_BUSY];
        out->resting += match->kind->places[PLACE_RESTS];
        out->draining += match->kind->places[PLACE_NONE];
    }
    return 0;
}

static const char *queued_code(const struct core *core, const struct run *run, const struct rec_why_workers *workers)
{
    if (!journal_writable(core->journal))
        return "store";
    if (run->task && run->task->gate && gate_holds(run->task->gate, run))
        return "rate";
    if (run->class->pool && pool_full(run->class->pool))
        return "pool";
    if (workers->with_room)
        return queue_chooses(run->class) ? "farm" : "starting";
    if (workers->resting)
        return "resting";
    if (workers->busy)
        return "busy";
    return workers->draining ? "draining" : "no_worker";
}

/* When the next run of a task with a rate may start; 0: it is not known, or now. */
static uint64_t gate_opens(const struct core *core, const struct gate *gate)
{
    uint64_t at = gate->node.place ? (uint64_t)gate->node.key : 0;
    return at > core->mono_ms ? core->wall_ms + (at - core->mono_ms) : 0;
}

/* The run that is waited for is its task's newest; 0 when that has ended, and another must come. */
static void dependency_fill(struct msg_run_why_rows *rows, const struct task *task)
{
    const struct task *on = NULL;
    depend_state(task, &on);
    rows->dependencies = task->edge_states[DEPEND_WAITS] + task->edge_states[DEPEND_FAILED];
    if (!on)
        return;
    rows->on_task_id = task_id(on);
    rows->on_task_name = on->rules.name->str;
    rows->on_run_id = on->stat.last_run_id != on->stat.last_final_id ? on->stat.last_run_id : 0;
}

static void held_fill(struct msg_run_why_rows *rows, const struct run *run)
{
    rows->status = RUN_RUNNING;
    rows->code = str_of(run->state == STATE_ASSIGNED ? "assigned" : run->state == STATE_PUBLISHING ? "publishing" : "running");
    rows->worker_name = run->lease->worker->name->str;
    rows->since = run->more ? run->more->started_at : 0;
}

/* Those of its task that a rate holds back are not in the queue yet; those that it let through come first. */
static uint32_t ahead_of(const struct run *run)
{
    const struct gate *gate = run->task ? run->task->gate : NULL;
    if (!gate || !gate_holds(gate, run))
        return heap_count_before(&run->class->queue, &run->node, AHEAD_MOST);
    return gate->let_count + heap_count_before(&gate->waiting, &run->node, AHEAD_MOST);
}

static int waits_fill(struct core *core, const struct run *run, struct msg_run_why_rows *rows)
{
    rows->waits = true;
    rows->status = RUN_PENDING;
    SET_HAS(rows, msg_run_why_rows, workers);
    if (workers_count(core, run->class, &rows->workers))
        return -1;
    switch ((enum run_state)run->state) {
    case STATE_BLOCKED:
        rows->code = STR_LIT("dependency");
        dependency_fill(rows, run->task);
        break;
    case STATE_HELD:
        rows->code = STR_LIT("paused");
        break;
    case STATE_DELAYED:
        rows->code = str_of(run->retries ? "backoff" : "delayed");
        rows->until = run->due_at;
        break;
    default:
        rows->code = str_of(queued_code(core, run, &rows->workers));
        if (str_is(rows->code, "rate"))
            rows->until = gate_opens(core, run->task->gate);
        rows->ahead = ahead_of(run);
        rows->ahead_is_lower_bound = rows->ahead >= AHEAD_MOST;
        SET_HAS(rows, msg_run_why_rows, ahead);
        break;
    }
    return 0;
}

void why_on_ask(struct core *core, const struct core_call *call)
{
    const struct run *run = run_find(core, call->msg->u.run_why.id);
    struct msg_run_why_rows rows = {.run_id = call->msg->u.run_why.id, .code = STR_LIT("final")};
    struct rec_live_run live;
    struct fault fault;
    if (run) {
        rows.attempt = run->attempt;
        if (live_fill(core, run, &live) || (run_waits(run) && waits_fill(core, run, &rows)))
            goto error;
        if (!run_waits(run))
            held_fill(&rows, run);
        rows.reason = live.reason;
    }
    journal_send_now(core->journal, &call->from, &shape_msg_run_why_rows, &rows);
    return;
error:
    fault_memory(&fault);
    core_refuse(core, call, &fault);
}
