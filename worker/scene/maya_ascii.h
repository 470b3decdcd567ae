/* Reader of Maya ASCII (.ma): one pass over the stream, in memory that does not grow with it.
 *
 * A scene of hundreds of megabytes is nearly all geometry and animation. Statements are found by their ends (a `;` outside quotes, by
 * memchr), and looked into only when their first word, and the node they belong to, matter.
 */
#ifndef GANTRY_WORKER_SCENE_MAYA_ASCII_H
#define GANTRY_WORKER_SCENE_MAYA_ASCII_H

#include "worker/scene/scene.h"
#include "worker/scene/source.h"

#define MAYA_STATEMENT ((size_t)1 << 20) /* bytes of a statement that is looked into; of longer ones nothing is taken */

/* -1 with err; what was found until then stays in the scene. */
int maya_ascii_read(struct source *source, struct scene *scene, struct err *err);

#endif
