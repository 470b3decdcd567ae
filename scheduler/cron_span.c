/* Many due times at once: the last one of a stretch of time, and how many it holds. Neither looks at each of them, as an outage of years
 * may have skipped a hundred million. */
#include "proto/ident.h"
#include "scheduler/cron_table.h"

#define DAY 86400
#define COUNT_STEPS 20000 /* days, and single due times near a change of the clock, that are looked at */
#define SETTLED (2 * DAY) /* so long behind a change of the clock it shows nothing that it has shown before */

/* By halving: whether something is due between an instant and the end is yes up to the last due time, and no behind it. */
uint64_t cron_newest(const struct cron *cron, uint64_t from_ms, uint64_t until_ms, uint64_t anchor_ms)
{
    uint64_t newest = from_ms, high = until_ms;

    while (newest < high) {
        uint64_t middle = newest + (high - newest) / 2;
        uint64_t next = cron_next(cron, middle, anchor_ms);
        if (next != 0 && next <= until_ms) {
            newest = next;
        } else {
            high = middle;
        }
    }
    return newest;
}

static uint64_t below(uint64_t bits, int count)
{
    return (uint64_t)__builtin_popcountll(bits & ((UINT64_C(1) << count) - 1));
}

/* How many seconds of a day match before this one (0 … DAY). */
static uint64_t seconds_before(const struct cron *cron, int64_t second)
{
    const uint64_t *bits = cron->bits;
    int hour = (int)(second / 3600), minute = (int)(second / 60 % 60);
    uint64_t a_minute = below(bits[CRON_SECOND], 60);
    uint64_t count = below(bits[CRON_HOUR], hour) * below(bits[CRON_MINUTE], 60) * a_minute;

    if ((bits[CRON_HOUR] >> hour & 1) != 0) {
        count += below(bits[CRON_MINUTE], minute) * a_minute;
        count += (bits[CRON_MINUTE] >> minute & 1) != 0 ? below(bits[CRON_SECOND], (int)(second % 60)) : 0;
    }
    return count;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The due times from *at, which is one, to the end of its day at most; *at becomes the last instant looked at. Far from a change of the
 * clock each second of the day that matches is one instant. */
static uint64_t stretch_count(const struct cron *cron, int64_t *at, int64_t last)
{
    struct zone_span span = zone_span(cron->zone, *at);

    if (span.from > *at - SETTLED) {
        return 1;
    }
    int64_t local = *at + span.offset;
    int64_t day = local - (local % DAY + DAY) % DAY;
    int64_t end = least(day + DAY - span.offset, least(span.until, last + 1));
    uint64_t count = seconds_before(cron, end + span.offset - day) - seconds_before(cron, local - day);
    *at = end - 1;
    return count;
}

uint64_t cron_count(const struct cron *cron, uint64_t from_ms, uint64_t last_ms, bool *at_least)
{
    int64_t at = (int64_t)(from_ms / 1000), last = (int64_t)(last_ms / 1000);
    uint64_t count = 0;

    *at_least = false;
    if (cron->kind == CRON_EVERY) {
        return (last_ms - from_ms) / cron->every_ms + 1;
    }
    if (cron->kind == CRON_AT) {
        return 1;
    }
    for (int steps = 0; at <= last; steps++) {
        if (steps == COUNT_STEPS) {
            *at_least = true;
            break;
        }
        count += stretch_count(cron, &at, last);
        uint64_t next = cron_next(cron, (uint64_t)at * 1000, 0);
        if (next == 0) {
            break;
        }
        at = (int64_t)(next / 1000);
    }
    return count;
}

uint64_t cron_spread(struct str name)
{
    unsigned char hash[IDENT_HASH];
    uint64_t spread = 0;

    ident_hash(hash, &name, 1);
    for (int i = 0; i < 8; i++) {
        spread = spread << 8 | hash[i];
    }
    spread &= INT64_MAX;
    return spread != 0 ? spread : 1;
}
