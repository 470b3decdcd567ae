/* Which encoders this machine really has: each is tried with one frame. */
#ifndef GANTRY_WORKER_VIDEO_ENCODERS_H
#define GANTRY_WORKER_VIDEO_ENCODERS_H

#include "proto/str.h"

#define ENCODERS_TEXT 64

/* wanted: engines in order of preference, separated by commas (cpu, nvenc, qsv, vpu). Those that work go to out in that order. Takes some
 * tenths of a second each. -1 with err: a name is none. */
int encoders_probe(const char *wanted, bool av1, char out[ENCODERS_TEXT], struct err *err);

#endif
