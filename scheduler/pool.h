/* Pools: named limits of runs at once, over tasks (task_spec.pool).
 *
 * A place is taken by a lease, from the moment it is planned until its worker is known to hold it no more: so also by a run that was
 * aborted and whose process may still end. After a restart places are those of the runs that are running on disk.
 *
 * Pools are part of classes (queue.h): a class of a full pool stands in the pool's `blocked`, out of everybody's way, and when a place is
 * free the best of them comes back. While a pool has a place, no class in `blocked` is better than all of its that may be given out.
 *
 * A pool without a record (id 0) is one that a stored task names and nobody has made, or that is deleted while leases still hold
 * places: it has the limit 0.
 */
#ifndef GANTRY_SCHEDULER_POOL_H
#define GANTRY_SCHEDULER_POOL_H

#include "scheduler/core_state.h"

#define POOLS_MAX 10000 /* with a record */

struct pool {
    struct str key; /* its name, for the index */
    struct text *name, *description;
    uint64_t id; /* 0: it has no record */
    uint64_t limit, created_at, updated_at;
    uint64_t running, planned; /* places taken: by leases, by runs that are about to have one */
    uint64_t waiting;          /* runs that could start */
    uint32_t classes, refs;    /* refs: classes and leases */
    struct heap blocked;       /* of classes, while it is full */
};

static inline bool pool_full(const struct pool *pool)
{
    return pool->running + pool->planned >= pool->limit;
}

struct pool *pool_find(const struct core *core, struct str name); /* NULL if there is none */
/* The pool of a new class, with room in `blocked` for it; made without a record if need be. A reference for the caller. NULL when out of
 * memory. */
struct pool *pool_join(struct core *core, struct str name);
void pool_leave(struct core *core, struct pool *pool); /* a class's */
/* A lease takes a place, gives it back: NULL is no pool. */
void pool_take(struct pool *pool);
void pool_give(struct core *core, struct pool *pool);
void pool_drop(struct core *core, struct pool *pool); /* a lease's reference alone; takes NULL */

int pool_load(struct core *core, const struct rec_pool *record, struct err *err);
void pools_free(struct core *core); /* when all classes and leases are gone */

void pool_record(const struct pool *pool, struct rec_pool *record); /* as stored */

core_handler pool_on_put, pool_on_delete;
core_handler pool_on_list; /* pool_list.c */

#endif
