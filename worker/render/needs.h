/* The files that a frame's scene needs: read from the scene by gantry-scene, and looked for in the farm's store of files. */
#ifndef GANTRY_WORKER_RENDER_NEEDS_H
#define GANTRY_WORKER_RENDER_NEEDS_H

#include "worker/render/render.h"

/* Whether needs_read need not read it, as it is kept. */
bool needs_known(const struct render *it, const char *md5);
/* What gantry-scene says of the scene at it->scene, whose MD5 this is: kept for other frames, and told to the farm, once. NULL with err: it
 * cannot be read. */
json_t *needs_read(struct render *it, const char *md5, struct err *err);
/* The same of a scene that is used where it stands: neither kept nor told. */
json_t *needs_read_beside(const struct render *it, struct err *err);
/* Of these, but for what is packed into the scene, a list of {file_path, server_path, file_hash}, the last absent where the farm has no such
 * file; named: the scene's own path in the farm. NULL with err: the farm does not say, as the run is of no render task of its own, for one. */
json_t *needs_find(struct render *it, const json_t *report, const char *named, struct err *err);

#endif
