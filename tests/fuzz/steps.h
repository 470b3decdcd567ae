/* Inputs that are a sequence of steps, for targets with a state: [op, argument, length (2 bytes), bytes] each.
 *
 * steps.c brings the fuzzer's mutators: they add, drop, repeat and exchange steps, and change frames by the message table.
 */
#ifndef GANTRY_TESTS_STEPS_H
#define GANTRY_TESTS_STEPS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

#define STEPS_MAX 96

struct step {
    uint8_t op, argument;
    struct str bytes;
};

/* What the target takes; each defines it. */
struct steps_plan {
    unsigned ops; /* a step's op is taken modulo this */
    const uint16_t *(*frames)(
        unsigned op); /* ids of the messages that this op's bytes may be, ending in 0; NULL: bytes of any kind */
};
extern const struct steps_plan steps_plan;

/* The steps of an input; bytes borrow from it. What is cut short is a shorter step. */
unsigned steps_read(const uint8_t *data, size_t size, struct step steps[STEPS_MAX]);

#endif
