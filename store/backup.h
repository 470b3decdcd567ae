/* A copy of the database while it is in use, and the way back.
 *
 * gantry-store does it in a process of its own beside the one that serves: no loop and no committer waits for it, whatever
 * happens to it happens to nobody else, and it works when nothing runs, too.
 */
#ifndef GANTRY_STORE_BACKUP_H
#define GANTRY_STORE_BACKUP_H

#include <stdio.h>

#include "proto/str.h"

struct backup_options {
    const char *data; /* the farm's data folder */
    const char *to;   /* a folder, which gets gantry-<time>.backup, or the name of a file that is not there yet */
    unsigned keep;    /* of a folder's backups the newest that stay; 0: all */
    uint64_t
        grow_bytes; /* it gives up when the database has grown by more since it began: it keeps freed pages from being used */
    uint64_t map_bytes;
};

/* Tells what it did on out, in a line. -1 with err; nothing is left behind then. */
int backup_make(const struct backup_options *options, FILE *out, struct err *err);

#endif
