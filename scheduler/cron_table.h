/* A parsed schedule: what cron_parse.c fills and cron.c walks. */
#ifndef GANTRY_SCHEDULER_CRON_TABLE_H
#define GANTRY_SCHEDULER_CRON_TABLE_H

#include "scheduler/cron.h"
#include "scheduler/zone.h"

enum cron_field { CRON_SECOND, CRON_MINUTE, CRON_HOUR, CRON_DAY, CRON_MONTH, CRON_WEEKDAY, CRON_FIELDS };
enum cron_kind { CRON_CALENDAR, CRON_EVERY, CRON_AT };

struct cron {
    enum cron_kind kind;
    struct zone *zone;
    uint64_t bits[CRON_FIELDS]; /* bit n: value n is in; Sunday is 0 */
    bool any_day, any_weekday;  /* the field begins with * or ?: then both must hold, else either */
    bool elapsed;               /* the hour is a wildcard or a step: follows elapsed time over a change of the clock */
    uint32_t from_last;         /* days of the month: bit n is "L-n" */
    uint32_t near_day;          /* bit n is "nW": the weekday nearest to day n */
    bool last_weekday;          /* "LW": the last Monday to Friday */
    uint8_t nth[7];             /* weekdays: bit k is "day#k", bit 0 is "dayL", the last of the month */
    uint64_t spread;            /* chooses what ~ stands for */
    uint64_t every_ms;
    uint64_t at_ms;
};

#endif
