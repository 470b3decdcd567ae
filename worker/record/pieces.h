/* What of a recording is on disk before it is published: a folder beside the final file, `.gantry-rec-<run>`, with a fragmented MP4 for each
 * attempt that came so far, `<attempt>-<ms>.mp4`; ms: the wall clock at its first frame. An attempt adds to what those before it have
 * recorded, so the folder outlives a worker that is killed; it goes when the run is published or cancelled. */
#ifndef GANTRY_WORKER_RECORD_PIECES_H
#define GANTRY_WORKER_RECORD_PIECES_H

#include <limits.h>

#include "proto/str.h"

#define PIECES_MAX 64 /* attempts that recorded something; the newest count */

struct piece {
    uint64_t attempt, start_ms;
};

struct pieces {
    char folder[PATH_MAX];
    unsigned count;
    struct piece at[PIECES_MAX]; /* as they were recorded */
};

/* Where they are for that output, and what is there. -1 with err: the name is too long, or the folder cannot be read. */
int pieces_find(const char *output, uint64_t run, struct pieces *pieces, struct err *err);
void pieces_path(const struct pieces *pieces, const struct piece *piece, char path[PATH_MAX]);
/* Makes the folder, and the one above it, in a folder that stands. -1 with err. */
int pieces_folder(const struct pieces *pieces, struct err *err);
/* Removes all of it. */
void pieces_remove(const struct pieces *pieces);

#endif
