/* gantry-store as a tool: `gantry-store backup|restore|fsck …`, which is what the commands of that name of `gantry` run. */
#ifndef GANTRY_STORE_TOOL_H
#define GANTRY_STORE_TOOL_H

#include <stdbool.h>

bool tool_asked(int argc, char *const *argv);
int tool_main(int argc, char **argv); /* the exit code */

#endif
