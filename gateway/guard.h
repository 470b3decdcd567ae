/* Against web pages that reach for a farm on localhost: which Host names are ours, which Origins may call. */
#ifndef GANTRY_GATEWAY_GUARD_H
#define GANTRY_GATEWAY_GUARD_H

#include "proto/str.h"

struct guard {
    const char *bound;   /* the host setting */
    const char *names;   /* http.hosts: further names, separated by commas */
    const char *origins; /* http.origins, separated by commas */
};

/* True when a Host header (name, name:port, [v6]:port) names us. local: the address the client reached us at (may be empty):
 * with an address of any interface as host, that one is ours too. */
bool guard_host(const struct guard *guard, struct str host, struct str local);

enum guard_origin {
    ORIGIN_NONE,    /* no browser, or one that has nothing to hide */
    ORIGIN_SAME,    /* a page of ours */
    ORIGIN_LISTED,  /* another's, let in by http.origins */
    ORIGIN_FOREIGN, /* refused */
};

enum guard_origin guard_origin(const struct guard *guard, struct str origin, struct str host);

#endif
