/* What is true of a run this second: its state, its progress, and why it waits. */
#include "scheduler/live.h"

#include <stdio.h>

#include "proto/clock.h"
#include "scheduler/depend.h"
#include "scheduler/farms/farm.h"
#include "scheduler/gate.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

#define REASON_SIZE 512

static bool kind_active(const struct kind *kind)
{
    return kind->places[PLACE_BUSY] + kind->places[PLACE_RESTS] + kind->places[PLACE_ROOM] > 0;
}

/* How far some worker that is here comes in serving the class: 0 not its type, 1 its type, 2 its executor too. */
static int class_served(const struct core *core, const struct queue_class *class)
{
    int most = 0;
    for (size_t i = 0; i < core->kinds.size && most < 2; i++) {
        const struct kind *kind = core->kinds.slots[i];
        if (kind && kind_active(kind) && kind_serves_type(kind, class))
            most = kind_serves_executor(kind, class) ? 2 : most > 1 ? most : 1;
    }
    return most;
}

/* How the workers are that can take what the class holds, by enum kind_place. False: there are none that take anything new. */
static bool class_places(const struct queue_class *class, uint32_t places[PLACE_COUNT])
{
    memset(places, 0, PLACE_COUNT * sizeof *places);
    for (const struct match *match = class->matches; match; match = match->next_kind)
        for (unsigned place = 0; place < PLACE_COUNT; place++)
            places[place] += match->kind->places[place];
    return places[PLACE_BUSY] + places[PLACE_RESTS] + places[PLACE_ROOM] > 0;
}

/* Some of them work over REST, where they are busy too while they do not ask. */
static bool class_asked(const struct queue_class *class)
{
    for (const struct match *match = class->matches; match; match = match->next_kind)
        if (match->kind->asks)
            return true;
    return false;
}

/* Why it came back when it was given to somebody last. */
static struct str returned_why(const struct run *run)
{
    for (uint32_t i = run->more ? run->more->attempt_count : 0; i-- > 0;)
        if (run->more->attempts[i].outcome == OUTCOME_RETURNED)
            return run->more->attempts[i].error;
    return (struct str){"", 0};
}

/* There are workers for it. */
static void reason_served(const struct run *run, const uint32_t places[PLACE_COUNT], char *out, size_t size)
{
    const struct queue_class *class = run->class;
    struct str type = class->type, why = returned_why(run);
    if (places[PLACE_ROOM] && class->farm && class->farm->choose)
        snprintf(out, size, "%s wants no free worker of type %.*s for it", class->farm->name, (int)type.len, type.ptr);
    else if (places[PLACE_ROOM])
        snprintf(out, size, "it is about to be given out");
    else if (places[PLACE_RESTS])
        snprintf(out, size, "workers of type %.*s rest for a moment%s%.*s", (int)type.len, type.ptr, why.len ? ": " : "",
                 (int)why.len, why.len ? why.ptr : "");
    else
        snprintf(out, size, "all workers of type %.*s are busy%s", (int)type.len, type.ptr,
                 class_asked(class) ? ", or do not ask for runs" : "");
}

static void labels_say(struct str labels, char *out, size_t size)
{
    struct reader reader = {labels.ptr, labels.ptr + labels.len};
    struct token map, name, value;
    size_t at = 0;
    *out = '\0';
    if (reader_next(&reader, &map) || map.kind != TOKEN_MAP)
        return;
    for (uint32_t i = 0; i < map.u.count && at < size; i++) {
        if (reader_next(&reader, &name) || reader_next(&reader, &value))
            return;
        at += (size_t)snprintf(out + at, size - at, "%s%.*s=%.*s", i ? ", " : "", (int)name.u.text.len, name.u.text.ptr,
                               value.kind == TOKEN_STR ? (int)value.u.text.len : 0,
                               value.kind == TOKEN_STR ? value.u.text.ptr : "");
    }
}

/* Its task has started as often as it may for now; the run itself may have others before it. */
static bool reason_rate(const struct core *core, const struct run *run, char *out, size_t size)
{
    const struct gate *gate = run->task ? run->task->gate : NULL;
    char iso[CLOCK_ISO_SIZE];
    if (!gate || !gate_holds(gate, run))
        return false;
    uint64_t at = (uint64_t)gate->node.key;
    uint64_t left = gate->node.place && at > core->mono_ms ? at - core->mono_ms : 0;
    if (left)
        snprintf(out, size, "its task may start %u times a minute, next at %s", gate->rate,
                 clock_iso(core->wall_ms + left, 1, iso));
    else
        snprintf(out, size, "its task may start %u times a minute, and others of its runs come first", gate->rate);
    return true;
}

static bool reason_pool(const struct run *run, char *out, size_t size)
{
    const struct pool *pool = run->class->pool;
    if (!pool || !pool_full(pool))
        return false;
    int len = (int)pool->key.len;
    if (!pool->id)
        snprintf(out, size, "there is no pool %.*s", len, pool->key.ptr);
    else
        snprintf(out, size, "pool %.*s is full: %llu of %llu run", len, pool->key.ptr, (unsigned long long)pool->running,
                 (unsigned long long)pool->limit);
    return true;
}

static void reason_queued(struct core *core, const struct run *run, char *out, size_t size)
{
    const struct queue_class *class = run->class;
    int len = (int)class->type.len;
    const char *type = class->type.ptr;
    char labels[200];
    uint32_t places[PLACE_COUNT];
    if (!journal_writable(core->journal)) {
        snprintf(out, size, "%.300s", journal_trouble(core->journal));
        return;
    }
    if (reason_rate(core, run, out, size) || reason_pool(run, out, size))
        return;
    if (class_places(class, places)) {
        reason_served(run, places, out, size);
        return;
    }
    int served = class_served(core, class);
    if (places[PLACE_NONE]) {
        snprintf(out, size, "all workers of type %.*s that can take it are draining", len, type);
    } else if (served == 2) {
        labels_say(class->labels, labels, sizeof labels);
        snprintf(out, size, "no worker of type %.*s has labels %s", len, type, labels);
    } else if (served == 1)
        snprintf(out, size, "no worker of type %.*s has executor %.*s", len, type, (int)class->executor.len, class->executor.ptr);
    else
        snprintf(out, size, "no worker serves type %.*s", len, type);
}

static void reason_say(struct core *core, const struct run *run, char *out, size_t size)
{
    const struct task *on = NULL;
    char iso[CLOCK_ISO_SIZE];
    *out = '\0';
    switch ((enum run_state)run->state) {
    case STATE_BLOCKED:
        depend_state(run->task, &on);
        if (on)
            snprintf(out, size, "waits for task %llu (%s)", (unsigned long long)task_id(on), on->rules.name->data);
        break;
    case STATE_HELD:
        snprintf(out, size, "paused");
        break;
    case STATE_DELAYED:
        snprintf(out, size, "%s %s", run->attempt ? "retry at" : "delayed until", clock_iso(run->due_at, 1, iso));
        break;
    case STATE_QUEUED:
        reason_queued(core, run, out, size);
        break;
    default:
        break;
    }
}

static int row_fill(struct core *core, const struct run *run, struct rec_live_run *row)
{
    const struct lease *lease = run->lease;
    char reason[REASON_SIZE];
    *row = (struct rec_live_run){.run_id = run->node.id,
                                 .task_id = run->task ? task_id(run->task) : 0,
                                 .task_name = text_str(run->name),
                                 .attempt = run->attempt,
                                 .started_at = lease && run->more ? run->more->started_at : 0,
                                 .status = run_waits(run) ? RUN_PENDING : RUN_RUNNING};
    if (lease) {
        if (lease->progress >= 0) {
            row->progress = lease->progress;
            SET_HAS(row, rec_live_run, progress);
        }
        row->note = str_of(lease->note);
        row->worker_name = lease->worker->name->str;
        return 0;
    }
    reason_say(core, run, reason, sizeof reason);
    row->reason = arena_str(core->arena, str_cut(str_of(reason), sizeof reason));
    return row->reason.ptr ? 0 : -1;
}

int live_fill(struct core *core, const struct run *run, struct rec_live_run *row)
{
    const struct farm *farm = run->class->farm;
    if (row_fill(core, run, row))
        return -1;
    if (farm && farm->live)
        farm->live(farm->self, core, run, row);
    return 0;
}

void live_on_runs(struct core *core, const struct core_call *call)
{
    const struct uint_list *ids = &call->msg->u.run_live.ids;
    struct rec_live_run *rows = arena_alloc(core->arena, ids->count * sizeof *rows);
    struct msg_run_live_rows answer = {.runs = {rows, 0}};
    struct fault fault;
    if (!rows)
        goto error;
    for (uint32_t i = 0; i < ids->count; i++) {
        const struct run *run = run_find(core, ids->items[i]);
        if (!run)
            continue;
        if (live_fill(core, run, &rows[answer.runs.count]))
            goto error;
        answer.runs.count++;
    }
    journal_send_now(core->journal, &call->from, &shape_msg_run_live_rows, &answer);
    return;
error:
    fault_memory(&fault);
    core_refuse(core, call, &fault);
}
