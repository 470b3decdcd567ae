/* Starts and ends of the scheduler's processes. Two places: a second one is started while the first is frozen, and supersedes it. */
#include "scheduler/host.h"

#include <stdlib.h>

#include "scheduler/farms/farm_host.h"
#include "tests/sim/sim.h"

struct sched scheds[SCHEDS];
static uint32_t starts;

void sched_reset(void)
{
    memset(scheds, 0, sizeof scheds);
    starts = 0;
}

static struct settings *settings_make(void)
{
    char text[24][64];
    char *argv[48] = {(char *)(uintptr_t) "sim"};
    int argc = 1, at = 0;
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"--lease-seconds", sim.config.lease_ms / 1000},
                   {"--lease-accept-seconds", sim.config.accept_ms / 1000},
                   {"--lease-heartbeat-ms", sim.config.heartbeat_ms},
                   {"--lease-losses", sim.config.max_losses},
                   {"--queue-lift-seconds", sim.config.lift_ms / 1000},
                   {"--queue-max", sim.config.queue_max},
                   {"--retry-base-ms", sim.config.retry_base_ms},
                   {"--retry-cap-ms", sim.config.retry_cap_ms},
                   {"--keys-max", sim.config.keys_max},
                   {"--keys-hours", sim.config.keys_ms / 3600000},
                   {"--events-max", sim.config.events_max},
                   {"--library-scan-minutes", 1 + sim.world->length_ms / 60000 / 200},
                   {"--transcode-attempts", sim.film_attempts},
                   {"--transcode-report-seconds", sim.report_ms / 1000},
                   {"--transcode-first-report-seconds", sim.report_ms / 1000},
                   {"--transcode-offline-seconds", sim.offline_ms / 1000},
                   {"--transcode-offline-old-seconds", sim.offline_old_ms / 1000},
                   {"--transcode-tasks-max", 1000},
                   {"--transcode-logs-max", 1000},
                   {"--recorder-cycles-max", 12}};
    static char *const places[] = {(char *)(uintptr_t) "--bus-store=inproc://store",
                                   (char *)(uintptr_t) "--bus-scheduler=inproc://commands",
                                   (char *)(uintptr_t) "--bus-workers=inproc://workers",
                                   (char *)(uintptr_t) "--bus-doorbell=inproc://bell",
                                   (char *)(uintptr_t) "--library=" FILM_ROOT,
                                   (char *)(uintptr_t) "--data=/nonexistent"}; /* where no settings file is */
    struct err err = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(text[at], sizeof text[at], "%s=%llu", numbers[i].name, (unsigned long long)numbers[i].value);
        argv[argc++] = text[at++];
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        argv[argc++] = places[i];
    struct settings *settings = settings_load(argc, argv, NULL, &err);
    if (!settings)
        broken(0, "settings: %s", err.text);
    return settings;
}

void sched_start(uint32_t place)
{
    struct sched *sched = &scheds[place];
    struct err err = {0};
    if (sched->alive)
        return;
    *sched = (struct sched){.alive = true, .start = ++starts, .began = sim.now, .turned = sim.now, .calm_since = sim.now};
    sched->loop = ground_loop(place);
    sched->settings = settings_make();
    sched->host = host_new(sched->loop, sched->settings, &err);
    if (!sched->host)
        broken(0, "the scheduler does not start: %s", err.text);
    sim.rebuilds++;
    history_add(1000 + place, (struct str){"start", 5});
}

static void sched_clear(struct sched *sched)
{
    host_free(sched->host);
    settings_free(sched->settings);
    ground_free(sched->loop);
    sched->host = NULL;
    sched->settings = NULL;
    sched->loop = NULL;
    sched->core = NULL;
    sched->journal = NULL;
    sched->alive = sched->open = sched->dying = false;
}

void sched_free(void)
{
    for (uint32_t i = 0; i < SCHEDS; i++)
        if (scheds[i].alive)
            sched_clear(&scheds[i]);
}

void sched_kill(uint32_t place)
{
    struct sched *sched = &scheds[place];
    if (!sched->alive)
        return;
    history_add(1000 + place, (struct str){"kill", 4});
    sim.kills++;
    sched_clear(sched);
    net_break_sched(place);
    /* The other one, if it is there, goes on. */
    if (!scheds[1 - place].alive)
        wheel_add(sim.now + 1 + about(sim.calm ? 500 : 1500), EVENT_START, place, NULL, 0);
}

void sched_freeze(uint32_t place, uint64_t ms)
{
    if (scheds[place].alive && scheds[place].frozen_until < sim.now + ms) {
        scheds[place].frozen_until = sim.now + ms;
        sim.freezes++;
    }
}

void sched_end(uint32_t place)
{
    if (scheds[place].alive && scheds[place].frozen_until <= sim.now) {
        host_end(scheds[place].host);
        ground_wake(scheds[place].loop);
    }
}

int sched_serving(void)
{
    int best = -1;
    for (int i = 0; i < SCHEDS; i++)
        if (scheds[i].alive && scheds[i].open && (best < 0 || scheds[i].start > scheds[best].start))
            best = i;
    return best;
}

/* While the store has nothing to do and is there, a batch that waits has been forgotten. */
static void check_moves(uint32_t place)
{
    struct sched *sched = &scheds[place];
    bool well = sched->open && !sched->dying && store_idle() && store_linked(place) && ground_link_quiet(sched->loop) &&
                !sim.disk_full && sched->granted == store_epoch();
    uint64_t moved = sched->journal ? journal_batches(sched->journal) : 0;
    if (!well || sim.now > sched->looked_at + 1000 || journal_idle(sched->journal) || moved != sched->moved) {
        sched->moved = moved;
        sched->moved_at = sim.now;
    } else if (sim.now > sched->moved_at + 3000) {
        broken(0, "the scheduler's journal stands still, and the store waits for it (%s)", journal_trouble(sched->journal));
    }
    sched->looked_at = sim.now;
}

void sched_turn(uint32_t place)
{
    struct sched *sched = &scheds[place];
    if (!sched->alive)
        return;
    if (sched->frozen_until > sim.now) {
        ground_wake(sched->loop);
        return;
    }
    if (sim.now > sched->turned + 1000) {
        sched->calm_since = sim.now;
        sim.gaps++;
    }
    bool goes_on = ground_turn(sched->loop);
    sched->turned = sim.now;
    check_moves(place);
    if (!sched->open && sched->core)
        sched->calm_since = sim.now;
    if (sched->journal && !journal_writable(sched->journal))
        sched->away_until = sim.now;
    if (sched->dying) {
        sched_kill(place);
        return;
    }
    if (goes_on)
        return;
    struct err why;
    int code = host_code(sched->host, &why);
    if (code != 0 && code != HOST_SUPERSEDED)
        broken(0, "the scheduler ended with code %d: %s", code, why.text);
    if (code == HOST_SUPERSEDED && sched->granted == store_epoch() && sched->claims == 1)
        broken(0, "the scheduler says that it was superseded, and nobody did");
    sim.zombies += code == HOST_SUPERSEDED;
    sched_kill(place);
}

/* ---- what the host makes, seen through the linker's --wrap ---- */

struct core *__real_core_new(const struct core_config *config, const struct core_clock *clock, struct journal *journal,
                             const struct farm *const *farms);
struct core *__wrap_core_new(const struct core_config *config, const struct core_clock *clock, struct journal *journal,
                             const struct farm *const *farms);
int __real_core_loaded(struct core *core, const uint64_t *next_ids, uint32_t count, struct err *err);
int __wrap_core_loaded(struct core *core, const uint64_t *next_ids, uint32_t count, struct err *err);

static struct journal *made_for; /* the next core is for this journal, and no scheduler's */
static struct core_clock clock_of_hosts;

struct core *__wrap_core_new(const struct core_config *config, const struct core_clock *clock, struct journal *journal,
                             const struct farm *const *farms)
{
    struct core *core = __real_core_new(config, clock, journal, farms);
    if (journal != made_for) {
        scheds[ground_running()].core = core;
        scheds[ground_running()].journal = journal;
    }
    clock_of_hosts = *clock;
    return core;
}

/* Behind this the host opens its doors. */
int __wrap_core_loaded(struct core *core, const uint64_t *next_ids, uint32_t count, struct err *err)
{
    int result = __real_core_loaded(core, next_ids, count, err);
    for (uint32_t i = 0; i < SCHEDS; i++)
        if (scheds[i].alive && scheds[i].core == core && result == 0) {
            scheds[i].open = true;
            scheds[i].calm_since = sim.now;
        }
    return result;
}

/* Farms belong to the host, and to the simulation those of a core that is beside. */
static const struct farm *farms_made[FARMS_MAX + 1];

struct core *core_made(const struct core_config *config, struct journal *journal)
{
    for (size_t i = 0; i < farms_count; i++) {
        struct farm *farm = farm_makers[i]();
        if (farm->configure)
            farm->configure(farm->self, scheds[sched_serving()].settings);
        farms_made[i] = farm;
    }
    made_for = journal;
    struct core *core = __wrap_core_new(config, &clock_of_hosts, journal, farms_made);
    made_for = NULL;
    return core;
}

void core_unmade(struct core *core)
{
    core_free(core);
    for (size_t i = 0; i < farms_count; i++)
        farms_made[i]->close(farms_made[i]->self);
}
