/* Starting gantry-run with its pipes. */
#ifndef GANTRY_WORKER_SPAWN_H
#define GANTRY_WORKER_SPAWN_H

#include <sys/types.h>

#include "proto/str.h"
#include "worker/job.h"

enum spawn_pipe {
    SPAWN_STDOUT,
    SPAWN_STDERR,
    SPAWN_STATUS,
    SPAWN_PROGRESS,
    SPAWN_READ,
    SPAWN_CONTROL = SPAWN_READ,
    SPAWN_CHANNEL,
    SPAWN_PIPES
};

struct spawned {
    pid_t pid;
    int fds
        [SPAWN_PIPES]; /* our ends, non-blocking, by enum spawn_pipe; all but CONTROL and CHANNEL are for reading; CHANNEL is -1 without one */
};

/* supervisor: path of gantry-run. -1 with err; then nothing was started and nothing is open. */
int spawn(const char *supervisor, const struct job *job, struct spawned *out, struct err *err);

#endif
