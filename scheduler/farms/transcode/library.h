/* The library: its folders, the runs that look through them, and what those find. */
#ifndef GANTRY_SCHEDULER_FARMS_LIBRARY_H
#define GANTRY_SCHEDULER_FARMS_LIBRARY_H

#include "scheduler/farms/transcode/video.h"

/* The folders that a setting names, separated by colons. False: there is no memory, or there are too many. */
bool library_configure(struct transcode *farm, struct str folders);
/* All is loaded: scans under way are known again. */
void library_loaded(struct transcode *farm, struct core *core);
/* Makes the scans that are due; answers the ms until the next is. */
uint64_t library_tick(struct transcode *farm, struct core *core);
void library_ended(struct transcode *farm, struct core *core, const struct rec_run *run);

/* The lease, of a run of the farm's, that a message of a worker is about; NULL: it is not the sender's any more, who has been told so. */
struct lease *library_lease(struct transcode *farm, struct core *core, const struct core_call *call, uint64_t run_id,
                            uint64_t attempt);

core_handler library_on_scan, library_on_hint;   /* library.c */
core_handler library_on_known, library_on_found; /* found.c */

#endif
