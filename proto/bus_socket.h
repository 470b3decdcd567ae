/* What bus servers, clients and bells share: contexts, socket options, frames in and out. Private to the bus. */
#ifndef GANTRY_PROTO_BUS_SOCKET_H
#define GANTRY_PROTO_BUS_SOCKET_H

#include <zmq.h>

#include "proto/bus.h"

#define BUS_FAIR_SHARE 1000 /* messages handled in one wake-up of one socket */
#define BUS_FAIR_MS 10      /* and for how long: large ones must not hold up what is done when it ends */
/* High-water mark a peer; reaching it is an error to the sender. A low one for what is received would bound memory better, but libzmq
 * 4.3.4 aborts (libzmq issue 4841) when a peer that it has stopped reading from, and that does not read either, goes away. */
#define BUS_QUEUE_MESSAGES 100000
/* Held ready for what is to be sent: acknowledgements, refusals and errors never lack memory. */
#define BUS_SMALL ((size_t)4096)
#define BUS_ARENA_LIMIT ((size_t)64 << 20)

extern struct bus_traffic bus_counted; /* what bus_traffic tells */

/* Accepting goes on at the limit on descriptors (bus_accept.c). Both may be called again. */
void bus_accept_begin(void);
void bus_accept_end(void);
/* A socket with the bus's options, bound or connected. curve may be NULL. NULL with err. */
void *socket_listen(int type, const char *endpoint, const struct bus_curve *curve, struct err *err);
void *socket_connect(int type, const char *endpoint, const struct bus_curve *curve, struct err *err);
/* Closes it; what was sent may still leave (bus_finish). Takes NULL. */
void socket_close(void *socket);
/* A plain socket without an endpoint yet, of the process's own context. */
void *socket_plain(int type);
/* The context a client's socket is in. */
void *socket_context(void);

/* Receives one frame without waiting into msg (initialised, to be closed by the caller). -1 when there is none. more: whether the
 * message goes on. */
int socket_receive(void *socket, zmq_msg_t *msg, bool *more);
/* Reads away the rest of a message. */
void socket_skip(void *socket);

/* Sends a message of two frames without waiting, whole or not at all: -1 with errno (ENOMEM, EAGAIN, EHOSTUNREACH). */
int socket_send_pair(void *socket, struct str head, struct str body);

/* The last part of an endpoint, for logs and trace: "workers" of ipc:///run/…/workers.sock. */
void socket_label(const char *endpoint, char out[16]);

#endif
