/* The space that results save: counted once, when one is accepted, and taken back when it is undone. One record has the sum, as videos and tasks
 * that it is made of go; each video has its own part. */
#ifndef GANTRY_SCHEDULER_FARMS_SAVED_H
#define GANTRY_SCHEDULER_FARMS_SAVED_H

#include "scheduler/farms/transcode/transcode.h"

/* A result of `after` bytes stands for a source of `before`. video: whose record the caller writes behind it; may be NULL. replaced: it has
 * the place of its source, so that what was saved before it stays saved; else it has that of the result before. Room for a record has been
 * reserved. */
void saved_accept(struct transcode *farm, struct core *core, struct video *video, uint64_t before, uint64_t after, bool replaced);
/* The video's record says no more that there is a result; the caller writes it. Once: a repeat changes nothing. */
void saved_undo(struct transcode *farm, struct core *core, struct rec_video *record);
#define SAVED_BYTES 64

struct stats;
void transcode_stats(const void *self, struct stats *stats);

#endif
