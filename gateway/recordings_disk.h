/* The output folder's disk: how much is free on it, and whether it is there at all.
 *
 * A disk that is not mounted leaves an empty folder where it was, and whoever records into that fills another disk. So an output folder that
 * is used for the first time, empty or with nothing but cycles in it, is given a marker, a hidden file; when that is not there any more, nor
 * is the disk. The same is so of one without a marker that is empty but for newer cycles, though older ones were recorded to it. A folder that holds something else is somebody's own, and is used as it is.
 */
#ifndef GANTRY_GATEWAY_RECORDINGS_DISK_H
#define GANTRY_GATEWAY_RECORDINGS_DISK_H

#include "gateway/recordings.h"
#include "proto/messages.h"

struct recordings_disk {
    /* what is asked */
    bool known;                 /* it was given a marker once */
    bool use;                   /* it is being recorded to, or was: it may be given one */
    bool was_full;              /* then some more has to be free than otherwise, so that it does not change all the time */
    uint64_t min_free;          /* bytes */
    char past[RECORDINGS_NAME]; /* a cycle that was recorded to it before there were markers; "": none is known */

    /* what was found */
    enum recorder_disk_state state;
    bool there;                 /* the folder is; without it there is nothing in the following */
    bool marked;                /* it has its marker */
    uint64_t total, used, free; /* bytes; free: for us, which may be less than is not used */
    int cause;                  /* errno: it cannot be looked at, or given a marker; 0: nothing is wrong */
};

/* Looks at it; in the helper thread for files. */
void recordings_disk_look(const char *root, struct recordings_disk *disk);

#endif
