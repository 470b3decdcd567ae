/* Frames made and changed by the message table: what a peer that knows the protocol might say, rightly or not. */
#ifndef GANTRY_TESTS_FRAMES_H
#define GANTRY_TESTS_FRAMES_H

#include "proto/messages.h"

struct dice {
    uint64_t state;
};

uint64_t dice_throw(struct dice *dice, uint64_t sides); /* 0 .. sides-1; 0 of 0 */

/* Appends a message that the table takes (as a rule), with small numbers and few words, so that messages mean each other's things. */
void frame_make(struct dice *dice, const struct shape *shape, struct buf *out);
/* Appends bytes with a field changed; a new message of the same kind, or of ids, when they do not decode. */
void frame_change(struct dice *dice, struct str bytes, const uint16_t *ids, struct buf *out);
/* One of ids, which ends in 0. */
const struct shape *frame_shape(struct dice *dice, const uint16_t *ids);

#endif
