/* Where a scene and the files that it names are on this machine, and whether they are there.
 *
 * With roots everything is below one of these folders, and nothing leads out of them: neither .. nor a symbolic link. There `C:/x` means
 * <root>/C/x, and `//server/share/x` of Windows' <root>/server/share/x. Without roots names mean what they mean on this machine.
 */
#ifndef GANTRY_WORKER_SCENE_LOCATE_H
#define GANTRY_WORKER_SCENE_LOCATE_H

#include <limits.h>

#include "worker/scene/scene.h"

#define LOCATE_ROOTS 16
#define LOCATE_ENTRIES 100000 /* of a folder, that are looked at for a pattern */

struct locate {
    const char *roots[LOCATE_ROOTS]; /* absolute, without a slash at the end; borrowed */
    int fds[LOCATE_ROOTS];
    unsigned count;
    unsigned root;         /* the one that the scene is in */
    char folder[PATH_MAX]; /* of the scene: below that root, or as it is; "" is the root itself */
    char name[PATH_MAX];   /* of the scene, the same way */
};

/* Adds a root. -1 with err. */
int locate_root(struct locate *locate, const char *folder, struct err *err);
void locate_close(struct locate *locate);

/* Opens the scene's file for reading. -1 with err: ERR_NOT_FOUND, ERR_FORBIDDEN (outside the roots), ERR_INVALID (no file), ERR_IO. */
int locate_open(struct locate *locate, const char *path, struct err *err);

/* Fills in file, exists, size, files and reason of the scene's assets. */
void locate_assets(struct locate *locate, struct scene *scene);

#endif
