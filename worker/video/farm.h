/* The farm, as a program of Gantry's own sees it: through the channel to its worker (worker/channel.h). Calls wait. */
#ifndef GANTRY_WORKER_VIDEO_FARM_H
#define GANTRY_WORKER_VIDEO_FARM_H

#include "worker/channel.h"

struct farm_line { /* zeroed but for fd before its first use */
    int fd;
    struct buf out, in;
};

void farm_clear(struct farm_line *line);
/* Asks and waits for the answer, however long the farm is away: its worker asks again. answer borrows from line and arena.
 * -1 with err: the farm refuses it, or the worker is gone. */
int farm_ask(struct farm_line *line, struct arena *arena, const struct shape *shape, const void *value, struct msg *answer,
             struct err *err);
/* A message that has no answer, or a name for the worker. */
int farm_hint(struct farm_line *line, const char *root, struct err *err);
int farm_say(struct farm_line *line, enum channel_word word, const char *text, struct err *err);

#endif
