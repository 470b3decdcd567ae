/* A worker: who it is, what it serves, its session, what it holds. */
#ifndef GANTRY_SCHEDULER_WORKER_H
#define GANTRY_SCHEDULER_WORKER_H

#include "scheduler/core_state.h"

#define WORKER_ASKS_GRACE_MS 10000 /* of one that works over REST: what it takes to end a run that is over its time */
#define WORKER_BOOTS 4             /* replaced boots remembered: they are not let in again */

#define WORKER_BEATS 4 /* heartbeats with a key remembered, of one that works over REST: see rest_beat.c */

struct worker_beat { /* a heartbeat with a key, and what it was answered */
    unsigned char scope[16], body[16];
    uint64_t at, heartbeat_ms; /* at 0: none */
    uint8_t status;
};

struct worker {
    uint64_t id;
    struct str ident, name_key; /* keys of the indexes: of the texts below */
    struct text *name, *ident_text, *hostname, *ip_address, *boot, *labels, *metadata;
    struct str *types, *executors; /* one block each, of texts in it */
    uint32_t type_count, executor_count, slots, credit;
    uint32_t grace_ms; /* between TERM and KILL of what it runs */
    uint8_t status;
    uint16_t port, protocol;
    uint64_t registered_at, last_heartbeat, connected_at;
    uint64_t total, completed, failed, duration_ms;
    double load_average, cpu_percent;
    uint64_t memory_mb;

    bool present;  /* it is here: it has a session, or works over REST and is heard of */
    bool bound;    /* peer is its session */
    bool asks;     /* over REST: it has no session, and is given runs when it asks (poll.h) */
    bool kept;     /* its farm watches its silence, and that of its leases */
    bool drains;   /* it said itself that it takes nothing new */
    uint8_t order; /* enum worker_status that somebody wants it to be in; ACTIVE: none */
    uint8_t owner_len;
    uint8_t owner[16]; /* stands for the credential that registered it */
    struct poll *poll; /* it waits for runs */
    struct worker_beat said[WORKER_BEATS];
    uint32_t said_at;
    bool listed;         /* among those whose silence is watched */
    struct str peer_key; /* of peer, for the index */
    char key[41];        /* CURVE: the public key of its session; "" is plain */
    struct bus_peer peer;
    uint64_t heard;                          /* mono */
    struct heap_node offline;                /* in core->offline while its status is OFFLINE */
    struct worker *more_quiet, *more_lively; /* neighbours by when they were heard */
    uint64_t beats;                          /* heartbeats of this session */
    uint64_t rest_until;                     /* mono: no assignments before */
    uint64_t boots[WORKER_BOOTS];            /* hashes of replaced ones */
    uint32_t boots_at;

    struct lease *leases; /* what it holds, cancelled but unconfirmed ones included */
    uint32_t held;
    struct kind *kind;     /* while it has a session */
    struct heap_node room; /* in its kind's heap */
    uint8_t place;         /* enum kind_place */
    uint64_t turn;         /* of its newest assignment */
    struct run **plan;     /* being assigned in this wake-up */
    uint32_t plan_count, plan_size;
    struct worker *next_planned;
    struct worker *next, *prev;
};

struct worker *worker_find(const struct core *core, uint64_t id);
/* The sender of a message, heard now. NULL: it has no session, and has been told so. */
struct worker *worker_of_call(struct core *core, const struct core_call *call);
struct address worker_address(const struct worker *worker);

int worker_load(struct core *core, const struct rec_worker *record, struct err *err);
/* Makes one that is in no table (with room for it in them); NULL when out of memory. worker_join puts it there. */
struct worker *worker_make(struct core *core, const struct rec_worker *record);
void worker_join(struct core *core, struct worker *worker);
/* Whether there is room for one more, or one that is away and is forgotten for it. field, ident: who asks. -1 with fault. */
int worker_check_room(const struct core *core, const char *field, struct str ident, struct fault *fault);
/* A worker of this record, which nobody knows yet: it gets an id and a name, and joins, offline. Where there is no room the one that has been
 * away for longest is forgotten: room for that (WORKER_FORGET_BYTES) has been reserved. NULL when out of memory, nothing changed. */
struct worker *worker_enrol(struct core *core, const struct rec_worker *record);
/* What a HELLO says of it anew; -1 when out of memory, nothing changed. */
int worker_describe(struct core *core, struct worker *worker, const struct rec_worker *record);
void worker_record(const struct worker *worker, struct rec_worker *record); /* borrows from the worker */
void worker_put(struct core *core, const struct worker *worker);
size_t worker_bytes(const struct worker *worker);
void worker_free(struct worker *worker); /* takes NULL */

/* Heard now: behind all others. */
void worker_heard(struct core *core, struct worker *worker);
/* Its farm watches its silence from now on; before it has leases. */
void worker_keep(struct core *core, struct worker *worker);
/* It is here from now on, as one of this kind (takes the reference). Room for a record and an event has been reserved. */
void worker_arrive(struct core *core, struct worker *worker, struct kind *kind);
/* What its order and its own word make of its status while it is here. */
uint8_t worker_standing(const struct worker *worker);
void worker_set_owner(struct worker *worker, struct str owner); /* one that is too long is none */
struct str worker_owner(const struct worker *worker);
/* Names of types or executors that a task could have. -1 with fault. */
int worker_check_served(const struct str_list *names, const char *field, struct fault *fault);
/* Silent for too long, or it said goodbye: no session any more. Its leases are gone already. Room has been reserved. */
void worker_part(struct core *core, struct worker *worker, const char *why);
void worker_unbind(struct core *core, struct worker *worker); /* from its session, if it has one */
void worker_silence(struct core *core);                       /* parts with those that were silent for a whole lease */
/* The one that has been offline for longest; NULL: none is. */
struct worker *worker_oldest(const struct core *core);
/* Out of every table, its record deleted, and freed. Room has been reserved. */
void worker_forget(struct core *core, struct worker *worker);
#define WORKER_FORGET_BYTES 128
#define WORKER_FORGET_OPS 2
void worker_prune(struct core *core); /* forgets some of those that have been offline for config.workers_ms */
/* No assignments for a while. */
void worker_rest(struct core *core, struct worker *worker, uint64_t ms);
void worker_rested(struct core *core); /* whose rest is over may be used again */

core_handler worker_on_hello, worker_on_heartbeat, worker_on_drain, worker_on_bye; /* worker_session.c */
core_handler worker_on_list;                                                       /* worker_list.c */

#endif
