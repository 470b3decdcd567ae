/* What a run's own program says on its channel, and what comes back of it. */
#ifndef GANTRY_WORKER_HEAR_H
#define GANTRY_WORKER_HEAR_H

#include "worker/run.h"

/* Bytes from the channel: questions become owed to the farm, names of outputs are noted. What is none of ours kills the program. */
void hear_feed(struct run *run, const char *data, size_t len);
/* The farm's answer to its question, or why there is none (answer NULL). */
void hear_answer(struct run *run, const struct msg *answer, const char *why);

#endif
