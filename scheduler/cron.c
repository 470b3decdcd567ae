/* When a schedule is due next.
 *
 * The fields are matched against a wall clock ("local seconds"), by whole fields: from a month that cannot match straight to the next, so
 * 29 February costs no more than a few hundred steps. What is left is to get from wall clocks to instants where the clock is changed:
 *
 *  - A schedule that follows elapsed time (wildcard or step in the hour) is due at each instant whose wall clock matches. Each span of
 *    one offset is searched on its own: a skipped time is never shown, a repeated one is shown twice.
 *  - One with fixed hours is due once for each wall time that matches: at the first instant that shows it, or, where it is skipped, at
 *    the first instant behind the gap. That map never decreases, so the answer is the first match whose instant lies behind `after`.
 *
 * Invariants: the answer is later than `after`; asked with its own answer, time goes strictly forward; nothing depends on the
 * machine's own zone.
 */
#include "scheduler/cron_table.h"

#include "proto/clock.h"

#define DAY 86400
#define YEARS 50                          /* looked ahead: the rarest date, a fifth weekday of February, is at most 40 away */
#define LAST_MS UINT64_C(253402300799000) /* end of the year 9999 */

static int bit_from(uint64_t bits, int from)
{
    uint64_t left = from < 64 ? bits >> from : 0;

    return left != 0 ? from + __builtin_ctzll(left) : -1;
}

/* The first second of the day at or behind `from` that matches; -1 when none is left. */
static int second_from(const struct cron *cron, int from)
{
    const uint64_t *bits = cron->bits;
    int hour = from / 3600, minute = from / 60 % 60;
    int second = bit_from(bits[CRON_SECOND], from % 60);

    if ((bits[CRON_HOUR] >> hour & 1) != 0) {
        if ((bits[CRON_MINUTE] >> minute & 1) != 0 && second >= 0) {
            return hour * 3600 + minute * 60 + second;
        }
        minute = bit_from(bits[CRON_MINUTE], minute + 1);
        if (minute >= 0) {
            return hour * 3600 + minute * 60 + bit_from(bits[CRON_SECOND], 0);
        }
    }
    hour = bit_from(bits[CRON_HOUR], hour + 1);
    return hour < 0 ? -1 : hour * 3600 + bit_from(bits[CRON_MINUTE], 0) * 60 + bit_from(bits[CRON_SECOND], 0);
}

struct month {
    int64_t year;
    int month;
    int64_t first; /* day since 1970 of its first */
    int length;
};

static struct month month_of(int64_t year, int month)
{
    int64_t first = clock_days(year, month, 1);
    int64_t next = month == 12 ? clock_days(year + 1, 1, 1) : clock_days(year, month + 1, 1);

    return (struct month){year, month, first, (int)(next - first)};
}

static int weekday_of(int64_t day)
{
    return (int)(((day + 4) % 7 + 7) % 7); /* 1 January 1970 was a Thursday */
}

/* The Monday to Friday nearest to a day, within its month. */
static int day_near(const struct month *month, int day)
{
    int weekday = weekday_of(month->first + day - 1);

    if (weekday == 6) {
        return day > 1 ? day - 1 : day + 2;
    }
    if (weekday == 0) {
        return day < month->length ? day + 1 : day - 2;
    }
    return day;
}

static bool day_matches(const struct cron *cron, const struct month *month, int day)
{
    int weekday = weekday_of(month->first + day - 1);
    bool by_day = (cron->bits[CRON_DAY] >> day & 1) != 0 || (cron->from_last >> (month->length - day) & 1) != 0;
    bool by_weekday = (cron->bits[CRON_WEEKDAY] >> weekday & 1) != 0 || (cron->nth[weekday] >> ((day - 1) / 7 + 1) & 1) != 0 ||
                      ((cron->nth[weekday] & 1) != 0 && day + 7 > month->length);

    for (int near = bit_from(cron->near_day, 0); near >= 0 && near <= month->length && !by_day;
         near = bit_from(cron->near_day, near + 1)) {
        by_day = day_near(month, near) == day;
    }
    if (cron->last_weekday && !by_day) {
        int last = weekday_of(month->first + month->length - 1);
        by_day = day == month->length - (last == 6 ? 1 : last == 0 ? 2 : 0);
    }
    return cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first wall time behind `after` that matches; INT64_MAX when there is none for a lifetime. */
static int64_t local_next(const struct cron *cron, int64_t after)
{
    int64_t from = after + 1;
    int64_t today = from / DAY - (from % DAY < 0);
    int64_t year;
    int number, day;

    clock_date(today, &year, &number, &day);
    int64_t last_year = year + YEARS;
    struct month month = month_of(year, number);
    if ((cron->bits[CRON_MONTH] >> number & 1) != 0 && day_matches(cron, &month, day)) {
        int second = second_from(cron, (int)(from - today * DAY));
        if (second >= 0) {
            return today * DAY + second;
        }
    }
    while (month.year <= last_year) {
        if ((cron->bits[CRON_MONTH] >> month.month & 1) != 0) {
            while (++day <= month.length) {
                if (day_matches(cron, &month, day)) {
                    return (month.first + day - 1) * DAY + second_from(cron, 0);
                }
            }
        }
        day = 0;
        month = month.month == 12 ? month_of(month.year + 1, 1) : month_of(month.year, month.month + 1);
    }
    return INT64_MAX;
}

/* INT64_MAX too when each match for a lifetime is a time that the clock skips, such as the third hour of a day on which it is set forward. */
static int64_t elapsed_next(const struct cron *cron, int64_t after)
{
    int64_t end = after + YEARS * INT64_C(366) * DAY;

    while (after < end) {
        struct zone_span span = zone_span(cron->zone, after + 1);
        int64_t local = local_next(cron, after + span.offset);
        if (local == INT64_MAX || local - span.offset < span.until) {
            return local == INT64_MAX ? local : local - span.offset;
        }
        /* From there on no clock shows less than this, and so no match before the first behind it, however far ahead of UTC it is: the
         * spans up to that one need not be looked at. It may lie before `local`: a clock that is set back shows an hour again. */
        local = local_next(cron, span.until - ZONE_OFFSET_MAX - 1);
        if (local == INT64_MAX) {
            return local;
        }
        after = span.until - 1;
        if (after < local - ZONE_OFFSET_MAX - 1) {
            after = local - ZONE_OFFSET_MAX - 1;
        }
    }
    return INT64_MAX;
}

static int64_t fixed_next(const struct cron *cron, int64_t after)
{
    int64_t local = after + zone_span(cron->zone, after).offset;
    int64_t instant = INT64_MIN;

    while (instant <= after) {
        local = local_next(cron, local);
        instant = local == INT64_MAX ? INT64_MAX : zone_instant(cron->zone, local);
    }
    return instant;
}

uint64_t cron_next(const struct cron *cron, uint64_t after_ms, uint64_t anchor_ms)
{
    if (after_ms >= LAST_MS || anchor_ms >= LAST_MS) {
        return 0;
    }
    if (cron->kind == CRON_AT) {
        return cron->at_ms > after_ms ? cron->at_ms : 0;
    }
    if (cron->kind == CRON_EVERY) {
        uint64_t passed = after_ms > anchor_ms ? (after_ms - anchor_ms) / cron->every_ms : 0;
        return anchor_ms + (passed + 1) * cron->every_ms;
    }
    int64_t after = (int64_t)(after_ms / 1000);
    int64_t next = cron->elapsed ? elapsed_next(cron, after) : fixed_next(cron, after);
    return next == INT64_MAX || (uint64_t)next > LAST_MS / 1000 ? 0 : (uint64_t)next * 1000;
}

bool cron_once(const struct cron *cron)
{
    return cron->kind == CRON_AT;
}

int32_t cron_offset(const struct cron *cron, uint64_t at_ms)
{
    return zone_span(cron->zone, (int64_t)(at_ms / 1000)).offset;
}
