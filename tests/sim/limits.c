/* What must hold of pools and rates, as the disk has it: a run starts only where its pool has a place, and a task starts as often as its
 * rate allows, over every crash.
 *
 * Pools are looked at when a batch has been applied, as the records of one stand in the order they were first touched in. Starts are
 * taken back from the scheduler's wall clock to simulated time by the settings of that clock that were noted. */
#include <stdlib.h>

#include "scheduler/run.h"
#include "tests/sim/sim.h"

#define JUMPS 256
#define MINUTE 60000

struct ruled {     /* a task */
    uint32_t pool; /* its place and 1; 0: none */
    uint32_t rate;
    uint64_t *began; /* the newest starts, in their order: as many as may be in a minute, and one */
    uint32_t count, size;
};

static struct {
    uint64_t limit, running, limit_before, running_before;
} pools[POOLS];
static struct ruled *rules;
static uint64_t rule_size;
static struct {
    uint64_t at;
    int64_t wall;
} jumps[JUMPS]; /* a ring: from when on the wall clock was off by how much */
static uint32_t jump_count;

void limits_reset(void)
{
    for (uint64_t i = 0; i < rule_size; i++)
        free(rules[i].began);
    free(rules);
    rules = NULL;
    rule_size = jump_count = 0;
    memset(pools, 0, sizeof pools);
    memset(jumps, 0, sizeof jumps);
}

void limits_clock_set(void)
{
    jumps[jump_count % JUMPS].at = sim.now;
    jumps[jump_count++ % JUMPS].wall = sim.wall;
}

static struct ruled *ruled_of(uint64_t task)
{
    if (task >= rule_size) {
        uint64_t more = rule_size ? rule_size : 1024;
        while (more <= task)
            more *= 2;
        rules = realloc(rules, more * sizeof *rules);
        memset(rules + rule_size, 0, (more - rule_size) * sizeof *rules);
        rule_size = more;
    }
    return &rules[task];
}

/* The place of a pool by its name, "pool-0", and 1. */
static uint32_t place_of(struct str name)
{
    return name.len == 6 && name.ptr[5] >= '0' && name.ptr[5] < '0' + POOLS ? (uint32_t)(name.ptr[5] - '0') + 1 : 0;
}

void limits_pool(struct str value)
{
    struct rec_pool pool;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_pool(sim.arena, value, &pool, &err) || !place_of(pool.name))
        broken(0, "a pool cannot be decoded: %s", err.text);
    pools[place_of(pool.name) - 1].limit = pool.limit;
}

void limits_task(uint64_t id, struct str value)
{
    struct rec_task task;
    struct err err = {0};
    struct ruled *ruled = ruled_of(id);
    arena_reset(sim.arena);
    if (rec_decode_task(sim.arena, value, &task, &err))
        broken(0, "task %lu cannot be decoded: %s", (unsigned long)id, err.text);
    ruled->pool = place_of(task.spec.pool);
    if (ruled->rate == task.spec.rate)
        return;
    ruled->rate = (uint32_t)task.spec.rate;
    ruled->count = 0;
    ruled->size = ruled->rate ? ruled->rate + (ruled->rate > 60 ? ruled->rate / 60 : 1) + 1 : 0;
    ruled->began = realloc(ruled->began, (ruled->size + 1) * sizeof *ruled->began);
}

/* When the scheduler's wall clock said so; false: too long ago to know. */
static bool when(uint64_t wall, uint64_t *at)
{
    uint64_t until = sim.now;
    for (uint32_t i = jump_count; i-- > 0 && i + JUMPS > jump_count;) {
        int64_t time = (int64_t)wall - (int64_t)WALL_START - jumps[i % JUMPS].wall;
        if (time >= (int64_t)jumps[i % JUMPS].at && time <= (int64_t)until) {
            *at = (uint64_t)time;
            return true;
        }
        until = jumps[i % JUMPS].at;
    }
    return false;
}

/* Behind a restart the bucket's state comes from the wall clock: one that was set meanwhile has it wrong once. */
static bool clock_was_set(uint64_t since)
{
    return jump_count > 1 && jumps[(jump_count - 1) % JUMPS].at + 2 * MINUTE >= since;
}

static void started(uint64_t run, struct ruled *ruled, uint64_t wall)
{
    uint64_t at;
    if (!ruled->rate || !when(wall, &at))
        return;
    if (ruled->count == ruled->size) {
        memmove(ruled->began, ruled->began + 1, (size_t)(ruled->count - 1) * sizeof *ruled->began);
        ruled->count--;
    }
    uint32_t place = ruled->count++;
    for (; place > 0 && ruled->began[place - 1] > at; place--)
        ruled->began[place] = ruled->began[place - 1];
    ruled->began[place] = at;
    uint64_t first = ruled->began[0], last = ruled->began[ruled->count - 1];
    sim.rated++;
    if (ruled->count == ruled->size && last - first < MINUTE && !clock_was_set(first))
        broken(run, "it is start %u of its task within %lu ms, and %u a minute are allowed", ruled->size,
               (unsigned long)(last - first), ruled->rate);
}

void limits_run(const struct srun *before, const struct rec_run *now)
{
    struct ruled *ruled = ruled_of(now->task_id);
    bool ran = before->there && before->status == RUN_RUNNING, runs = now->status == RUN_RUNNING;
    if (ruled->pool)
        pools[ruled->pool - 1].running += (uint64_t)runs - (uint64_t)ran;
    for (uint32_t i = 0; i < now->attempts.count; i++)
        if (now->attempts.items[i].number > before->attempt)
            started(now->id, ruled, now->attempts.items[i].assigned_at);
}

void limits_gone(const struct srun *run)
{
    const struct ruled *ruled = ruled_of(run->task);
    if (ruled->pool && run->status == RUN_RUNNING)
        pools[ruled->pool - 1].running--;
}

void limits_batch(void)
{
    for (uint32_t i = 0; i < POOLS; i++) {
        uint64_t limit = pools[i].limit > pools[i].limit_before ? pools[i].limit : pools[i].limit_before;
        if (pools[i].running > pools[i].running_before && pools[i].running > limit)
            broken(0, "pool-%u has %lu runs at once, and a limit of %lu", i, (unsigned long)pools[i].running,
                   (unsigned long)limit);
        sim.pool_full += pools[i].running > pools[i].running_before && pools[i].running == limit;
        pools[i].running_before = pools[i].running;
        pools[i].limit_before = pools[i].limit;
    }
}
