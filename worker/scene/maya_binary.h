/* Reader of Maya binary (.mb): chunks of IFF, big-endian, in 32 bits (FOR4) or 64 (FOR8, Maya 2014 on).
 *
 * The format is Autodesk's own and not described by them. What is read is what is known of it: the header, references, nodes by name, and
 * texts and numbers that are set on them. Types of nodes are four letters here, of which few are known, so an attribute that holds a path is
 * told by its name and by what is in it. What was not read is said.
 */
#ifndef GANTRY_WORKER_SCENE_MAYA_BINARY_H
#define GANTRY_WORKER_SCENE_MAYA_BINARY_H

#include "worker/scene/scene.h"
#include "worker/scene/source.h"

#define MAYA_DEPTH 32                /* groups in groups */
#define MAYA_CHUNK ((size_t)8 << 10) /* bytes of a chunk that are looked at */

/* -1 with err; what was found until then stays in the scene. */
int maya_binary_read(struct source *source, struct scene *scene, struct err *err);

#endif
