/* One `gantry up` a data folder: a lock, and who was started under it. */
#ifndef GANTRY_CLI_LOCK_H
#define GANTRY_CLI_LOCK_H

#include <stddef.h>
#include <sys/types.h>

#include "proto/str.h"

struct lock;

/* Takes <data>/up.lock, making the folder if it is missing. Children that a killed predecessor left are ended first.
 * NULL with err: another one runs (it says which), or the folder cannot be written. */
struct lock *lock_take(const char *data_dir, struct err *err);
void lock_free(struct lock *lock); /* takes NULL; gives the lock back */

/* Writes down the children that run now, for a successor. */
void lock_note(struct lock *lock, const pid_t *pids, size_t count);

#endif
