/* Walking ids in an order: a table of records, the entries of one value in an index, or those of some values together. */
#ifndef GANTRY_STORE_WALK_H
#define GANTRY_STORE_WALK_H

#include "store/key.h"

#define WALK_PARTS 8

struct walk_part { /* of a walk over some values: where it stands in one of them */
    struct kv_cursor *cursor;
    struct key prefix;
    uint64_t id;
    bool ended;
};

struct walk {
    struct kv_cursor *cursor; /* NULL: it has parts */
    struct walk_part *parts;
    unsigned part_count, part; /* part: the one that it stands in */
    bool records;              /* the table of records itself */
    bool by_id;                /* the prefix is followed by the id alone, so ids come in order */
    bool down;                 /* from the last to the first */
    uint64_t low, high;        /* ids wanted, both included; kept to exactly when by_id */
    struct key prefix;
    uint64_t id;      /* where it stands */
    struct str value; /* of a record */
};

/* The records of a type, in the order of their ids. -1 when out of memory. */
int walk_records(struct walk *walk, struct kv_txn *txn, unsigned type);
/* The entries that begin with prefix. */
int walk_index(struct walk *walk, struct kv_txn *txn, const struct key *prefix, bool by_id);
/* The entries that begin with any of at most WALK_PARTS different prefixes, in the order of their ids. -1 when out of memory. */
int walk_indexes(struct walk *walk, struct kv_txn *txn, const struct key *prefixes, unsigned count);
void walk_end(struct walk *walk);

/* Goes to the first; set down, low and high before. KV_NONE at the end. */
enum kv_result walk_first(struct walk *walk);
enum kv_result walk_next(struct walk *walk);

#endif
