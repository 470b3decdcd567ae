/* A video that several workers encode in segments (scheduler/farms/transcode/cut.h): where it is cut, a segment of it, and what is joined of
 * them.
 *
 * A segment is a file beside what is to be made, of a name that no scan takes for a video: `.gantry-TASK.VERSION.NUMBER.mp4`. VERSION
 * stands for the source's size and time: numbers of tasks come again where a farm's data was lost, and what is left of another film is none
 * of this one's. It has the film only, and its time begins at 0; the rest comes from the source when all are joined. It is published as any
 * output is, so that it is whole or not there; nothing but a run of executor `clear` removes it.
 */
#ifndef GANTRY_WORKER_VIDEO_SEGMENT_H
#define GANTRY_WORKER_VIDEO_SEGMENT_H

#include "proto/messages.h"
#include "worker/video/recipe.h"
#include "worker/video/transcode.h"

#define SEGMENT_PERCENT 95 /* of the task when joining begins: what the farm says of it until then */

/* ---- by the worker of the task (segment_cut.c) ---- */

/* Looks where a long video can be cut, and tells the farm, which takes the run back and so ends this program; or hears that all
 * segments are there. 1: they are, and cut says which; 0: it is to be made whole; -1 with err. */
int segment_cut(struct transcode *it, const struct probe *source, const struct wish *wish, struct rec_transcode_cut *cut);
/* How they are joined; each has been looked at. -1 with err. */
int segment_recipe(struct transcode *it, const struct probe *source, const struct rec_transcode_cut *cut, const char *target,
                   struct recipe *recipe);

/* ---- by the worker of a segment (segment.c) ---- */

int segment_run(struct transcode *it);
/* Its file's name, of a video that is saved where `it` says, and whose source has been looked at. -1 with err: too long. */
int segment_path(struct transcode *it, uint64_t task, uint64_t number, char path[PATH_MAX]);
/* Whether the file is what a segment of that many seconds should be. The last one may end before: its seconds go to the end of the source, and
 * sound may go on behind the film. Whether that is whole is seen of what is joined (transcode_lasts). -1 with err. */
int segment_verify(struct transcode *it, const char *path, const char *codec, double seconds, bool last, struct probe *made);

int segment_clear(struct transcode *it);

#endif
