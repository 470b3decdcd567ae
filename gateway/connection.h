/* The connections that are open: since when each does what it does, and the end of those that take too long. */
#ifndef GANTRY_GATEWAY_CONNECTION_H
#define GANTRY_GATEWAY_CONNECTION_H

#include <stdbool.h>

#include "gateway/limit.h"
#include "gateway/peer.h"
#include "proto/str.h"

struct MHD_Connection;
struct http;
struct port;
struct ports;
struct request;

struct connection {
    struct connections *all;
    struct connection *prev, *next;
    struct MHD_Connection *mhd;
    struct request *request; /* the one under way */
    const struct port *port; /* that it came in by; NULL: the main one */
    uint64_t since_ms;       /* of the phase */
    enum limit_phase phase;
    struct peer peer;        /* the client's address */
    char address[PEER_TEXT]; /* the same as text */
    int fd;
    bool suspended;
    bool refused; /* over the limit: its requests hear so */
    bool cut;     /* shut down; libmicrohttpd is about to notice */
};

struct connections {
    struct http *http;
    const struct ports *ports; /* NULL: there is only the main one */
    struct connection *first;
    unsigned open, max;
    unsigned leaving;   /* of those open: cut */
    uint64_t looked_ms; /* when room was last looked for */
    bool tls;
};

struct connection *connection_new(struct connections *all, struct MHD_Connection *mhd); /* NULL when out of memory */
void connection_free(struct connections *all, struct connection *connection);           /* takes NULL */

void connection_phase(struct connection *connection, enum limit_phase phase);
void connection_suspend(struct connection *connection);
void connection_resume(struct connection *connection);
struct http *connection_http(const struct connection *connection);

/* Whether its client has closed it, as far as one can see: libmicrohttpd does not look while it is suspended. */
bool connection_gone(const struct connection *connection);

/* The address the client reached us at, as text. */
struct str connection_local(const struct connection *connection, char *out, size_t size);

/* Ends connections that are overdue: with a 408 where a request was on its way. */
void connections_sweep(struct connections *all, const struct limits *limits, uint64_t now_ms);

#endif
