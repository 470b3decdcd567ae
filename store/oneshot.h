/* Tasks that were made for one run (POST /api/runs): they go with the last of their runs.
 *
 * Such a task is ended when its status is completed or failed: no run of it is open then, and no command leaves it in that status with
 * a run that is. What references it is history (events, the audit log, answers of keys) and stays as it was.
 *
 * A command that was under way while its task went brings it back, whole, with a run or without one. Its statistics count what is gone
 * then; and one that came back without a run, or was left by an earlier version, is found by a sweep, once at each start.
 */
#ifndef GANTRY_STORE_ONESHOT_H
#define GANTRY_STORE_ONESHOT_H

#include "store/index.h"

/* A run of the task was removed: removes the task too when it was the last one. *went: it did. */
enum kv_result oneshot_run_gone(struct writer *writer, uint64_t task_id, uint32_t *budget, bool *went);

/* Its statistics came back: what they count and is not there any more is gone. To be called with the whole batch applied. */
enum kv_result oneshot_back(struct writer *writer, uint64_t task_id);

struct oneshot_sweep { /* how far it is; zeroed: at the beginning */
    uint64_t status, after;
    bool over;
};
#define ONESHOT_LOOKS 1000 /* at once */

/* Goes on looking for ended ones without runs, and removes them while the budget lasts. */
enum kv_result oneshot_sweep(struct writer *writer, struct oneshot_sweep *sweep, uint32_t *budget);

#endif
