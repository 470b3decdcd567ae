/* Which reader a file is for: by what it begins with, and where that does not tell, by its name. */
#ifndef GANTRY_WORKER_SCENE_FORMAT_H
#define GANTRY_WORKER_SCENE_FORMAT_H

#include "worker/scene/scene.h"
#include "worker/scene/source.h"

/* Reads the source with the reader for it. name: of the file. -1 with err; what was found until then stays in the scene. */
int format_read(struct source *source, const char *name, struct scene *scene, struct err *err);

/* All of it: opens the source, reads, makes the MD5. fd is borrowed. -1 with err. */
int scene_read(int fd, const char *name, struct scene *scene, struct err *err);

#endif
