/* The space that results save: counted once, when one is accepted, and taken back when it is undone. One record has the sum, as videos and tasks
 * that it is made of go; each video has its own part: of the result beside it, which gives way to the next one, and of the newest in its place,
 * which does not. */
#ifndef GANTRY_SCHEDULER_FARMS_SAVED_H
#define GANTRY_SCHEDULER_FARMS_SAVED_H

#include "scheduler/farms/transcode/transcode.h"

/* A result of `after` bytes stands for a source of `before`. video: whose record the caller writes behind it; may be NULL. replaced: it has
 * the place of its source, so that what was saved before it stays saved; else it has that of the result before. Room for a record has been
 * reserved. */
void saved_accept(struct transcode *farm, struct core *core, struct video *video, uint64_t before, uint64_t after, bool replaced);
/* Its result, in its place or beside it, was undone: the video's record, which the caller writes, says no more that there is one. Once: a repeat
 * changes nothing. first: the record is of an earlier version of the file yet. */
void saved_undo(struct transcode *farm, struct core *core, struct rec_video *record, bool in_place, bool first);
#define SAVED_BYTES 64

struct stats;
void transcode_stats(const void *self, struct stats *stats);

#endif
