/* The folder that a recording is made in, which is entered: from then on it is reached as the process's own, by names that begin with "./", so
 * that what somebody puts in the place of its name meanwhile, a link out of the output folder say, leads nowhere. */
#ifndef GANTRY_WORKER_RECORD_PLACE_H
#define GANTRY_WORKER_RECORD_PLACE_H

#include <stdbool.h>

#include "proto/str.h"

/* Enters the folder of an output's absolute name, which is not to be a link. root: what no link below it is followed from, either; "": none. make:
 * where it is not there, though the one above it is. 0: it is entered, by this call or one before; 1: it is not there; -1 with err (ERR_IO). */
int place_enter(const char *root, const char *output, bool make, struct err *err);

/* The name of an output there, from its absolute one: "./cam.mp4". -1: it is longer than size. */
int place_name(const char *output, char *name, size_t size);

#endif
