/* What the store knows of itself, in the table `meta`: epoch and sequence (rule 3), the lowest free ids, purges under way.
 * It changes in the same transaction as the records it speaks of. */
#ifndef GANTRY_STORE_STATE_H
#define GANTRY_STORE_STATE_H

#include "store/kv.h"
#include "store/record.h"

struct state {
    uint64_t epoch;          /* the highest granted */
    uint64_t applied;        /* the last sequence applied in it */
    uint64_t next[TYPE_MAX]; /* the lowest id of each type that was never used */
};

enum kv_result state_load(struct kv_txn *txn, struct state *state);
enum kv_result state_save(struct kv_txn *batch, const struct state *state);

/* Things to be removed in chunks: a deleted task's runs, a deleted run's log. They are hidden from the first moment. */
enum purge_kind { PURGE_TASK = 1, PURGE_LOG = 2 };

enum kv_result purge_note(struct kv_txn *batch, enum purge_kind kind, uint64_t id);
enum kv_result purge_forget(struct kv_txn *batch, enum purge_kind kind, uint64_t id);
bool purge_under_way(struct kv_txn *txn, enum purge_kind kind, uint64_t id);
/* The first one with an id above `after`, of this kind; false when there is none. */
bool purge_next(struct kv_txn *txn, enum purge_kind kind, uint64_t after, uint64_t *id);

#endif
