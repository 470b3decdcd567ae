/* What becomes due: delayed runs, schedules, leases, silent workers, runs over their timeout.
 *
 * Delays and schedules go by wall time, because people name it; leases go by the monotonic clock. What cannot be done because the
 * journal has no room stays due and is tried at the next tick.
 *
 * The wall clock may be set while the scheduler runs, or before it starts. Forward is as downtime is: what was missed is made up as
 * the task wants it. When it is set back, what was computed from the wrong time must not wait for it to come again: the backoff of
 * retries (a length, not a time), the order of the queue, and, beyond TIMER_WRONG_MS, the due times of schedules. A delay that
 * somebody asked for is a time that was named, and stays.
 */
#include "scheduler/timer.h"

#include "proto/log.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/gate.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/schedule.h"
#include "scheduler/worker.h"

#define TIMER_BATCH 10000 /* delays that end in one tick */
#define TIMER_AGAIN_MS 10 /* until work that was left over is tried again */
#define TIMER_AWAY_MS                                                                                                            \
    100 /* while the store is away most of what is due cannot be done; nor is a schedule whose run has no room */

/* What is left of a backoff stays as it was. Not written: a restart finds the clock still set back. */
static void backoffs_follow(struct core *core, uint64_t back)
{
    struct heap_node **nodes = core->delays.nodes;
    uint32_t count = core->delays.count;
    core->delays.count = 0;
    for (uint32_t i = 0; i < count; i++) { /* a place is read before it is written */
        struct run *run = heap_of(nodes[i], struct run, node);
        if (run->retries && run->due_at > core->wall_ms + back)
            run->due_at -= back;
        else if (run->retries && run->due_at > core->wall_ms)
            run->due_at = core->wall_ms;
        run->node.key = (int64_t)run->due_at;
        heap_push(&core->delays, &run->node);
    }
}

static void clock_follow(struct core *core)
{
    uint64_t back = core->wall_high - core->wall_ms;
    if (core->wall_high <= core->wall_ms || back < TIMER_BACK_MS)
        return;
    if (back >= TIMER_WRONG_MS && schedules_follow(core))
        return;
    log_warn("GTY-CLOCK-BACK", "ms=%llu the wall clock was set back%s", (unsigned long long)back,
             back >= TIMER_WRONG_MS ? "; schedules follow it" : "");
    backoffs_follow(core, back);
    queue_rerank(core);
    core->wall_high = core->wall_ms;
}

static void delays_end(struct core *core)
{
    struct heap_node *top;
    for (uint32_t i = 0; i < TIMER_BATCH && (top = heap_top(&core->delays)) && (uint64_t)top->key <= core->wall_ms; i++)
        run_move(core, heap_of(top, struct run, node), CHANGE_PLACE);
}

static void least(uint64_t *wait, uint64_t at, uint64_t now)
{
    uint64_t left = at > now ? at - now : 0;
    if (left < *wait)
        *wait = left;
}

uint64_t timer_tick(struct core *core)
{
    uint64_t wait = TIMER_IDLE_MS;
    bool writable = journal_writable(core->journal);
    lease_leave(core);
    if (writable && core->away)
        core_renew_leases(core); /* whose connection broke meanwhile could not say HELLO, and says it now */
    core->away = !writable;
    clock_follow(core);
    delays_end(core);
    gates_open(core);
    bool fired = schedules_fire(core);
    least(&wait, farm_tick(core), 0);
    if (writable)
        lease_expire(core);
    worker_silence(core);
    worker_rested(core);
    worker_prune(core);
    if (heap_top(&core->gates))
        least(&wait, (uint64_t)heap_top(&core->gates)->key, core->mono_ms);
    if (heap_top(&core->delays))
        least(&wait, (uint64_t)heap_top(&core->delays)->key, core->wall_ms);
    if (!fired)
        least(&wait, TIMER_AWAY_MS, 0);
    else if (heap_top(&core->schedules))
        least(&wait, (uint64_t)heap_top(&core->schedules)->key, core->wall_ms);
    if (lease_next(core) != UINT64_MAX)
        least(&wait, lease_next(core), core->mono_ms);
    if (core->quiet)
        least(&wait, core->quiet->heard + lease_term(core), core->mono_ms);
    if (heap_top(&core->polls))
        least(&wait, (uint64_t)heap_top(&core->polls)->key, core->mono_ms);
    if (core->rest_until)
        least(&wait, core->rest_until, core->mono_ms);
    /* What is left over waits for room in the journal; its acknowledgements wake the host too. */
    if ((core->recheck || core->ready.count || core->woken) && wait > TIMER_AGAIN_MS)
        wait = TIMER_AGAIN_MS;
    return writable || wait > TIMER_AWAY_MS ? wait : TIMER_AWAY_MS;
}
