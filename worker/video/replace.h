/* Puts what a transcode made in the place of its source, and back again.
 *
 * The source's content has a name at every moment, and the name that people use is never without a whole file: first a second name
 * (`.bak`) is given to the source by a hard link, then the new file is renamed over the first. Where there are no hard links, the source
 * is renamed, and for that moment its name is free. A journal says before what is about to be done; whoever finds it after a
 * crash ends it, one way or the other (replace_recover): before the new file has its name everything is undone, after it is finished.
 */
#ifndef GANTRY_WORKER_VIDEO_REPLACE_H
#define GANTRY_WORKER_VIDEO_REPLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

struct replacement {
    const char *source, *bak;      /* bak: name that the source gets; NULL: none is kept, and it goes */
    const char *temporary, *final; /* final: the source's own name, or a new one */
    const char *journal, *kept;    /* folders of the worker's: what is under way, what `.bak` there are. Must exist */
    const char *name;              /* of this replacement in both: letters, digits, '-' */
    uint64_t size, mtime_ns;       /* of the source, as it was when it was read; size 0: not known */
    uint64_t until_ms;             /* wall clock: so long the .bak is kept */
    bool links;                    /* false: do without hard links (set by tests) */
};

/* The name for a source's `.bak` into out: the first that is free of two. -1: neither is, or it is too long. */
int replace_bak(const char *source, uint64_t run, char out[PATH_MAX]);

/* -1 with err: nothing has changed. The temporary file is gone then. */
int replace_do(const struct replacement *replacement, struct err *err);
/* The same for a result that has its own place (final is published already): the source becomes its .bak. */
int replace_retire(const struct replacement *replacement, struct err *err);

/* Ends what a dead worker had begun; no other may be at work in that folder. */
void replace_recover(const char *journal, const char *kept);

/* The same for one replacement, whose process is dead while the worker lives. True: it had come to its end, or has now. */
bool replace_mend(const char *journal, const char *kept, const char *name);

/* Removes `.bak` files whose time is over. Answers how many. */
unsigned replace_expire(const char *kept, uint64_t now_ms);

struct undo {
    const char *source, *dest;
    const char *bak;      /* empty: the source was left where it is */
    uint64_t size_after;  /* of dest: another is not removed */
    uint64_t size_before; /* of the source; 0: not known */
};
/* Gives a source its name back and removes what was made of it. Nothing is removed unless the source stands then. Can be repeated: 1, it was so
 * already, and nothing has changed. -1 with err: nothing has changed. */
int replace_undo(const struct undo *undo, struct err *err);

#endif
