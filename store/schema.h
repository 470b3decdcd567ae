/* The version of what is on disk, and the way from older versions to this one.
 *
 * A database of a newer version is left as it is: who once ran a newer Gantry does not lose what that wrote.
 */
#ifndef GANTRY_STORE_SCHEMA_H
#define GANTRY_STORE_SCHEMA_H

#include "store/kv.h"

#define SCHEMA_VERSION 4

struct migration {
    uint32_t from;                                     /* brings a database of this version to the next */
    int (*run)(struct kv_txn *batch, struct err *err); /* in one transaction with the new version; NULL: nothing but an index */
    const char *doc;
    struct { /* an index that is new in records.def: filled before, in steps; number 0: none */
        uint8_t type, number;
    } index;
};

/* Every step there ever was, in order; ends in one without run and index. */
extern const struct migration schema_migrations[];

/* The version of what is there; 0: it is empty. -1 with err. */
int schema_read(struct kv *kv, uint32_t *version, struct err *err);

/* Checks the version and makes it `version` by the steps it takes; a new database gets it at once. -1 with err: ERR_PROTOCOL when
 * the database is newer, nothing was changed then. */
int schema_open(struct kv *kv, const struct migration *migrations, uint32_t version, struct err *err);

#endif
