/* The bus: messages between processes over ZeroMQ.
 *
 * A server is a ROUTER that answers; a client is a DEALER that asks, or that just sends and receives (a worker's session).
 * A request carries a number (corr) that its answer repeats. A client asks again with the same number when the
 * connection was lost, on a new socket, in the order of asking: so every request must be safe to receive twice.
 * Nothing is dropped silently: a message that cannot be handed over is an error to its sender, at once.
 * Callbacks and handlers may send, ask and forget, but not free the server or client that calls them.
 */
#ifndef GANTRY_PROTO_BUS_H
#define GANTRY_PROTO_BUS_H

#include "proto/loop.h"
#include "proto/messages.h"

/* CURVE, used by endpoints that begin with tcp://. NULL members: plain. Paths of zcert files (docs/operations.md). */
struct bus_curve {
    const char *own;     /* our certificate with its secret key */
    const char *server;  /* client: the server's public certificate */
    const char *allowed; /* server: folder with the public certificates of clients let in */
};

/* Gives what was sent before the sockets were freed up to 500 ms to leave. Once, at the end of main, after everything of the bus is
 * freed. */
void bus_finish(void);

struct bus_traffic { /* messages of all servers and clients of this process, since its start */
    uint64_t received, sent;
    uint64_t refused; /* could not be handed over: their senders were told */
};
const struct bus_traffic *bus_traffic(void);

/* ---- server ---- */

struct bus_server;

struct bus_peer { /* who sent a message; stays valid until it disconnects, and can be compared with memcmp */
    uint8_t len;
    uint8_t id[15];
};

struct bus_call { /* a message being handled; valid during the handler */
    struct bus_server *server;
    struct bus_peer peer;
    const struct msg *msg;
    struct str frame; /* the bytes it was decoded from */
    struct str key;   /* CURVE: the sender's public key, as curve_keys.h writes it; empty: plain */
};

typedef void bus_handler(void *self, const struct bus_call *call);

/* One row of a process's handler table; the last row has handle NULL. */
struct bus_route {
    uint16_t id; /* MSG_… */
    bus_handler *handle;
    const char *doc;
};

/* Binds and listens. routes and self are borrowed for the server's life. PING is answered for everybody by
 * pong (may be NULL). Messages without a route are answered with ERROR/ERR_PROTOCOL. NULL with err on failure. */
struct bus_server *bus_server_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                  const struct bus_route *routes, void *self, struct err *err);
/* Messages of this kind are thrown away unread when one peer sends more bytes of them in a second. */
void bus_server_limit(struct bus_server *server, uint16_t id, uint32_t bytes_s);
void bus_server_on_ping(struct bus_server *server, void (*fill)(void *self, struct msg_pong *pong));
void bus_server_free(struct bus_server *server); /* takes NULL */
/* With CURVE: a key that is let in no more is not listened to any more, and its connection is cut when it says something. True when the
 * list was read again since the last call: whoever holds sessions looks at their keys. */
bool bus_server_keys_changed(struct bus_server *server);
bool bus_server_lets_in(const struct bus_server *server, struct str key); /* an empty key is let in */
/* Handles what has already arrived, without waiting; answers how many messages that was. */
int bus_server_drain(struct bus_server *server);
/* Handles a frame of a peer's again that a handler has put by; not from within a handler. */
void bus_server_handle(struct bus_server *server, const struct bus_peer *peer, struct str frame);

/* Sends to a peer. -1: it is gone (err->code ERR_NOT_FOUND), its queue is full (ERR_LIMIT), or there is no memory (ERR_NO_MEMORY); the
 * message was not sent. */
int bus_send(struct bus_server *server, const struct bus_peer *peer, const struct shape *shape, const void *value, uint64_t corr,
             struct str rid, struct err *err);
/* The same for bytes already encoded with corr and rid. */
int bus_send_bytes(struct bus_server *server, const struct bus_peer *peer, struct str bytes, struct err *err);
/* Answers a call: bus_send with the call's peer, corr and rid; a failure is counted and logged, the client asks again. */
void bus_answer(const struct bus_call *call, const struct shape *shape, const void *value);
void bus_answer_error(const struct bus_call *call, uint64_t code, const char *field, const char *rule, const char *text);

/* ---- client ---- */

struct bus_client;

struct bus_client_events {
    void (*up)(void *self);   /* connected (again); requests still open were sent again. May be NULL */
    void (*down)(void *self); /* connection lost. May be NULL */
    void (*message)(void *self, const struct msg *msg, struct str frame); /* what is not the answer to a request. May be NULL */
};

/* Connects in the background and for ever again. events is copied, self borrowed. */
struct bus_client *bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                  const struct bus_client_events *events, void *self, struct err *err);
void bus_client_free(struct bus_client *client); /* takes NULL; open requests are forgotten without a call */
bool bus_client_is_up(const struct bus_client *client);

/* The answer, or msg NULL with err when the deadline passed (ERR_UNKNOWN_OUTCOME if it had been sent, else
 * ERR_UNAVAILABLE) or too many are open (ERR_LIMIT, called before bus_ask returns). msg is valid during the call. */
typedef void bus_reply(void *arg, const struct msg *msg, const struct err *err);

#define BUS_OPEN_MAX 65536 /* requests a client has open at once */

/* Asks; reply is called exactly once unless bus_forget or bus_client_free comes first. Answers a number for bus_forget. */
uint64_t bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid, uint64_t deadline_ms,
                 bus_reply *reply, void *arg);
void bus_forget(struct bus_client *client, uint64_t corr);

/* Sends without expecting an answer; -1 when not connected (ERR_UNAVAILABLE) or the queue is full (ERR_LIMIT). */
int bus_tell(struct bus_client *client, const struct shape *shape, const void *value, struct err *err);
int bus_tell_bytes(struct bus_client *client, struct str bytes, struct err *err);

/* ---- doorbell ---- */

struct bus_bell; /* PUB */
struct bus_bell *bus_bell_new(const char *endpoint, const struct bus_curve *curve, struct err *err);
void bus_bell_free(struct bus_bell *bell);                                      /* takes NULL */
void bus_bell_ring(struct bus_bell *bell, const struct msg_doorbell *doorbell); /* soft */

struct bus_ear; /* SUB */
struct bus_ear *bus_ear_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                            void (*hear)(void *self, const struct msg_doorbell *doorbell), void *self, struct err *err);
/* An ear listens at first. To one that does not nothing is sent: each bell would wake the whole process. -1: no memory. */
int bus_ear_listen(struct bus_ear *ear, bool listens);
void bus_ear_free(struct bus_ear *ear); /* takes NULL */

#endif
