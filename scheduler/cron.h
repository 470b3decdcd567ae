/* Schedules: 5-field cron, 6 fields with seconds first, names, ranges, steps, lists, @hourly-style macros, `@every 90s`, `@at TIME`.
 *
 * Source: shared contract, scheduler.md "schedule"; Vixie cron for day-of-month/day-of-week and daylight saving.
 */
#ifndef GANTRY_SCHEDULER_CRON_H
#define GANTRY_SCHEDULER_CRON_H

#include "proto/str.h"

struct cron; /* a parsed schedule in a zone */

/* zone: an IANA name, empty for UTC. NULL with err: err->text names the field and what was expected. */
struct cron *cron_parse(struct str text, struct str zone, struct err *err);
void cron_free(struct cron *cron); /* takes NULL */

/* The first due time strictly after after_ms; 0 when there is none (an @at that has passed, 31 February).
 * anchor_ms: when the schedule began, for @every. */
uint64_t cron_next(const struct cron *cron, uint64_t after_ms, uint64_t anchor_ms);
bool cron_once(const struct cron *cron); /* @at */

#endif
