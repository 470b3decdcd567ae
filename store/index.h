/* Records and what finds them, changed together: the record, its entries in the indexes, the kept counts.
 *
 * An entry is a key of the table `index`: type, number of the index, value of the filter field, value of the sort field, id.
 * It ends in the id, so that entries of new records are appended within their group.
 * Invariant: after every batch the entries and counts are exactly those that the records in it ask for.
 */
#ifndef GANTRY_STORE_INDEX_H
#define GANTRY_STORE_INDEX_H

#include "proto/buf.h"
#include "store/count.h"
#include "store/state.h"

struct entry {
    uint32_t at; /* of the key in bytes */
    uint16_t len;
    uint16_t prefix; /* how much of it is the kept count's key; 0: not counted */
};

struct entries {
    struct entry *items;
    uint32_t count, size;
    struct buf bytes;
};

#define ENTRIES_MAX 1024 /* of one record; further words and tags do not find it */

/* The entries that a record asks for, in order and each once. entries is zeroed before its first use. KV_CORRUPT: the bytes are
 * no such record. */
enum kv_result entries_of(const struct record *record, uint64_t id, struct str bytes, struct entries *entries);
struct str entry_key(const struct entries *entries, uint32_t i); /* lives until the next entries_of */
void entries_free(struct entries *entries);

/* A batch being filled. */
struct writer {
    struct kv_txn *txn;
    struct state state;
    struct counts *counts;
    struct entries before, after; /* scratch */
    bool purges;                  /* something is noted to be purged (store/purge.c) */
    bool again;                   /* the record that was put last was there before, and deleted since */
    bool oneshots;                /* tasks of this batch are to be looked at when it is whole (store/oneshot.h) */
};

int writer_init(struct writer *writer); /* -1 when out of memory */
void writer_free(struct writer *writer);
/* Begins filling txn (borrowed) in this state; writer_finish writes counts and state before the commit. */
void writer_begin(struct writer *writer, struct kv_txn *txn, const struct state *state, bool purges);
enum kv_result writer_finish(struct writer *writer);

enum kv_result index_put(struct writer *writer, const struct record *record, uint64_t id, struct str value);
enum kv_result index_delete(struct writer *writer, const struct record *record, uint64_t id); /* KV_NONE: it was not there */

#endif
