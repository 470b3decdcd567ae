/* A lease: an attempt of a run, in the hands of a worker (rule 5).
 *
 * It is ASSIGNED until the worker says anything about it, then ACCEPTED. One that no longer counts (aborted, timed out) is
 * CANCELLED and belongs to no run, but still takes a place at its worker until that confirms.
 */
#ifndef GANTRY_SCHEDULER_LEASE_H
#define GANTRY_SCHEDULER_LEASE_H

#include "scheduler/core_state.h"

enum lease_state {
    LEASE_ASSIGNED,
    LEASE_REBUILT, /* as ASSIGNED, but from before this scheduler's start: it has a full term, not just the time to accept */
    LEASE_ACCEPTED,
    LEASE_CANCELLED,
};

#define LEASE_MISSES 2          /* heartbeats that may fail to name it */
#define LEASE_BACKSTOP_MS 60000 /* beyond the run's timeout and grace, which its worker enforces */

struct lease {
    struct heap_node backstop;
    uint64_t key;    /* run << 20 | attempt */
    struct run *run; /* NULL: cancelled */
    struct worker *worker;
    struct pool *pool;                   /* whose place it takes; NULL: none */
    struct lease *next, *prev;           /* of the same worker */
    struct lease *list_next, *list_prev; /* by renewal */
    uint64_t batch;                      /* that its ASSIGN leaves with */
    uint64_t renewed;                    /* mono; of an assigned one: since its ASSIGN left */
    uint64_t started_at;                 /* wall, as the worker said; 0: it has not */
    uint64_t beat;                       /* the worker's heartbeat that named it last */
    uint8_t state, misses;
    bool left;       /* its ASSIGN has */
    bool output;     /* the assignment named one; unknown of a lease that was rebuilt: its run's spec says */
    double progress; /* percent; below 0 while nobody told one */
    char *note;
    uint64_t log_due;       /* the first line that could not be taken: none behind it is taken before it; 0: none */
    uint64_t log_due_since; /* mono */
    uint64_t log_told;      /* the newest line that its farm was told of */
};

static inline uint64_t lease_key(uint64_t run_id, uint64_t attempt)
{
    return run_id < UINT64_C(1) << 43 ? run_id << 20 | attempt : UINT64_MAX;
}

/* A lease in no table; NULL when out of memory. Room in the tables is made with it. */
struct lease *lease_new(struct core *core);
void lease_free(struct core *core, struct lease *lease); /* one that is in no table; takes NULL */
/* Into the tables, ASSIGNED or REBUILT. */
void lease_begin(struct core *core, struct lease *lease, struct run *run, struct worker *worker, enum lease_state state);
/* Out of the tables and freed; its run (if any) has none then. */
void lease_end(struct core *core, struct lease *lease);
/* Its run's task has moved to another pool (NULL: none): so does what it takes. Nothing is stopped when that is too much there. */
void lease_repool(struct core *core, struct lease *lease, struct pool *pool);
/* Its process has started (as far as one can know): the backstop's time begins. */
void lease_started(struct core *core, struct lease *lease);
/* No longer its run's, but still held by its worker until confirmed. */
void lease_cancel(struct core *core, struct lease *lease);
/* What this worker holds under (run, attempt): renewed. NULL: not its lease. */
struct lease *lease_claim(struct core *core, const struct worker *worker, uint64_t run_id, uint64_t attempt);
struct lease *lease_held(struct core *core, const struct worker *worker, uint64_t run_id, uint64_t attempt); /* not renewed */

/* Takes it from the worker: the run goes back to the queue or fails. outcome LOST or RETURNED. -1: no room now, try later. */
int lease_take(struct core *core, struct lease *lease, enum outcome outcome, const char *why);
/* All of a worker's; -1 when some are left for later. */
int lease_take_all(struct core *core, struct worker *worker, enum outcome outcome, const char *why);
/* Everything accepted or assigned begins its term now. */
void lease_renew_all(struct core *core);
/* How long silence is borne now. */
uint64_t lease_term(const struct core *core);
/* The configured term is about to become this one. A shorter one holds only when every worker beats at its new pace: it hears of that
 * in the answer to its next heartbeat, and the one behind that comes in time. Until then the term stays what it was. */
void lease_shorten(struct core *core, uint64_t term);
void lease_leave(struct core *core);          /* whose ASSIGN has left: the time to accept it begins */
void lease_expire(struct core *core);         /* those that are over their time */
uint64_t lease_next(const struct core *core); /* ms until the next may be over; UINT64_MAX: none */

/* A list of leases for an answer, in the core's arena. */
struct lease_rows {
    struct rec_lease_list list;
    uint32_t size;
};
#define LEASE_ROWS_MAX 1024 /* of one answer: what is beyond is told when it is named again */
int lease_rows_reserve(struct core *core, struct lease_rows *rows, uint32_t more);
/* reason: why it is not its holder's any more; NULL for an acknowledgement. */
void lease_rows_add(const struct core *core, struct lease_rows *rows, uint64_t run_id, uint64_t attempt, const char *reason);
#define LEASE_ROW_BYTES 96 /* of one row with one of our reasons, encoded */

#define LEASE_WHY_STALE "not this worker's lease any more"
#define LEASE_WHY_NO_OUTPUT "the run has no output to publish"
#define LEASE_WHY_OUTPUT_NAMES "an output takes two absolute names in one folder"

/* Results that ended a run, remembered so that a repeat is acknowledged again. */
void recent_add(struct core *core, uint64_t run_id, uint64_t attempt, uint64_t outcome);
bool recent_has(const struct core *core, uint64_t run_id, uint64_t attempt, uint64_t *outcome);

core_handler lease_on_accept, lease_on_reject;

#endif
