/* What the files of this room share: one of each, made by main.c. */
#ifndef GANTRY_GATEWAY_GATEWAY_H
#define GANTRY_GATEWAY_GATEWAY_H

#include "gateway/audit.h"
#include "gateway/budget.h"
#include "gateway/guard.h"
#include "gateway/limit.h"
#include "gateway/meter.h"
#include "gateway/port.h"
#include "gateway/rate.h"
#include "gateway/resources.h"
#include "gateway/tls.h"
#include "proto/loop.h"
#include "proto/settings.h"

struct gateway {
    struct loop *loop;
    struct settings *settings;
    struct router *router; /* of the main port */
    struct ports ports;
    struct http *http;
    struct ask *ask;
    struct files *files;           /* NULL: none can be uploaded */
    struct s3 *s3;                 /* where these are kept; NULL: in the folder */
    struct parts *parts;           /* of uploads */
    struct recordings *recordings; /* for the helper thread alone */
    struct recorder *recorder;
    struct stills *stills;           /* NULL: none can be made */
    struct still_cache *still_cache; /* NULL: none are kept */
    struct blob_tidy *blob_tidy;
    struct blob_gc *blob_gc;
    struct events *events;
    struct feed *feed;
    struct hooks *hooks;
    struct pulse *pulse;
    struct health *health;
    struct stats_asker *stats;
    struct traffic *traffic;
    struct auth *auth; /* NULL: everybody is let in */
    struct rate *rate;
    struct audit audit;
    struct tls tls;
    struct meter meter;
    struct resources resources;
    struct budget budget;
    unsigned polls, polls_max;     /* requests that wait for runs */
    unsigned streams, streams_max; /* answers that go on until their client leaves; 0: any number */
    bool stopping;
    uint64_t started_ms; /* monotonic */

    /* from the settings, again at every reload */
    struct guard guard;
    struct limits limits;
    struct rate_limit rate_limit;
    uint64_t deadline_ms;
};

#endif
