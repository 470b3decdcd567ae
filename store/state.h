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

/* Things to be removed in chunks: a deleted task's runs, a deleted run's log, both hidden from the first moment; runs that are kept no longer. */
enum purge_kind {
    PURGE_TASK = 1,
    PURGE_LOG = 2,
    PURGE_RUNS = 3, /* ended ones, as a rec_run_purge says; its id is a number of its own. Not hidden: they go as they go */
    PURGE_KEEP = 4  /* those of a task beyond a number */
};

enum kv_result purge_note(struct kv_txn *batch, enum purge_kind kind, uint64_t id);
/* The same with something to be remembered; one that is there already is replaced. */
enum kv_result purge_note_with(struct kv_txn *batch, enum purge_kind kind, uint64_t id, struct str value);
enum kv_result purge_read(struct kv_txn *txn, enum purge_kind kind, uint64_t id, struct str *value);
uint64_t purge_free_id(struct kv_txn *txn, enum purge_kind kind); /* above all that are noted */
enum kv_result purge_forget(struct kv_txn *batch, enum purge_kind kind, uint64_t id);
bool purge_under_way(struct kv_txn *txn, enum purge_kind kind, uint64_t id);
/* The first one with an id above `after`, of this kind; false when there is none. */
bool purge_next(struct kv_txn *txn, enum purge_kind kind, uint64_t after, uint64_t *id);

#endif
