/* Where a file's film can be cut, by libavformat. Only gantry-probe links this: see probe_read.h. */
#ifndef GANTRY_WORKER_VIDEO_PROBE_KEYS_H
#define GANTRY_WORKER_VIDEO_PROBE_KEYS_H

#include "worker/video/cuts.h"

/* The first key frame behind each multiple of every_ms. fd as in probe_read; what is wrong with it stands in places->error. */
void probe_keys(int fd, const char *name, uint64_t every_ms, struct cut_places *places);

#endif
