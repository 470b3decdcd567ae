/* The committer: the store's helper thread. Jobs go in at one end and come out answered, in order, at the other.
 *
 * It takes all that has arrived since it last looked as one group (group.h). ZeroMQ is not touched here: what is done waits
 * in a list, and a descriptor tells the loop. When nothing arrives it purges what is noted to be purged. A durable job (group.h) that
 * found no room is kept and comes again, ahead of what arrived since.
 *
 * Nobody waits for durable jobs: they were acknowledged. A transaction costs some thirty pages and two syncs, whether it holds one job or a
 * hundred, so it waits until some have gathered, at most COMMIT_LINGER_MS, and begins at once with a job that is not durable,
 * or when somebody says that he waits.
 *
 * Lines of processes' logs wait in a small queue of their own for the next transaction, or at most LINES_WAIT_MS for one of theirs; while the
 * disk is nearly full they are dropped.
 */
#ifndef GANTRY_STORE_COMMIT_H
#define GANTRY_STORE_COMMIT_H

#include "proto/histogram.h"
#include "store/group.h"

struct committer;

/* A job of a BATCH or EPOCH_CLAIM: copies what it needs. NULL when out of memory. */
struct job *job_new(const struct bus_call *call);
void job_free(struct job *job); /* this one only; takes NULL */

/* Starts the thread. kv is borrowed. */
struct committer *committer_new(struct kv *kv, const struct store_limits *limits, struct err *err);
/* Ends behind what is queued; takes NULL. What is done can still be taken until committer_free. */
void committer_stop(struct committer *committer);
void committer_free(struct committer *committer); /* takes NULL */

/* Whether that many more jobs and bytes, and then one, may be submitted. Only the caller makes the room less. */
bool committer_room(struct committer *committer, size_t jobs, size_t bytes);
/* Takes the job; -1 (and the job stays the caller's) when COMMIT_QUEUE_BYTES or COMMIT_QUEUE_JOBS are waiting. */
int committer_submit(struct committer *committer, struct job *job);
/* Somebody waits for what was submitted. */
void committer_hurry(struct committer *committer);
#define COMMIT_LINGER_MS 5
#define COMMIT_QUEUE_BYTES ((size_t)256 << 20)
#define COMMIT_QUEUE_JOBS 65536

/* Takes a LOG_LINES; -1 (and they are counted as dropped) when COMMIT_LINES_BYTES of them wait, the disk is nearly full, or out of
 * memory. */
int committer_lines(struct committer *committer, struct str frame, uint32_t count);
#define COMMIT_LINES_BYTES ((size_t)1 << 20)

int committer_fd(const struct committer *committer); /* can be read when something is done, or has failed */
/* The jobs done since the last call, in order; the caller's to free. */
struct job *committer_done(struct committer *committer);

void committer_limits(struct committer *committer, const struct store_limits *limits, const struct syslog_limits *syslog);
/* Which ended runs are kept; looked at right away, and every few seconds. */
void committer_keep(struct committer *committer, const struct keep_limits *keep);
/* How long commits took, since the start. */
void committer_times(struct committer *committer, struct histogram *times);

struct commit_status {
    uint64_t epoch, applied;
    uint64_t commits, batches, operations; /* since the start */
    uint64_t last_us;                      /* how long the last commit took */
    uint64_t queued;                       /* jobs not done */
    uint64_t lines_dropped;                /* of processes' logs, since the start */
    bool refusing;                         /* the last group did not fit */
    bool tight;                            /* the next one may not */
    bool failed;                           /* the disk failed: the process must end */
    char trouble[300];                     /* why writes fail, or what threatens them; empty when all is well */
};
void committer_status(struct committer *committer, struct commit_status *status);

#endif
