/* Files below a folder, and nowhere else: neither .. nor an absolute name nor a symbolic link leads out of it. */
#ifndef GANTRY_GATEWAY_BENEATH_H
#define GANTRY_GATEWAY_BENEATH_H

#include <stdbool.h>

#include "proto/str.h"

/* Opens the regular file of this relative name for reading. -1 with errno (EXDEV, ELOOP, EINVAL: it leads out of the folder). */
int beneath_open(const char *folder, struct str path);
/* The same for a name in an open folder; links: symbolic links that stay below are followed. EINVAL: it is no regular file. */
int beneath_regular(int folder, const char *name, bool links);

/* Opens the folder that the file of this relative name belongs into, made with those above it where need be; *base is where its own name
 * begins in path. -1 with errno as above. */
int beneath_folder(const char *folder, struct str path, uint32_t *base);

#endif
