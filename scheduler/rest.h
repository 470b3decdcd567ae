/* Workers that work over REST: registered, changed, removed; their heartbeats; what they report.
 *
 * To the core such a worker is one as any other, of the same queue, kinds, labels, slots and leases, but has no session: it is here while it
 * is heard of, is given runs when it asks (poll.h), and hears what it is to stop in the answers to what it says.
 *
 * Whoever `whose` stands for may act on the workers that it registered; an empty one on all. PUT's and DELETE's commands are for workers
 * with a session too, as far as those do not say themselves what they are.
 */
#ifndef GANTRY_SCHEDULER_REST_H
#define GANTRY_SCHEDULER_REST_H

#include "scheduler/worker.h"

core_handler rest_on_register, rest_on_update, rest_on_remove; /* rest.c */
core_handler rest_on_beat;                                     /* rest_beat.c */
core_handler rest_on_report;                                   /* rest_report.c */
core_handler rest_on_publish;                                  /* rest_publish.c */

/* The one of this name, which works over REST and is the caller's. NULL with fault. */
struct worker *rest_worker(struct core *core, struct str id, struct str whose, struct fault *fault);
bool rest_owns(const struct worker *worker, struct str whose);
/* It says something: heard now, and back if it had fallen silent, unless it is to be offline. -1 with fault. */
int rest_attend(struct core *core, struct worker *worker, struct fault *fault);
/* As lease_claim. It begins when it is heard of first; one from before this scheduler's start, as far as is known, when it was given. */
void rest_claim(struct core *core, struct lease *lease);
/* The lease is one of a worker over REST, which is the caller's, and worker_id's where it is given. -1 with fault. */
int rest_check_lease(const struct lease *lease, struct str worker_id, struct str whose, struct fault *fault);
int rest_refuse_stale(uint64_t run_id, uint64_t attempt, struct fault *fault); /* answers -1 */
/* Somebody serves this type, and whoever does works over REST. */
bool rest_only(const struct core *core, struct str type);

/* What it was told to stop and has not named for a whole term is over: it never had it, or does not say that it stopped. */
void rest_forget(struct core *core, struct worker *worker);
/* What it holds and is to stop, in the core's arena; -1 when out of memory. */
int rest_cancels(struct core *core, const struct worker *worker, struct uint_list *cancel);
#define REST_CANCEL_BYTES(count) ((count)*9 + 128)

#endif
