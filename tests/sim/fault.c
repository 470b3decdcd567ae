/* What goes wrong, and when: a stream of faults at random times, drawn from the seed. */
#include <math.h>

#include "tests/sim/sim.h"

uint64_t about(uint64_t mean)
{
    /* -ln(u) by a sum of table-free halvings would do; the C library's log is correctly rounded enough to be the same everywhere. */
    double u = (double)((roll() >> 11) + 1) / 9007199254740993.0;
    return (uint64_t)(-log(u) * (double)mean);
}

static uint64_t restarts_at;

static uint32_t any_worker(void)
{
    return (uint32_t)below(workers_all());
}

/* A cable, a switch: many at once. */
static void many_break(void)
{
    uint32_t from = any_worker(), count = 1 + (uint32_t)below(workers_all() / 100 + 4);
    for (uint32_t i = 0; i < count; i++)
        net_break(worker_connection((from + i) % workers_all()));
    sim.breaks++;
}

static void api_fault(void)
{
    uint32_t who = (uint32_t)below(sim.world->apis);
    switch (below(6)) {
    case 0:
    case 1:
        api_kill(who, 100 + about(30000));
        break;
    case 2:
        api_freeze(who, sim.offline_ms + about(sim.report_ms));
        break;
    case 3:
        api_freeze(who, 200 + about(10000));
        break;
    case 4:
        net_break(api_connection(who));
        sim.breaks++;
        break;
    default:
        api_lie(who);
        break;
    }
}

static void worker_fault(void)
{
    if (sim.world->apis && one_in(5)) {
        api_fault();
        return;
    }
    uint32_t who = any_worker();
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
        worker_kill(who, 100 + about(10000));
        break;
    case 9:
    case 10:
        sim.worker_step = (enum step)(STEP_WORKER_ASSIGNED + below(STEP_COUNT - STEP_WORKER_ASSIGNED));
        break;
    case 3:
        worker_freeze(who, sim.config.lease_ms + about(sim.config.lease_ms / 2));
        break;
    case 4:
        worker_lie(who);
        break;
    case 5:
        worker_freeze(who, 200 + about(5000));
        break;
    case 6:
    case 7:
        net_break(worker_connection(who));
        sim.breaks++;
        break;
    case 8:
        worker_leave(who);
        break;
    default:
        many_break();
        break;
    }
}

static void network_fault(void)
{
    sim.weather = (struct weather){.loss = (uint32_t)below(5000), .twice = (uint32_t)below(5000), .delay_ms = below(2000)};
    if (one_in(2))
        sim.weather.delay_ms = 0;
    sim.weather_until = sim.now + 1000 + about(10000);
}

static void wall_fault(void)
{
    sim.wall += (int64_t)below(7200000) - 3600000;
    sim.wall_high = sim.wall > sim.wall_high ? sim.wall : sim.wall_high;
    limits_clock_set();
    sim.jumps++;
}

/* The second scheduler is started while the first is frozen, and supersedes it. */
static void second_scheduler(void)
{
    int first = sched_serving();
    if (first < 0 || scheds[1 - first].alive)
        return;
    sched_freeze((uint32_t)first, 2000 + about(20000));
    wheel_add(sim.now + 100, EVENT_START, (uint32_t)(1 - first), NULL, 0);
}

static void scheduler_fault(void)
{
    int place = sched_serving();
    if (place < 0)
        return;
    switch (below(8)) {
    case 0:
    case 1:
        sched_kill((uint32_t)place);
        break;
    case 2:
        sched_end((uint32_t)place);
        break;
    case 3:
        sched_freeze((uint32_t)place, 1000 + about(4000));
        break;
    case 4:
        sched_freeze((uint32_t)place, sim.config.lease_ms + about(10000));
        break;
    case 5:
        second_scheduler();
        break;
    default:
        sim.step = (enum step)(STEP_BATCH_FORMED + below(STEP_STORE_ARRIVED - STEP_BATCH_FORMED));
        sim.step_letters = 1 + (uint32_t)below(6);
        break;
    }
}

static void store_fault(void)
{
    switch (below(8)) {
    case 0:
        store_kill(1 + about(2000));
        break;
    case 1:
        store_kill(1000 + about(20000));
        break;
    case 2:
        store_freeze(500 + about(5000));
        break;
    case 3:
        sim.disk_full = true;
        sim.disk_full_until = sim.now + 500 + about(10000);
        break;
    case 4:
    case 5:
        for (uint32_t i = 0; i < SCHEDS; i++)
            store_link_break(i, one_in(2));
        sim.breaks++;
        break;
    default:
        sim.step = (enum step)(STEP_STORE_ARRIVED + below(STEP_WORKER_ASSIGNED - STEP_STORE_ARRIVED));
        break;
    }
}

bool step_comes(enum step step)
{
    enum step *wanted = step >= STEP_WORKER_ASSIGNED ? &sim.worker_step : &sim.step;
    if (*wanted != step)
        return false;
    *wanted = STEP_NONE;
    sim.steps[step]++;
    return true;
}

void fault_event(void)
{
    if (sim.calm)
        return;
    if (sim.now >= sim.weather_until)
        sim.weather = (struct weather){0};
    if (sim.now >= sim.disk_full_until)
        sim.disk_full = false;
    if (sim.now >= restarts_at) {
        restarts_at = sim.now + about(sim.world->restart_ms);
        if (one_in(2))
            scheduler_fault();
        else
            store_fault();
    } else {
        switch (below(12)) {
        case 0:
        case 1:
            network_fault();
            break;
        case 2:
            if (one_in(4))
                wall_fault();
            break;
        case 3:
            clients_burst();
            break;
        default:
            worker_fault();
            break;
        }
    }
    uint64_t next = sim.now + 1 + about(sim.world->fault_ms);
    if (sim.weather_until > sim.now && sim.weather_until < next)
        next = sim.weather_until;
    if (sim.disk_full && sim.disk_full_until < next)
        next = sim.disk_full_until;
    wheel_add(next, EVENT_FAULT, 0, NULL, 0);
}

void faults_begin(void)
{
    restarts_at = 30000 + about(sim.world->restart_ms);
    wheel_add(20000, EVENT_FAULT, 0, NULL, 0);
}

void faults_end(void)
{
    sim.calm = true;
    sim.wall = sim.wall_high + 120000; /* what somebody delayed is due soon, however the clock went */
    limits_clock_set();
    sim.weather = (struct weather){0};
    sim.disk_full = false;
    sim.step = sim.worker_step = STEP_NONE;
}
