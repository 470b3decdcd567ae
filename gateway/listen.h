/* The listening sockets, and whether they may be opened at all. */
#ifndef GANTRY_GATEWAY_LISTEN_H
#define GANTRY_GATEWAY_LISTEN_H

#include "proto/str.h"

/* Listens on host:port; port 0 takes a free one, *port receives it. Answers a descriptor, -1 with err: one sentence that names host
 * and port. An address beyond loopback is refused unless guarded: callers are asked who they are, or somebody said --insecure. */
int listen_open(const char *host, unsigned *port, bool guarded, struct err *err);
/* The other address of a host that has two: localhost is ::1, too (RFC 6761), and there are clients that try no more than the first.
 * A descriptor; -1: there is none, or the machine has no IPv6, or with err: it cannot be had. */
int listen_also(const char *host, unsigned port, struct err *err);
bool listen_is_loopback(int fd);

/* Writes the port to path, whole or not at all. */
int listen_announce(const char *path, unsigned port, struct err *err);

#endif
