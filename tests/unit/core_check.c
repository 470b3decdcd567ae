/* The invariants of the core's memory. */
#include "tests/unit/core_check.h"

#include "tests/unit/unit.h"

#include "scheduler/farms/farm.h"
#include "scheduler/gate.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/poll.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

static void check_run(const struct core *core, const struct run *run)
{
    bool leased = run->state >= STATE_ASSIGNED && run->state <= STATE_PUBLISHING;
    assert_in_range(run->state, STATE_BLOCKED, STATE_PUBLISHING);
    assert_int_equal(run->lease != NULL, leased);
    assert_int_equal(run->node.place != 0, run->state == STATE_QUEUED || run->state == STATE_DELAYED);
    if (run->node.place) {
        const struct heap *heap = run->state == STATE_QUEUED ? &run->class->queue : &core->delays, *passed = &run->class->passed;
        uint32_t at = run->node.place - 1;
        if (run->state == STATE_QUEUED && at < passed->count && passed->nodes[at] == &run->node)
            heap = passed;
        if (run->state == STATE_QUEUED && run->task && run->task->gate && gate_holds(run->task->gate, run))
            heap = &run->task->gate->waiting;
        assert_in_range(at, 0, heap->count - 1);
        assert_ptr_equal(heap->nodes[at], &run->node);
    }
    if (run->lease) {
        assert_ptr_equal(run->lease->run, run);
        assert_int_equal(run->lease->key, lease_key(run->node.id, run->attempt));
        assert_int_equal(run->lease->state == LEASE_ACCEPTED, run->state != STATE_ASSIGNED);
    }
    assert_true(run->losses < core->config.max_losses);
    assert_true(run->retries <= run->retry_count);
}

static void check_runs(const struct core *core)
{
    uint64_t states[8] = {0}, priorities[4] = {0}, count = 0;
    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        if (!run)
            continue;
        check_run(core, run);
        count++;
        states[run->state]++;
        priorities[run->priority] += run_waits(run);
    }
    assert_int_equal(count, core->runs.count);
    assert_int_equal(count, core->run_total);
    assert_memory_equal(states, core->states, sizeof states);
    assert_memory_equal(priorities, core->priorities, sizeof priorities);
}

static void check_carried(const struct core *core)
{
    size_t carried = 0, standing = 0;
    for (const struct task *task = core->first_task; task; task = task->next) {
        carried += task_rules_bytes(&task->rules);
        standing += !task->oneshot;
    }
    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        if (run)
            carried += text_str(run->parameters).len;
        if (run && run->more)
            carried += text_str(run->more->farm_data).len + text_str(run->more->spec).len;
    }
    assert_int_equal(carried, core->carried);
    assert_int_equal(standing, core->standing);
}

static void check_tasks(const struct core *core)
{
    size_t count = 0;
    for (const struct task *task = core->first_task; task; task = task->next) {
        uint32_t live = 0, blocked = 0, waiting = 0;
        count++;
        for (const struct run *run = task->runs; run; run = run->next) {
            live++;
            blocked += run->state == STATE_BLOCKED;
            waiting += run_waits(run);
            if (run_waits(run) && task->status == TASK_PAUSED)
                assert_int_equal(run->state, STATE_HELD);
        }
        assert_int_equal(live, task->live);
        assert_int_equal(blocked, task->blocked);
        assert_int_equal(waiting, task->waiting);
        assert_ptr_equal(task_find(core, task_id(task)), task);
        assert_int_equal(task->due.place != 0, task->stat.next_run_at != 0);
    }
    assert_int_equal(count, core->tasks.count);
}

/* Tasks know who waits for them, and how what they wait for stands. */
static void check_edges(const struct core *core)
{
    size_t edges = 0, dependents = 0;
    for (const struct task *task = core->first_task; task; task = task->next) {
        uint32_t states[DEPEND_STATES] = {0};
        dependents += task->dependent_count;
        for (uint32_t i = 0; i < task->rules.dep_count; i++) {
            const struct edge *edge = &task->rules.edges[i];
            assert_ptr_equal(edge->on, task_find(core, task->rules.deps[i]));
            assert_int_equal(edge->state, edge_judge(&task->rules, i));
            states[edge->state]++;
            if (!edge->on)
                continue;
            edges++;
            assert_true(edge->place < edge->on->dependent_count);
            assert_ptr_equal(edge->on->dependents[edge->place].task, task);
            assert_int_equal(edge->on->dependents[edge->place].edge, i);
        }
        assert_memory_equal(states, task->edge_states, sizeof states);
    }
    assert_int_equal(edges, dependents);
}

static void check_workers(const struct core *core)
{
    size_t leases = 0, count = 0;
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        uint32_t held = 0;
        count++;
        for (const struct lease *lease = worker->leases; lease; lease = lease->next) {
            held++;
            assert_ptr_equal(lease->worker, worker);
            assert_int_equal(lease->run == NULL, lease->state == LEASE_CANCELLED);
        }
        assert_int_equal(held, worker->held);
        assert_int_equal(worker->plan_count, 0);
        assert_int_equal(worker->offline.place != 0, worker->status == WORKER_OFFLINE);
        leases += held;
    }
    assert_int_equal(count, core->workers.count);
    assert_int_equal(leases, core->leases.count);
    assert_int_equal(leases, core->lease_total);
}

static void check_worker_place(const struct worker *worker)
{
    const struct kind *kind = worker->kind;
    assert_int_equal(kind != NULL, worker->present);
    assert_int_equal(worker->room.place != 0, worker->place == PLACE_ROOM);
    if (worker->place == PLACE_ROOM) {
        assert_ptr_equal(kind->room.nodes[worker->room.place - 1], &worker->room);
        assert_true(worker->held < worker->credit);
        assert_int_equal(worker->room.id, worker->turn);
        assert_int_equal(worker->room.key, ((int64_t)worker->held << 25) / worker->slots);
    }
    assert_true(!worker->bound || worker->present);
    if (worker->present) {
        assert_int_equal(worker->place == PLACE_NONE, worker->status != WORKER_ACTIVE);
        bool busy = worker->held >= worker->credit || (worker->asks && !worker->poll);
        assert_int_equal(worker->place == PLACE_BUSY, worker->status == WORKER_ACTIVE && busy);
    }
}

/* Kinds know their workers, and every class that they serve. */
static void check_kinds(const struct core *core)
{
    uint32_t members = 0, present = 0, polls = 0;
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        check_worker_place(worker);
        present += worker->present;
        polls += worker->poll != NULL;
        if (worker->poll)
            assert_true(worker->asks && !worker->bound && worker->poll->node.place);
    }
    for (size_t i = 0; i < core->kinds.size; i++) {
        const struct kind *kind = core->kinds.slots[i];
        uint32_t sum = 0, aside = 0, ready = 0;
        if (!kind)
            continue;
        for (unsigned place = 0; place < PLACE_COUNT; place++)
            sum += kind->places[place];
        for (const struct match *match = kind->matches; match; match = match->next_class) {
            assert_ptr_equal(match->kind, kind);
            assert_true(kind_serves_type(kind, match->class) && kind_serves_executor(kind, match->class));
            aside += match->class->aside;
            ready += match->class->place == CLASS_ASIDE && (!match->class->farm || !match->class->farm->choose);
        }
        assert_int_equal(sum, kind->refs);
        assert_int_equal(aside, kind->aside);
        assert_int_equal(kind->room.count, kind->places[PLACE_ROOM]);
        if (ready && kind->room.count)
            assert_true(kind->woken); /* nothing waits for a worker that is there */
        members += sum;
    }
    assert_int_equal(members, present);
    assert_int_equal(polls, core->polls.count);
}

static void check_lists(const struct core *core)
{
    const struct lease_list *lists[] = {&core->leaving, &core->assigned, &core->accepted};
    for (size_t i = 0; i < 3; i++) {
        uint64_t last = 0;
        for (const struct lease *lease = lists[i]->first; lease; lease = lease->list_next) {
            assert_true(lease->renewed >= last);
            last = lease->renewed;
        }
    }
    uint64_t heard = 0;
    for (const struct worker *worker = core->quiet; worker; worker = worker->more_lively) {
        assert_true(worker->heard >= heard);
        heard = worker->heard;
    }
}

static void check_classes(const struct core *core)
{
    for (size_t i = 0; i < core->classes.size; i++) {
        const struct queue_class *class = core->classes.slots[i];
        if (!class)
            continue;
        assert_true(class->queue.count + class->passed.count <= class->runs);
        assert_int_equal(class->aside, class->place == CLASS_ASIDE || class->passed.count > 0);
        assert_true(class->passed.count == 0 || queue_chooses(class));
        assert_int_equal(class->place == CLASS_READY || class->place == CLASS_BLOCKED, class->node.place != 0);
        if (class->place == CLASS_EMPTY)
            assert_int_equal(class->queue.count + class->passed.count, 0);
    }
}

/* Places are those of the leases; while there is one, no class waits for it that is better than all that may be given out. */
static void check_pool(const struct core *core, const struct pool *pool)
{
    uint64_t running = 0, waiting = 0;
    uint32_t classes = 0, blocked = 0;
    const struct heap_node *best = NULL;
    for (size_t i = 0; i < core->leases.size; i++) {
        const struct lease *lease = core->leases.slots[i];
        running += lease && lease->pool == pool;
    }
    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        waiting += run && run->class->pool == pool && run->state == STATE_QUEUED;
        if (run && run->lease && run->class->pool == pool)
            assert_ptr_equal(run->lease->pool, pool);
    }
    for (size_t i = 0; i < core->classes.size; i++) {
        const struct queue_class *class = core->classes.slots[i];
        if (!class || class->pool != pool)
            continue;
        classes++;
        blocked += class->place == CLASS_BLOCKED;
        if (class->place == CLASS_READY && (!best || heap_before(&class->node, best)))
            best = &class->node;
    }
    assert_int_equal(running, pool->running);
    assert_int_equal(waiting, pool->waiting);
    assert_int_equal(pool->planned, 0);
    assert_int_equal(classes, pool->classes);
    assert_int_equal(classes + running, pool->refs);
    assert_int_equal(blocked, pool->blocked.count);
    if (!pool_full(pool) && blocked)
        assert_true(best && heap_before(best, heap_top(&pool->blocked)));
}

static void check_pools(const struct core *core)
{
    size_t records = 0;
    for (size_t i = 0; i < core->pools.size; i++) {
        const struct pool *pool = core->pools.slots[i];
        if (!pool)
            continue;
        check_pool(core, pool);
        records += pool->id != 0;
    }
    assert_int_equal(records, core->pool_count);
}

/* What was let through stands in the queue, and nobody waits for a token that is there. */
static void check_gates(const struct core *core)
{
    size_t gates = 0;
    for (const struct task *task = core->first_task; task; task = task->next) {
        const struct gate *gate = task->gate;
        assert_true(gate || !task->rules.rate);
        if (!gate)
            continue;
        gates++;
        assert_int_equal(gate->rate, task->rules.rate);
        assert_int_equal(gate->runs, task->live);
        assert_true(gate->let_count <= gate->burst);
        for (uint32_t i = 0; i < gate->let_count; i++) {
            assert_int_equal(gate->let[i]->state, STATE_QUEUED);
            assert_false(gate_holds(gate, gate->let[i]));
        }
        if (!gate->rate)
            assert_int_equal(gate->waiting.count + gate->let_count, 0);
        assert_int_equal(gate->node.place != 0, gate->waiting.count && gate->let_count < gate->burst);
    }
    assert_int_equal(gates, core->gate_total);
}

void core_check(const struct core *core)
{
    check_runs(core);
    check_tasks(core);
    check_edges(core);
    check_carried(core);
    check_workers(core);
    check_kinds(core);
    check_lists(core);
    check_classes(core);
    check_pools(core);
    check_gates(core);
}
