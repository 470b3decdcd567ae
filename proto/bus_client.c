/* The asking side: a DEALER that remembers what it asked until it is answered.
 *
 * A socket lives as long as its connection. When that is lost the socket goes, and with it whatever stood in its buffers; a new one
 * is made, and when it stands every open request is sent again in the order of asking. So nothing from before a gap
 * can arrive behind something that fell into it.
 *
 * Invariants: a request is in the table from bus_ask until its reply is called, exactly once; `sent` says whether it was handed to the
 * present socket; requests are sent in the order of their numbers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/bus_socket.h"
#include "proto/clock.h"
#include "proto/log.h"
#include "proto/trace.h"

#define TABLE_SLOTS 1024 /* hash chains; numbers are consecutive, so they spread evenly */
#define TICK_MS 50       /* how exactly deadlines are kept */
#define REFUSED_MS 500   /* until one that the other side refused knocks again */

struct request {
    uint64_t corr;
    uint64_t deadline_ms; /* monotonic */
    bus_reply *reply;
    void *arg;
    struct request *chain;         /* same slot */
    struct request *older, *newer; /* order of asking */
    bool sent;
    bool ever_sent;
    uint32_t len;
    char frame[];
};

struct bus_client {
    struct loop *loop;
    char *endpoint;
    struct bus_curve curve; /* its texts are ours */
    struct bus_client_events events;
    void *self;
    void *socket, *monitor;
    bool up;
    bool failed;          /* a refused handshake was logged */
    bool refused;         /* the present socket's was */
    uint64_t next_try_ms; /* monotonic; while there is no socket */
    uint64_t next_corr;
    struct request *slots[TABLE_SLOTS];
    struct request *oldest, *newest;
    uint32_t open;
    int timer;    /* made ahead: a deadline is watched, memory or not */
    bool ticking; /* it is set */
    struct arena *arena;
    struct msg msg;
    struct buf out;
    char label[16];
};

static void client_readable(void *arg);
static void client_watch(void *arg);
static void client_tick(void *arg);
static void client_tick_later(struct bus_client *client);

/* ---- the table of open requests ---- */

static struct request **request_slot(struct bus_client *client, uint64_t corr)
{
    struct request **at = &client->slots[corr % TABLE_SLOTS];

    while (*at != NULL && (*at)->corr != corr) {
        at = &(*at)->chain;
    }
    return at;
}

static void request_add(struct bus_client *client, struct request *request)
{
    struct request **head = &client->slots[request->corr % TABLE_SLOTS];

    request->chain = *head;
    *head = request;
    request->older = client->newest;
    if (client->newest != NULL) {
        client->newest->newer = request;
    } else {
        client->oldest = request;
    }
    client->newest = request;
    client->open++;
}

/* Takes a request out of the table; the caller frees it. NULL when it is not there. */
static struct request *request_take(struct bus_client *client, uint64_t corr)
{
    struct request **at = request_slot(client, corr);
    struct request *request = *at;

    if (request == NULL) {
        return NULL;
    }
    *at = request->chain;
    *(request->older ? &request->older->newer : &client->oldest) = request->newer;
    *(request->newer ? &request->newer->older : &client->newest) = request->older;
    client->open--;
    return request;
}

/* ---- the connection ---- */

static void client_disconnect(struct bus_client *client)
{
    if (client->socket != NULL) {
        loop_remove_socket(client->loop, client->socket);
        zmq_socket_monitor(client->socket, NULL, 0);
        socket_close(client->socket);
        client->socket = NULL;
    }
    if (client->monitor != NULL) {
        loop_remove_socket(client->loop, client->monitor);
        socket_close(client->monitor);
        client->monitor = NULL;
    }
    client->up = false;
}

/* A new socket, watched by a monitor so that a lost connection is known at once. */
static int client_connect(struct bus_client *client, struct err *err)
{
    static unsigned monitors;
    char name[64];
    int watched = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                  ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;

    client->socket = socket_connect(ZMQ_DEALER, client->endpoint, &client->curve, err);
    if (client->socket == NULL) {
        return -1;
    }
    snprintf(name, sizeof name, "inproc://monitor-%u", ++monitors);
    client->monitor = socket_plain(ZMQ_PAIR);
    if (client->monitor == NULL || zmq_socket_monitor(client->socket, name, watched) != 0 ||
        zmq_connect(client->monitor, name) != 0 || zmq_connect(client->socket, client->endpoint) != 0 ||
        loop_add_socket(client->loop, client->monitor, client_watch, client) != 0 ||
        loop_add_socket(client->loop, client->socket, client_readable, client) != 0) {
        int code = errno == ENOMEM ? ERR_NO_MEMORY : ERR_IO;
        err_set(err, code, "%s: cannot connect: %s", client->endpoint, zmq_strerror(errno));
        client_disconnect(client);
        return -1;
    }
    return 0;
}

/* -1 when the queue is full: it stays unsent and is tried again by the tick. */
static int request_send(struct bus_client *client, struct request *request)
{
    if (zmq_send(client->socket, request->frame, request->len, ZMQ_DONTWAIT) < 0) {
        return -1;
    }
    request->sent = true;
    request->ever_sent = true;
    if (trace_on()) {
        trace_frame('>', client->label, (struct str){0}, (struct str){request->frame, request->len});
    }
    return 0;
}

static void requests_send(struct bus_client *client)
{
    for (struct request *at = client->oldest; at != NULL && client->up; at = at->newer) {
        if (!at->sent && request_send(client, at) != 0) {
            return;
        }
    }
}

static void client_down(struct bus_client *client)
{
    struct err err = {0};
    bool was_up = client->up;

    client_disconnect(client);
    for (struct request *at = client->oldest; at != NULL; at = at->newer) {
        at->sent = false;
    }
    client->next_try_ms = clock_mono_ms() + (client->refused ? REFUSED_MS : 0);
    if (client->refused) {
        client->refused = false;
        client_tick_later(client);
    } else if (client_connect(client, &err) != 0) {
        log_error("GTY-BUS-CONNECT", "%s", err.text);
        client_tick(client); /* keeps trying */
    }
    if (was_up) {
        log_info("GTY-BUS-DOWN", "link=%s connection lost", client->label);
        if (client->events.down != NULL) {
            client->events.down(client->self);
        }
    }
}

static void client_up(struct bus_client *client)
{
    client->up = true;
    client->failed = false;
    log_debug("GTY-BUS-UP", "link=%s connected", client->label);
    requests_send(client);
    if (client->events.up != NULL) {
        client->events.up(client->self);
    }
}

/* The next event of the monitor; 0 when there is none. An event is two frames: number and value, then the address. */
static uint16_t client_event(struct bus_client *client)
{
    zmq_msg_t msg;
    bool more = false;
    uint16_t event = 0;

    if (client->monitor == NULL || socket_receive(client->monitor, &msg, &more) != 0) {
        return 0;
    }
    if (zmq_msg_size(&msg) >= sizeof event) {
        memcpy(&event, zmq_msg_data(&msg), sizeof event);
    }
    zmq_msg_close(&msg);
    if (more) {
        socket_skip(client->monitor);
    }
    return event;
}

/* Its connection ends right after this. */
static void client_refused(struct bus_client *client)
{
    client->refused = true;
    if (!client->failed) {
        client->failed = true;
        log_warn("GTY-BUS-HANDSHAKE", "link=%s the other side refuses us (CURVE keys?)", client->label);
    }
}

static void client_watch(void *arg)
{
    struct bus_client *client = arg;
    uint16_t event;

    while ((event = client_event(client)) != 0) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            client_up(client);
        } else if (event == ZMQ_EVENT_DISCONNECTED) {
            client_readable(client); /* what the peer said last */
            client_down(client);
            return; /* this monitor is gone */
        } else {
            client_refused(client);
        }
    }
}

/* ---- what comes in ---- */

/* What cannot be read is an answer to nobody else: its asker need not wait for its deadline. What nobody asked for and there was no
 * memory to read is as lost as its connection: on a new one either side says again where it stands. */
static void client_unreadable(struct bus_client *client, struct str frame, const struct err *why)
{
    struct codec_envelope envelope;
    struct err err = {0};

    log_warn("GTY-BUS-MALFORMED", "link=%s %s", client->label, why->text);
    uint64_t corr = codec_open(frame, &envelope, NULL) == 0 ? envelope.corr : 0;
    struct request *request = corr != 0 ? request_take(client, corr) : NULL;
    if (request != NULL) {
        err_set(&err, ERR_UNKNOWN_OUTCOME, "the answer of %s cannot be read: %s", client->label, why->text);
        request->reply(request->arg, NULL, &err);
        free(request);
    } else if (corr == 0 && arena_starved(client->arena)) {
        client_down(client);
    }
}

static void client_message(struct bus_client *client, struct str frame)
{
    struct err err = {0};

    if (trace_on()) {
        trace_frame('<', client->label, (struct str){0}, frame);
    }
    arena_reset(client->arena);
    if (msg_decode(client->arena, frame, &client->msg, &err) != 0) {
        client_unreadable(client, frame, &err);
        return;
    }
    struct request *request = client->msg.corr != 0 ? request_take(client, client->msg.corr) : NULL;
    if (request != NULL) {
        request->reply(request->arg, &client->msg, NULL);
        free(request);
    } else if (client->msg.corr == 0 && client->events.message != NULL) {
        client->events.message(client->self, &client->msg, frame);
    } /* else the answer to a request nobody waits for any more */
}

static void client_readable(void *arg)
{
    struct bus_client *client = arg;
    zmq_msg_t msg;
    bool more = false;
    void *socket = client->socket;

    /* A callback may lose the connection: then this socket is gone. */
    for (int i = 0; i < BUS_FAIR_SHARE && client->socket == socket && socket != NULL; i++) {
        if (socket_receive(socket, &msg, &more) != 0) {
            return;
        }
        if (more) {
            socket_skip(socket);
        } else {
            client_message(client, (struct str){zmq_msg_data(&msg), (uint32_t)zmq_msg_size(&msg)});
        }
        zmq_msg_close(&msg);
    }
}

/* ---- deadlines ---- */

static void request_fail(struct bus_client *client, struct request *request)
{
    struct err err = {0};

    if (request->ever_sent) {
        err_set(&err, ERR_UNKNOWN_OUTCOME, "%s did not answer in time", client->label);
    } else {
        err_set(&err, ERR_UNAVAILABLE, "%s is not there", client->label);
    }
    request->reply(request->arg, NULL, &err);
    free(request);
}

static void client_tick_later(struct bus_client *client)
{
    if (!client->ticking) {
        client->ticking = true;
        loop_set(client->loop, client->timer, TICK_MS, 0);
    }
}

static void client_tick(void *arg)
{
    struct bus_client *client = arg;
    struct err err = {0};
    uint64_t now = clock_mono_ms();

    client->ticking = false;
    if (client->socket == NULL && now >= client->next_try_ms) {
        client_connect(client, &err);
    }
    requests_send(client);
    /* A reply may ask, forget, or answer others: begin again behind each. */
    for (struct request *at = client->oldest; at != NULL;) {
        if (at->deadline_ms <= now) {
            request_fail(client, request_take(client, at->corr));
            at = client->oldest;
        } else {
            at = at->newer;
        }
    }
    if (client->oldest != NULL || client->socket == NULL) {
        client_tick_later(client);
    }
}

/* ---- the calls ---- */

struct bus_client *bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                  const struct bus_client_events *events, void *self, struct err *err)
{
    struct bus_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        return NULL;
    }
    *client = (struct bus_client){.loop = loop, .events = *events, .self = self, .timer = -1};
    client->endpoint = strdup(endpoint);
    client->arena = arena_new(BUS_ARENA_LIMIT);
    if (curve != NULL && curve->own != NULL) {
        client->curve = (struct bus_curve){strdup(curve->own), strdup(curve->server), NULL};
    }
    socket_label(endpoint, client->label);
    client->timer = loop_timer(loop, client_tick, client);
    if (client->endpoint == NULL || client->arena == NULL || client->timer < 0 || buf_reserve(&client->out, BUS_SMALL) != 0 ||
        (curve != NULL && curve->own != NULL && (client->curve.own == NULL || client->curve.server == NULL))) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        goto error;
    }
    if (client_connect(client, err) != 0) {
        goto error;
    }
    return client;
error:
    bus_client_free(client);
    return NULL;
}

void bus_client_free(struct bus_client *client)
{
    if (client == NULL) {
        return;
    }
    client_disconnect(client);
    loop_cancel(client->loop, client->timer);
    while (client->oldest != NULL) {
        free(request_take(client, client->oldest->corr));
    }
    arena_free(client->arena);
    buf_free(&client->out);
    free((char *)client->curve.own);
    free((char *)client->curve.server);
    free(client->endpoint);
    free(client);
}

bool bus_client_is_up(const struct bus_client *client)
{
    return client->up;
}

/* The request as it will be sent, behind its bookkeeping. */
static struct request *request_new(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                                   struct err *err)
{
    if (client->open >= BUS_OPEN_MAX) {
        err_set(err, ERR_LIMIT, "%s has too many open requests", client->label);
        return NULL;
    }
    buf_reset(&client->out);
    if (codec_encode(&client->out, shape, value, client->next_corr + 1, rid, err) != 0) {
        return NULL;
    }
    struct request *request = malloc(sizeof *request + client->out.len);
    if (request == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    *request = (struct request){.corr = ++client->next_corr, .len = (uint32_t)client->out.len};
    memcpy(request->frame, client->out.data, client->out.len);
    return request;
}

uint64_t bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid, uint64_t deadline_ms,
                 bus_reply *reply, void *arg)
{
    struct err err = {0};
    struct request *request = request_new(client, shape, value, rid, &err);

    if (request == NULL) {
        reply(arg, NULL, &err);
        return 0;
    }
    request->deadline_ms = clock_mono_ms() + deadline_ms;
    request->reply = reply;
    request->arg = arg;
    request_add(client, request);
    if (client->up) {
        request_send(client, request);
    }
    client_tick_later(client);
    return request->corr;
}

void bus_forget(struct bus_client *client, uint64_t corr)
{
    free(request_take(client, corr));
}

int bus_tell_bytes(struct bus_client *client, struct str bytes, struct err *err)
{
    if (!client->up) {
        return err_set(err, ERR_UNAVAILABLE, "%s is not there", client->label);
    }
    if (zmq_send(client->socket, bytes.ptr, bytes.len, ZMQ_DONTWAIT) < 0) {
        return err_set(err, ERR_LIMIT, "%s: not sent: %s", client->label, zmq_strerror(errno));
    }
    if (trace_on()) {
        trace_frame('>', client->label, (struct str){0}, bytes);
    }
    return 0;
}

int bus_tell(struct bus_client *client, const struct shape *shape, const void *value, struct err *err)
{
    buf_reset(&client->out);
    if (codec_encode(&client->out, shape, value, 0, (struct str){0}, err) != 0) {
        return -1;
    }
    return bus_tell_bytes(client, buf_str(&client->out), err);
}
