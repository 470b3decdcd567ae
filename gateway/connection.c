#include "gateway/connection.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "gateway/dispatch.h"
#include "gateway/port.h"
#include "gateway/request.h"
#include "proto/clock.h"
#include "proto/log.h"

#define REST_MS 5000 /* a connection on which nothing was asked for so long makes room for another */
#define ROOM 16      /* connections that are cut at once to make room … */
#define LOOK_MS 10   /* … and how often that may be looked for: looking passes over all */
#define HALF_MS 1000 /* a client has said its last word so long, and it is still no request: nothing comes any more */

static void cut(struct connection *connection)
{
    connection->cut = true;
    connection->all->leaving++;
    shutdown(connection->fd, SHUT_RDWR);
}

/* When all places are taken, by whomever, those that wait for nothing but their client give theirs up: else anybody who can connect could
 * keep everybody else out. Clients come again when a connection that they left at rest is closed. */
static bool room_make(struct connections *all)
{
    uint64_t now_ms = clock_mono_ms();
    unsigned made = 0;

    if (now_ms - all->looked_ms < LOOK_MS)
        return false;
    all->looked_ms = now_ms;
    for (struct connection *at = all->first; at && made < ROOM; at = at->next) {
        bool rests = at->phase == LIMIT_IDLE || at->phase == LIMIT_RECEIVING;
        if (!rests || at->cut || at->suspended || now_ms - at->since_ms < REST_MS)
            continue;
        cut(at);
        made++;
    }
    if (made > 0)
        log_info("GTY-HTTP-ROOM", "cut=%u connections at rest, as there were no others to be had (http.connections)", made);
    return made > 0;
}

/* The number of the port that its client connected to; 0: not known. */
static unsigned port_number(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
    return address.ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port) : 0;
}

struct connection *connection_new(struct connections *all, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    connection->all = all;
    connection->mhd = mhd;
    connection->fd = info ? info->connect_fd : -1;
    if (all->ports && all->ports->count > 0)
        connection->port = port_of(all->ports, port_number(connection->fd));
    connection->peer = peer_of_socket(connection->fd);
    peer_text(&connection->peer, connection->address);
    connection->refused = all->open - all->leaving >= all->max && !room_make(all);
    connection->next = all->first;
    if (all->first)
        all->first->prev = connection;
    all->first = connection;
    all->open++;
    connection_phase(connection, LIMIT_IDLE);
    return connection;
}

void connection_free(struct connections *all, struct connection *connection)
{
    if (!connection)
        return;
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        all->first = connection->next;
    if (connection->next)
        connection->next->prev = connection->prev;
    all->open--;
    all->leaving -= connection->cut;
    free(connection);
}

void connection_phase(struct connection *connection, enum limit_phase phase)
{
    connection->phase = phase;
    connection->since_ms = clock_mono_ms();
}

void connection_suspend(struct connection *connection)
{
    connection->suspended = true;
    MHD_suspend_connection(connection->mhd);
}

void connection_resume(struct connection *connection)
{
    connection->suspended = false;
    MHD_resume_connection(connection->mhd);
}

struct http *connection_http(const struct connection *connection)
{
    return connection->all->http;
}

bool connection_gone(const struct connection *connection)
{
    struct pollfd ends = {.fd = connection->fd, .events = POLLRDHUP};

    return poll(&ends, 1, 0) > 0; /* that side is closed, or all of it: the events that nobody asks for */
}

struct str connection_local(const struct connection *connection, char *out, size_t size)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;

    out[0] = '\0';
    if (getsockname(connection->fd, (struct sockaddr *)&address, &len) == 0)
        getnameinfo((struct sockaddr *)&address, len, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
    /* An IPv4 client of a socket for both shows as ::ffff:192.0.2.1. */
    return str_of(strncmp(out, "::ffff:", 7) == 0 ? out + 7 : out);
}

/* libmicrohttpd takes no answer in the middle of a request: this one goes around it, and the socket is shut down behind it. What goes around
 * it is not encrypted, so over TLS there is none. */
static void answer_late(struct connection *connection, const struct limits *limits)
{
    struct request *request = connection->request;
    struct problem problem;
    char head[256];

    problem_value(&problem, PROBLEM_TIMEOUT, NULL, "request_time", (struct str){NULL, 0}, "%llu s",
                  (unsigned long long)(limits->request_ms / 1000));
    dispatch_refuse(request, &problem);
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n"
                       "X-Request-Id: %s\r\nContent-Length: %zu\r\n\r\n",
                       request->rid, request->out.len);
    struct iovec parts[] = {{head, (size_t)len}, {request->out.data, request->out.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (!request->out.failed && sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("GTY-HTTP-LATE", "the client did not take the answer");
}

/* The client sends nothing any more and all it sent was read, but is no whole request. libmicrohttpd sees that only in some of the states
 * that a request can be broken off in. */
static bool broken_off(const struct connection *connection, uint64_t now_ms)
{
    struct pollfd half = {.fd = connection->fd, .events = POLLRDHUP};
    int unread = 0;

    return (connection->phase == LIMIT_IDLE || connection->phase == LIMIT_RECEIVING) && now_ms > connection->since_ms + HALF_MS &&
           poll(&half, 1, 0) == 1 && (half.revents & POLLRDHUP) && ioctl(connection->fd, FIONREAD, &unread) == 0 && unread == 0;
}

void connections_sweep(struct connections *all, const struct limits *limits, uint64_t now_ms)
{
    for (struct connection *at = all->first; at; at = at->next) {
        if (at->cut || at->suspended)
            continue;
        if (broken_off(at, now_ms)) {
            cut(at);
            continue;
        }
        if (!limit_overdue(limits, at->phase, at->since_ms, now_ms))
            continue;
        log_info("GTY-HTTP-SLOW", "phase=%d ms=%llu the connection takes too long", (int)at->phase,
                 (unsigned long long)(now_ms - at->since_ms));
        if (!all->tls && at->phase == LIMIT_RECEIVING && at->request && !at->request->answered)
            answer_late(at, limits);
        cut(at);
    }
}
