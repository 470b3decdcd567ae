/* A connection that is kept: a socket with a monitor, made anew when it is lost. What bus_client.c and bus_bell.c connect with; private
 * to the bus.
 *
 * A socket lives as long as its connection: when that is lost the socket goes, and with it whatever stood in its buffers. Left to itself,
 * libzmq would keep the buffers, and would never come again once the other side has refused it.
 */
#ifndef GANTRY_PROTO_BUS_LINE_H
#define GANTRY_PROTO_BUS_LINE_H

#include "proto/bus_socket.h"

struct bus_line_events {
    int (*prepare)(void *self, void *socket); /* sets a new socket up before it connects; -1 when it cannot. May be NULL */
    void (*readable)(void *self);             /* there may be something to receive */
    void (*up)(void *self);                   /* connected (again). May be NULL */
    void (*down)(void *self);                 /* it was up; a new socket is being connected already. May be NULL */
};

struct bus_line {
    struct loop *loop;
    char *endpoint;
    struct bus_curve curve; /* its texts are ours */
    int type;               /* ZMQ_… */
    struct bus_line_events events;
    void *self;
    void *socket, *monitor; /* NULL until the next try */
    bool up;
    bool refused; /* the present socket was */
    bool told;    /* that it was, in the log */
    int timer;    /* made ahead: the next try needs no memory to be waited for */
    char label[16];
};

/* Fills in a zeroed line and begins to connect; endpoint and curve (NULL: plain) are copied. -1 with err: close it all the same. */
int bus_line_open(struct bus_line *line, struct loop *loop, int type, const char *endpoint, const struct bus_curve *curve,
                  const struct bus_line_events *events, void *self, struct err *err);
void bus_line_close(struct bus_line *line); /* takes a zeroed one */
/* Takes the connection for lost. */
void bus_line_drop(struct bus_line *line);

#endif
