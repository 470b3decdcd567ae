/* Who gets what. The best waiting run of all classes goes to the emptiest worker that serves its class and has room; what one
 * wake-up gives to one worker goes out in one ASSIGN. Nothing is given out while the store is away (rule 2).
 *
 * Two steps, so that nothing is half done: a plan takes runs out of the queue into workers' plans; then each plan is carried out
 * with room in the journal for all of it, or its runs go back to where they were.
 */
#include "scheduler/dispatch.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/farms/farm.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/poll.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

#define DISPATCH_MAX 20000 /* runs given out in one wake-up */
#define OFFERS_MAX 20000   /* made to farms in one wake-up, of a run for a worker */
#define ASSIGN_RUNS 1000   /* in one message */
#define ASSIGN_BYTES ((size_t)4 << 20)

struct look { /* at what farms want, in one wake-up */
    uint32_t offers;
    struct queue_class *tired; /* classes whose look goes on in the next */
};

/* The farm's best run for this worker among the first of the class; NULL: it wants none of them. */
static struct run *farm_choice(const struct queue_class *class, const struct worker *worker, uint32_t count, struct look *look)
{
    struct rec_worker record;
    struct run *best = NULL;
    int64_t best_score = -1;
    worker_record(worker, &record);
    record.running.count = 0;
    look->offers += count;
    for (uint32_t i = 0; i < count; i++) {
        struct run *run = heap_of(class->queue.nodes[i], struct run, node);
        struct rec_run row;
        run_record(run, NULL, &row);
        struct farm_run view = {&row};
        int64_t score = class->farm->choose(class->farm->self, &record, &view);
        if (score > best_score || (best && score == best_score && heap_before(&run->node, &best->node))) {
            best = run;
            best_score = score;
        }
    }
    return best;
}

/* Runs to be offered together: the more workers there are to be asked, the fewer. */
static uint32_t look_width(const struct queue_class *class)
{
    uint32_t workers = 0, width;
    for (const struct match *match = class->matches; match; match = match->next_kind)
        workers += match->kind->room.count;
    width = workers > OFFERS_MAX / QUEUE_LOOK ? OFFERS_MAX / workers : QUEUE_LOOK;
    width = width ? width : 1;
    return !workers ? 0 : width < class->queue.count ? width : class->queue.count;
}

/* The emptiest worker that its farm wants one of these runs for, and that run. */
static struct heap_node *pick_chosen(const struct queue_class *class, uint32_t count, struct look *look, struct run **chosen)
{
    struct heap_node *best = NULL;
    for (const struct match *match = class->matches; match; match = match->next_kind)
        for (uint32_t i = 0; i < match->kind->room.count; i++) {
            struct heap_node *node = match->kind->room.nodes[i];
            struct run *run =
                best && !heap_before(node, best) ? NULL : farm_choice(class, heap_of(node, struct worker, room), count, look);
            if (!run)
                continue;
            best = node;
            *chosen = run;
        }
    return best;
}

/* The emptiest worker for this class's next run. */
static struct heap_node *pick_next(const struct queue_class *class, struct run **chosen)
{
    struct heap_node *best = NULL;
    *chosen = heap_of(heap_top(&class->queue), struct run, node);
    for (const struct match *match = class->matches; match; match = match->next_kind) {
        struct heap_node *top = heap_top(&match->kind->room);
        if (top && (!best || heap_before(top, best)))
            best = top;
    }
    return best;
}

/* A worker for one of this class's runs, and that run. NULL when there is none now: what nobody takes has been put out of the way. */
static struct worker *pick(struct core *core, struct queue_class *class, struct look *look, struct run **chosen)
{
    bool chooses = queue_chooses(class);
    if (class->pool && pool_full(class->pool)) {
        queue_block(core, class);
        return NULL;
    }
    if (chooses && look->offers >= OFFERS_MAX) {
        heap_remove(&core->ready, &class->node);
        class->next_tired = look->tired;
        look->tired = class;
        return NULL;
    }
    uint32_t count = chooses ? look_width(class) : 0;
    struct heap_node *best = chooses ? pick_chosen(class, count, look, chosen) : pick_next(class, chosen);
    if (best)
        return heap_of(best, struct worker, room);
    if (count)
        queue_pass(core, class, count);
    else
        queue_set_aside(core, class);
    return NULL;
}

static int plan_add(struct core *core, struct worker *worker, struct run *run, struct worker **planned)
{
    if (worker->plan_count == worker->plan_size) {
        uint32_t size = worker->plan_size ? worker->plan_size * 2 : 16;
        struct run **plan = realloc(worker->plan, size * sizeof(struct run *));
        if (!plan)
            return -1;
        worker->plan = plan;
        worker->plan_size = size;
    }
    if (worker->plan_count == 0) {
        worker->next_planned = *planned;
        *planned = worker;
    }
    worker->plan[worker->plan_count++] = run;
    worker->turn = ++core->turns;
    kind_refresh(core, worker);
    queue_plan(core, run);
    return 0;
}

static struct worker *plan_all(struct core *core)
{
    struct worker *planned = NULL;
    struct look look = {0};
    struct heap_node *top;
    for (uint32_t i = 0; i < DISPATCH_MAX && (top = heap_top(&core->ready)); i++) {
        struct run *run;
        struct worker *worker = pick(core, heap_of(top, struct queue_class, node), &look, &run);
        if (worker && plan_add(core, worker, run, &planned))
            break;
    }
    for (struct queue_class *class = look.tired; class; class = class->next_tired)
        heap_push(&core->ready, &class->node);
    return planned;
}

struct gift { /* one assignment being prepared */
    struct run *run;
    struct lease *lease;
    struct rec_task_spec *own; /* a farm's run's own spec */
};

size_t dispatch_bytes(const struct run *run)
{
    return run_bytes(run) + (run->task ? run->task->rules.spec->str.len : 0) + 512;
}

static size_t gift_bytes(const struct run *run)
{
    return run_change_bytes(run) + dispatch_bytes(run);
}

/* What an assignment says beside the spec. */
static void row_fill(const struct run *run, struct rec_assignment *row)
{
    row->run_id = run->node.id;
    row->attempt = run->attempt;
    row->task_id = run->task ? task_id(run->task) : 0;
    row->task_name = text_str(run->name);
    row->parameters = text_str(run->parameters);
    row->timeout_seconds = run->timeout_seconds;
    if (run->more && run->more->published.attempt) {
        row->published = run->more->published;
        row->published.hash.ptr = (const char *)run->more->hash;
        SET_HAS(row, rec_assignment, published);
    }
}

/* *own: a farm's run's own spec, or NULL. */
static int row_spec(struct core *core, const struct run *run, struct rec_task_spec **own, struct rec_assignment *row)
{
    struct err err;
    if (run_own_spec(core, run, own))
        return -1;
    if (*own)
        row->spec = **own;
    return *own ? 0 : rec_decode_task_spec(core->arena, run->task->rules.spec->str, &row->spec, &err);
}

int dispatch_row(struct core *core, const struct run *run, struct rec_assignment *row)
{
    struct rec_task_spec *own;
    if (row_spec(core, run, &own, row))
        return -1;
    row_fill(run, row);
    return 0;
}

/* Everything for one assignment that can fail. */
static int gift_prepare(struct core *core, const struct worker *worker, struct run *run, struct gift *gift,
                        struct rec_assignment *row)
{
    gift->run = run;
    gift->lease = lease_new(core);
    if (!gift->lease || run_attempt_reserve(run, worker->name->str) || row_spec(core, run, &gift->own, row))
        return -1;
    gift->lease->output = row->spec.output.len > 0;
    return 0;
}

/* How long it could have started and had no worker. Not known of one that waited for other tasks, or whose last attempt was lost. */
static void gift_measure(struct core *core, const struct run *run)
{
    uint64_t ready = run->due_at > run->created_at ? run->due_at : run->created_at;
    bool chained = run->task && run->task->rules.dep_count > 0;
    if (!chained && ready >= run->more->started_at)
        measure_dispatch(&core->measure, core->wall_ms > ready ? core->wall_ms - ready : 0);
}

static void gift_give(struct core *core, struct worker *worker, struct gift *gift, struct rec_assignment *row)
{
    struct run *run = gift->run;
    struct rec_run record;
    run->attempt++;
    gift_measure(core, run);
    queue_given(core, run);
    run_move(core, run, CHANGE_ASSIGN);
    struct rec_attempt *attempt = run_attempt_add(run);
    attempt->number = run->attempt;
    attempt->worker_id = worker->id;
    attempt->assigned_at = core->wall_ms;
    run->more->started_at = core->wall_ms;
    text_drop(run->more->hostname);
    run->more->hostname = text_keep(worker->hostname);
    worker->plan_count--; /* what was planned is held now */
    lease_begin(core, gift->lease, run, worker, LEASE_ASSIGNED);
    run_record(run, gift->own, &record);
    run_put(core, &record);
    struct rec_event event = {.type = STR_LIT("run.started"),
                              .task_id = record.task_id,
                              .task_name = record.task_name,
                              .run_id = record.id,
                              .attempt = record.attempt,
                              .worker_name = worker->name->str,
                              .status = STR_LIT("running")};
    uint64_t number = core_event(core, &event);
    if (run->task) {
        run->task->stat.last_run_at = core->wall_ms;
        run->task->stat.begun_event = number;
        task_stat_put(core, run->task);
    }
    row_fill(run, row);
}

/* The first `count` of the plan, in one ASSIGN or one answer. -1: none of them. */
static int carry_out(struct core *core, struct worker *worker, struct run **plan, uint32_t count, size_t bytes)
{
    struct fault fault;
    struct buf kept = {0};
    struct gift *gifts = arena_alloc(core->arena, count * sizeof *gifts);
    struct rec_assignment *rows = arena_alloc(core->arena, count * sizeof *rows);
    struct address to = worker_address(worker);
    bool prepared = gifts && rows;
    for (uint32_t i = 0; prepared && i < count; i++)
        prepared = gift_prepare(core, worker, plan[i], &gifts[i], &rows[i]) == 0;
    if (prepared && worker->asks)
        prepared = poll_prepare(core, worker, count, &kept) == 0;
    if (worker->asks)
        bytes += poll_bytes(worker, &kept);
    if (!prepared || core_reserve(core, bytes, 0, count * RUN_CHANGE_OPS + POLL_OPS, &fault)) {
        for (uint32_t i = 0; gifts && i < count; i++)
            lease_free(core, gifts[i].lease);
        buf_free(&kept);
        return -1;
    }
    for (uint32_t i = 0; i < count; i++)
        gift_give(core, worker, &gifts[i], &rows[i]);
    struct msg_assign assign = {.runs = {rows, count}};
    if (worker->asks)
        poll_give(core, worker, rows, count, &kept);
    else
        journal_send(core->journal, &to, &shape_msg_assign, &assign);
    buf_free(&kept);
    return 0;
}

static void plan_carry_out(struct core *core, struct worker *worker)
{
    uint32_t done = 0, total = worker->plan_count;
    bool fits = true;
    while (done < total && fits) {
        uint32_t count = 0;
        size_t bytes = 0;
        while (done + count < total && count < ASSIGN_RUNS && (count == 0 || bytes < ASSIGN_BYTES))
            bytes += gift_bytes(worker->plan[done + count++]);
        arena_reset(core->arena);
        fits = carry_out(core, worker, worker->plan + done, count, bytes) == 0;
        if (fits)
            done += count;
        fits = fits && !worker->asks; /* one question has one answer */
    }
    worker->plan_count = 0;
    for (uint32_t i = done; i < total; i++)
        queue_unplan(core, worker->plan[i]);
    kind_refresh(core, worker);
}

/* ---- runs that farms make for a worker that wants one ---- */

int dispatch_made(struct core *core, struct worker *worker, struct run *run, const struct dispatch_room *room,
                  struct fault *fault)
{
    struct gift gift = {0};
    struct rec_assignment row = {0};
    struct address to = worker_address(worker);
    if (gift_prepare(core, worker, run, &gift, &row)) {
        lease_free(core, gift.lease);
        return fault_memory(fault);
    }
    size_t bytes = farm_run_bytes(run) + gift_bytes(run) + room->bytes;
    if (core_reserve(core, bytes, room->answer, FARM_RUN_OPS + RUN_CHANGE_OPS + room->ops, fault)) {
        lease_free(core, gift.lease);
        return -1;
    }
    run_join(core, run);
    run_announce(core, run, gift.own);
    queue_plan(core, run);
    worker->plan_count++;
    worker->turn = ++core->turns;
    gift_give(core, worker, &gift, &row);
    struct msg_assign assign = {.runs = {&row, 1}};
    if (worker->bound)
        journal_send(core->journal, &to, &shape_msg_assign, &assign);
    return 0;
}

static enum farm_pull pull_one(struct core *core, const struct farm *farm, struct worker *worker)
{
    if (!worker->bound || worker->held + worker->plan_count >= worker->slots) /* credit is for short runs */
        return FARM_FULL;
    arena_reset(core->arena);
    return farm->pull(farm->self, core, worker);
}

/* Asks the farm for each worker of the kind that has room, the emptiest first. False: nobody can be given anything now. */
static bool pull_kind(struct core *core, const struct farm *farm, struct kind *kind)
{
    enum farm_pull pulled = FARM_FULL;
    for (uint32_t i = 0; i < kind->room.count && pulled != FARM_NONE && pulled != FARM_LATER;) {
        pulled = pull_one(core, farm, heap_of(kind->room.nodes[i], struct worker, room));
        i += pulled != FARM_GAVE;
    }
    return pulled != FARM_LATER;
}

static void pull_all(struct core *core, const struct farm *farm)
{
    bool some = farm->pull && farm->offers(farm->self); /* else thousands of workers would be looked at for nothing */
    for (size_t i = 0; some && i < core->kinds.size; i++) {
        struct kind *kind = core->kinds.slots[i];
        if (kind && kind->room.count && !kind->asks && !pull_kind(core, farm, kind))
            return;
    }
}

void dispatch_settle(struct core *core)
{
    if (!journal_writable(core->journal))
        return;
    queue_wake(core);
    struct worker *planned = core->ready.count ? plan_all(core) : NULL;
    while (planned) {
        struct worker *worker = planned;
        planned = worker->next_planned;
        plan_carry_out(core, worker);
    }
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        pull_all(core, core->farms[i]);
}
