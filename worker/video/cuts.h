/* Where a video is cut into segments: at key frames, about so far from one another. Pure: gantry-probe finds the key frames (probe_keys.h).
 *
 * Times are time stamps of its film, in units of the film's clock (base), as they stand in the file.
 */
#ifndef GANTRY_WORKER_VIDEO_CUTS_H
#define GANTRY_WORKER_VIDEO_CUTS_H

#include <stdint.h>

#include "proto/buf.h"
#include "proto/messages.h"

#define CUTS_MAX TRANSCODE_SEGMENTS
#define CUTS_KEYS 1024 /* key frames that are looked at */

struct cut_places { /* what gantry-probe --keys says of a file */
    char error[256];
    int64_t base_num, base_den; /* a unit in seconds */
    int64_t offset_us;          /* between the start of the file and the film's first frame */
    int64_t length;             /* of the film, about */
    uint32_t count;
    int64_t keys[CUTS_KEYS]; /* growing; the first is the film's first frame */
};

/* How long each of the segments is, in ms, for a video of this length: equal ones, none longer than `most` but where there would be too many. */
uint64_t cuts_length(uint64_t duration_ms, uint64_t most_ms);

/* Where segments of about `length` units begin, behind the first frame: each at the first key frame that makes it as long as that, none
 * shorter than half of it. Answers how many there are: 1, if it cannot be cut. */
uint32_t cuts_plan(const struct cut_places *places, int64_t length, uint64_t starts[CUTS_MAX]);

/* A line of JSON, without a newline, and back. -1: no memory; -1 with err. */
int cuts_write(const struct cut_places *places, struct buf *out);
int cuts_parse(struct str line, struct cut_places *places, struct err *err);

#endif
