/* How fast videos are transcoded, learned from those that are done, and what that says of others.
 *
 * A pace is kept for each worker, encoder, source codec, size of picture and preset, and tells what a thousand million pixels of film cost.
 * It is a record of its own, written in the batch of the end that it was learned from: of what has ended long ago nothing else is kept
 * (transcode.tasks_max), and the videos it was about are others by now. Newer ends count more; where there are too many, the
 * pace that was learned from least lately goes.
 */
#ifndef GANTRY_SCHEDULER_FARMS_PACE_H
#define GANTRY_SCHEDULER_FARMS_PACE_H

#include "scheduler/farms/transcode/transcode.h"

#define PACES_MAX 1024

struct transcode_pace {
    struct rec_transcode_pace record; /* its texts are these */
    char codec[65], preset[33];
};

struct pace_film {      /* film that was, or would be, encoded */
    uint64_t worker_id; /* 0: whichever */
    struct str encoder; /* "cpu", …; empty: whichever, as preset is */
    struct str preset;
    struct str codec; /* of the source */
    uint64_t pixels;  /* of a frame */
    double fps, seconds;
};

/* It took so many seconds. Room for a record and a deletion has been reserved; without memory nothing is learned. */
void pace_learn(struct transcode *farm, struct core *core, const struct pace_film *film, uint64_t encoder, struct str preset,
                double took);
#define PACE_BYTES 256
#define PACE_OPS 2
/* How long it would take, in seconds, by what is nearest to it; 0: nothing is known. */
double pace_estimate(const struct transcode *farm, const struct pace_film *film);
int pace_load(struct transcode *farm, const struct rec_transcode_pace *record, struct err *err);

core_handler transcode_on_estimate;

/* farm.live: how far a run is whose worker does not say so, and how long it will take. */
struct rec_live_run;
void transcode_live(void *self, struct core *core, const struct run *run, struct rec_live_run *row);

#endif
