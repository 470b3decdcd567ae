/* Reader of .blend files: Blender 2.80 and later, by the file's own DNA, no Blender needed.
 *
 * Old headers (12 bytes; 4 or 8 bytes a pointer, either byte order) and new ones (17 bytes, 5.0 on). The DNA stands at the end of a
 * file, so small blocks of what matters are kept on the way, in bounds, and looked at then.
 */
#ifndef GANTRY_WORKER_SCENE_BLEND_H
#define GANTRY_WORKER_SCENE_BLEND_H

#include "worker/scene/scene.h"
#include "worker/scene/source.h"

/* What begins at the source's first byte. -1 with err; what was found until then stays in the scene. */
int blend_read(struct source *source, struct scene *scene, struct err *err);

#endif
