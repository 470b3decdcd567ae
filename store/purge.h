/* Removing much in small steps: a deleted task's runs, logs and ledger, a deleted run's long log, runs that are kept no longer
 * (retain.h).
 *
 * What is to go is noted in the transaction that deletes it, and hidden from readers from then on (state.h); the committer
 * removes it in chunks between batches, newest runs first. The note goes last, so a restart goes on where it ended.
 */
#ifndef GANTRY_STORE_PURGE_H
#define GANTRY_STORE_PURGE_H

#include "store/index.h"

/* budget: how many records and lines may still be removed at once in this transaction; what is beyond is noted. */
enum kv_result purge_task(struct writer *writer, uint64_t task_id, uint32_t *budget);
enum kv_result purge_run(struct writer *writer, uint64_t run_id, uint32_t *budget); /* KV_NONE: there is no such run */

/* Removes at most budget of what is noted; sets *changed when it removed something, and writer->purges to whether more is left. */
enum kv_result purge_chunk(struct writer *writer, uint32_t *budget, bool *changed);

#endif
