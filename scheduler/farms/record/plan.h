/* When each stream of a cycle is recorded, and for how long: a pure function.
 *
 * A cycle has `lanes` recordings at once and `total` seconds. The higher weight goes first. When not all fits whole, time is shared by weight:
 * nobody gets more than he asked for, and what he does not need goes to the others: so much is due to each, in whole seconds, and at least one.
 * What cannot have a second is said not to fit. As no stream is cut in two, what is due to all can be more than a lane has: the longest is put
 * first, each into the lane that is free first, and then each lane's length is shared in proportion to what is due to those in it.
 *
 * Promises: never more than `lanes` slots at once; every slot is within the total and no longer than what was asked for; when all can be
 * laid whole so, all are; and a slot has at least (lanes + 1) / (2 * lanes) of what is due, rounded down. For with m lanes, d the least that is
 * due to one in a lane that is too long, and t the total: that lane had at most t - d / m when d came, and at least d; so d <= t * m / (m + 1),
 * and the lane is no longer than t * 2m / (m + 1).
 */
#ifndef GANTRY_SCHEDULER_FARMS_RECORD_PLAN_H
#define GANTRY_SCHEDULER_FARMS_RECORD_PLAN_H

#include <stdint.h>

#define PLAN_STREAMS 400 /* at most */

struct plan_wish {
    uint32_t seconds; /* at least 1 */
    double weight;    /* above 0 */
};

struct plan_slot {
    uint32_t start, seconds; /* of the cycle; seconds 0: it does not fit */
};

/* count: at most PLAN_STREAMS; lanes and total: at least 1. slots: one for each wish, in their order. */
void plan_make(const struct plan_wish *wishes, uint32_t count, uint32_t lanes, uint32_t total, struct plan_slot *slots);

#endif
