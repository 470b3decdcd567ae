/* Tells the farm which files a scene needs, once somebody has read it: it is asked for them before any frame is rendered. */
#ifndef GANTRY_WORKER_RENDER_TELL_H
#define GANTRY_WORKER_RENDER_TELL_H

#include <jansson.h>

#include "worker/video/farm.h"

/* report: what gantry-scene says. -1 with err: the farm does not take it. */
int tell_files(struct farm_line *line, uint64_t run, uint64_t attempt, const json_t *report, struct err *err);

/* `gantry-worker --scene NAME=VALUE… -- PROGRAM…`: runs gantry-scene, and tells. Words: run, attempt, report (all that it says). */
int scene_run_main(char **argv);

#endif
