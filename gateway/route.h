/* Which handler a path and a method belong to.
 *
 * A surface's table has one row an endpoint; a router holds the tables of every surface of a port as a tree of segments.
 */
#ifndef GANTRY_GATEWAY_ROUTE_H
#define GANTRY_GATEWAY_ROUTE_H

#include <stdio.h>

#include "gateway/role.h"

struct request;
struct surface;

/* Bits, so that a path's methods are a set. OPTIONS and HEAD are answered for every path; a row for OPTIONS has more to say. */
enum method {
    METHOD_GET = 1,
    METHOD_POST = 2,
    METHOD_PUT = 4,
    METHOD_DELETE = 8,
    METHOD_PATCH = 16,
    METHOD_OPTIONS = 32,
    METHOD_OTHER = 64,
};

/* One row of a surface; the last has handle NULL. Handlers answer (reply.h), or ask and answer later (ask.h). */
struct route {
    enum method method;
    const char *path; /* below the surface's prefix: "/tasks/{id}/trigger" */
    void (*handle)(struct request *request);
    enum role role;  /* who may call it */
    const char *doc; /* one paragraph for docs/http */
};

#define ROUTE_ARGS 4 /* {…} in one path */

struct route_match {
    const struct route *route;     /* NULL: see methods */
    const struct surface *surface; /* whose prefix the path has; the router's first surface if none */
    struct str args[ROUTE_ARGS];   /* what stood at the {…}, in order; borrows from the segments */
    unsigned methods;              /* what the path takes; 0: there is no such path */
};

struct router;

struct router *router_new(void);         /* NULL when out of memory */
void router_free(struct router *router); /* takes NULL */

/* Adds a surface's routes (borrowed) below prefix: its own or, on a port of its own, another. -1 with err: a row given twice, too many arguments, or out of memory. */
int router_add(struct router *router, const struct surface *surface, const char *prefix, struct err *err);

void router_match(const struct router *router, enum method method, const struct str *segments, uint32_t count,
                  struct route_match *out);

enum method method_parse(struct str word); /* HEAD is GET */
const char *method_name(enum method method);
/* "GET, POST, OPTIONS" for an Allow header; answers out. */
const char *method_list(unsigned set, char out[64]);

/* docs/http/README.md: the endpoints of the surfaces (ends in NULL), from their tables. */
void route_markdown(const struct surface *const *surfaces, FILE *out);

#endif
