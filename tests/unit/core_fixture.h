/* A scheduler's core with a clock in the test's hand and a store in memory, for tests of the core.
 *
 * The store applies batches as gantry-store would; acknowledgements can be held back, batches lost, the core thrown away and
 * built again from what is stored. What the core lets out is kept as letters, decoded, for the test to look at.
 */
#ifndef GANTRY_TESTS_CORE_FIXTURE_H
#define GANTRY_TESTS_CORE_FIXTURE_H

#include "scheduler/core.h"
#include "scheduler/farms/farm.h"

enum fixture_hold {
    HOLD_NOTHING,
    HOLD_ACKS,    /* batches are applied, their acknowledgements wait */
    HOLD_BATCHES, /* batches do not reach the store */
};

struct letter { /* something the core let out */
    struct address to;
    struct msg msg;
    char *bytes;
    struct arena *arena;
    bool taken;
};

struct stored { /* a record on the fixture's disk */
    uint64_t id;
    char *bytes;
    uint32_t len;
};

struct fixture {
    struct core *core;
    struct journal *journal;
    struct core_config config;
    const struct farm *const *farms;
    struct farm *(*make_farm)(void);      /* a farm with memory of its own, made anew with each core; may be NULL */
    struct farm *(*make_second)(void);    /* another one beside it; may be NULL */
    void (*farm_made)(struct farm *farm); /* before it is used; may be NULL */
    struct farm *made[3];
    uint64_t wall, mono, random;

    struct stored *disk[TYPE_MAX];
    size_t disk_count[TYPE_MAX], disk_size[TYPE_MAX];
    uint64_t log_lines; /* stored by OP_LOG */
    uint64_t purged;    /* OP_PURGE_TASK seen */
    uint64_t epoch, applied, next_ids[TYPE_MAX];
    enum fixture_hold hold;
    char **held; /* batches that wait for HOLD_BATCHES to end */
    uint32_t *held_len;
    size_t held_count;

    struct letter *letters;
    size_t letter_count, letter_size;
    size_t letter_max; /* letters kept; 0: no limit */
    uint64_t corr, keys;
    struct arena *arena;                                   /* of records read by the test */
    void (*around)(bool inside);                           /* called before and after every call of the core; may be NULL */
    void (*on_apply)(void *self, const struct rec_op *op); /* sees every change of the disk; may be NULL */
    void *on_apply_self;
};

/* core->config is sensible defaults; both may be changed before fixture_start. */
struct fixture *fixture_new(void);
void fixture_start(struct fixture *fixture); /* builds the core from what is stored */
void fixture_free(struct fixture *fixture);
struct fixture *fixture_ready(void); /* new and started */

/* The scheduler dies and starts anew: what was held back is lost, letters not let out are too. */
void fixture_rebuild(struct fixture *fixture);
void fixture_hold(struct fixture *fixture, enum fixture_hold hold); /* HOLD_NOTHING releases */
void fixture_store_away(struct fixture *fixture, bool away);

void fixture_settle(struct fixture *fixture);            /* ends a wake-up */
void fixture_wait(struct fixture *fixture, uint64_t ms); /* time passes, with ticks when the core wants them */
void fixture_jump(struct fixture *fixture, uint64_t ms); /* time passes unseen */

/* Peer n's message, through the codec; corr 0 for what expects no answer. */
void fixture_send(struct fixture *fixture, enum door door, unsigned peer, uint64_t corr, const struct shape *shape,
                  const void *value);
/* A command of the gateway's, settled; the answer's letter (fails the test when there is none). */
const struct msg *fixture_ask(struct fixture *fixture, const struct shape *shape, const void *value);
/* The next letter to that peer on the workers' door with this id that was not taken yet; NULL if there is none. */
const struct msg *fixture_take(struct fixture *fixture, unsigned peer, uint16_t id);
const struct msg *fixture_answer(struct fixture *fixture, uint64_t corr);
void fixture_forget_letters(struct fixture *fixture);
struct bus_peer fixture_peer(unsigned peer);

/* Fresh idempotency key. */
struct rec_idem fixture_key(struct fixture *fixture);
struct rec_idem fixture_key_of(unsigned scope, unsigned body);

/* A stored record decoded; false when it is not there. */
bool fixture_stored(struct fixture *fixture, enum record_type type, uint64_t id, void *out);
bool fixture_run(struct fixture *fixture, uint64_t id, struct rec_run *out);
uint64_t fixture_count_events(struct fixture *fixture, const char *type);

/* ---- short forms ---- */

struct rec_task_spec fixture_spec(const char *name, const char *type);
uint64_t fixture_task(struct fixture *fixture, const char *name, const char *type); /* its id */
uint64_t fixture_trigger(struct fixture *fixture, uint64_t task_id);                /* the run's id */
struct str fixture_map(const char *const *pairs); /* name, text, …, NULL; valid until the process ends */

/* peer says HELLO as worker `ident`, start `boot`, serving type; leases: what it says it holds. Answers the letter. */
const struct msg *fixture_hello(struct fixture *fixture, unsigned peer, const char *ident, const char *boot, const char *type,
                                unsigned slots, const struct rec_lease *leases, uint32_t count);
/* The next assignment to that peer; run_id 0 if there is none. */
struct rec_lease fixture_assigned(struct fixture *fixture, unsigned peer);
void fixture_accept(struct fixture *fixture, unsigned peer, struct rec_lease lease);
/* Assigned and accepted in one. */
struct rec_lease fixture_begin(struct fixture *fixture, unsigned peer);
void fixture_heartbeat(struct fixture *fixture, unsigned peer, const struct rec_lease *leases, uint32_t count);
void fixture_result(struct fixture *fixture, unsigned peer, struct rec_lease lease, enum outcome outcome);
bool fixture_acked(struct fixture *fixture, unsigned peer, struct rec_lease lease);   /* RESULT_ACK names it */
bool fixture_refused(struct fixture *fixture, unsigned peer, struct rec_lease lease); /* REFUSED names it */
uint64_t fixture_abort(struct fixture *fixture, uint64_t run_id);                     /* 0, or the error code */
/* Why the run waits, and its status, as RUN_LIVE says; "" when it is not there. */
const char *fixture_reason(struct fixture *fixture, uint64_t run_id);

#endif
