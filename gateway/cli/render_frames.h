/* Which frames: "1-100", "7". */
#ifndef GANTRY_CLI_RENDER_FRAMES_H
#define GANTRY_CLI_RENDER_FRAMES_H

#include <jansson.h>

#include "proto/str.h"

#define RENDER_FRAME_MOST 1000000
#define RENDER_COUNT_MOST 10000

struct frame_range {
    long long first, count;
};

/* -1 with err. */
int frame_range_read(const char *text, struct frame_range *out, struct err *err);
/* The scene's own, of what gantry-scene says of it. -1 with err: it has none, or one that the farm does not take. */
int frame_range_of(const json_t *scene, struct frame_range *out, struct err *err);

#endif
