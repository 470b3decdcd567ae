/* The bus's sockets without a network: frames go in by hand, and what is sent goes to a function (linked with --wrap). */
#ifndef GANTRY_TESTS_SOCKETS_H
#define GANTRY_TESTS_SOCKETS_H

#include "proto/bus.h"

/* The socket that listens at an endpoint; NULL: none. */
void *sockets_find(const char *endpoint);
/* Who reads from it: the argument of its loop_add_socket, so a struct bus_server. */
void *sockets_owner(const char *endpoint);
/* Puts a message of peer n in: count frames, borrowed until it has been received. */
void sockets_put(void *socket, unsigned peer, const struct str *frames, unsigned count);
/* Called with each message sent to a peer (of a ROUTER); may be NULL. */
extern void (*sockets_sent)(void *socket, unsigned peer, struct str frame);

#endif
