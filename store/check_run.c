/* What the life of a run (scheduler/run.c) leaves in its record. A restored run's number of attempts is ahead of its list of them
 * (restore.c), as long as it waits or ends without another one. */
#include "proto/messages.h"
#include "store/check.h"

struct tally {
    uint64_t open, completed, failed, lost;
    bool in_order;
};

static struct tally tally_of(const struct rec_run *run)
{
    struct tally tally = {.in_order = true};
    for (uint32_t i = 0; i < run->attempts.count; i++) {
        const struct rec_attempt *attempt = &run->attempts.items[i];
        tally.open += attempt->outcome == OUTCOME_OPEN;
        tally.completed += attempt->outcome == OUTCOME_COMPLETED;
        tally.failed += attempt->outcome == OUTCOME_FAILED || attempt->outcome == OUTCOME_TIMEOUT;
        tally.lost += attempt->outcome == OUTCOME_LOST;
        if (attempt->number > run->attempt || (i > 0 && attempt->number <= run->attempts.items[i - 1].number))
            tally.in_order = false;
    }
    return tally;
}

static const char *check_running(const struct rec_run *run, const struct rec_attempt *newest)
{
    if (!newest || newest->outcome != OUTCOME_OPEN || newest->number != run->attempt)
        return "it runs without an open attempt";
    if (newest->worker_id != run->worker_id || run->worker_id == 0)
        return "it runs at another worker than its attempt";
    return NULL;
}

static const char *check_final(const struct rec_run *run, const struct rec_attempt *newest, const struct tally *tally)
{
    if (tally->open > 0)
        return "it has ended with an open attempt";
    if (run->completed_at == 0)
        return "it has ended at no time";
    if (run->status == RUN_COMPLETED && (!newest || newest->outcome != OUTCOME_COMPLETED || newest->number != run->attempt))
        return "it is completed and its last attempt is not";
    return NULL;
}

const char *check_history(const struct rec_run *run)
{
    struct tally tally = tally_of(run);
    const struct rec_attempt *newest = run->attempts.count > 0 ? &run->attempts.items[run->attempts.count - 1] : NULL;
    if (!tally.in_order)
        return "its attempts are not in order";
    if (tally.completed > (run->status == RUN_COMPLETED ? 1u : 0u))
        return "an attempt is completed and the run is not, or more than one is";
    if (tally.open > (run->status == RUN_RUNNING ? 1u : 0u))
        return "more attempts are open than can be";
    if (run->retries > run->retry_count || tally.failed > run->retries + 1)
        return "it was tried again more often than it may be";
    if (tally.lost > run->losses)
        return "more attempts were lost than it says";
    if (HAS(run, rec_run, published) && run->published.attempt > run->attempt)
        return "its output belongs to an attempt that never was";
    if (run_status_final(run->status))
        return check_final(run, newest, &tally);
    if (run->completed_at != 0)
        return "it has not ended and has an end";
    return run->status == RUN_RUNNING ? check_running(run, newest) : NULL;
}
