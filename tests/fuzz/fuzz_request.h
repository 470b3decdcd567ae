/* What else goes through the target of requests: tests/unit/test_routes_memory.c. */
#ifndef GANTRY_TESTS_FUZZ_REQUEST_H
#define GANTRY_TESTS_FUZZ_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum step_op {
    STEP_REQUEST, /* "METHOD TARGET\nName: value\n…\n\nBODY" */
    STEP_ANSWER,  /* a frame, to the oldest question */
    STEP_SILENCE,
    STEP_RING, /* the doorbell */
    STEP_READ, /* of a stream */
    STEP_LINK, /* scheduler and store are connected, or not */
    STEP_OPS,
};

extern const uint16_t fuzz_request_answers[];    /* messages that a question may be answered with, ending in 0 */
extern unsigned fuzz_request_status;             /* of the newest answer to a request */
extern size_t fuzz_request_bytes;                /* of its body */
extern void (*fuzz_request_checks)(bool begins); /* called around looking at an answer; NULL: nobody asks */

#endif
