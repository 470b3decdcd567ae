/* The POSIX TZ text behind the last transition of a TZif file: standard time, and daylight saving from one date of a year to another. */
#ifndef GANTRY_SCHEDULER_ZONE_RULE_H
#define GANTRY_SCHEDULER_ZONE_RULE_H

#include "scheduler/zone.h"

struct rule_date {
    char kind; /* 'M': month.week.weekday, 'J': day 1..365 without 29 February, 'N': day 0..365 */
    int month, week, day;
    int32_t time; /* seconds behind local midnight, may be negative or beyond the day */
};

struct zone_rule {
    int32_t standard, summer; /* offsets, seconds east of UTC */
    bool saves;               /* has daylight saving; else the rest means nothing */
    struct rule_date start, end;
};

/* "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", …; -1 when it is none. */
int rule_parse(struct str text, struct zone_rule *rule);

/* The stretch with one offset around an instant, by the rule alone. */
struct zone_span rule_span(const struct zone_rule *rule, int64_t instant);

#endif
