/* Hours in which a worker transcodes: a setting, `22:00-06:00` or several such spans separated by commas; empty: all. Local time. */
#ifndef GANTRY_WORKER_VIDEO_HOURS_H
#define GANTRY_WORKER_VIDEO_HOURS_H

#include "proto/str.h"

/* Whether text makes sense; -1 with err. */
int hours_check(const char *text, struct err *err);
/* minute: of the day, 0 to 1439. */
bool hours_hold(const char *text, unsigned minute);

#endif
