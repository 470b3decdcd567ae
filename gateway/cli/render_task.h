/* Tasks of the render farm, as its commands see them. */
#ifndef GANTRY_CLI_RENDER_TASK_H
#define GANTRY_CLI_RENDER_TASK_H

#include "gateway/cli/cli.h"

#define RENDER_BASE "/render/api" /* on the farm's main port */
#define RENDER_PAGE 1000          /* frames in one question */

/* The argument that is a task's number. -1 with err. */
int render_task_id(const struct args *args, int index, long long *id, struct err *err);

/* Shows how far the task is until it has ended; folder: then brings its pictures there, NULL: does not. Ctrl-C leaves it running. Answers the
 * exit code: 0 when all frames are completed. */
int render_follow(struct cli *cli, long long id, const char *folder);

/* Brings the pictures of all frames that are completed, each held against its MD5. Answers the exit code: 0 when all of them are here. */
int render_fetch(struct cli *cli, long long id, const char *folder);

#endif
