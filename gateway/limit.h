/* How much of a client's time and bytes a request may take. Pure decisions; http.c acts on them. */
#ifndef GANTRY_GATEWAY_LIMIT_H
#define GANTRY_GATEWAY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* What a connection is doing. libmicrohttpd's own timeout starts anew with every byte: a client that sends one byte
 * a minute would keep a connection for ever. So each phase has an end that bytes do not move. */
enum limit_phase {
    LIMIT_IDLE,      /* nothing of a request is known yet */
    LIMIT_RECEIVING, /* its request line is there */
    LIMIT_WORKING,   /* it is handled; questions have deadlines of their own */
    LIMIT_SENDING,   /* its answer goes out */
    LIMIT_STREAMING, /* events, for as long as the client likes */
};

struct limits {
    uint64_t idle_ms;    /* silence after which a connection is closed */
    uint64_t request_ms; /* a whole request must be here by then */
    uint64_t body;       /* bytes of a body */
};

/* True when a connection has been in phase since since_ms for too long. */
bool limit_overdue(const struct limits *limits, enum limit_phase phase, uint64_t since_ms, uint64_t now_ms);

enum limit_body {
    LIMIT_BODY_TAKE,
    LIMIT_BODY_SKIP,   /* too large, but short enough to read to its end, so that the client sees the answer */
    LIMIT_BODY_REFUSE, /* answer at once and close */
};

/* What to do with a body of length bytes; expects: the client waits for a 100 before it sends. */
enum limit_body limit_body(const struct limits *limits, uint64_t length, bool expects);

#endif
