/* What a simulated worker holds, for the files that see to parts of its work. */
#ifndef GANTRY_TESTS_SIM_WORKER_H
#define GANTRY_TESTS_SIM_WORKER_H

#include "tests/sim/sim.h"

#define LOG_AGAIN_MS 2000

enum hand_state {
    HAND_WAITING,
    HAND_RUNNING,
    HAND_SCANNING, /* it asks and tells of the library */
    HAND_OWED,
    HAND_LOGGING,
    HAND_PUBLISHING,
    HAND_TELLING, /* that what it made stands in its source's place */
    HAND_RESULT
};

struct hand { /* a run it holds */
    uint64_t run, end_at, next_at, started;
    uint32_t attempt, timeout_s, earlier; /* earlier: the attempt whose output may stand */
    uint16_t lines, acked;
    uint8_t state, outcome;
    bool output, cancelled;
    struct library_walk *scan; /* of a scan */
    bool film;                 /* it transcodes this: */
    bool skips, tells;
    uint32_t name;
    uint64_t video, size, content;
    bool records;  /* a camera, */
    uint64_t from; /* since then; NEVER: there was nothing */
};

void worker_say(uint32_t who, const struct shape *shape, const void *value, uint64_t corr);

/* ---- one that scans and transcodes (transcoder.c) ---- */

struct str transcoder_labels(uint32_t who);
void transcoder_take(struct hand *hand, const struct rec_assignment *given); /* if that is what it has been given */
void transcoder_ask(uint32_t who, struct hand *hand);                        /* what its scan has to ask or tell next */
bool transcoder_source_stands(const struct hand *hand);                      /* as it was when the farm looked at it */
void transcoder_tell(uint32_t who, struct hand *hand);                       /* that what it made stands in its source's place */
struct str transcoder_result(const struct hand *hand);

/* ---- one that records (cameras.c) ---- */

void camera_take(struct hand *hand, const struct rec_assignment *given); /* if that is what it has been given */
uint64_t camera_begin(struct hand *hand);                                /* how long it takes */
void camera_cut(const struct hand *hand);                                /* in the middle of it, if it was there */
void camera_end(struct hand *hand, uint32_t earlier);                    /* earlier: the attempt whose output stands; 0: none */
struct str camera_result(const struct hand *hand);
struct str camera_error(const struct hand *hand);

#endif
