/* A video of the library: in memory, in its set, as a record. */
#ifndef GANTRY_SCHEDULER_FARMS_VIDEO_H
#define GANTRY_SCHEDULER_FARMS_VIDEO_H

#include "scheduler/farms/transcode/transcode.h"

struct video *video_find(const struct transcode *farm, uint64_t id);
struct video *video_at(const struct transcode *farm, const struct root *root, struct str path);

/* Makes one of this record, in no table, with room for it in all; NULL when out of memory. */
struct video *video_make(struct transcode *farm, struct root *root, const struct rec_video *record);
void video_join(struct transcode *farm, struct video *video);  /* its id is above all others */
void video_leave(struct transcode *farm, struct video *video); /* out of all tables, and freed */
void video_free(struct video *video);                          /* one that is in no table; takes NULL */

/* What it says from now on; id, root and created_at stay. -1 when out of memory, nothing changed. No other video has that path. */
int video_describe(struct transcode *farm, struct video *video, const struct rec_video *record);
/* After its status, attempts or root changed: into the set that it belongs to, or out of all. Cannot fail. */
void video_place(struct transcode *farm, struct video *video);

size_t video_bytes(const struct video *video);          /* a bound on its record, encoded */
void video_put(struct core *core, struct video *video); /* changed now */

/* All but a CPU encoder take only h264, at most 1080p and 31 fps. */
bool video_fits_hardware(const struct rec_video *record);
/* The default rules of what is to be transcoded. */
bool video_wanted(const struct rec_video *record);

/* Somebody does not want it transcoded: it is not, until somebody queues it. One that is under way goes on. */
void video_exclude(struct rec_video *record);
/* It is another version from now on, or somebody wants it anew: nothing was tried yet. */
void video_renew(struct rec_video *record);

/* Where in farm->order the first with an id above `after` stands. */
size_t video_behind(const struct transcode *farm, uint64_t after);

/* Whether there is one for anybody. */
bool video_waits(const struct transcode *farm);
/* The best one for a worker of this type; vr: 1 only VR, 0 only others, -1 either. NULL: there is none. */
struct video *video_pick(const struct transcode *farm, unsigned type, int vr);

struct root *root_of(struct transcode *farm, struct str path);  /* NULL: unknown */
struct root *root_get(struct transcode *farm, struct str path); /* made if need be; NULL: no memory, or there are too many */

int video_load(struct transcode *farm, const struct rec_video *record, struct err *err);
core_handler video_on_set;

#endif
