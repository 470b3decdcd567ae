/* The answering side: a ROUTER whose messages go to a table of handlers.
 *
 * A peer's routing id is made by ZeroMQ anew for each connection, so an answer can never reach a later connection by mistake.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proto/bus_socket.h"
#include "proto/clock.h"
#include "proto/curve_keys.h"
#include "proto/flood.h"
#include "proto/log.h"
#include "proto/trace.h"

#define ROUTE_IDS 0x0700 /* message ids are below this */

struct bus_server {
    struct loop *loop;
    void *socket;
    const struct bus_route *by_id[ROUTE_IDS];
    void *self;
    void (*fill_pong)(void *self, struct msg_pong *pong);
    bool limited;               /* some kind is: only then is a frame looked at for it */
    uint32_t most_s[ROUTE_IDS]; /* bus_server_limit; 0: none */
    struct flood flood;
    struct arena *arena; /* lists of the message being handled */
    struct msg msg;
    struct buf out;
    char label[16];
    struct curve_keys *keys; /* NULL: plain */
    bool keys_changed;
    struct str key;         /* of the message being handled */
    uint64_t complained_ms; /* when bad frames were last logged */
    uint64_t bad_frames;    /* since then */
};

static void server_readable(void *arg)
{
    bus_server_drain(arg);
}

struct bus_server *bus_server_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                  const struct bus_route *routes, void *self, struct err *err)
{
    struct bus_server *server = calloc(1, sizeof *server);

    if (server == NULL || (server->arena = arena_new(BUS_ARENA_LIMIT)) == NULL || buf_reserve(&server->out, BUS_SMALL) != 0) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        goto error;
    }
    server->loop = loop;
    server->self = self;
    socket_label(endpoint, server->label);
    for (const struct bus_route *route = routes; route->handle != NULL; route++) {
        if (route->id < ROUTE_IDS) {
            server->by_id[route->id] = route;
        }
    }
    if (curve != NULL && curve->own != NULL && (server->keys = curve_keys_new(curve->allowed)) == NULL) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        goto error;
    }
    server->socket = socket_listen(ZMQ_ROUTER, endpoint, curve, err);
    if (server->socket == NULL) {
        goto error;
    }
    if (loop_add_socket(loop, server->socket, server_readable, server) != 0) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        goto error;
    }
    return server;
error:
    bus_server_free(server);
    return NULL;
}

void bus_server_limit(struct bus_server *server, uint16_t id, uint32_t bytes_s)
{
    server->most_s[id] = bytes_s;
    server->limited = true;
}

void bus_server_on_ping(struct bus_server *server, void (*fill)(void *self, struct msg_pong *pong))
{
    server->fill_pong = fill;
}

void bus_server_free(struct bus_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->socket != NULL) {
        loop_remove_socket(server->loop, server->socket);
        socket_close(server->socket);
    }
    curve_keys_free(server->keys);
    arena_free(server->arena);
    buf_free(&server->out);
    free(server);
}

/* A line a second at the most, so that a hostile peer cannot fill the disk with logs. */
static void server_complain(struct bus_server *server, const char *why)
{
    uint64_t now = clock_mono_ms();

    server->bad_frames++;
    if (server->complained_ms != 0 && now - server->complained_ms < 1000) {
        return;
    }
    log_warn("GTY-BUS-MALFORMED", "link=%s count=%lu %s", server->label, (unsigned long)server->bad_frames, why);
    server->complained_ms = now;
    server->bad_frames = 0;
}

static void answer_ping(struct bus_server *server, const struct bus_call *call)
{
    struct msg_pong pong = {0};

    server->fill_pong(server->self, &pong);
    bus_answer(call, &shape_msg_pong, &pong);
}

static void server_dispatch(struct bus_server *server, const struct bus_call *call)
{
    uint16_t id = call->msg->shape->id;
    const struct bus_route *route = id < ROUTE_IDS ? server->by_id[id] : NULL;

    log_request(call->msg->rid);
    if (route != NULL) {
        route->handle(server->self, call);
    } else if (id == MSG_PING && server->fill_pong != NULL) {
        answer_ping(server, call);
    } else {
        bus_answer_error(call, ERR_PROTOCOL, "", "message", "this message is not taken here");
    }
    log_request((struct str){0});
}

void bus_server_handle(struct bus_server *server, const struct bus_peer *peer, struct str frame)
{
    struct err err = {0};
    struct bus_call call = {server, *peer, &server->msg, frame, server->key};

    arena_reset(server->arena);
    if (msg_decode(server->arena, frame, &server->msg, &err) == 0) {
        server_dispatch(server, &call);
        return;
    }
    server_complain(server, err.text);
    server->msg = (struct msg){.shape = &shape_msg_error};
    struct codec_envelope envelope;
    if (codec_open(frame, &envelope, NULL) == 0) { /* its asker need not wait for its deadline */
        server->msg.corr = envelope.corr;
        server->msg.rid = envelope.rid;
    }
    if (arena_starved(server->arena)) {
        bus_answer_error(&call, ERR_NO_MEMORY, "", "memory", err.text); /* nothing is wrong with the message: it may come again */
    } else {
        bus_answer_error(&call, ERR_PROTOCOL, "", "malformed", err.text);
    }
}

/* ---- keys ---- */

static void keys_refresh(struct bus_server *server)
{
    if (server->keys != NULL && curve_keys_refresh(server->keys, clock_mono_ms())) {
        server->keys_changed = true;
    }
}

bool bus_server_keys_changed(struct bus_server *server)
{
    keys_refresh(server);
    bool changed = server->keys_changed;
    server->keys_changed = false;
    return changed;
}

bool bus_server_lets_in(const struct bus_server *server, struct str key)
{
    return server->keys == NULL || key.len == 0 || curve_keys_has(server->keys, key);
}

/* ZeroMQ has no call that ends one peer's connection. It tells the descriptor a message came by; that may be another's by now, so only
 * a socket whose other end has the message's address is shut down. */
static void sender_cut(zmq_msg_t *msg)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char text[NI_MAXHOST];
    const char *said = zmq_msg_gets(msg, "Peer-Address");
    int fd = zmq_msg_get(msg, ZMQ_SRCFD);

    if (fd >= 0 && said != NULL && getpeername(fd, (struct sockaddr *)&address, &len) == 0 &&
        getnameinfo((struct sockaddr *)&address, len, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
        strcmp(text, said) == 0) {
        shutdown(fd, SHUT_RDWR);
    }
}

/* False: the message is from a key that is let in no more. */
static bool sender_known(struct bus_server *server, zmq_msg_t *msg)
{
    if (server->keys == NULL) {
        return true;
    }
    const char *key = zmq_msg_gets(msg, "User-Id");
    server->key = key != NULL ? str_of(key) : (struct str){0};
    if (curve_keys_has(server->keys, server->key)) {
        return true;
    }
    if (curve_keys_look(server->keys)) { /* it may have been let in this moment */
        server->keys_changed = true;
        if (curve_keys_has(server->keys, server->key)) {
            return true;
        }
    }
    server_complain(server, "from a key that is let in no more");
    sender_cut(msg);
    return false;
}

static bool too_much(struct bus_server *server, const struct bus_peer *peer, struct str frame)
{
    uint64_t id = server->limited ? codec_id(frame) : ROUTE_IDS;
    uint32_t most = id < ROUTE_IDS ? server->most_s[id] : 0;

    return most != 0 && flood_over(&server->flood, peer, clock_mono_ms(), frame.len, most);
}

/* One whole message: the routing id, then one frame. Anything else is read away. -1 when there is none. */
static int server_receive(struct bus_server *server)
{
    struct bus_peer peer = {0};
    zmq_msg_t id, body;
    bool more = false;

    if (socket_receive(server->socket, &id, &more) != 0) {
        return -1;
    }
    bus_counted.received++;
    bool known = zmq_msg_size(&id) <= sizeof peer.id;
    if (known) {
        peer.len = (uint8_t)zmq_msg_size(&id);
        memcpy(peer.id, zmq_msg_data(&id), peer.len);
    }
    zmq_msg_close(&id);
    if (!more || socket_receive(server->socket, &body, &more) != 0) {
        return 0;
    }
    bool single = !more;
    if (more) {
        socket_skip(server->socket);
    }
    if (!sender_known(server, &body)) {
        ; /* not looked at */
    } else if (known && single) {
        struct str frame = {zmq_msg_data(&body), (uint32_t)zmq_msg_size(&body)};
        if (trace_on()) {
            trace_frame('<', server->label, (struct str){(const char *)peer.id, peer.len}, frame);
        }
        if (too_much(server, &peer, frame)) {
            server_complain(server, "more of its kind in a second than a peer has need of");
        } else {
            bus_server_handle(server, &peer, frame);
        }
    } else {
        server_complain(server, "a message is one frame, from a peer whose routing id has at most 15 bytes");
    }
    server->key = (struct str){0};
    zmq_msg_close(&body);
    return 0;
}

int bus_server_drain(struct bus_server *server)
{
    int count = 0;

    keys_refresh(server);
    uint64_t until = clock_mono_ms() + BUS_FAIR_MS;
    while (count < BUS_FAIR_SHARE && server_receive(server) == 0) {
        count++;
        if (clock_mono_ms() >= until) { /* each time: one message may be a list that takes long */
            break;
        }
    }
    return count;
}

int bus_send_bytes(struct bus_server *server, const struct bus_peer *peer, struct str bytes, struct err *err)
{
    if (socket_send_pair(server->socket, (struct str){(const char *)peer->id, peer->len}, bytes) != 0) {
        bus_counted.refused++;
        switch (errno) {
        case EHOSTUNREACH:
            return err_set(err, ERR_NOT_FOUND, "the peer is gone");
        case ENOMEM:
            return err_set(err, ERR_NO_MEMORY, "out of memory");
        default:
            return err_set(err, ERR_LIMIT, "the peer's queue is full");
        }
    }
    bus_counted.sent++;
    if (trace_on()) {
        trace_frame('>', server->label, (struct str){(const char *)peer->id, peer->len}, bytes);
    }
    return 0;
}

int bus_send(struct bus_server *server, const struct bus_peer *peer, const struct shape *shape, const void *value, uint64_t corr,
             struct str rid, struct err *err)
{
    buf_reset(&server->out);
    if (codec_encode(&server->out, shape, value, corr, rid, err) != 0) {
        return -1;
    }
    return bus_send_bytes(server, peer, buf_str(&server->out), err);
}

void bus_answer(const struct bus_call *call, const struct shape *shape, const void *value)
{
    struct err err = {0};

    if (bus_send(call->server, &call->peer, shape, value, call->msg->corr, call->msg->rid, &err) != 0) {
        enum log_level level = err.code == ERR_NOT_FOUND ? LOG_DEBUG : LOG_WARN; /* who is gone waits for nothing */
        log_line(level, "GTY-BUS-ANSWER", "link=%s message=%s %s", call->server->label, shape->name, err.text);
        if (err.code == ERR_NO_MEMORY && shape != &shape_msg_error) { /* its asker need not wait for its deadline */
            bus_answer_error(call, ERR_NO_MEMORY, "", "memory", err.text);
        }
    }
}

void bus_answer_error(const struct bus_call *call, uint64_t code, const char *field, const char *rule, const char *text)
{
    struct msg_error error = {.code = code, .field = str_of(field), .rule = str_of(rule), .text = str_of(text)};

    bus_answer(call, &shape_msg_error, &error);
}
