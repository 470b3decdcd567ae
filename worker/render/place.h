/* Where a file that a scene names by a path of its author's machine is in a folder of the farm's. */
#ifndef GANTRY_WORKER_RENDER_PLACE_H
#define GANTRY_WORKER_RENDER_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* `C:/textures/wood.jpg` is C/textures/wood.jpg, `\\server\share\x` is server/share/x, `/srv/x` is srv/x; `.` and empty steps go. Into out,
 * relative, without a slash at its beginning or end. False: it leads out of the folder (`..`), names nothing, or does not fit. */
bool place_below(const char *path, char *out, size_t size);

#endif
