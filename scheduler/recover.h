/* Rebuilding the scheduler's memory from the store: claim an epoch, then read what is there page by page.
 *
 * Asynchronous on the loop. Whenever the store goes away or answers with an error it begins again with a new claim: only an epoch whose
 * snapshot was read to its end is ever written with (rule 3).
 */
#ifndef GANTRY_SCHEDULER_RECOVER_H
#define GANTRY_SCHEDULER_RECOVER_H

#include "proto/bus.h"
#include "scheduler/farms/farm.h"

struct recover_port { /* who is rebuilt */
    void *self;
    /* Forget everything loaded so far: it begins (again). -1 with err ends the rebuilding with fail. */
    int (*begin)(void *self, struct err *err);
    /* One record as stored, in the order that core_load asks for. */
    int (*load)(void *self, enum record_type type, struct str value, struct err *err);
    /* Everything is there; writes may go out with this epoch. next_ids: by enum record_type. */
    int (*finish)(void *self, uint64_t epoch, const uint64_t *next_ids, uint32_t count, struct err *err);
    /* It cannot succeed: a record that makes no sense, no memory. Called once, instead of finish. */
    void (*fail)(void *self, const struct err *err);
    /* What the farms want beside, behind all else: type 0 ends each farm's list, NULL the lists. May be NULL. */
    const struct farm_scan *const *farms;
};

struct recover;

/* Starts at once. loop and store are borrowed, port is copied. NULL when out of memory. */
struct recover *recover_new(struct loop *loop, struct bus_client *store, const struct recover_port *port);
void recover_free(struct recover *recover); /* takes NULL; not from within its port's calls */
/* The connection was lost. */
void recover_again(struct recover *recover);

#endif
