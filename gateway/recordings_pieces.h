/* What stands in a cycle's folder of recordings that are under way: `.gantry-rec-<run>` with a video for each attempt that came so far
 * (worker/record/pieces.h). Nothing outside of the folder is reached, whatever is put there meanwhile. */
#ifndef GANTRY_GATEWAY_RECORDINGS_PIECES_H
#define GANTRY_GATEWAY_RECORDINGS_PIECES_H

#include "proto/str.h"

/* Opens for reading what the newest attempt of that run has recorded. -1 with errno; ENOENT: nothing yet, or nothing any more. */
int recordings_piece_open(const char *root, struct str folder, uint64_t run);
/* Removes all of them in that folder: none of its recordings goes on. -1 with errno of the last that stays; a folder that is not there holds none. */
int recordings_pieces_clear(const char *root, struct str folder);

#endif
