#include "proto/bus_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"

#define RETRY_MS 50    /* until a socket that could not be made is tried again */
#define REFUSED_MS 500 /* until one that the other side refused knocks again: neither side may be busy with that */

static void line_disconnect(struct bus_line *line)
{
    if (line->socket != NULL) {
        loop_remove_socket(line->loop, line->socket);
        zmq_socket_monitor(line->socket, NULL, 0);
        socket_close(line->socket);
        line->socket = NULL;
    }
    if (line->monitor != NULL) {
        loop_remove_socket(line->loop, line->monitor);
        socket_close(line->monitor);
        line->monitor = NULL;
    }
    line->up = false;
    line->refused = false;
}

/* The next event of the monitor; 0 when there is none. An event is two frames: number and value, then the address. */
static uint16_t line_event(struct bus_line *line)
{
    zmq_msg_t msg;
    bool more = false;
    uint16_t event = 0;

    if (line->monitor == NULL || socket_receive(line->monitor, &msg, &more) != 0) {
        return 0;
    }
    if (zmq_msg_size(&msg) >= sizeof event) {
        memcpy(&event, zmq_msg_data(&msg), sizeof event);
    }
    zmq_msg_close(&msg);
    if (more) {
        socket_skip(line->monitor);
    }
    return event;
}

static void line_up(struct bus_line *line)
{
    line->up = true;
    line->told = false;
    log_debug("GTY-BUS-UP", "link=%s connected", line->label);
    if (line->events.up != NULL) {
        line->events.up(line->self);
    }
}

/* Its connection ends right after this. */
static void line_refused(struct bus_line *line)
{
    line->refused = true;
    if (!line->told) {
        line->told = true;
        log_warn("GTY-BUS-HANDSHAKE", "link=%s the other side refuses us (CURVE keys?)", line->label);
    }
}

static void line_readable(void *arg)
{
    struct bus_line *line = arg;
    line->events.readable(line->self);
}

static void line_watch(void *arg)
{
    struct bus_line *line = arg;
    uint16_t event;

    while ((event = line_event(line)) != 0) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            line_up(line);
        } else if (event == ZMQ_EVENT_DISCONNECTED) {
            line_readable(line); /* what the peer said last */
            bus_line_drop(line);
            return; /* this monitor is gone */
        } else {
            line_refused(line);
        }
    }
}

static int line_connect(struct bus_line *line, struct err *err)
{
    static unsigned monitors;
    char name[64];
    int watched = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                  ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;

    line->socket = socket_connect(line->type, line->endpoint, &line->curve, err);
    if (line->socket == NULL) {
        return -1;
    }
    snprintf(name, sizeof name, "inproc://monitor-%u", ++monitors);
    line->monitor = socket_plain(ZMQ_PAIR);
    if (line->monitor == NULL || zmq_socket_monitor(line->socket, name, watched) != 0 || zmq_connect(line->monitor, name) != 0 ||
        (line->events.prepare != NULL && line->events.prepare(line->self, line->socket) != 0) ||
        zmq_connect(line->socket, line->endpoint) != 0 || loop_add_socket(line->loop, line->monitor, line_watch, line) != 0 ||
        loop_add_socket(line->loop, line->socket, line_readable, line) != 0) {
        int code = errno == ENOMEM ? ERR_NO_MEMORY : ERR_IO;
        err_set(err, code, "%s: cannot connect: %s", line->endpoint, zmq_strerror(errno));
        line_disconnect(line);
        return -1;
    }
    return 0;
}

static void line_retry(void *arg)
{
    struct bus_line *line = arg;
    struct err err = {0};

    if (line->socket == NULL && line_connect(line, &err) != 0) {
        loop_set(line->loop, line->timer, RETRY_MS, 0);
    }
}

void bus_line_drop(struct bus_line *line)
{
    struct err err = {0};
    bool was_up = line->up, refused = line->refused;

    line_disconnect(line);
    if (refused) {
        loop_set(line->loop, line->timer, REFUSED_MS, 0);
    } else if (line_connect(line, &err) != 0) {
        log_error("GTY-BUS-CONNECT", "%s", err.text);
        loop_set(line->loop, line->timer, RETRY_MS, 0);
    }
    if (was_up) {
        log_info("GTY-BUS-DOWN", "link=%s connection lost", line->label);
        if (line->events.down != NULL) {
            line->events.down(line->self);
        }
    }
}

int bus_line_open(struct bus_line *line, struct loop *loop, int type, const char *endpoint, const struct bus_curve *curve,
                  const struct bus_line_events *events, void *self, struct err *err)
{
    bool safe = curve != NULL && curve->own != NULL;

    *line = (struct bus_line){.loop = loop, .type = type, .events = *events, .self = self};
    socket_label(endpoint, line->label);
    line->endpoint = strdup(endpoint);
    if (safe) {
        line->curve = (struct bus_curve){.own = strdup(curve->own), .server = strdup(curve->server)};
    }
    line->timer = loop_timer(loop, line_retry, line);
    if (line->endpoint == NULL || line->timer < 0 || (safe && (line->curve.own == NULL || line->curve.server == NULL))) {
        return err_set(err, ERR_NO_MEMORY, "%s: out of memory", endpoint);
    }
    return line_connect(line, err);
}

void bus_line_close(struct bus_line *line)
{
    if (line->loop == NULL) {
        return;
    }
    line_disconnect(line);
    if (line->timer >= 0) {
        loop_cancel(line->loop, line->timer);
    }
    free((char *)line->curve.own);
    free((char *)line->curve.server);
    free(line->endpoint);
}
