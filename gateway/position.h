/* Where a line stands in a run's log: a number that grows with the attempt and, within it, with the line's own. */
#ifndef GANTRY_GATEWAY_POSITION_H
#define GANTRY_GATEWAY_POSITION_H

#include "proto/messages.h"

static inline uint64_t position_of(const struct rec_log_line *line)
{
    return line->attempt << 32 | line->seq;
}

/* How many lines are no longer kept between position `after` (0: the beginning) and the line that was found behind it. cut: how many
 * of the run are not. Only that says what attempts before the line's have lost when nothing at all is left of them. */
static inline uint64_t position_missing(uint64_t after, const struct rec_log_line *line, uint64_t cut)
{
    uint64_t before = after >> 32 == line->attempt ? after & UINT32_MAX : 0;

    if (after == 0 && line->attempt > 1)
        return cut;
    return line->seq > before ? line->seq - before - 1 : 0;
}

#endif
