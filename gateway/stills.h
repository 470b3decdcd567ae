/* Stills of videos, as JPEG: made by gantry-picture, a child for each, as what is decoded comes from strangers and may crash, hang or fill
 * memory. A few are made at a time; others wait in a line that has an end, for a while.
 */
#ifndef GANTRY_GATEWAY_STILLS_H
#define GANTRY_GATEWAY_STILLS_H

#include "proto/buf.h"
#include "proto/loop.h"

struct stills;

enum still_which { STILL_EARLY, STILL_LAST }; /* from a tenth of it on; the last one, also of what is being recorded */
enum still_end {
    STILL_MADE,
    STILL_NONE,   /* the video has none that can be decoded; out says why, unless its decoder crashed or took too long */
    STILL_LATE,   /* its turn did not come in time */
    STILL_FAILED, /* there are no means to make one */
};

struct still {
    int fd; /* of the video, for reading; taken by stills_make */
    enum still_which which;
    void (*done)(struct still *still); /* on the loop, or within stills_make; once, unless it was forgotten before */
    void *self;                        /* the owner's */
    enum still_end end;
    struct buf out; /* from `done` on the owner's */

    struct still *next; /* in the line */
    uint64_t until_ms;  /* mono: it waits no longer */
};

struct stills_limits {
    unsigned at_once, line;
    uint64_t wait_ms, work_ms;
    size_t bytes; /* of a JPEG */
};
extern const struct stills_limits stills_usual;

/* program: path of gantry-picture; NULL: beside this one. NULL with err. */
struct stills *stills_new(struct loop *loop, const char *program, const struct stills_limits *limits, struct err *err);
void stills_free(struct stills *stills); /* takes NULL; tells nobody of what is under way */
void stills_make(struct stills *stills, struct still *still);
void stills_forget(struct stills *stills, struct still *still); /* one that is not done: its owner goes */

#endif
