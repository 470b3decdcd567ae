/* Starting a run's program from gantry-run: what happens between fork and exec. */
#ifndef GANTRY_WORKER_LAUNCH_H
#define GANTRY_WORKER_LAUNCH_H

#include <sys/types.h>

#include "worker/job.h"

#define LAUNCH_TEXT 512

/* Forks the program. *report is a descriptor to be read: launch_result tells from it how it went, once it is readable.
 * -1 with a sentence in text and errno when nothing was forked. */
pid_t launch(const struct job *job, int *report, char text[LAUNCH_TEXT]);

/* 0: the program runs. -1 with a sentence in text and its errno in error: it was never started. Closes report. */
int launch_result(const struct job *job, int report, char text[LAUNCH_TEXT], int *error);

#endif
