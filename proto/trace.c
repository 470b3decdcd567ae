#include "proto/trace.h"

#include <stdio.h>
#include <unistd.h>

#include "proto/bus_socket.h"
#include "proto/clock.h"
#include "proto/ident.h"

static struct {
    struct loop *loop;
    void *socket;
    int listeners;
    char path[128];
    char service[16];
} trace;

static void trace_send(const struct trace_header *header, struct str frame)
{
    /* Lossy on purpose: a slow watcher must not slow the farm. */
    (void)socket_send_pair(trace.socket, (struct str){(const char *)header, sizeof *header}, frame);
}

/* To all watchers, since PUB cannot speak to one. */
static void trace_joined(void)
{
    struct trace_header header = {.wall_ms = clock_wall_ms(), .direction = TRACE_JOINED};

    snprintf(header.service, sizeof header.service, "%s", trace.service);
    snprintf(header.peer, sizeof header.peer, "%ld", (long)getpid());
    trace_send(&header, (struct str){0});
}

/* XPUB tells of subscriptions: a byte 1 or 0, then the topic. */
static void trace_subscription(void *arg)
{
    zmq_msg_t msg;
    bool more = false;

    (void)arg;
    while (socket_receive(trace.socket, &msg, &more) == 0) {
        const unsigned char *bytes = zmq_msg_data(&msg);
        if (zmq_msg_size(&msg) > 0) {
            trace.listeners += bytes[0] == 1 ? 1 : -1;
            if (bytes[0] == 1) {
                trace_joined();
            }
        }
        zmq_msg_close(&msg);
        if (more) {
            socket_skip(trace.socket);
        }
    }
}

int trace_init(struct loop *loop, const char *runtime_dir, const char *service, struct err *err)
{
    char endpoint[160];
    int verbose = 1;

    int len = snprintf(trace.path, sizeof trace.path, "%s/trace-%s-%ld.ipc", runtime_dir, service, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof trace.path) {
        return err_set(err, ERR_INVALID, "%s: the runtime folder's path is too long", runtime_dir);
    }
    snprintf(endpoint, sizeof endpoint, "ipc://%s", trace.path);
    snprintf(trace.service, sizeof trace.service, "%s", service);
    trace.socket = socket_listen(ZMQ_XPUB, endpoint, NULL, err);
    if (trace.socket == NULL) {
        return -1;
    }
    zmq_setsockopt(trace.socket, ZMQ_XPUB_VERBOSER, &verbose, sizeof verbose);
    if (loop_add_socket(loop, trace.socket, trace_subscription, NULL) != 0) {
        trace_close();
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    trace.loop = loop;
    return 0;
}

void trace_close(void)
{
    if (trace.socket != NULL) {
        if (trace.loop != NULL) {
            loop_remove_socket(trace.loop, trace.socket);
        }
        socket_close(trace.socket);
        unlink(trace.path);
        trace.socket = NULL;
        trace.listeners = 0;
    }
}

bool trace_on(void)
{
    return trace.listeners > 0;
}

void trace_frame(char direction, const char *link, struct str peer, struct str frame)
{
    struct trace_header header = {.wall_ms = clock_wall_ms(), .direction = direction};

    if (!trace_on()) {
        return;
    }
    snprintf(header.service, sizeof header.service, "%s", trace.service);
    snprintf(header.link, sizeof header.link, "%s", link);
    for (uint32_t i = 0; i < peer.len && i < 15; i++) {
        snprintf(header.peer + (size_t)2 * i, 3, "%02x", (unsigned char)peer.ptr[i]);
    }
    trace_send(&header, frame);
}
