/* Parts of results that came over HTTP and have no name yet: they go when their task has ended, or when nobody has gone on with them for a
 * day. */
#ifndef GANTRY_GATEWAY_SURFACES_TRANSCODE_PARTS_H
#define GANTRY_GATEWAY_SURFACES_TRANSCODE_PARTS_H

#include "gateway/gateway.h"
#include "proto/str.h"

struct parts;

/* Looks at its start, and every hour, for what is there. NULL: no memory. The helper thread is there already, and goes first. */
struct parts *parts_new(struct gateway *gateway);
void parts_free(struct parts *parts); /* takes NULL */

/* A part of this task is being written; path is absolute. Beyond as many as are looked after it is found in an hour. */
void parts_note(struct parts *parts, uint64_t task, const char *path); /* takes NULL */

#endif
