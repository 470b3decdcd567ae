/* Schedules: 5-field cron, 6 fields with seconds first, names, ranges, steps, lists, @hourly-style macros, `@every 90s`, `@at TIME`;
 * of days `L`, `L-3`, `15W`, `LW`, `5L`, `5#3`, `?`; and `~`, a value of a range that the task's spread chooses, the same for ever.
 *
 * Source: shared contract, scheduler.md "schedule"; Vixie cron for day-of-month/day-of-week and daylight saving.
 */
#ifndef GANTRY_SCHEDULER_CRON_H
#define GANTRY_SCHEDULER_CRON_H

#include "proto/str.h"

struct cron; /* a parsed schedule in a zone */

/* zone: an IANA name, empty for UTC. spread: what ~ stands for, see cron_spread. NULL with err: err->text names the field and what was
 * expected. */
struct cron *cron_parse(struct str text, struct str zone, uint64_t spread, struct err *err);
void cron_free(struct cron *cron); /* takes NULL */

/* The first due time strictly after after_ms; 0 when there is none (an @at that has passed, 31 February).
 * anchor_ms: when the schedule began, for @every. */
uint64_t cron_next(const struct cron *cron, uint64_t after_ms, uint64_t anchor_ms);
bool cron_once(const struct cron *cron); /* @at */
/* The offset of its zone's clock at an instant, in seconds east of UTC. */
int32_t cron_offset(const struct cron *cron, uint64_t at_ms);

/* The last due time in from_ms … until_ms; from_ms is due itself and not later than until_ms. */
uint64_t cron_newest(const struct cron *cron, uint64_t from_ms, uint64_t until_ms, uint64_t anchor_ms);
/* How many due times there are in from_ms … last_ms, which are due themselves. *at_least: counting became too long; there are more. */
uint64_t cron_count(const struct cron *cron, uint64_t from_ms, uint64_t last_ms, bool *at_least);

/* A number made of a task's name, never 0. */
uint64_t cron_spread(struct str name);

#endif
