/* What becomes of a run when an attempt, or the run itself, has ended. */
#ifndef GANTRY_SCHEDULER_RETRY_H
#define GANTRY_SCHEDULER_RETRY_H

#include "scheduler/core_state.h"

struct ending {
    enum outcome outcome;
    struct str error;
    bool has_exit, has_result;
    int64_t exit_code;
    uint64_t signal, started_at, ended_at, duration_ms;
    struct str result;
    bool cancel;                  /* tell the worker to stop; the lease then waits for its word */
    bool final;                   /* no further attempt, whatever is left of them */
    size_t extra;                 /* bytes the caller appends behind it */
    const struct core_call *call; /* a command to be answered with the run as it is then; NULL: none */
};

/* Ends the run's attempt, or a waiting run (ABORTED, FAILED), and with it, or not, the run. On 0 everything is done and appended,
 * and the run may be gone. -1 with fault and nothing changed: the state forbids it, the journal has no room, or memory is short. */
int retry_end(struct core *core, struct run *run, const struct ending *ending, struct fault *fault);

/* Backoff before the attempt after `retries` failures: full jitter in [0, min(cap, base * 2^(retries-1))]. */
uint64_t retry_backoff(const struct core *core, uint32_t retries);

#endif
