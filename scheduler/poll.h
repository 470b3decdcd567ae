/* A worker over REST that waits for runs: what ASSIGN is to a worker with a session.
 *
 * It is given runs as any other worker is, but only while it asks: its question is kept, and answered when there is something for it, or
 * when it has waited long enough. Whether the answer arrived nobody knows: what it gives is a lease that has to be heard of, as one of an
 * ASSIGN. With the question's key is kept which runs it was answered with, so a repeat gets the same ones.
 */
#ifndef GANTRY_SCHEDULER_POLL_H
#define GANTRY_SCHEDULER_POLL_H

#include "scheduler/worker.h"

struct poll {
    struct heap_node node; /* in core->polls, by when it ends (mono) */
    struct worker *worker;
    struct address to;
    uint32_t max; /* runs it takes */
    unsigned char scope[16], body[16];
};

core_handler poll_on_lease;

/* Whether it waits, and takes more than is planned for it. */
bool poll_takes(const struct worker *worker);

/* Prepares the answer that gives it the first `count` of its plan: what is kept with its key goes to kept. Keys have room then. -1 when out
 * of memory. poll_bytes: what to reserve for it beside its rows. */
int poll_prepare(struct core *core, const struct worker *worker, uint32_t count, struct buf *kept);
size_t poll_bytes(const struct worker *worker, const struct buf *kept);
#define POLL_OPS 3
/* Answers with these rows, and waits no more. Cannot fail. */
void poll_give(struct core *core, struct worker *worker, struct rec_assignment *rows, uint32_t count, const struct buf *kept);

/* Answers the repeat of a question whose answer is known: with those of its runs that it still holds. False: it is no such question. */
bool poll_repeats(struct core *core, const struct core_call *call, struct str answer);

/* Answers those that have waited long enough: with nothing. */
void poll_expire(struct core *core);
/* The same for this one, if it waits. over: another question takes its place. */
void poll_end(struct core *core, struct worker *worker, bool over);

#endif
