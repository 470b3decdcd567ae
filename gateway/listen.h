/* The listening socket, and whether it may be opened at all. */
#ifndef GANTRY_GATEWAY_LISTEN_H
#define GANTRY_GATEWAY_LISTEN_H

#include "proto/str.h"

/* Listens on host:port; port 0 takes a free one, *port receives it. Answers a descriptor, -1 with err: one sentence that names host
 * and port. An address beyond loopback is refused unless insecure: there is no authentication yet that could stand in for it. */
int listen_open(const char *host, unsigned *port, bool insecure, struct err *err);

/* Writes the port to path, whole or not at all. */
int listen_announce(const char *path, unsigned port, struct err *err);

#endif
