/* Kept counts: how many entries an index has for a value, so that a list's total costs one look.
 *
 * Changes are gathered for a whole batch and written once, at its end: a status that a thousand runs leave is one write.
 */
#ifndef GANTRY_STORE_COUNT_H
#define GANTRY_STORE_COUNT_H

#include "store/kv.h"

struct counts;

struct counts *counts_new(void);         /* NULL when out of memory */
void counts_free(struct counts *counts); /* takes NULL */
void counts_clear(struct counts *counts);

/* key: an index key without sort and id. -1 when out of memory. */
int counts_add(struct counts *counts, struct str key, int64_t by);
/* Writes what was gathered, and clears it. */
enum kv_result counts_flush(struct counts *counts, struct kv_txn *batch);

/* The count as the transaction sees it; 0 when nothing is kept. */
uint64_t count_get(struct kv_txn *txn, struct str key);
/* With what has been gathered for it. */
uint64_t count_now(const struct counts *counts, struct kv_txn *txn, struct str key);

#endif
