/* What is held: a recording, or all of a cycle's folder, that is not removed, neither for its age nor by hand, until its hold ends.
 *
 * That is kept with the recordings, in a hidden file of the cycle's folder, and not in the store: it goes where they go. A disk that is given
 * to another farm, a database that is restored to what it was last week, a new one: none of them forgets a hold, and none holds what is
 * another's. The file has a line for each video that is held, and a line of `*` where all is. What cannot be read holds everything.
 *
 * Used in the helper thread for files only, so that nothing is removed in between.
 */
#ifndef GANTRY_GATEWAY_RECORDINGS_HELD_H
#define GANTRY_GATEWAY_RECORDINGS_HELD_H

#include "proto/buf.h"

#define HELD_FILE ".gantry-held"
#define HELD_BYTES ((size_t)8 << 20) /* of the file: more than the names of all videos that a folder may list */

struct held {
    struct buf text;
    bool all;     /* all of the folder */
    bool damaged; /* nobody knows what is held */
};

/* What is held in a folder that is open; held_free frees it. -1 with errno: that cannot be read now, though it may be later. */
int held_read(int folder, struct held *held);
void held_each(const struct held *held, void (*each)(void *self, struct str name), void *self);
void held_free(struct held *held); /* takes NULL */

enum recordings_hold {
    HOLD_NONE,
    HOLD_FILE,   /* the video by itself */
    HOLD_FOLDER, /* with all of its folder */
    HOLD_WITHIN, /* of a folder: not it, but something in it */
};

/* What holds a video, or a folder (file empty). -1 with errno, where there is none, say. */
int recordings_held(const char *root, struct str folder, struct str file);
/* Holds it, or no longer: on disk when this answers 0. Twice is as once. -1 with errno. */
int recordings_hold(const char *root, struct str folder, struct str file, bool hold);

#endif
