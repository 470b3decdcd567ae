/* The runs a worker holds, and its slots. */
#ifndef GANTRY_WORKER_ROSTER_H
#define GANTRY_WORKER_ROSTER_H

#include "worker/run.h"

#define ROSTER_CREDIT_MAX 65536u /* as HELLO allows */
#define ROSTER_WAIT_MS 2000u     /* a run given in advance that has waited this long goes back to the queue */

struct roster {
    struct run_context context;
    struct run *first, *last; /* in the order of assignment */
    uint32_t count;           /* runs held, the gone ones included until roster_purge */
    uint32_t slots;
    uint32_t credit;   /* runs it wants to hold: more than slots only while runs are short */
    double typical_ms; /* a moving average of how long runs take; below 0 before the first */
    uint32_t measured; /* runs in it */
    bool leaving;      /* takes and begins nothing new */
};

void roster_init(struct roster *roster, const struct run_context *context, uint32_t slots);
void roster_abandon(struct roster *roster); /* kills what runs, without a word to anybody; the pool waits for its end */
void roster_clear(struct roster *roster);

struct run *roster_find(const struct roster *roster, uint64_t id, uint64_t attempt); /* NULL if it is not held */

/* Takes an assignment in. Repeated ones change nothing. An older attempt at the same run is dropped. -1 with err: it is to be rejected. */
int roster_assign(struct roster *roster, const struct rec_assignment *assignment, struct err *err);
/* Begins waiting runs while there are free slots, and gives those back that have waited in vain. */
void roster_fill(struct roster *roster, uint64_t now_ms);
/* Tells every run that the worker leaves. */
void roster_leave(struct roster *roster);
/* Removes runs of which nothing is left to do; keep (may be NULL) can hold one back that still owes a message. */
void roster_purge(struct roster *roster, bool (*keep)(const struct run *run));
/* A run's result is acknowledged: what its length teaches. */
void roster_measure(struct roster *roster, const struct run *run);

uint32_t roster_processes(const struct roster *roster); /* runs with a live process */
/* All but those that are gone and only owe the farm a REJECT. */
uint32_t roster_undone(const struct roster *roster);
/* Fills items (room for count) with the leases held; answers how many. Those being dropped are not ours any more; those whose REJECT the
 * farm has yet to get are. */
uint32_t roster_leases(const struct roster *roster, struct rec_lease *items);

#endif
