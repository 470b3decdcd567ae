/* Workers of the transcode API: who they are is their name; to the core each is a worker over REST whose silence this farm watches. */
#ifndef GANTRY_SCHEDULER_FARMS_WORKER_H
#define GANTRY_SCHEDULER_FARMS_WORKER_H

#include "scheduler/farms/transcode/transcode.h"

struct api_worker *api_find(const struct transcode *farm, uint64_t id);
/* What people know one with a session by, in lists of workers and of tasks; borrowed. */
struct str session_name(const struct worker *worker);

/* It says something, by whom `whose` stands for: heard now, and back if it had fallen silent. -1 with fault. */
int api_attend(struct transcode *farm, struct core *core, uint64_t id, struct str whose, struct fault *fault);

int api_load(struct transcode *farm, struct core *core, const struct rec_transcode_worker *record, struct err *err);
void api_free(struct api_worker *api); /* takes NULL */
void api_renew(struct transcode *farm, const struct core *core);
/* Those that have been silent for too long are offline, and their tasks fail; answers the ms until the next may be. */
uint64_t api_expire(struct transcode *farm, struct core *core);
void transcode_forgot(void *self, struct core *core, uint64_t worker_id);

core_handler transcode_on_register, transcode_on_update, transcode_on_remove, transcode_on_beat, transcode_on_direct,
    transcode_on_workers, transcode_on_pull;

#endif
