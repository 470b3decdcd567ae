/* Lines of a run's log, whichever of the farm's logs they stand in. A video that is encoded in segments is one task and many runs: what all of
 * them say stands in the log of the transcode farm, in the order in which it came, with `[2/4] ` before a line of the second segment and
 * `[join] ` before one of joining them.
 */
#ifndef GANTRY_CLI_LINES_H
#define GANTRY_CLI_LINES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

struct client;

struct lines {
    long long run_id;
    bool segments; /* of a transcode, with those of its segments: after is the id of a line then, else a position */
};

/* Whether the run is a transcode in segments, or one that may yet be cut (open: it has not ended). Where that cannot be found out it is none. */
bool lines_in_segments(struct client *client, long long run_id, bool open);

/* At most `limit` lines behind `after`, or the newest ones: {items: [{timestamp, level, stream, message, …}], next, end}, the oldest first.
 * The data is the caller's. -1 with err. */
int lines_get(struct client *client, const struct lines *lines, uint64_t after, int limit, json_t **data, struct err *err);
int lines_newest(struct client *client, const struct lines *lines, int limit, json_t **data, struct err *err);

#endif
