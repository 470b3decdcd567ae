/* What stands in a cycle's folder of recordings that are under way: `.gantry-rec-<run>` with a video for each attempt that came so far
 * (worker/record/pieces.h). Nothing outside of the folder is reached, whatever is put there meanwhile. */
#ifndef GANTRY_GATEWAY_RECORDINGS_PIECES_H
#define GANTRY_GATEWAY_RECORDINGS_PIECES_H

#include "proto/str.h"

#define RECORDINGS_PIECES ".gantry-rec-" /* and a run's number: what its pieces' folder is called */

/* What a run's pieces in a cycle's folder, which is open, come to, and when the newest of them was changed. False: there are none in what is
 * called so, or it is no such folder. */
bool recordings_pieces_measure(int folder, const char *name, uint64_t *bytes, uint64_t *changed_ms);
/* Removes them, whatever they hold. -1 with errno. */
int recordings_pieces_remove(const char *root, struct str folder, const char *name);
/* Opens for reading what the newest attempt of that run has recorded. -1 with errno; ENOENT: nothing yet, or nothing any
 * more; EINVAL: what has its name is no file. */
int recordings_piece_open(const char *root, struct str folder, uint64_t run);
/* Runs whose recordings want nothing of their pieces any more, in ascending order. */
struct recordings_done {
    uint64_t *runs;
    uint32_t count;
};
/* Removes them in that folder, behind its cycle: those of these runs, and all that hold no frame. What is of another run may be all that there
 * is of its recording, and stays, as long as retention leaves it, or the folder does. -1 with errno of the last that should have gone; a folder that is not there
 * holds none. */
int recordings_pieces_clear(const char *root, struct str folder, const struct recordings_done *done);

#endif
