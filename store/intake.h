/* The way in: batches are gathered while a wake-up lasts, made durable together in the redo log (redo.h), acknowledged, and handed to
 * the committer, which brings the database after them.
 *
 * What the log does not take (a claim of an epoch, a batch that is not due or not well, more bytes than one small write is for,
 * no room) goes to the committer as it is, is acknowledged once the database has it, and so does everything behind it, until the
 * committer has caught up: an acknowledgement always covers all earlier batches.
 *
 * Invariants: jobs reach the committer in the order they came; what was acknowledged is in the log or in the database, on disk; only
 * the batch with the sequence after the last durable one goes into the log.
 */
#ifndef GANTRY_STORE_INTAKE_H
#define GANTRY_STORE_INTAKE_H

#include "store/commit.h"
#include "store/redo.h"

struct intake;

/* redo may be NULL: then everything waits for the database. Both are borrowed. NULL when out of memory. */
struct intake *intake_new(struct committer *committer, struct redo *redo);
void intake_free(struct intake *intake); /* takes NULL; what was gathered and not flushed is dropped, its senders ask again */

/* Hands what the log has and the database has not to the committer. arena: for decoding. -1 with err. */
int intake_replay(struct intake *intake, struct redo *redo, struct arena *arena, struct err *err);

/* Takes the job; -1 (and it stays the caller's) when too much waits. */
int intake_add(struct intake *intake, struct job *job);
/* At the end of a wake-up. acked is called for each job that is durable now, in order, with its outcome filled and `next` the
 * job behind it. -1 with err: what is on disk is not known, nothing was acknowledged, the process must end. */
int intake_flush(struct intake *intake, void (*acked)(void *self, const struct job *job), void *self, struct err *err);

/* Learns from a job that the committer is done with, and whether there is room for more. */
void intake_done(struct intake *intake, const struct job *job);
void intake_room(struct intake *intake, const struct commit_status *status);

/* What is acknowledged now: a read that comes must see all of it, and no more. */
struct intake_mark {
    uint64_t epoch, seq;
};
struct intake_mark intake_mark(const struct intake *intake);
/* Whether the database shows what was acknowledged at a mark, or will not soon. */
bool intake_shows(const struct intake *intake, struct intake_mark mark);
uint64_t intake_logged(const struct intake *intake); /* blocks written to the log since the start */
/* How long each of them took. */
const struct histogram *intake_times(const struct intake *intake);

#endif
