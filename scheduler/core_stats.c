/* What the core tells of itself for STATS. */
#include "scheduler/core_state.h"
#include "scheduler/farms/farm.h"
#include "scheduler/key.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

struct crowd { /* all workers together */
    uint64_t by_status[WORKER_OFFLINE + 1];
    uint64_t slots, busy; /* of those that are here */
    double load;          /* summed over those that take work */
    uint64_t attempts, attempt_ms;
};

static struct crowd crowd_count(const struct core *core)
{
    struct crowd crowd = {0};
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        crowd.by_status[worker->status]++;
        crowd.attempts += worker->total;
        crowd.attempt_ms =
            worker->duration_ms > UINT64_MAX - crowd.attempt_ms ? UINT64_MAX : crowd.attempt_ms + worker->duration_ms;
        if (worker->status == WORKER_OFFLINE)
            continue;
        crowd.slots += worker->slots;
        crowd.busy += worker->held < worker->slots ? worker->held : worker->slots; /* more than its slots wait with it */
        if (worker->status == WORKER_ACTIVE && worker->load_average > 0 && worker->load_average < 1e6)
            crowd.load += worker->load_average;
    }
    return crowd;
}

static void stats_workers(const struct core *core, struct stats *stats)
{
    struct crowd crowd = crowd_count(core);
    stats_count(stats, "workers", core->workers.count);
    stats_count(stats, "workers_active", crowd.by_status[WORKER_ACTIVE]);
    stats_count(stats, "workers_draining", crowd.by_status[WORKER_DRAINING]);
    stats_count(stats, "workers_offline", crowd.by_status[WORKER_OFFLINE]);
    stats_count(stats, "worker_slots", crowd.slots);
    stats_count(stats, "worker_slots_busy", crowd.busy);
    stats_count(stats, "worker_load_milli", (uint64_t)(crowd.load * 1000));
    stats_count(stats, "attempts", crowd.attempts);
    stats_count(stats, "attempts_ms", crowd.attempt_ms);
}

void core_stats(const struct core *core, struct stats *stats)
{
    const struct measure *measure = &core->measure;
    stats_count(stats, "pending_low", core->priorities[PRIORITY_LOW]);
    stats_count(stats, "pending_normal", core->priorities[PRIORITY_NORMAL]);
    stats_count(stats, "pending_high", core->priorities[PRIORITY_HIGH]);
    stats_count(stats, "pending_critical", core->priorities[PRIORITY_CRITICAL]);
    stats_count(stats, "waiting_queued", core->states[STATE_QUEUED]);
    stats_count(stats, "waiting_delayed", core->states[STATE_DELAYED]);
    stats_count(stats, "waiting_blocked", core->states[STATE_BLOCKED]);
    stats_count(stats, "waiting_paused", core->states[STATE_HELD]);
    stats_count(stats, "leases", core->lease_total);
    stats_count(stats, "keys", keys_count(core->keys));
    stats_count(stats, "carried_bytes", core->carried);
    stats_count(stats, "ended_completed", measure->ended[RUN_COMPLETED]);
    stats_count(stats, "ended_failed", measure->ended[RUN_FAILED]);
    stats_count(stats, "ended_aborted", measure->ended[RUN_ABORTED]);
    stats_count(stats, "ended_last_minute", measure_last_minute(measure, core->clock.wall_ms(core->clock.self)));
    stats_workers(core, stats);
    stats_histogram(stats, "durations", &measure->durations);
    stats_histogram(stats, "dispatches", &measure->dispatches);
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (core->farms[i]->stats)
            core->farms[i]->stats(core->farms[i]->self, stats);
}
