/* What works, measured: a round trip to each process, at most once a second however many ask. */
#ifndef GANTRY_GATEWAY_HEALTH_H
#define GANTRY_GATEWAY_HEALTH_H

#include "gateway/ask.h"

#define HEALTH_COUNTS 64

struct health_part { /* of the scheduler or the store; read-only outside */
    bool answers;    /* within a second */
    bool ready;      /* and can do its work */
    double seconds;  /* the round trip */
    char trouble[256];
    struct health_count {
        char name[64];
        uint64_t value;
    } counts[HEALTH_COUNTS];
    uint32_t count_count;
};

enum health_state { HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_UNHEALTHY };

struct health_view {
    struct health_part parts[2]; /* by enum ask_whom */
    uint64_t wall_ms;            /* of the measurement */
    enum health_state state;     /* unhealthy: writes cannot work */
};

struct health;

struct health *health_new(struct gateway *gateway, struct err *err);
void health_free(struct health *health); /* takes NULL */

/* Calls on_health, now or when it is measured. One request asks once. */
void health_ask(struct request *request, void (*on_health)(struct request *request, const struct health_view *view));

/* Measures now, unless that is under way or was done within the last second. */
void health_measure(struct health *health);
/* Is told of every measurement; one at a time, NULL for none. */
void health_watch(struct health *health, void (*watch)(void *self, const struct health_view *view), void *self);

uint64_t health_count(const struct health_part *part, const char *name); /* 0 if it is not counted */
const char *health_word(bool good);                                      /* "healthy", "unhealthy" */
const char *health_state_word(enum health_state state);

#endif
