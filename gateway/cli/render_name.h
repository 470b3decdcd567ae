/* By which paths files of a scene are known to the farm: the scene is `projects/<unionid>/<its own path>`, and what it names is where a worker
 * lays it out for that (proto/place.h). */
#ifndef GANTRY_CLI_RENDER_NAME_H
#define GANTRY_CLI_RENDER_NAME_H

#include <stdbool.h>

#define RENDER_NAME 1025 /* bytes, with its NUL: what the farm takes */

/* file: absolute, without `..`. False: it can have no such name (too long, not UTF-8, control characters). */
bool render_name_scene(const char *unionid, const char *file, char out[RENDER_NAME]);

/* path: as the scene has it; scene: the scene's name; blend: // stands for the folder of the scene, as Blender has it. False: as above, or it would be outside of what a worker lays out. */
bool render_name_file(const char *scene, const char *path, bool blend, char out[RENDER_NAME]);

/* The name of a file beside the one of that name: one of those that a pattern stands for. */
bool render_name_beside(const char *name, const char *file, char out[RENDER_NAME]);

#endif
