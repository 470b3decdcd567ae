/* A file, or a folder of files, that may change: small ones, which are read again whole when they may be others than before.
 *
 * It goes by the time that nobody sets (ctime): a file may be copied with an old or future one, and be made readable only later. That time has
 * steps; so whatever changed a moment ago is told of again until a further change would have another time.
 */
#ifndef GANTRY_PROTO_WATCH_H
#define GANTRY_PROTO_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define WATCH_MS 100 /* between looks */

struct watch_state { /* two that are alike are of the same content */
    struct timespec newest;
    uint64_t files; /* hash of names, inodes, sizes and times */
};

struct watch {          /* zeroed but for these two */
    const char *path;   /* borrowed */
    const char *suffix; /* it is a folder, in which files whose names end so count; NULL: it is a file */

    struct watch_state state;
    bool known, settled; /* no change of that moment can have been missed */
    size_t count;        /* of files in the folder */
    uint64_t looked_ms, files_ms;
};

/* True when it may be another than when this was true last, or than never: the caller reads it then. Looks at most every WATCH_MS. */
bool watch_changed(struct watch *watch, uint64_t mono_ms);
/* The same at once; at the files of a folder whose own time has not changed it looks now and then. */
bool watch_look(struct watch *watch, uint64_t mono_ms);
void watch_again(struct watch *watch); /* what it told of could not be read: tell of it again */

/* Whether a folder's file of this name counts. */
bool watch_counts(const char *name, const char *suffix);

#endif
