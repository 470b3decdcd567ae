/* A surface is a translation, nothing more: a table of routes and an envelope, between a dialect of HTTP and the messages. */
#ifndef GANTRY_GATEWAY_SURFACES_SURFACE_H
#define GANTRY_GATEWAY_SURFACES_SURFACE_H

#include "gateway/route.h"

struct problem;

struct surface {
    const char *name;   /* "scheduler" */
    const char *prefix; /* on the main port: "/api"; "" for the root */
    const char *own;    /* the same on a port of its own (port.h); NULL: it has none */
    const struct route *routes;
    /* Writes an error's whole body to request->out. */
    void (*write_problem)(struct request *request, const struct problem *problem);
    const char *doc; /* what docs/http says of it */
    /* The handlers of routes whose body is a file of any size: they are called before that comes, and say where it goes (http_receive).
     * Ends in NULL; NULL: there are none. */
    void (*const *uploads)(struct request *request);
    bool any_origin;  /* pages of any origin may call here */
    bool slash;       /* a path may have a / at its end */
    unsigned invalid; /* status of what is well-formed and breaks a rule; 0: 422 */
};

extern const struct surface surface_scheduler;
extern const struct surface surface_transcode;
extern const struct surface surface_recorder;
extern const struct surface surface_render;
extern const struct surface surface_web;

/* Every surface of the main port, NULL at the end. The first one's envelope answers for paths that are nobody's. */
extern const struct surface *const surfaces_all[];

#endif
