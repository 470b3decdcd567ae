/* Reads that wait until the database shows what was acknowledged before they came (intake.h), in their order. What is acknowledged
 * behind them is none of theirs, so that they end while writes go on.
 */
#ifndef GANTRY_STORE_HOLD_H
#define GANTRY_STORE_HOLD_H

#include "store/intake.h"

#define HOLD_MAX 4096
#define HOLD_BYTES ((size_t)8 << 20)
#define HOLD_SHARE 256 /* handled in one go, and for how long: batches that wait to be acknowledged must not be held up */
#define HOLD_SHARE_MS 10

struct held;
struct hold {
    struct held *first, **last; /* last NULL: nothing was held yet */
    uint32_t count;
    size_t bytes;
    bool releasing; /* the call being handled has waited */
};

/* Keeps a copy of the call. -1: HOLD_MAX or HOLD_BYTES of them wait, or no memory. */
int hold_add(struct hold *hold, const struct bus_call *call, struct intake_mark mark);
/* Handles the first of those that the database shows enough for, as if they came now. True: there are more such. */
bool hold_release(struct hold *hold, const struct intake *intake, struct bus_server *server);
void hold_free(struct hold *hold); /* who asked asks again */

#endif
