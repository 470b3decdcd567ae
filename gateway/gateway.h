/* What the files of this room share: one of each, made by main.c. */
#ifndef GANTRY_GATEWAY_GATEWAY_H
#define GANTRY_GATEWAY_GATEWAY_H

#include "gateway/budget.h"
#include "gateway/guard.h"
#include "gateway/limit.h"
#include "gateway/meter.h"
#include "proto/loop.h"
#include "proto/settings.h"

struct gateway {
    struct loop *loop;
    struct settings *settings;
    struct router *router;
    struct http *http;
    struct ask *ask;
    struct events *events;
    struct health *health;
    struct meter meter;
    struct budget budget;
    uint64_t started_ms; /* monotonic */

    /* from the settings, again at every reload */
    struct guard guard;
    struct limits limits;
    uint64_t deadline_ms;
};

#endif
