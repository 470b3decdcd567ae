/* Group commit and rule 3: everything that has arrived goes into one transaction, one fsync, then every answer.
 *
 *   claim, epoch 0             a new epoch, sequence 0, behind everything before it in the group
 *   claim, the current epoch   the same epoch again, with the last sequence applied
 *   claim or batch, another    stale: the one that holds is named
 *   batch, applied + 1         applied; acknowledged once on disk
 *   batch, applied or less     acknowledged again
 *   batch, above applied + 1   resume: the one that is due
 *   no room on disk            everything in the group is refused and nothing has changed
 *   a malformed change         that batch is an error, whole; the others stand
 */
#ifndef GANTRY_STORE_GROUP_H
#define GANTRY_STORE_GROUP_H

#include "proto/bus.h"
#include "store/apply.h"
#include "store/oneshot.h"
#include "store/retain.h"
#include "store/syslog.h"

enum job_kind { JOB_BATCH, JOB_CLAIM };
enum job_outcome { JOB_ACK, JOB_RESUME, JOB_STALE, JOB_GRANT, JOB_REFUSED, JOB_ERROR };

struct job { /* a batch or a claim on its way; allocated and freed by whoever submits it */
    struct job *next;
    enum job_kind kind;
    struct bus_peer peer;
    uint64_t corr;
    uint64_t epoch, seq; /* as sent */
    struct rec_op *ops;
    uint32_t op_count;
    struct str frame; /* of a batch: its message; ops point into it */
    size_t bytes;
    bool durable; /* checked, in the redo log and acknowledged (intake.h): it is applied, not answered */
    char rid[65];

    enum job_outcome outcome;
    bool applied; /* its changes are in the transaction: not those of a batch that was there before */
    uint64_t answer_epoch, answer_seq;
    uint64_t next_ids[TYPE_MAX]; /* of a grant */
    int code;                    /* of an error */
    char text[256];              /* of an error or a refusal */
};

struct group {
    struct kv *kv;
    struct apply *apply;
    struct writer writer;
    struct state state; /* as committed */
    struct store_limits limits;
    struct keep_limits keep;
    bool purging; /* something may be left to purge, or to be kept no longer */
    struct oneshot_sweep sweep;
    bool sweeping;  /* nothing is left but the sweep, which has time */
    bool committed; /* group_commit sets it when it wrote something; the caller clears it */
    struct syslog *syslog;
    struct syslog_limits syslog_limits;
    const struct syslog_lines *lines; /* go along with the next transaction, and are forgotten when they cannot */
};

int group_init(struct group *group, struct kv *kv, const struct store_limits *limits, struct err *err);
void group_free(struct group *group);

/* Commits a list of jobs and fills their outcomes; with purge a chunk of what is to be purged goes along (jobs may be NULL).
 * KV_OK; KV_IO or KV_CORRUPT: outcomes are void and the process must end (also when a durable job is not applied); all others: refused
 * (but for durable ones, which must come again), nothing has changed, the store goes on. */
enum kv_result group_commit(struct group *group, struct job *jobs, bool purge, struct err *err);

#endif
