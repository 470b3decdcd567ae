#include "proto/bus_socket.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/curve.h"
#include "proto/curve_gate.h"

static void *context; /* of every socket of this process */
struct bus_traffic bus_counted;

const struct bus_traffic *bus_traffic(void)
{
    return &bus_counted;
}

void *socket_context(void)
{
    if (context == NULL) {
        context = zmq_ctx_new();
        if (context != NULL) {
            zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4096);
        }
    }
    return context;
}

void bus_finish(void)
{
    if (context != NULL) {
        zmq_ctx_term(context);
        context = NULL;
        curve_gate_close();
    }
    bus_accept_end();
}

static int socket_set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static void *socket_new(void *in, int type, bool tcp)
{
    int64_t largest = CODEC_FRAME_MAX;
    void *socket = in ? zmq_socket(in, type) : NULL;

    if (socket == NULL) {
        return NULL;
    }
    socket_set(socket, ZMQ_LINGER, 500);
    socket_set(socket, ZMQ_SNDHWM, BUS_QUEUE_MESSAGES);
    socket_set(socket, ZMQ_RCVHWM, BUS_QUEUE_MESSAGES);
    socket_set(socket, ZMQ_HANDSHAKE_IVL, 3000);
    socket_set(socket, ZMQ_RECONNECT_IVL, 50);
    socket_set(socket, ZMQ_RECONNECT_IVL_MAX, 500);
    socket_set(socket, ZMQ_BACKLOG, 4096);
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
    if (tcp) {
        /* A peer's machine can go without a word; on ipc the kernel tells. Given up, and asked again on a new connection, before the
         * 10 s of bus.deadline_ms are over: then it is a wait to who asked, and no failure. */
        socket_set(socket, ZMQ_HEARTBEAT_IVL, 2000);
        socket_set(socket, ZMQ_HEARTBEAT_TIMEOUT, 5000);
        socket_set(socket, ZMQ_IPV6, 1);
    }
    if (type == ZMQ_ROUTER) {
        socket_set(socket, ZMQ_ROUTER_MANDATORY, 1);
    }
    return socket;
}

static bool is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

/* ipc names over 107 bytes would be cut short to another name. */
static int endpoint_check(const char *endpoint, struct err *err)
{
    bool ipc = strncmp(endpoint, "ipc://", 6) == 0;

    if (!ipc && !is_tcp(endpoint)) {
        return err_set(err, ERR_INVALID, "%s: an endpoint begins with ipc:// or tcp://", endpoint);
    }
    if (ipc && strlen(endpoint + 6) > 106) {
        return err_set(err, ERR_INVALID, "%s: an ipc path has at most 106 bytes", endpoint);
    }
    return 0;
}

void *socket_listen(int type, const char *endpoint, const struct bus_curve *curve, struct err *err)
{
    bool safe = curve != NULL && curve->own != NULL;

    if (endpoint_check(endpoint, err) != 0) {
        return NULL;
    }
    void *socket = socket_new(socket_context(), type, is_tcp(endpoint));
    if (socket == NULL) {
        err_set(err, ERR_NO_MEMORY, "%s: no socket: %s", endpoint, zmq_strerror(errno));
        return NULL;
    }
    if (safe && curve_apply_server(socket, curve, err) != 0) {
        socket_close(socket);
        return NULL;
    }
    bus_accept_begin();
    if (zmq_bind(socket, endpoint) != 0) {
        err_set(err, ERR_IO, "%s: cannot listen: %s", endpoint, zmq_strerror(errno));
        socket_close(socket);
        return NULL;
    }
    return socket;
}

void *socket_connect(int type, const char *endpoint, const struct bus_curve *curve, struct err *err)
{
    if (endpoint_check(endpoint, err) != 0) {
        return NULL;
    }
    void *socket = socket_new(socket_context(), type, is_tcp(endpoint));
    if (socket == NULL) {
        err_set(err, ERR_NO_MEMORY, "%s: no socket: %s", endpoint, zmq_strerror(errno));
        return NULL;
    }
    if (curve != NULL && curve->own != NULL && curve_apply_client(socket, curve, err) != 0) {
        socket_close(socket);
        return NULL;
    }
    return socket;
}

void *socket_plain(int type)
{
    void *in = socket_context();
    void *socket = in ? zmq_socket(in, type) : NULL;

    if (socket != NULL) {
        socket_set(socket, ZMQ_LINGER, 0);
    }
    return socket;
}

void socket_close(void *socket)
{
    if (socket != NULL) {
        int kept = errno;
        zmq_close(socket);
        errno = kept;
    }
}

int socket_receive(void *socket, zmq_msg_t *msg, bool *more)
{
    zmq_msg_init(msg);
    int rc;
    do {
        rc = zmq_msg_recv(msg, socket, ZMQ_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        zmq_msg_close(msg);
        return -1;
    }
    *more = zmq_msg_more(msg);
    return 0;
}

void socket_skip(void *socket)
{
    bool more = true;
    zmq_msg_t msg;

    while (more && socket_receive(socket, &msg, &more) == 0) {
        zmq_msg_close(&msg);
    }
}

int socket_send_pair(void *socket, struct str head, struct str body)
{
    zmq_msg_t msg;

    /* What needs memory comes first: behind a head that has been taken the body cannot fail, or the next message would be taken for it. */
    if (zmq_msg_init_size(&msg, body.len) != 0) {
        return -1;
    }
    if (body.len > 0) {
        memcpy(zmq_msg_data(&msg), body.ptr, body.len);
    }
    if (zmq_send(socket, head.ptr, head.len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 || zmq_msg_send(&msg, socket, ZMQ_DONTWAIT) < 0) {
        int kept = errno;
        zmq_msg_close(&msg);
        errno = kept;
        return -1;
    }
    return 0;
}

void socket_label(const char *endpoint, char out[16])
{
    const char *name = strrchr(endpoint, '/');

    name = name ? name + 1 : endpoint;
    snprintf(out, 16, "%.*s", (int)strcspn(name, "."), name);
}
