/* Looks at the whole of videos: runs of the executor `health`, which decode every frame. Of one video when somebody asks; of all of them as a
 * sweep, which goes through the library by the order of ids and, as transcodes do, becomes a run when a worker has nothing else to do. So a
 * sweep of a million videos holds up no transcode, and needs a record of one place: how far it is.
 */
#ifndef GANTRY_SCHEDULER_FARMS_TRANSCODE_HEALTH_H
#define GANTRY_SCHEDULER_FARMS_TRANSCODE_HEALTH_H

#include "scheduler/farms/transcode/transcode.h"

#define TRANSCODE_HEALTH "health" /* executor of its runs */

/* All is loaded: finds the looks that have not ended among the runs. -1 with err. */
int health_loaded(struct transcode *farm, struct core *core, struct err *err);

/* Whether the sweep has a video for somebody. */
bool health_offers(const struct transcode *farm);
/* The sweep's next video to this worker, which has a slot for it. */
enum farm_pull health_pull(struct transcode *farm, struct core *core, struct worker *worker);
/* Ends the sweep when nothing of it is left; answers the ms until it wants to be called again. */
uint64_t health_tick(struct transcode *farm, struct core *core);

/* A run has ended: what it says of its video is kept. False: it is no look. Room is reserved by the core. */
bool health_ended(struct transcode *farm, struct core *core, const struct rec_run *run);
/* The video is another version from now on, or goes: what is known of its health is not true any more. Room for one deletion. */
void health_forget(struct core *core, struct rec_video *record);

core_handler video_on_check, health_on_sweep, health_on_ask;

#endif
