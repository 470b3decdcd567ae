/* Ended runs that are kept no longer: removed when they are old enough, or too many, or somebody asks for it; oldest end first.
 *
 * What is asked for (OP_PURGE_RUNS) is noted in the transaction that asks for it and removed in chunks between batches, as purge.h says;
 * the note remembers how far it has come. What settings say is looked at now and then. Statistics of tasks stay: how many runs of a task
 * were removed is kept beside them, so that the two can still be held against each other (gone.h). A task that was made for one run goes
 * with the last of its runs, in the same transaction (oneshot.h).
 */
#ifndef GANTRY_STORE_RETAIN_H
#define GANTRY_STORE_RETAIN_H

#include "store/index.h"

struct keep_limits { /* of all ended runs; 0: no limit */
    uint64_t ms;     /* since their end */
    uint64_t runs;
};

/* Takes an OP_PURGE_RUNS. budget as in purge.h. */
enum kv_result retain_ask(struct writer *writer, const struct rec_run_purge *purge, uint32_t *budget);
/* Goes on with a note of kind PURGE_RUNS or PURGE_KEEP; *left: there is more. */
enum kv_result retain_chunk(struct writer *writer, enum purge_kind kind, uint64_t id, uint32_t *budget, bool *left);
/* What the limits ask for now (wall clock, ms). */
enum kv_result retain_limits(struct writer *writer, const struct keep_limits *limits, uint64_t now_ms, uint32_t *budget,
                             bool *changed, bool *left);

#endif
