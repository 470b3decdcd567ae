/* The asking side: a DEALER that remembers what it asked until it is answered.
 *
 * A socket lives as long as its connection (bus_line.h). When a new one stands every open request is sent again in the order of asking.
 * So nothing from before a gap can arrive behind something that fell into it.
 *
 * Invariants: a request is in the table from bus_ask until its reply is called, exactly once; `sent` says whether it was handed to the
 * present socket; requests are sent in the order of their numbers.
 */
#include <stdlib.h>

#include "proto/bus_line.h"
#include "proto/clock.h"
#include "proto/log.h"
#include "proto/trace.h"

#define TABLE_SLOTS 1024 /* hash chains; numbers are consecutive, so they spread evenly */
#define TICK_MS 50       /* how exactly deadlines are kept */
#define HELD_MS 500      /* a tick that comes so much later than it should says that this process stood still */

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
    struct bus_line line;
    struct bus_client_events events;
    void *self;
    uint64_t next_corr;
    struct request *slots[TABLE_SLOTS];
    struct request *oldest, *newest;
    uint32_t open;
    int timer;            /* made ahead: a deadline is watched, memory or not */
    bool ticking;         /* it is set */
    uint64_t tick_due_ms; /* for then */
    struct arena *arena;
    struct msg msg;
    struct buf out;
};

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

/* -1 when the queue is full: it stays unsent and is tried again by the tick. */
static int request_send(struct bus_client *client, struct request *request)
{
    if (zmq_send(client->line.socket, request->frame, request->len, ZMQ_DONTWAIT) < 0) {
        return -1;
    }
    bus_counted.sent++;
    request->sent = true;
    request->ever_sent = true;
    if (trace_on()) {
        trace_frame('>', client->line.label, (struct str){0}, (struct str){request->frame, request->len});
    }
    return 0;
}

static void requests_send_from(struct bus_client *client, struct request *at)
{
    for (; at != NULL && client->line.up; at = at->newer) {
        if (!at->sent && request_send(client, at) != 0) {
            return;
        }
    }
}

static void requests_send(struct bus_client *client)
{
    requests_send_from(client, client->oldest);
}

static void on_line_down(void *self)
{
    struct bus_client *client = self;

    for (struct request *at = client->oldest; at != NULL; at = at->newer) {
        at->sent = false;
    }
    if (client->events.down != NULL) {
        client->events.down(client->self);
    }
}

static void on_line_up(void *self)
{
    struct bus_client *client = self;

    requests_send(client);
    if (client->events.up != NULL) {
        client->events.up(client->self);
    }
}

/* ---- what comes in ---- */

/* What cannot be read is an answer to nobody else: its asker need not wait for its deadline. What nobody asked for and there was no
 * memory to read is as lost as its connection: on a new one either side says again where it stands. */
static void client_unreadable(struct bus_client *client, struct str frame, const struct err *why)
{
    struct codec_envelope envelope;
    struct err err = {0};

    log_warn("GTY-BUS-MALFORMED", "link=%s %s", client->line.label, why->text);
    uint64_t corr = codec_open(frame, &envelope, NULL) == 0 ? envelope.corr : 0;
    struct request *request = corr != 0 ? request_take(client, corr) : NULL;
    if (request != NULL) {
        err_set(&err, ERR_UNKNOWN_OUTCOME, "the answer of %s cannot be read: %s", client->line.label, why->text);
        request->reply(request->arg, NULL, &err);
        free(request);
    } else if (corr == 0 && arena_starved(client->arena)) {
        bus_line_drop(&client->line);
    }
}

static void client_message(struct bus_client *client, struct str frame)
{
    struct err err = {0};

    bus_counted.received++;
    if (trace_on()) {
        trace_frame('<', client->line.label, (struct str){0}, frame);
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

static void on_line_readable(void *self)
{
    struct bus_client *client = self;
    zmq_msg_t msg;
    bool more = false;
    void *socket = client->line.socket;

    /* A callback may lose the connection: then this socket is gone. */
    for (int i = 0; i < BUS_FAIR_SHARE && client->line.socket == socket && socket != NULL; i++) {
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
        err_set(&err, ERR_UNKNOWN_OUTCOME, "%s did not answer in time", client->line.label);
    } else {
        err_set(&err, ERR_UNAVAILABLE, "%s is not there", client->line.label);
    }
    request->reply(request->arg, NULL, &err);
    free(request);
}

static void client_tick_later(struct bus_client *client)
{
    if (!client->ticking) {
        client->ticking = true;
        client->tick_due_ms = clock_mono_ms() + TICK_MS;
        loop_set(client->loop, client->timer, TICK_MS, 0);
    }
}

/* While this process stood still nobody could answer it: what came meanwhile may not have reached the socket yet. */
static void client_was_held(struct bus_client *client, uint64_t late_ms)
{
    for (struct request *at = client->oldest; at != NULL; at = at->newer)
        at->deadline_ms += late_ms;
}

static void client_tick(void *arg)
{
    struct bus_client *client = arg;
    uint64_t now = clock_mono_ms();

    client->ticking = false;
    if (now >= client->tick_due_ms + HELD_MS)
        client_was_held(client, now - client->tick_due_ms);
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
    if (client->oldest != NULL) {
        client_tick_later(client);
    }
}

/* ---- the calls ---- */

struct bus_client *bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                  const struct bus_client_events *events, void *self, struct err *err)
{
    static const struct bus_line_events line_events = {.readable = on_line_readable, .up = on_line_up, .down = on_line_down};
    struct bus_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        return NULL;
    }
    *client = (struct bus_client){.loop = loop, .events = *events, .self = self};
    client->arena = arena_new(BUS_ARENA_LIMIT);
    client->timer = loop_timer(loop, client_tick, client);
    if (client->arena == NULL || client->timer < 0 || buf_reserve(&client->out, BUS_SMALL) != 0) {
        err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
        goto error;
    }
    if (bus_line_open(&client->line, loop, ZMQ_DEALER, endpoint, curve, &line_events, client, err) != 0) {
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
    bus_line_close(&client->line);
    loop_cancel(client->loop, client->timer);
    while (client->oldest != NULL) {
        free(request_take(client, client->oldest->corr));
    }
    arena_free(client->arena);
    buf_free(&client->out);
    free(client);
}

bool bus_client_is_up(const struct bus_client *client)
{
    return client->line.up;
}

/* The request as it will be sent, behind its bookkeeping. */
static struct request *request_new(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                                   struct err *err)
{
    if (client->open >= BUS_OPEN_MAX) {
        err_set(err, ERR_LIMIT, "%s has too many open requests", client->line.label);
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
    if (request->older == NULL || request->older->sent) { /* else behind those that a full queue has left unsent */
        requests_send_from(client, request);
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
    if (!client->line.up) {
        return err_set(err, ERR_UNAVAILABLE, "%s is not there", client->line.label);
    }
    if (zmq_send(client->line.socket, bytes.ptr, bytes.len, ZMQ_DONTWAIT) < 0) {
        bus_counted.refused++;
        return err_set(err, ERR_LIMIT, "%s: not sent: %s", client->line.label, zmq_strerror(errno));
    }
    bus_counted.sent++;
    if (trace_on()) {
        trace_frame('>', client->line.label, (struct str){0}, bytes);
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
