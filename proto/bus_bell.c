/* The doorbell: PUB and SUB. PUB drops at its mark, so it carries nothing that is not also on disk. */
#include <stdlib.h>

#include "proto/bus_line.h"
#include "proto/log.h"
#include "proto/trace.h"

struct bus_bell {
    void *socket;
    struct buf out;
};

struct bus_ear {
    struct bus_line line;
    bool listens;
    void (*hear)(void *self, const struct msg_doorbell *doorbell);
    void *self;
    struct arena *arena;
    struct msg msg;
};

struct bus_bell *bus_bell_new(const char *endpoint, const struct bus_curve *curve, struct err *err)
{
    struct bus_bell *bell = calloc(1, sizeof *bell);

    if (bell == NULL) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        return NULL;
    }
    bell->socket = socket_listen(ZMQ_PUB, endpoint, curve, err);
    if (bell->socket == NULL) {
        bus_bell_free(bell);
        return NULL;
    }
    return bell;
}

void bus_bell_free(struct bus_bell *bell)
{
    if (bell != NULL) {
        socket_close(bell->socket);
        buf_free(&bell->out);
        free(bell);
    }
}

void bus_bell_ring(struct bus_bell *bell, const struct msg_doorbell *doorbell)
{
    struct err err = {0};

    buf_reset(&bell->out);
    if (msg_encode_doorbell(&bell->out, doorbell, 0, (struct str){0}, &err) != 0 ||
        zmq_send(bell->socket, bell->out.data, bell->out.len, ZMQ_DONTWAIT) < 0) {
        log_debug("GTY-BELL-DROPPED", "%s", err.text);
        return;
    }
    if (trace_on()) {
        trace_frame('>', "doorbell", (struct str){0}, buf_str(&bell->out));
    }
}

static void on_line_readable(void *self)
{
    struct bus_ear *ear = self;
    struct err err = {0};
    zmq_msg_t msg;
    bool more = false;

    for (int i = 0; i < BUS_FAIR_SHARE && socket_receive(ear->line.socket, &msg, &more) == 0; i++) {
        struct str frame = {zmq_msg_data(&msg), (uint32_t)zmq_msg_size(&msg)};
        arena_reset(ear->arena);
        if (msg_decode(ear->arena, frame, &ear->msg, &err) == 0 && ear->msg.shape->id == MSG_DOORBELL) {
            ear->hear(ear->self, &ear->msg.u.doorbell);
        }
        zmq_msg_close(&msg);
        if (more) {
            socket_skip(ear->line.socket);
        }
    }
}

static int ear_subscribe(void *socket, bool listens)
{
    return zmq_setsockopt(socket, listens ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, "", 0);
}

static int on_line_prepare(void *self, void *socket)
{
    const struct bus_ear *ear = self;
    return ear->listens ? ear_subscribe(socket, true) : 0;
}

struct bus_ear *bus_ear_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                            void (*hear)(void *self, const struct msg_doorbell *doorbell), void *self, struct err *err)
{
    static const struct bus_line_events events = {.prepare = on_line_prepare, .readable = on_line_readable};
    struct bus_ear *ear = calloc(1, sizeof *ear);

    if (ear == NULL || (ear->arena = arena_new(BUS_ARENA_LIMIT)) == NULL) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        goto error;
    }
    ear->hear = hear;
    ear->self = self;
    ear->listens = true;
    if (bus_line_open(&ear->line, loop, ZMQ_SUB, endpoint, curve, &events, ear, err) != 0) {
        goto error;
    }
    return ear;
error:
    bus_ear_free(ear);
    return NULL;
}

int bus_ear_listen(struct bus_ear *ear, bool listens)
{
    if (ear->listens != listens && ear->line.socket != NULL && ear_subscribe(ear->line.socket, listens) != 0) {
        return -1;
    }
    ear->listens = listens;
    return 0;
}

void bus_ear_free(struct bus_ear *ear)
{
    if (ear == NULL) {
        return;
    }
    bus_line_close(&ear->line);
    arena_free(ear->arena);
    free(ear);
}
