/* Who is let in, as ZeroMQ asks it for each connection that shows a key (ZAP, RFC 27): one for all sockets of a process.
 *
 * Its answer makes the key the user id of every message of that connection, so that a server can look at it again later.
 */
#ifndef GANTRY_PROTO_CURVE_GATE_H
#define GANTRY_PROTO_CURVE_GATE_H

#include "proto/str.h"

#define CURVE_DOMAIN 16 /* of ZAP: which list a socket's peers have to be in */

/* Has it look in this folder for those who come to a socket of the domain it names; opens it in this ZeroMQ context at the first call.
 * -1 with err. */
int curve_gate_open(void *context, const char *folder, char domain[CURVE_DOMAIN], struct err *err);
/* Ends it once its context has been terminated. */
void curve_gate_close(void);

#endif
