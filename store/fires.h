/* The ledger of schedules (rec_fire): each task's newest entries are kept, as long as they are not too old. */
#ifndef GANTRY_STORE_FIRES_H
#define GANTRY_STORE_FIRES_H

#include "store/index.h"
#include "store/limits.h"

/* After an entry was put: drops the task's oldest ones while they are too many or older than the limit before it, at most
 * FIRES_TRIM of them, so that a lower limit costs no batch much. fire: its record. */
enum kv_result fires_trim(struct writer *writer, const struct store_limits *limits, struct str fire);
#define FIRES_TRIM 4

/* Removes entries of a task while the budget, which it lessens, lasts; *more says whether some are left. */
enum kv_result fires_delete(struct writer *writer, uint64_t task_id, uint32_t *budget, bool *more);

#endif
