/* Whether there is room for more (rule 10): runs that wait, tasks, and the bytes that both carry. Asked before memory changes; the
 * answer at a limit is "come back later". */
#ifndef GANTRY_SCHEDULER_ROOM_H
#define GANTRY_SCHEDULER_ROOM_H

#include "scheduler/core_state.h"

#define ROOM_RULE "limit" /* of the faults: it may be over later */

/* The fault of a limit that is reached; answers -1. what: the things there are so many of. */
int room_none(struct fault *fault, const char *field, uint64_t limit, const char *what);

/* bytes: of parameters and specs. -1 with fault. */
int room_bytes(const struct core *core, size_t bytes, struct fault *fault);
int room_runs(const struct core *core, size_t runs, size_t bytes, struct fault *fault);
int room_task(const struct core *core, size_t bytes, struct fault *fault);

#endif
