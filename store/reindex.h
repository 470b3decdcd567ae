/* Entries and kept counts made anew from the records: for an index that a new version brings, and for what is found damaged.
 *
 * It goes in steps of a bounded size, each a transaction, so that ten million records need no more memory than ten thousand. While
 * all of it is being made anew a note in the database says so: who opens it then begins again (reindex_pending).
 */
#ifndef GANTRY_STORE_REINDEX_H
#define GANTRY_STORE_REINDEX_H

#include "store/kv.h"
#include "store/record.h"

/* One index of a type; number 0: every index and count there is. May be called again after it was cut short. -1 with err. */
int reindex(struct kv *kv, unsigned type, unsigned number, struct err *err);
/* True when making everything anew was begun and did not end. */
bool reindex_pending(struct kv *kv);

#endif
