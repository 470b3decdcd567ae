/* The redo log: a file in front of the database that makes batches durable with one small write.
 *
 * A commit of the database writes some thirty pages here and there and syncs twice. A batch that is whole in this file is as safe,
 * after one write in one place; it is acknowledged then, and the database follows some milliseconds behind. At a start what is here
 * and not yet in the database is applied from here, before anything else.
 *
 * The file has a head of 4096 bytes ("GTYREDO1", a random key of 32 bytes, a hash of both of 16) and two halves of one size, written
 * in turns from their beginning, a block a write. A half is begun anew only when the database has all that is in it. Numbers are
 * big-endian; a block begins at a multiple of 4096:
 *
 *   "GTYREDO1", a keyed hash of all that follows (16 bytes), epoch, first sequence, number of frames, bytes of them (8 each),
 *   and the frames, each behind its length (8)
 *
 * A block counts when its hash is right and it is of the database's epoch. Sequences only grow in an epoch, and what is written over
 * is in the database, so old blocks never look like new ones; what is torn by a crash was never acknowledged, and is the last.
 *
 * What it holds was acknowledged. So a file that is there and cannot be read is no reason to begin with an empty one: a head that is
 * wrong, or a block that goes on where neither the database nor a block before it ends, is an error for people to decide on.
 */
#ifndef GANTRY_STORE_REDO_H
#define GANTRY_STORE_REDO_H

#include "proto/str.h"

struct redo;

/* Opens the file, or makes it with its full size on disk; its name in the folder is the caller's to sync. NULL with err:
 * ERR_UNAVAILABLE, the disk has no room for it and the store does without; ERR_INVALID, it is damaged; ERR_IO, ERR_NO_MEMORY. */
struct redo *redo_open(const char *path, uint64_t bytes, struct err *err);
void redo_free(struct redo *redo);            /* takes NULL */
uint64_t redo_bytes(const struct redo *redo); /* of the file */

/* Calls each with the frames of the epoch whose sequences are above `applied`, in order; each answers 0 or stops it. -1 with err: what
 * each said, ERR_IO, or ERR_INVALID: the database is older than what this log continues, or the log is damaged. */
int redo_replay(struct redo *redo, uint64_t epoch, uint64_t applied, int (*each)(void *self, struct str frame, struct err *err),
                void *self, struct err *err);

/* The last sequence of the epoch that a file which another process may be writing to holds, `applied` if it holds none behind that,
 * or if there is no file. -1 with err: ERR_INVALID also when the database has gone on since it was asked, ERR_IO, ERR_NO_MEMORY. */
int redo_last(const char *path, uint64_t epoch, uint64_t applied, uint64_t *last, struct err *err);

/* Writes frames with the sequences first, first + 1, …; they are on disk when it answers 0. `applied` is the last sequence of that epoch
 * that the database has on disk. -1 with err: ERR_LIMIT, there is no room until the database has more, or ever; ERR_UNAVAILABLE,
 * the disk is full; ERR_IO, what is on disk is not known and the process must end. */
int redo_write(struct redo *redo, uint64_t epoch, uint64_t first, const struct str *frames, uint32_t count, uint64_t applied,
               struct err *err);

#endif
