/* Who is let in, as ZeroMQ asks it for each connection that shows a key (ZAP, RFC 27): one for all sockets of a process.
 *
 * Its answer makes the key the user id of every message of that connection, so that a server can look at it again later.
 */
#ifndef GANTRY_PROTO_CURVE_GATE_H
#define GANTRY_PROTO_CURVE_GATE_H

#include "proto/str.h"

/* Opens it in this ZeroMQ context with the keys of this folder; a second call changes nothing. -1 with err. */
int curve_gate_open(void *context, const char *folder, struct err *err);
/* Ends it once its context has been terminated. */
void curve_gate_close(void);

#endif
