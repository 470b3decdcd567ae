/* The seam to the database: ordered keys and values in tables, one writer, snapshots for readers.
 *
 * LMDB is behind it (kv_lmdb.c) and nothing of LMDB shows. A batch is a write transaction: whole or not at all, on disk when
 * kv_commit answers KV_OK. A snapshot is a read transaction: it sees one state and never waits for the writer.
 * Batches are begun, filled and committed by one thread; snapshots are taken and read by one (other) thread.
 * Keys are 1..KV_KEY_MAX bytes, compared as unsigned bytes. What kv_get and cursors answer points into the database and lives
 * until the transaction ends or, in a batch, until its next write.
 */
#ifndef GANTRY_STORE_KV_H
#define GANTRY_STORE_KV_H

#include "proto/str.h"

#define KV_KEY_MAX 511
#define KV_TABLES_MAX 136

enum kv_result {
    KV_OK,
    KV_NONE,    /* no such key, or the cursor is past the end */
    KV_FULL,    /* the disk or the map is full: abort the batch; reads go on, and later batches may fit again */
    KV_IO,      /* a write or sync failed: what is on disk is not known; the process must end and reopen */
    KV_CORRUPT, /* the file is damaged */
    KV_MEMORY,  /* out of memory, nothing happened */
    KV_INVALID, /* a key or value that cannot be stored */
};

struct kv;
struct kv_txn; /* a snapshot or a batch */
struct kv_cursor;

struct kv_pair {
    struct str key, value;
};

enum kv_mode {
    KV_OWN,    /* the folder's only process: locked, read and written */
    KV_LOOK,   /* the same for reading only: nothing in the folder changes */
    KV_BESIDE, /* for reading beside the process that owns the folder, for kv_copy */
    KV_FILE,   /* for reading only; folder is the path of one file that nobody writes to: a copy */
};

struct kv_options {
    const char *folder; /* made if missing, in mode KV_OWN */
    enum kv_mode mode;
    const char *const *tables; /* borrowed: names on disk; a table's number is its place here; NULL: none has it */
    unsigned table_count;
    uint64_t map_bytes;     /* most the database may ever hold: address space, not disk */
    uint64_t ballast_bytes; /* disk kept in reserve; 0 is none */
};

/* Opens and locks the folder. NULL with err (ERR_CONFLICT: in use by another process; ERR_IO; ERR_INVALID: truncated, damaged as
 * far as a short look shows, or no database of ours; ERR_NOT_FOUND: there is none, in the modes for reading). A file that is
 * damaged or of another kind is left as it is. A fault in what is mapped ends the process with a line (kv_guard.h). */
struct kv *kv_open(const struct kv_options *options, struct err *err);
/* Makes the tables that are not there yet, and the reserve: until then nothing is written. */
int kv_prepare(struct kv *kv, struct err *err);
void kv_close(struct kv *kv); /* takes NULL; every transaction has ended */

/* Writes a copy of one snapshot to a descriptor (a pipe will do), without what is unused. It blocks nobody; but pages that are
 * freed meanwhile cannot be used again before it ends, so the database grows by what is changed. -1 with err. */
int kv_copy(struct kv *kv, int fd, struct err *err);
/* Frees the snapshots of processes that died without ending theirs; cheap. */
void kv_reap(struct kv *kv);

/* NULL with err: ERR_NO_MEMORY, ERR_IO. */
struct kv_txn *kv_snapshot(struct kv *kv, struct err *err);
struct kv_txn *kv_batch(struct kv *kv, struct err *err);
/* Ends a batch. Anything but KV_OK: nothing of it was written; err says why. */
enum kv_result kv_commit(struct kv_txn *batch, struct err *err);
/* Ends a snapshot, or a batch without writing it. Takes NULL. */
void kv_end(struct kv_txn *txn);

enum kv_result kv_get(struct kv_txn *txn, unsigned table, struct str key, struct str *value);

/* append: a hint that the key is behind all others of the table. */
enum kv_result kv_put(struct kv_txn *batch, unsigned table, struct str key, struct str value, bool append);
enum kv_result kv_delete(struct kv_txn *batch, unsigned table, struct str key); /* KV_NONE if it was not there */

enum kv_result kv_clear(struct kv_txn *batch, unsigned table); /* deletes everything in it */

/* Cursors end before their transaction does. NULL when out of memory. */
struct kv_cursor *kv_cursor_new(struct kv_txn *txn, unsigned table);
void kv_cursor_free(struct kv_cursor *cursor);                                                 /* takes NULL */
enum kv_result kv_seek(struct kv_cursor *cursor, struct str key, struct kv_pair *pair);        /* the first key >= key */
enum kv_result kv_seek_before(struct kv_cursor *cursor, struct str key, struct kv_pair *pair); /* the last key < key */
enum kv_result kv_first(struct kv_cursor *cursor, struct kv_pair *pair);
enum kv_result kv_last(struct kv_cursor *cursor, struct kv_pair *pair);
enum kv_result kv_next(struct kv_cursor *cursor, struct kv_pair *pair);
enum kv_result kv_prev(struct kv_cursor *cursor, struct kv_pair *pair);
/* Deletes the pair the cursor stands on (batches only); kv_next and kv_prev go on from there. */
enum kv_result kv_cursor_delete(struct kv_cursor *cursor);

/* Gives the reserve on disk up, so that a batch that found the disk full can go through; false when there is none left. */
bool kv_ballast_release(struct kv *kv);
/* Takes the reserve again if the disk has room for it several times over; cheap when it is there. */
void kv_ballast_restore(struct kv *kv);

struct kv_stat {
    uint64_t map_bytes, used_bytes;
    uint64_t readers_total, readers_active; /* slots for snapshots, and those taken */
    bool ballast;                           /* the reserve is there (or none is wanted) */
    bool low;                               /* the disk has no room to grow into */
};
void kv_stat(struct kv *kv, struct kv_stat *stat);

/* Why the last write failed, in the database's words; for the thread that writes. */
const char *kv_trouble(const struct kv *kv);
/* A sentence for a result, for logs. */
const char *kv_result_text(enum kv_result result);

#endif
