/* What programs of Gantry's own (scans, transcodes) ask the farm through their worker: a socket between the two.
 *
 * A frame is four bytes of length (little-endian) of what follows, a byte that says what it is, and its content. One question is open at
 * a time. It is a message of the bus without a corr, about this very run; the worker asks the farm, again after a lost connection, and
 * hands the answer back.
 */
#ifndef GANTRY_WORKER_CHANNEL_H
#define GANTRY_WORKER_CHANNEL_H

#include <stdint.h>

#include "proto/messages.h"

#define CHANNEL_FRAME_MAX ((size_t)4 << 20)
#define CHANNEL_HEAD 5 /* bytes before the content */

enum channel_word {
    CHANNEL_ASK = 'A',       /* a message for the farm; back: its answer */
    CHANNEL_TELL = 'H',      /* a message for the farm, which does not answer it */
    CHANNEL_TEMPORARY = 'T', /* the run's output is being written under this absolute name */
    CHANNEL_FINAL = 'F',     /* and is complete now, to be published under this one */
    CHANNEL_REMAINS = 'R',   /* what later attempts go on from is in this folder: it goes only if there are none */
    CHANNEL_ERROR = 'E',     /* back: why the farm does not answer */
};

struct channel {
    struct buf in;       /* frames being read */
    struct buf ask;      /* the question, encoded; empty: none is open */
    struct buf hint;     /* a message that is not answered, encoded, to be sent: it stays when its program has ended */
    bool owed;           /* it is to be sent */
    uint64_t not_before; /* but not before this time (monotonic, ms) */
    bool broken;
};

struct channel_frame {
    enum channel_word word;
    struct str content; /* borrows */
};

void channel_reset(struct channel *channel); /* its program has ended, or begins */
void channel_clear(struct channel *channel);
/* Takes bytes in. -1: they are no frames of ours, or there is no memory. */
int channel_feed(struct channel *channel, const char *data, size_t len);
/* The next whole frame; false: there is none yet. Valid until channel_next is called again. */
bool channel_next(struct channel *channel, struct channel_frame *frame, size_t *used);
void channel_drop(struct channel *channel, size_t used);
/* Writes a frame. -1: no memory, or too long. */
int channel_pack(struct buf *out, enum channel_word word, struct str content);

/* Whether a run may send this: a message about a library or the files of a scene, and about itself. -1 with err. */
int channel_check(const struct msg *msg, uint64_t run, uint64_t attempt, struct err *err);

#endif
