/* Pools: made, changed, deleted, read back; places in them taken and given back. */
#include "scheduler/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/ident.h"
#include "scheduler/queue.h"
#include "scheduler/room.h"

#define POOL_BYTES 256 /* of a record without its texts, encoded */

struct pool *pool_find(const struct core *core, struct str name)
{
    return index_text(&core->pools, name);
}

static void pool_free(struct pool *pool)
{
    heap_free(&pool->blocked);
    text_drop(pool->name);
    text_drop(pool->description);
    free(pool);
}

/* In the index, without a record. */
static struct pool *pool_new(struct core *core, struct str name)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->name = text_new(name);
    if (!pool->name || index_reserve(&core->pools, 1)) {
        pool_free(pool);
        return NULL;
    }
    pool->key = pool->name->str;
    index_add(&core->pools, pool);
    return pool;
}

/* It goes when nobody refers to it and it has no record. */
static void pool_let_go(struct core *core, struct pool *pool)
{
    if (pool->refs || pool->id)
        return;
    index_remove(&core->pools, pool);
    pool_free(pool);
}

struct pool *pool_join(struct core *core, struct str name)
{
    struct pool *pool = pool_find(core, name);
    if (!pool)
        pool = pool_new(core, name);
    if (!pool)
        return NULL;
    if (heap_reserve(&pool->blocked, (size_t)pool->classes + 1)) {
        pool_let_go(core, pool);
        return NULL;
    }
    pool->classes++;
    pool->refs++;
    return pool;
}

void pool_leave(struct core *core, struct pool *pool)
{
    pool->classes--;
    pool->refs--;
    pool_let_go(core, pool);
}

void pool_take(struct pool *pool)
{
    if (!pool)
        return;
    pool->running++;
    pool->refs++;
}

void pool_give(struct core *core, struct pool *pool)
{
    if (!pool)
        return;
    pool->running--;
    queue_admit(core, pool);
    pool_drop(core, pool);
}

void pool_drop(struct core *core, struct pool *pool)
{
    if (!pool)
        return;
    pool->refs--;
    pool_let_go(core, pool);
}

void pools_free(struct core *core)
{
    for (size_t i = 0; i < core->pools.size; i++)
        if (core->pools.slots[i])
            pool_free(core->pools.slots[i]);
}

/* ---- records ---- */

void pool_record(const struct pool *pool, struct rec_pool *record)
{
    *record = (struct rec_pool){.id = pool->id,
                                .name = pool->name->str,
                                .description = text_str(pool->description),
                                .limit = pool->limit,
                                .created_at = pool->created_at,
                                .updated_at = pool->updated_at};
}

int pool_load(struct core *core, const struct rec_pool *record, struct err *err)
{
    if (pool_find(core, record->name))
        return err_set(err, ERR_INVALID, "pool %llu is there twice", (unsigned long long)record->id);
    struct pool *pool = pool_new(core, record->name);
    if (!pool || text_set(&pool->description, record->description))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    pool->id = record->id;
    pool->limit = record->limit;
    pool->created_at = record->created_at;
    pool->updated_at = record->updated_at;
    core->pool_count++;
    return 0;
}

/* ---- commands ---- */

static int put_check(const struct core *core, const struct msg_pool_put *put, bool anew, struct fault *fault)
{
    if (!ident_valid(put->name))
        return fault_set(fault, ERR_INVALID, "name", "format", put->name, "1 to 64 of letters, digits and . _ : -",
                         "the name of a pool is 1 to 64 of letters, digits and . _ : -");
    if (anew && !HAS(put, msg_pool_put, limit))
        return fault_set(fault, ERR_INVALID, "limit", "required", (struct str){0}, "a number", "a new pool needs a limit");
    if (anew && core->pool_count >= POOLS_MAX)
        return room_none(fault, "pools", POOLS_MAX, "pools");
    return 0;
}

static void put_apply(struct core *core, struct pool *pool, const struct msg_pool_put *put, struct text **description)
{
    if (!pool->id) {
        pool->id = core_new_id(core, TYPE_POOL);
        pool->created_at = core->wall_ms;
        core->pool_count++;
    }
    pool->updated_at = core->wall_ms;
    if (HAS(put, msg_pool_put, limit))
        pool->limit = put->limit;
    if (HAS(put, msg_pool_put, description)) {
        struct text *before = pool->description;
        pool->description = *description;
        *description = before;
    }
}

void pool_on_put(struct core *core, const struct core_call *call)
{
    const struct msg_pool_put *put = &call->msg->u.pool_put;
    struct pool *pool = pool_find(core, put->name);
    bool anew = !pool || !pool->id;
    struct text *description = NULL;
    struct fault fault;
    if (put_check(core, put, anew, &fault))
        goto error;
    size_t texts = put->name.len + (HAS(put, msg_pool_put, description) ? put->description.len
                                    : pool                              ? text_str(pool->description).len
                                                                        : 0);
    if (core_reserve(core, POOL_BYTES + texts, POOL_BYTES + texts, 2, &fault))
        goto error;
    if (text_set(&description, put->description) || (!pool && !(pool = pool_new(core, put->name)))) {
        fault_memory(&fault);
        goto error;
    }
    put_apply(core, pool, put, &description);
    struct msg_pool_answer answer = {.created = anew};
    pool_record(pool, &answer.pool);
    journal_put(core->journal, TYPE_POOL, pool->id, &answer.pool);
    answer.pool.running = pool->running;
    answer.pool.waiting = pool->waiting;
    core_answer(core, call, &shape_msg_pool_answer, &answer);
    text_drop(description);
    queue_admit(core, pool);
    return;
error:
    text_drop(description);
    core_refuse(core, call, &fault);
}

void pool_on_delete(struct core *core, const struct core_call *call)
{
    const struct msg_pool_delete *delete = &call->msg->u.pool_delete;
    struct pool *pool = pool_find(core, delete->name);
    struct fault fault;
    if (!pool || !pool->id) {
        fault_set(&fault, ERR_NOT_FOUND, "name", "not_found", delete->name, "the name of a pool", "there is no pool \"%.*s\"",
                  (int)delete->name.len, delete->name.ptr);
        goto error;
    }
    if (pool->classes) {
        fault_set(&fault, ERR_CONFLICT, "name", "pool_used", delete->name, "a pool that no task names",
                  "tasks or runs name the pool \"%.*s\"", (int)delete->name.len, delete->name.ptr);
        goto error;
    }
    struct msg_done done = {.id = pool->id};
    if (core_reserve(core, 64, 64, 2, &fault))
        goto error;
    journal_delete(core->journal, TYPE_POOL, pool->id);
    core_answer(core, call, &shape_msg_done, &done);
    pool->id = pool->limit = 0;
    core->pool_count--;
    pool_let_go(core, pool);
    return;
error:
    core_refuse(core, call, &fault);
}
