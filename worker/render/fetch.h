/* What a frame needs and this machine has not: from the farm's gateway over HTTP, files by their MD5.
 *
 * They are kept for other frames in a folder that is bounded (worker.render_cache_gb): of more, those that were used longest ago go. A
 * frame has a copy of its own (a clone where the disk can do that), so that none goes from under it, and nothing that an engine writes comes to others.
 */
#ifndef GANTRY_WORKER_RENDER_FETCH_H
#define GANTRY_WORKER_RENDER_FETCH_H

#include "worker/render/render.h"

/* Whether there is a gateway to be asked. */
bool fetch_can(const struct render *it);
/* Where a file of that name is kept for other frames, in the folder that this word of the program's has; false: nowhere. */
bool fetch_keeps(const struct render *it, const char *word, const char *name, char kept[PATH_MAX]);
/* Puts the file of this MD5 at path, whose folder is there. -1 with err (ERR_NOT_FOUND: the farm has none such). */
int fetch_blob(const struct render *it, const char *md5, const char *path, struct err *err);
/* The files of the run's task, as its parameter files has them; NULL with err. */
json_t *fetch_files(const struct render *it, struct err *err);

/* Removes those of the folder that were used longest ago, until the rest takes no more than so many bytes. */
void fetch_trim(const char *folder, uint64_t bytes);

#endif
