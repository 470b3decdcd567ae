/* A small file in a folder that is open, there whole or not at all. */
#ifndef GANTRY_GATEWAY_PUT_AT_H
#define GANTRY_GATEWAY_PUT_AT_H

#include "proto/str.h"

/* Takes the place of what has that name (a plain one, of at most 240 bytes), and is on disk before it has it; that it has it, is when the
 * folder is. -1 with errno. */
int put_at(int folder, const char *name, struct str text);

#endif
