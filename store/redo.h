/* The redo log: a file in front of the database that makes batches durable with one small write.
 *
 * A commit of the database writes some thirty pages here and there and syncs twice. A batch that is whole in this file is as safe,
 * after one write in one place; it is acknowledged then, and the database follows some milliseconds behind. At a start what is here
 * and not yet in the database is applied from here, before anything else.
 *
 * The file has a head of 4096 bytes ("GTYREDO1" and a random key of 32 bytes) and two halves of one size, written in turns from their
 * beginning, a block a write. A half is begun anew only when the database has all that is in it. Numbers are big-endian; a block begins
 * at a multiple of 4096:
 *
 *   "GTYREDO1", a keyed hash of all that follows (16 bytes), epoch, first sequence, number of frames, bytes of them (8 each),
 *   and the frames, each behind its length (8)
 *
 * Within a half, blocks follow each other as long as their hash is right, their epoch is the first one's, and their sequence goes on
 * where the last one ended: what is behind is older, or torn. Sequences only grow in an epoch, so old blocks never look like new ones.
 */
#ifndef GANTRY_STORE_REDO_H
#define GANTRY_STORE_REDO_H

#include "proto/str.h"

struct redo;

/* Opens the file, or makes it with its full size on disk. NULL with err: ERR_UNAVAILABLE, the disk has no room for it and the store
 * does without; ERR_IO, ERR_NO_MEMORY. */
struct redo *redo_open(const char *path, uint64_t bytes, struct err *err);
void redo_free(struct redo *redo); /* takes NULL */

/* Calls each with the frames of the epoch whose sequences are above `applied`, in order; each answers 0 or stops it. -1 with err: what
 * each said, ERR_IO, or ERR_INVALID: the database is older than what this log continues. */
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
