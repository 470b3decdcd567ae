/* The scheduler's core: tasks, runs, workers, leases, the queue. A library without I/O (rule 11).
 *
 * In: decoded messages, time, records while rebuilding. Out: records and messages, all through the journal.
 * The host (host.c, or a test) owns sockets and clocks. The core names no farm: farms are given to it (farms/farm.h).
 */
#ifndef GANTRY_SCHEDULER_CORE_H
#define GANTRY_SCHEDULER_CORE_H

#include "proto/stats.h"
#include "scheduler/journal.h"

struct farm;

struct core_clock {
    void *self;
    uint64_t (*wall_ms)(void *self);
    uint64_t (*mono_ms)(void *self);
    uint64_t (*random)(void *self); /* for jitter */
};

enum core_clients { CLIENTS_AUTO, CLIENTS_ALWAYS, CLIENTS_NEVER }; /* setting bus.clients */

struct core_config { /* see proto/settings.def for what each means */
    enum core_clients clients;
    uint64_t lease_ms, accept_ms, heartbeat_ms, lift_ms, retry_base_ms, retry_cap_ms;
    uint64_t max_losses, queue_max, queue_bytes, tasks_max, workers_max, workers_ms, keys_max, keys_ms, events_max;
    uint64_t webhooks_max, webhooks_retry_ms, webhooks_keep, webhooks_keep_ms;
};

struct core_call {       /* one message for the core */
    struct address from; /* where the answer goes */
    const struct msg *msg;
    struct str frame; /* its bytes */
    struct str key;   /* CURVE: its sender's public key; empty: plain */
};

struct core;

/* journal and farms are borrowed; farms ends in NULL and may be NULL. NULL when out of memory. */
struct core *core_new(const struct core_config *config, const struct core_clock *clock, struct journal *journal,
                      const struct farm *const *farms);
void core_free(struct core *core); /* takes NULL */
void core_configure(struct core *core, const struct core_config *config);

/* Rebuilding, before anything else: records as stored, each type in the order of its ids, pools before tasks before statistics before runs
 * (only those not final) before workers before keys before events (the oldest,
 * and the newest 65536: they tell which results were accepted lately) before webhooks before deliveries. -1 with err when a record makes no sense or memory is short.
 * next_ids: by enum record_type, from EPOCH_GRANT. core_loaded makes the leases fresh and the queue ready. */
int core_load(struct core *core, enum record_type type, struct str value, struct err *err);
int core_loaded(struct core *core, const uint64_t *next_ids, uint32_t count, struct err *err);

/* Handles one message by the table below; always answers when the message expects an answer. */
void core_handle(struct core *core, const struct core_call *call);

/* Due retries, delays, schedules, leases, acceptances. Answers the ms until it wants to be called again (at most 1000). */
uint64_t core_tick(struct core *core);
/* Gives waiting runs to workers with credit, then seals the batch. Called when a wake-up's messages are handled. */
void core_settle(struct core *core);
/* Every lease begins a full term now: after a start or a gap in the host's loop (rule 7). */
void core_renew_leases(struct core *core);

/* The list of keys that are let in has changed: a worker whose key is not lets_in any more loses its session and its leases. */
void core_check_keys(struct core *core, bool (*lets_in)(void *self, struct str key), void *self);

void core_status(const struct core *core, struct msg_pong *pong, struct rec_count *counts, uint32_t max);

/* What the core has counted and measured since it was made (measure.h). */
void core_stats(const struct core *core, struct stats *stats);

/* Where lines of workers' own logs go, with the worker's name. NULL: nowhere. */
typedef void core_lines(void *self, struct str worker, const struct msg_log_lines *lines);
void core_on_lines(struct core *core, core_lines *lines, void *self);

/* One row a message the core handles: {id, handler, doc}; ends in id 0. */
typedef void core_handler(struct core *core, const struct core_call *call);
struct core_route {
    uint16_t id;
    enum door door; /* the socket it comes in by; DOOR_EITHER: by the workers' too, from who may hand in work there */
    core_handler *handle;
    const char *doc;
};
extern const struct core_route core_routes[];
/* Whether a message may come by this socket. The workers' takes the commands of clients too, who need one hop less, and none of the
 * gateway's: a worker's key opens it. */
bool core_route_takes(const struct core_route *route, enum door door);

#endif
