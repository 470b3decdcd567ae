/* A question to scheduler and store alike, for everybody who wants to know: asked at most once a second however many do. */
#ifndef GANTRY_GATEWAY_SURVEY_H
#define GANTRY_GATEWAY_SURVEY_H

#include "gateway/ask.h"

#define SURVEY_WAITERS 1024

typedef void survey_done(void); /* a function of the asker's own kind, who calls it */

struct survey {
    struct gateway *gateway; /* borrowed, as what follows is */
    const struct shape *shape;
    const void *question;
    /* One of them has answered, or not within a second (msg NULL). */
    void (*answered)(void *self, enum ask_whom whom, const struct msg *msg, double seconds);
    void (*measured)(void *self); /* both have; may be NULL */
    /* Somebody who waits is to be told: may ask something else, but not this. */
    void (*tell)(void *self, struct request *request, survey_done *done);
    void *self;

    /* its own */
    struct survey_part {
        struct survey *survey;
        enum ask_whom whom;
        uint64_t began_us, corr;
        bool asking;
    } parts[2]; /* by enum ask_whom */
    struct {
        struct request *request;
        survey_done *done;
    } waiters[SURVEY_WAITERS];
    uint32_t waiter_count;
    uint64_t measured_ms; /* monotonic; 0: never */
};

void survey_init(struct survey *survey); /* what is borrowed is filled in */
void survey_close(struct survey *survey);

/* Tells the request, now or when it is measured; 503 when too many wait. */
void survey_ask(struct survey *survey, struct request *request, survey_done *done);
/* Asks, unless that is under way or was done within the last second. */
void survey_measure(struct survey *survey);

#endif
