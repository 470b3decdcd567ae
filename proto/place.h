/* Where a file that a scene names by a path of its author's machine is in a folder of the farm's: scheduler, gateway and worker mean the same. */
#ifndef GANTRY_PROTO_PLACE_H
#define GANTRY_PROTO_PLACE_H

#include "proto/str.h"

#define PLACE_MAX 4352 /* bytes of a place with its NUL: a name of a scene's folder, and a path in it */

/* `C:/textures/wood.jpg` is C/textures/wood.jpg, `\\server\share\x` is server/share/x, `/srv/x` is srv/x; `.` and empty steps go. Into out,
 * relative, without a slash at its beginning or end. False: it leads out of the folder (`..`), names nothing, or does not fit. */
bool place_below(const char *path, char *out, size_t size);

/* The same for a path as a scene has it; relative ones are beside the scene, whose own name in the farm is `scene` (`assets/<md5>`: at the
 * top). blender: `//x` is relative, too, where other programs mean a server. `..` goes up, but never out. */
bool place_beside(struct str path, struct str scene, bool blender, char *out, size_t size);
/* `C:/x` of what Blender makes of it when it saves that elsewhere than on Windows: `//C:/x`, `//../C:/x`. Borrowed; empty: it is none. */
struct str place_drive(struct str path);
/* Whether it is relative to the scene. */
bool place_relative(struct str path, bool blender);

#endif
