/* Removing folders a little at a time, so that a run which left 100,000 files behind does not hold up the others. */
#ifndef GANTRY_WORKER_SWEEP_H
#define GANTRY_WORKER_SWEEP_H

#include "proto/str.h"

#define SWEEP_DEPTH 64

/* Removes a folder and what is in it, at most budget entries of it. Never follows a symbolic link. 1: gone; 0: there is more;
 * -1 with err: something cannot be removed. */
int sweep_folder(const char *path, unsigned budget, struct err *err);

#endif
