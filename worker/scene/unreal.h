/* Readers of Unreal's files, as far as they are open: a project (.uproject, JSON), and of a map (.umap, a package) its header and names,
 * among which is each package that it refers to. How it is rendered stands in objects that only the engine reads. What was not read is said.
 */
#ifndef GANTRY_WORKER_SCENE_UNREAL_H
#define GANTRY_WORKER_SCENE_UNREAL_H

#include "worker/scene/scene.h"
#include "worker/scene/source.h"

#define UPROJECT_BYTES ((size_t)1 << 20)
#define UMAP_NAMES 4000000 /* in its table */
#define UMAP_NAME 4096     /* bytes of one */

/* Each: -1 with err; what was found until then stays in the scene. */
int uproject_read(struct source *source, struct scene *scene, struct err *err);
int umap_read(struct source *source, struct scene *scene, struct err *err);

#endif
