/* Logs of runs: lines in the order of attempt and sequence, the newest of them kept, the others counted.
 *
 * A line is kept under its run and its position, attempt << 32 | sequence, which grows; lines at or below the last one of
 * their attempt have been here before and are passed over, so that a chunk may come twice.
 */
#ifndef GANTRY_STORE_LOGS_H
#define GANTRY_STORE_LOGS_H

#include "proto/messages.h"
#include "store/index.h"
#include "store/limits.h"

enum kv_result logs_append(struct writer *writer, const struct store_limits *limits, const struct rec_log_chunk *chunk);

/* Removes a run's lines, at most *budget of them, which it lessens; *more says whether some are left. */
enum kv_result logs_delete(struct writer *writer, uint64_t run_id, uint32_t *budget, bool *more);

/* Fills rows (allocated from arena; texts point into the snapshot). -1 with err. */
int logs_read(struct kv_txn *txn, struct arena *arena, const struct msg_log_read *read, struct msg_log_rows *rows,
              struct err *err);

#endif
