/* What a worker's result says, as far as it is understood: the object that a transcode, or a segment of one, writes. */
#ifndef GANTRY_SCHEDULER_FARMS_TOLD_H
#define GANTRY_SCHEDULER_FARMS_TOLD_H

#include "proto/messages.h"

struct told {
    void *json; /* what the texts borrow from; NULL: it is no such object */
    struct str skipped, dest, preset;
    uint64_t size_after; /* bytes; 0: not known */
    bool replaced;       /* it has the place of its source */
    double seconds;      /* that it took; 0: not known, or it was there already */
};

/* Of a run that did not complete, or whose result is no such object, nothing. */
void told_read(const struct rec_run *run, struct told *told);
void told_clear(struct told *told);
/* How long the newest attempt ran, in seconds, where that is all that is known. */
double told_attempt_seconds(const struct rec_run *run);

#endif
