/* Maya is told where files of other machines are: by a userSetup.mel with its `dirmap`, which it reads before it opens a scene. Nothing in the
 * scene is changed, and its own pre-render script stays what it is (Render's -preRender would take its place). */
#ifndef GANTRY_WORKER_RENDER_DIRMAP_H
#define GANTRY_WORKER_RENDER_DIRMAP_H

#include <limits.h>

#include "worker/render/render.h"

/* The scene is laid out. Maya finds the script by its environment (MAYA_SCRIPT_PATH). -1 with err. */
int dirmap_write(const struct render *it);
/* The folder that relative names of the scene are meant from: the task's, or the next one above the scene that has a workspace.mel, or the
 * scene's own. */
void project_find(const struct render *it, char project[PATH_MAX]);

#endif
