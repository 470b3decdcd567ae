/* Webhooks: who is told of events over HTTP.
 *
 * The log of events is the outbox: an event is written in the batch of its cause, and each webhook has a cursor in it. So a run that
 * ends costs the same with a hundred webhooks as with none. A gateway reads on behind the cursors, delivers, and reports: the
 * cursors move, and what was tried becomes a delivery, in one batch. What it did not report, because somebody died, is delivered
 * again: at least once, under the same id.
 *
 * One gateway delivers, the one that holds the claim: for CLAIM_MS, renewed each second, in memory only.
 */
#ifndef GANTRY_SCHEDULER_WEBHOOK_H
#define GANTRY_SCHEDULER_WEBHOOK_H

#include "scheduler/core_state.h"

#define WEBHOOKS_MOST 1000 /* whatever webhooks.max says: WEBHOOK_WORK holds no more */
#define WEBHOOK_CLAIM_MS 5000
#define WEBHOOK_RESULTS 256 /* in one report */
#define DELIVERY_BYTES 2048 /* of a delivery, encoded, without its event's detail */
#define DELIVERY_PING "webhook.ping"

struct delivery_end {
    uint64_t id, at;
};

struct webhook {
    struct text *spec; /* encoded rec_webhook_spec with every field present */
    uint64_t id, created_at, updated_at, cursor, delivered, failed, missed;
    char ident[65];
    bool active;
    uint64_t *pending; /* ids of deliveries to be tried again, in order */
    size_t pending_count, pending_size;
    struct delivery_end *ended; /* deliveries that are over, the one that has been for longest first */
    size_t ended_count, ended_size;
};

struct webhooks {
    struct webhook *items[WEBHOOKS_MOST]; /* in the order of their ids */
    uint32_t count;
    uint64_t version;      /* of what WEBHOOK_WORK tells; begins with the time, so that it is another after a restart */
    char holder[65];       /* the gateway that delivers */
    uint64_t holder_until; /* mono */
    uint64_t *orphans;     /* deliveries of webhooks that are gone: to be deleted, some at a time */
    size_t orphan_count, orphan_size;
    uint64_t tick_due; /* mono */
    char health[33];   /* as last told */
};

struct webhooks *webhooks_new(uint64_t wall_ms); /* NULL when out of memory */
void webhooks_free(struct webhooks *webhooks);   /* takes NULL */
uint64_t webhooks_count(const struct core *core);
uint64_t webhooks_pending(const struct core *core); /* deliveries to be tried again */

struct webhook *webhook_find(const struct core *core, uint64_t id); /* NULL if there is none */
/* Its record; the spec is decoded into the core's arena. -1 when out of memory. */
int webhook_record(struct core *core, const struct webhook *webhook, struct rec_webhook *record);
size_t webhook_bytes(const struct webhook *webhook); /* a bound on its record, encoded */
/* Takes its place among the others; room is there (WEBHOOKS_MOST). */
void webhook_join(struct core *core, struct webhook *webhook);
void webhook_leave(struct core *core,
                   struct webhook *webhook); /* freed; its deliveries become orphans, as orphan room was reserved */
void webhook_free(struct webhook *webhook);  /* takes NULL */

/* Room for `more` deliveries in its lists, in whatever state; -1 when out of memory. */
int webhook_reserve(struct webhook *webhook, size_t more);
int webhook_reserve_orphans(struct core *core, const struct webhook *webhook);
bool webhook_is_pending(const struct webhook *webhook, uint64_t delivery_id);
/* The delivery's place in memory becomes what its record says; one too many that is over is deleted from the journal too: one record a
 * call, for which room has been reserved. */
void webhook_place(struct core *core, struct webhook *webhook, const struct rec_delivery *delivery);
/* Takes one that is over out of the list; false if it is not kept. */
bool webhook_unplace(struct webhook *webhook, uint64_t delivery_id);

int webhook_load(struct core *core, struct str value, struct err *err);
int webhook_load_delivery(struct core *core, struct str value, struct err *err);
/* All is loaded: behind a restore there are no events any more, and none of those that were is missed. */
void webhook_loaded(struct core *core);
/* Lets deliveries go that are too old, or whose webhook is gone, a bounded number a call. */
void webhook_tick(struct core *core);

/* When a delivery that has failed `tries` times is tried again; 0: it is given up. */
uint64_t webhook_next_at(struct core *core, uint64_t tries);

core_handler webhook_on_create, webhook_on_update, webhook_on_delete, webhook_on_ping, webhook_on_again;
core_handler webhook_on_claim, webhook_on_report, webhook_on_health;

#endif
