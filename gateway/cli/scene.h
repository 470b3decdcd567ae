/* What a scene on this machine says of itself: gantry-scene reads it, in a process of its own. */
#ifndef GANTRY_CLI_SCENE_H
#define GANTRY_CLI_SCENE_H

#include <jansson.h>

#include "gateway/cli/cli.h"

/* What it says of the file, owned by the caller; a file that cannot be read has an `error`. --root's are the folders that names are below.
 * real: the file's name has no links on its way, and theirs are to have none. NULL with err: nothing was said. */
json_t *scene_read(const struct cli *cli, const char *file, bool real, struct err *err);

#endif
