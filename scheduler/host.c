/* A wake-up: messages are handled as they come, each changing the core and appending to the journal. When the loop is about to sleep, one
 * turn ticks what is due, gives out runs, and seals the batch. Answers leave when the store has acknowledged it.
 *
 * Rule 7. Leases are promises about this process's time as much as the workers': after a start, or when a turn comes more than a second
 * behind the last (stopped, swapped out, a suspended machine), heartbeats lie unread in the sockets. So what has arrived is handled
 * first, then every lease gets a fresh full term, and only then may the core's tick expire one. Turns are never further apart
 * than TURN_MS by our own doing.
 *
 * Invariants: the doors are open only while the core is whole and its epoch claimed; core_tick never runs in a turn before the gap was
 * looked at; a failed journal ends the process.
 */
#include "scheduler/host.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/log.h"
#include "scheduler/core.h"
#include "scheduler/doors.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/link.h"

#define TURN_MS 250
#define GAP_MS 1000
#define END_MS 2000
#define COUNTS 64   /* msg_pong.counts */
#define SLOW_MS 500 /* a batch that takes longer to be on disk is told */

struct host {
    struct loop *loop;
    const struct settings *settings;
    struct link *link;
    struct journal *journal;
    struct core *core;
    struct farm *farms[FARMS_MAX + 1];                   /* of this core; the last is NULL */
    const struct farm_scan *farm_scans[FARMS_MAX + 1];   /* what they want loaded */
    const struct core_route *farm_routes[FARMS_MAX + 1]; /* what they take */
    struct doors *doors;                                 /* NULL until it is rebuilt */
    bool open;                                           /* serving */
    bool ending;
    int code;
    struct err why;
    uint64_t epoch, began_ms;
    uint64_t turned_ms;
    int timer;             /* the next turn */
    uint64_t timer_due_ms; /* 0: not set */
    struct rec_count counts[COUNTS];
    char trouble[128]; /* of a PONG */
    core_lines *lines; /* see host_on_lines */
    void *lines_self;
    loop_fn *opened; /* see host_on_open */
    void *opened_arg;
};

static void host_stop(struct host *host, int code, const struct err *why)
{
    if (host->code == 0) {
        host->code = code;
        host->why = *why;
    }
    host->open = false;
    loop_stop(host->loop);
}

/* ---- clocks and settings ---- */

static uint64_t wall_ms(void *self)
{
    (void)self;
    return clock_wall_ms();
}

static uint64_t mono_ms(void *self)
{
    (void)self;
    return clock_mono_ms();
}

static uint64_t random_bits(void *self)
{
    uint64_t bits;

    (void)self;
    randombytes_buf(&bits, sizeof bits);
    return bits;
}

static uint64_t setting(const struct host *host, enum setting_id id)
{
    return (uint64_t)settings_count_of(host->settings, id);
}

static enum core_clients clients_of(const struct host *host)
{
    const char *word = settings_text(host->settings, SET_BUS_CLIENTS);

    return strcmp(word, "always") == 0 ? CLIENTS_ALWAYS : strcmp(word, "never") == 0 ? CLIENTS_NEVER : CLIENTS_AUTO;
}

static struct core_config config_of(const struct host *host)
{
    return (struct core_config){
        .clients = clients_of(host),
        .lease_ms = setting(host, SET_LEASE_SECONDS) * 1000,
        .accept_ms = setting(host, SET_LEASE_ACCEPT_SECONDS) * 1000,
        .heartbeat_ms = setting(host, SET_LEASE_HEARTBEAT_MS),
        .lift_ms = setting(host, SET_QUEUE_LIFT_SECONDS) * 1000,
        .retry_base_ms = setting(host, SET_RETRY_BASE_MS),
        .retry_cap_ms = setting(host, SET_RETRY_CAP_MS),
        .max_losses = setting(host, SET_LEASE_LOSSES),
        .queue_max = setting(host, SET_QUEUE_MAX),
        .queue_bytes = setting(host, SET_QUEUE_MB) << 20,
        .tasks_max = setting(host, SET_TASKS_MAX),
        .workers_max = setting(host, SET_WORKERS_MAX),
        .workers_ms = setting(host, SET_WORKERS_DAYS) * 86400000,
        .keys_max = setting(host, SET_KEYS_MAX),
        .keys_ms = setting(host, SET_KEYS_HOURS) * 3600000,
        .events_max = setting(host, SET_EVENTS_MAX),
        .webhooks_max = setting(host, SET_WEBHOOKS_MAX),
        .webhooks_retry_ms = setting(host, SET_WEBHOOKS_RETRY_MS),
        .webhooks_keep = setting(host, SET_WEBHOOKS_KEEP),
        .webhooks_keep_ms = setting(host, SET_WEBHOOKS_KEEP_DAYS) * 86400000,
    };
}

static void farm_configure(const struct host *host, const struct farm *farm)
{
    if (farm->configure != NULL) {
        farm->configure(farm->self, host->settings);
    }
}

void host_reload(struct host *host)
{
    struct core_config config = config_of(host);

    if (host->core != NULL) {
        core_configure(host->core, &config);
    }
    for (size_t i = 0; i < farms_count && host->farms[i] != NULL; i++) {
        farm_configure(host, host->farms[i]);
    }
}

/* ---- the journal's port ---- */

static int port_send(void *self, struct str frame)
{
    struct host *host = self;
    return link_send(host->link, frame);
}

static void port_deliver(void *self, const struct address *to, struct str frame)
{
    struct host *host = self;

    if (host->doors != NULL) {
        doors_send(host->doors, to, frame);
    }
}

static void port_committed(void *self, uint64_t last_event, const uint64_t *runs, uint32_t count)
{
    struct host *host = self;

    if (host->doors != NULL) {
        doors_ring(host->doors, last_event, runs, count);
    }
}

/* ---- the doors' port ---- */

static void on_call(void *self, const struct core_call *call)
{
    struct host *host = self;

    if (host->open && !host->ending) { /* else who asks, asks again, and finds the next one */
        core_handle(host->core, call);
    }
}

static void count_add(struct host *host, struct msg_pong *pong, const char *name, uint64_t value)
{
    if (pong->counts.count < COUNTS) {
        host->counts[pong->counts.count++] = (struct rec_count){.name = str_of(name), .value = value};
    }
}

static void on_ping(void *self, struct msg_pong *pong)
{
    struct host *host = self;

    core_status(host->core, pong, host->counts, COUNTS);
    pong->counts.items = host->counts;
    pong->service = STR_LIT("scheduler");
    pong->pid = (uint64_t)getpid();
    pong->uptime_ms = clock_mono_ms() - host->began_ms;
    pong->epoch = host->epoch;
    pong->ready = host->open && !host->ending && journal_writable(host->journal);
    pong->trouble = str_of(journal_trouble(host->journal));
    uint64_t waits_ms = journal_waits_ms(host->journal, clock_mono_ms());
    if (pong->trouble.len == 0 && waits_ms >= SLOW_MS) {
        snprintf(host->trouble, sizeof host->trouble, "the store has not confirmed a batch for %lu ms", (unsigned long)waits_ms);
        pong->trouble = str_of(host->trouble);
    }
    count_add(host, pong, "batches", journal_batches(host->journal));
    count_add(host, pong, "messages_lost", host->doors != NULL ? doors_lost(host->doors) : 0);
}

static void on_stats(void *self, struct stats *stats)
{
    struct host *host = self;

    core_stats(host->core, stats);
    stats_count(stats, "batches", journal_batches(host->journal));
    stats_count(stats, "batch_waits_ms", journal_waits_ms(host->journal, clock_mono_ms()));
    stats_process(stats);
}

void host_on_lines(struct host *host, core_lines *lines, void *self)
{
    host->lines = lines;
    host->lines_self = self;
    if (host->core != NULL) {
        core_on_lines(host->core, lines, self);
    }
}

bool host_ask_lines(struct host *host, const struct msg_log_lines *lines, bus_reply *reply, void *arg)
{
    return link_ask_lines(host->link, lines, reply, arg);
}

/* ---- turns ---- */

/* Handles what lies in the sockets, then gives every lease a fresh term (rule 7). */
static void host_catch_up(struct host *host)
{
    doors_drain(host->doors);
    core_renew_leases(host->core);
}

static void on_timer(void *arg)
{
    struct host *host = arg;
    host->timer_due_ms = 0; /* the turn follows, as behind every wake-up */
}

static void timer_set(struct host *host, uint64_t now, uint64_t wait)
{
    uint64_t due = now + (wait < 1 ? 1 : wait > TURN_MS ? TURN_MS : wait);

    if (host->timer_due_ms != 0 && host->timer_due_ms <= due) {
        return;
    }
    loop_set(host->loop, host->timer, due - now, 0);
    host->timer_due_ms = due;
}

static void host_turn(void *arg)
{
    struct host *host = arg;
    uint64_t now = clock_mono_ms();
    uint64_t wait = TURN_MS;

    if (!host->open) {
        return;
    }
    if (now - host->turned_ms > GAP_MS) {
        log_warn("GTY-LOOP-GAP", "ms=%lu every lease begins anew", (unsigned long)(now - host->turned_ms));
        host_catch_up(host);
    }
    host->turned_ms = now;
    journal_tick(host->journal, now);
    if (!host->ending && doors_keys_changed(host->doors)) {
        core_check_keys(host->core, doors_let_in, host->doors);
    }
    if (!host->ending) {
        wait = core_tick(host->core);
        core_settle(host->core);
    } else {
        journal_seal(host->journal);
        if (journal_idle(host->journal)) {
            loop_stop(host->loop);
        }
    }
    if (journal_failed(host->journal)) {
        struct err err = {0};
        err_set(&err, ERR_INTERNAL, "%s", journal_trouble(host->journal));
        log_error("GTY-JOURNAL-FAILED", "%s; ending, to be rebuilt from the store", err.text);
        host_stop(host, 1, &err);
    }
    timer_set(host, now, wait);
}

static void on_end(void *arg)
{
    struct host *host = arg;
    loop_stop(host->loop);
}

void host_end(struct host *host)
{
    if (!host->open) {
        loop_stop(host->loop);
        return;
    }
    host->ending = true; /* the next turn seals */
    if (loop_after(host->loop, END_MS, on_end, host) < 0) {
        loop_stop(host->loop);
    }
}

/* ---- rebuilding ---- */

static void core_end(struct host *host)
{
    core_free(host->core);
    host->core = NULL;
    for (size_t i = 0; i < farms_count && host->farms[i] != NULL; i++) {
        host->farms[i]->close(host->farms[i]->self);
        host->farms[i] = NULL;
    }
}

static int farms_begin(struct host *host)
{
    static const struct farm_scan nothing[1];
    static const struct core_route silent[1];

    for (size_t i = 0; i < farms_count; i++) {
        host->farms[i] = farm_makers[i]();
        if (host->farms[i] == NULL) {
            return -1;
        }
        farm_configure(host, host->farms[i]);
        host->farm_scans[i] = host->farms[i]->scans != NULL ? host->farms[i]->scans : nothing;
        host->farm_routes[i] = host->farms[i]->routes != NULL ? host->farms[i]->routes : silent;
    }
    return 0;
}

static int recover_begin(void *self, struct err *err)
{
    static const struct core_clock clock = {.wall_ms = wall_ms, .mono_ms = mono_ms, .random = random_bits};
    struct host *host = self;
    const struct journal_port port = {
        .self = host, .send_batch = port_send, .deliver = port_deliver, .committed = port_committed};
    struct core_config config = config_of(host);

    core_end(host);
    journal_free(host->journal);
    host->journal = journal_new(&port);
    if (host->journal != NULL && farms_begin(host) == 0) {
        host->core = core_new(&config, &clock, host->journal, (const struct farm *const *)host->farms);
    }
    if (host->core != NULL) {
        core_on_lines(host->core, host->lines, host->lines_self);
    }
    return host->core != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

static int recover_load(void *self, enum record_type type, struct str value, struct err *err)
{
    struct host *host = self;
    return core_load(host->core, type, value, err);
}

static int recover_finish(void *self, uint64_t epoch, const uint64_t *next_ids, uint32_t count, struct err *err)
{
    struct host *host = self;
    const struct doors_port port = {
        .self = host, .call = on_call, .fill_pong = on_ping, .fill_stats = on_stats, .more = host->farm_routes};

    host->epoch = epoch;
    journal_begin(host->journal, epoch);
    link_attach(host->link, host->journal, epoch);
    if (core_loaded(host->core, next_ids, count, err) != 0) {
        return -1;
    }
    host->doors = doors_open(host->loop, host->settings, &port, err);
    if (host->doors == NULL) {
        return -1;
    }
    host->open = true;
    host->turned_ms = clock_mono_ms();
    host_catch_up(host);
    if (host->opened != NULL) {
        host->opened(host->opened_arg);
    }
    log_info("GTY-SCHEDULER-READY", "epoch=%lu version=%s", (unsigned long)epoch, GANTRY_VERSION);
    return 0;
}

static void recover_fail(void *self, const struct err *err)
{
    struct host *host = self;

    log_error("GTY-RECOVER-FAILED", "%s", err->text);
    host_stop(host, 1, err);
}

static void on_stale(void *self, uint64_t epoch)
{
    static const struct err said = {0};
    struct host *host = self;

    log_error("GTY-EPOCH-STALE", "epoch=%lu holds=%lu another scheduler has taken over", (unsigned long)host->epoch,
              (unsigned long)epoch);
    host_stop(host, HOST_SUPERSEDED, &said);
}

static void on_broken(void *self, const struct err *err)
{
    struct host *host = self;

    log_error("GTY-JOURNAL-FAILED", "%s; ending, to be rebuilt from the store", err->text);
    host_stop(host, 1, err);
}

/* ---- life ---- */

struct host *host_new(struct loop *loop, const struct settings *settings, struct err *err)
{
    struct host *host = calloc(1, sizeof *host);
    struct endpoint store;

    if (host == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    *host = (struct host){.loop = loop, .settings = settings, .timer = -1, .began_ms = clock_mono_ms()};
    const struct link_port link_port = {.self = host, .stale = on_stale, .broken = on_broken};
    const struct recover_port recover_port = {.self = host,
                                              .begin = recover_begin,
                                              .load = recover_load,
                                              .finish = recover_finish,
                                              .fail = recover_fail,
                                              .farms = host->farm_scans};
    host->timer = loop_timer(loop, on_timer, host);
    if (host->timer < 0) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    if (doors_prepare(settings, err) != 0 || endpoint_of(settings, SET_BUS_STORE, "store", false, &store, err) != 0) {
        goto error;
    }
    host->link = link_new(loop, store.text, &store.curve, &link_port, err);
    if (host->link == NULL || link_recover(host->link, &recover_port, err) != 0) {
        goto error;
    }
    loop_on_settle(loop, host_turn, host);
    return host;
error:
    host_free(host);
    return NULL;
}

void host_free(struct host *host)
{
    if (host == NULL) {
        return;
    }
    loop_cancel(host->loop, host->timer);
    link_free(host->link);
    doors_free(host->doors);
    core_end(host);
    journal_free(host->journal);
    free(host);
}

void host_on_open(struct host *host, loop_fn *fn, void *arg)
{
    host->opened = fn;
    host->opened_arg = arg;
}

int host_code(const struct host *host, struct err *err)
{
    *err = host->why;
    return host->code;
}
