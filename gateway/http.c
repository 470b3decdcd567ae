/* The life of a request, as libmicrohttpd tells it:
 *
 *   on_uri        its request line is there: a struct request is made
 *   on_access     1. headers are there: dispatch_headers may answer already; what follows of the body is then skipped
 *                 2. pieces of the body
 *                 3. the body is complete: dispatch_request answers at once, or the connection is suspended
 *                 4. after http_answer resumed it: the answer is queued
 *   on_completed  all is sent, or the client is gone: the request is used again
 *
 * Invariants: a suspended connection is never closed by libmicrohttpd, so a waiting request exists until it is answered;
 * every question has a deadline, so it is answered; a request is given back only in on_completed.
 */
#include "gateway/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/admit.h"
#include "gateway/connection.h"
#include "gateway/dispatch.h"
#include "gateway/gateway.h"
#include "gateway/headers.h"
#include "gateway/pool.h"
#include "gateway/traffic.h"
#include "proto/clock.h"
#include "proto/log.h"

#define SWEEP_MS 250
#define RUNS_MAX 16 /* passes over ready connections before other sockets get their turn */
#define RESERVE 64  /* connections above the limit, which hear that there are too many */
#define STREAM_BLOCK (16u << 10)
#define STREAM_LARGE (64u << 10) /* of one whose length is known: a file */

struct also {
    struct http *http;
    int fd;
    bool rests; /* there were no descriptors for its connections */
};

struct http {
    struct gateway *gateway;
    struct MHD_Daemon *daemon;
    struct connections connections;
    struct MHD_Response *no_memory; /* what is answered when there is none for anything else */
    struct pool pool;
    unsigned waiting;
    int epoll_fd;
    struct also also[HTTP_ALSO]; /* further listeners, whose connections are handed over */
    unsigned also_count;
    int sweep, again; /* timers */
    bool dirty;       /* answers are ready to be handed over */
    bool stopping;
};

/* ---- running libmicrohttpd ---- */

static void run_again(void *arg);

static void http_run(struct http *http)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    int runs = 0;

    do {
        http->dirty = false;
        MHD_run(http->daemon);
        /* A timeout of 0 says that connections are ready which epoll will not mention again. */
    } while ((http->dirty || (MHD_get_timeout(http->daemon, &timeout) == MHD_YES && timeout == 0)) && ++runs < RUNS_MAX);
    if (runs == RUNS_MAX && http->again < 0)
        http->again = loop_after(http->gateway->loop, 0, run_again, http);
}

static void run_again(void *arg)
{
    struct http *http = arg;

    http->again = -1;
    http_run(http);
}

static void on_ready(void *arg)
{
    http_run(arg);
}

void http_settle(struct http *http)
{
    if (http->dirty)
        http_run(http);
}

/* ---- further listeners ---- */

static void on_accept(void *arg)
{
    struct also *also = arg;
    struct http *http = also->http;
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int fd;

    while ((fd = accept4(also->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (MHD_add_connection(http->daemon, fd, (struct sockaddr *)&address, len) != MHD_YES) /* which closes it */
            log_debug("GTY-HTTP-FULL", "a connection found no room");
        len = sizeof address;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        loop_remove_fd(http->gateway->loop, also->fd); /* it would wake us again and again */
        also->rests = true;
    }
    http_run(http);
}

int http_also(struct http *http, int listener)
{
    struct also *also = &http->also[http->also_count];

    if (http->also_count == HTTP_ALSO || loop_add_fd(http->gateway->loop, listener, false, on_accept, also) != 0) {
        close(listener);
        return -1;
    }
    *also = (struct also){.http = http, .fd = listener};
    http->also_count++;
    return 0;
}

static void also_close(struct http *http)
{
    for (; http->also_count > 0; http->also_count--) {
        loop_remove_fd(http->gateway->loop, http->also[http->also_count - 1].fd);
        close(http->also[http->also_count - 1].fd);
    }
}

static void on_sweep(void *arg)
{
    struct http *http = arg;

    for (unsigned i = 0; i < http->also_count; i++) {
        struct also *also = &http->also[i];
        if (also->rests)
            also->rests = loop_add_fd(http->gateway->loop, also->fd, false, on_accept, also) != 0;
    }
    connections_sweep(&http->connections, &http->gateway->limits, clock_mono_ms());
    http_run(http);
}

/* ---- answering ---- */

static ssize_t on_stream_read(void *cls, uint64_t position, char *out, size_t max)
{
    struct request *request = cls;
    (void)position;

    if (connection_http(request->connection)->stopping || !admit_holds(request))
        return MHD_CONTENT_READER_END_OF_STREAM;
    long got = request->stream.read(request->stream.self, out, max);
    if (got < 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (got == 0)
        connection_suspend(request->connection);
    return got;
}

static struct MHD_Response *response_stream(struct request *request)
{
    uint64_t length = request->stream.length;

    return MHD_create_response_from_callback(length ? length : MHD_SIZE_UNKNOWN, length ? STREAM_LARGE : STREAM_BLOCK,
                                             on_stream_read, request, NULL);
}

/* Sent from the file, without a copy of it here. */
static struct MHD_Response *response_file(struct request *request)
{
    struct file_part *file = &request->file;
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(file->length, file->fd, file->offset);

    if (response)
        file->fd = -1; /* it closes it */
    return response;
}

static enum MHD_Result queue_answer(struct http *http, struct request *request)
{
    struct MHD_Response *response;
    bool stream = request->stream.read != NULL;

    if (!stream && !request->asking)
        request_forget(request);
    if (stream)
        response = response_stream(request);
    else if (request->file.there)
        response = response_file(request);
    else if (request->out.failed)
        response = NULL;
    else /* the request outlives the response: on_completed comes when it has been sent */
        response = MHD_create_response_from_buffer(request->out.len, request->out.data, MHD_RESPMEM_PERSISTENT);
    request->state = REQUEST_SENDING;
    connection_phase(request->connection, stream || request->file.there ? LIMIT_STREAMING : LIMIT_SENDING);
    if (!response)
        return MHD_queue_response(request->connection->mhd, 503, http->no_memory);
    bool whole = headers_write(request, response, http->stopping) == 0;
    enum MHD_Result result =
        MHD_queue_response(request->connection->mhd, whole ? request->status : 503, whole ? response : http->no_memory);
    MHD_destroy_response(response);
    return result;
}

/* A file that nobody wants is read away before the answer, if it is not long: a client that sends all of it before it reads would see a
 * connection that breaks, and no answer. */
static bool skips_body(struct request *request)
{
    const struct request_headers *headers = &request->headers;
    const struct limits *limits = &request->gateway->limits;

    if (!request->opening || !headers->sized || request->close ||
        limit_body(limits, headers->content_length, headers->expects) == LIMIT_BODY_REFUSE)
        return false;
    request->opening = false;
    connection_phase(request->connection, LIMIT_STREAMING);
    return true;
}

void http_answer(struct request *request)
{
    struct http *http = connection_http(request->connection);

    if (request->state != REQUEST_WAITING)
        return; /* still in its handler: on_access goes on by itself */
    if (skips_body(request)) {
        request->state = REQUEST_BODY;
        request->opened = true;
        http->waiting--;
        http->dirty = true;
        connection_resume(request->connection);
        return;
    }
    request->state = REQUEST_ANSWERED;
    request->close = request->close || request->opening; /* its body was not read */
    http->waiting--;
    http->dirty = true;
    connection_resume(request->connection);
}

void http_receive(struct request *request)
{
    struct http *http = connection_http(request->connection);

    if (request->state == REQUEST_BODY && request->opening) { /* from its handler */
        request->opening = false;
        connection_phase(request->connection, LIMIT_STREAMING);
        return;
    }
    if (request->state != REQUEST_WAITING)
        return;
    request->state = REQUEST_BODY;
    request->opening = false;
    request->opened = true;
    http->waiting--;
    http->dirty = true;
    connection_phase(request->connection, LIMIT_STREAMING);
    connection_resume(request->connection);
}

void http_wake(struct request *request)
{
    struct connection *connection = request->connection;

    if (request->state == REQUEST_SENDING && connection->suspended) {
        connection_http(connection)->dirty = true;
        connection_resume(connection);
    }
}

/* ---- libmicrohttpd's callbacks ---- */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct http *http = cls;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    struct request *request = connection ? pool_take(&http->pool) : NULL;

    if (!request)
        return NULL;
    request->gateway = http->gateway;
    request->connection = connection;
    request->started_us = clock_mono_us();
    connection->request = request;
    connection->mhd = mhd;
    connection_phase(connection, LIMIT_RECEIVING);
    dispatch_target(request, uri);
    return request;
}

static void take_body(struct request *request, const char *data, size_t size)
{
    if (request->sink.take && !request->answered) {
        request->sink.take(request->sink.self, data, size);
    } else if (request->answered || request->too_large || request->out_of_memory || request->actor.kind == ACTOR_NOBODY) {
        request->discarded += size; /* also of whoever need not say who he is: what is asked so has no body */
    } else if (request->body.len + size > request->gateway->limits.body) {
        request->too_large = true;
        request->discarded = request->body.len + size;
        buf_reset(&request->body);
    } else if (buf_add(&request->body, data, size) != 0 ||
               !budget_hold(&request->gateway->budget, &request->held, 3 * request->body.size)) {
        request->out_of_memory = true; /* thrice: what is read of it, and the message until it is answered */
        buf_free(&request->body);
        budget_release(&request->gateway->budget, &request->held);
    }
}

/* Its handler has been called: the answer is there, or the connection rests until it is. */
static enum MHD_Result await(struct http *http, struct request *request)
{
    if (request->answered) {
        if (skips_body(request))
            return MHD_YES;
        request->close = request->close || request->opening;
        return queue_answer(http, request);
    }
    request->state = REQUEST_WAITING;
    http->waiting++;
    connection_suspend(request->connection);
    return MHD_YES;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
                                 const char *data, size_t *size, void **context)
{
    struct http *http = cls;
    struct request *request = *context;
    (void)url;

    if (!request)
        return MHD_queue_response(mhd, 503, http->no_memory);
    if (request->state == REQUEST_ANSWERED)
        return queue_answer(http, request);
    if (request->state == REQUEST_WAITING)
        return MHD_NO;
    if (request->state == REQUEST_HEADERS) {
        request->state = REQUEST_BODY;
        headers_read(request, mhd, method);
        request->headers.needs_host = strcmp(version, MHD_HTTP_VERSION_1_0) != 0;
        log_request(str_of(request->rid));
        enum dispatch dispatch = dispatch_headers(request, request->connection->refused);
        if (dispatch == DISPATCH_OPEN)
            dispatch_open(request);
        log_request((struct str){NULL, 0});
        if (dispatch == DISPATCH_OPEN)
            return request->opening || request->answered ? await(http, request) : MHD_YES;
        return dispatch == DISPATCH_NOW ? queue_answer(http, request) : MHD_YES;
    }
    if (request->opened) { /* libmicrohttpd tells of the headers again */
        request->opened = false;
        return MHD_YES;
    }
    if (*size > 0) {
        take_body(request, data, *size);
        *size = 0;
        /* A client that goes on for ever is cut off; one that is only a little over hears why. */
        return limit_body(&http->gateway->limits, request->discarded, false) == LIMIT_BODY_REFUSE ? MHD_NO : MHD_YES;
    }
    connection_phase(request->connection, LIMIT_WORKING);
    log_request(str_of(request->rid));
    dispatch_request(request);
    log_request((struct str){NULL, 0});
    return await(http, request);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
    struct http *http = cls;
    struct request *request = *context;
    char from[PEER_TEXT];
    (void)mhd;

    if (!request)
        return;
    uint64_t took_us = clock_mono_us() - request->started_us;
    if (request->state == REQUEST_SENDING && !request->stream.read &&
        !request->polling) { /* whoever waits is not served slowly */
        meter_add(&http->gateway->meter, clock_mono_ms(), took_us);
        traffic_add(http->gateway->traffic, request->match.surface, request->match.route, request->status, took_us);
    }
    log_request(str_of(request->rid));
    log_debug("GTY-HTTP-DONE", "method=%s path=%.*s status=%u us=%llu end=%d from=%s role=%s who=%s",
              method_name(request->method), (int)request->uri.path.len, request->uri.path.ptr, request->status,
              (unsigned long long)took_us, (int)code, peer_text(&request->connection->peer, from), role_name(request->actor.role),
              request->actor.name[0] ? request->actor.name : "-");
    log_request((struct str){NULL, 0});
    if (request->state == REQUEST_WAITING)
        http->waiting--;
    request->connection->request = NULL;
    connection_phase(request->connection, LIMIT_IDLE);
    pool_give_back(&http->pool, request);
    *context = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
    struct http *http = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *context = connection_new(&http->connections, mhd);
    else
        connection_free(&http->connections, *context);
}

static void on_log(void *cls, const char *format, va_list args)
{
    char text[256];
    (void)cls;

    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("GTY-HTTP-LIB", "%s", text);
}

/* ---- life ---- */

static struct MHD_Response *response_no_memory(void)
{
    static char body[] =
        "{\"success\":false,\"error\":{\"code\":\"SYSTEM_ERROR\",\"message\":\"服务暂时不可用，请稍后重试\",\"details\":{}}}";
    struct MHD_Response *response = MHD_create_response_from_buffer(sizeof body - 1, body, MHD_RESPMEM_PERSISTENT);

    if (response) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json; charset=utf-8");
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
    return response;
}

static struct MHD_Daemon *daemon_start(struct http *http, int listener, unsigned max_connections)
{
    /* MHD_ALLOW_SUSPEND_RESUME brings an eventfd to wake other threads by; there are none. */
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_ERROR_LOG | ((unsigned)MHD_ALLOW_SUSPEND_RESUME & ~(unsigned)MHD_USE_ITC);
    const struct tls *tls = &http->gateway->tls;
    struct MHD_OptionItem secure[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert.data},
                                      {MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key.data},
                                      {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
                                      {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned idle_seconds = (unsigned)settings_count_of(http->gateway->settings, SET_HTTP_IDLE_SECONDS);

    flags |= tls_is_on(tls) ? MHD_USE_TLS : 0;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, http,                  //
                            MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,               //
                            MHD_OPTION_LISTEN_SOCKET, listener,                     //
                            MHD_OPTION_CONNECTION_LIMIT, max_connections + RESERVE, //
                            MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds,            //
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32 << 10,   //
                            MHD_OPTION_URI_LOG_CALLBACK, on_uri, http,              //
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,        //
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,      //
                            MHD_OPTION_ARRAY, tls_is_on(tls) ? secure : plain,      //
                            MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,                   //
                            MHD_OPTION_END);
}

struct http *http_new(struct gateway *gateway, int listener, unsigned max_connections, struct err *err)
{
    struct http *http = calloc(1, sizeof *http);

    if (!http) {
        close(listener);
        err_set(err, ERR_NO_MEMORY, "no memory for the HTTP server");
        return NULL;
    }
    http->gateway = gateway;
    http->sweep = http->again = -1;
    http->connections =
        (struct connections){.http = http, .ports = &gateway->ports, .max = max_connections, .tls = tls_is_on(&gateway->tls)};
    http->no_memory = response_no_memory();
    http->daemon = http->no_memory ? daemon_start(http, listener, max_connections) : NULL;
    const union MHD_DaemonInfo *info = http->daemon ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        if (!http->daemon)
            close(listener);
        err_set(err, ERR_IO, "the HTTP server does not start: %s", strerror(errno));
        goto error;
    }
    http->epoll_fd = info->epoll_fd;
    if (loop_add_fd(gateway->loop, http->epoll_fd, false, on_ready, http) != 0) {
        err_set(err, ERR_NO_MEMORY, "no memory for the HTTP server");
        goto error;
    }
    http->sweep = loop_every(gateway->loop, SWEEP_MS, on_sweep, http);
    return http;
error:
    http_free(http);
    return NULL;
}

void http_quiesce(struct http *http)
{
    int listener = MHD_quiesce_daemon(http->daemon);
    also_close(http);
    if (listener >= 0)
        close(listener);
}

unsigned http_waiting(const struct http *http)
{
    return http->waiting;
}

/* libmicrohttpd aborts when it is stopped with suspended connections: all get an answer first. */
static void end_suspended(struct http *http)
{
    http->stopping = true;
    for (struct connection *at = http->connections.first; at; at = at->next) {
        struct request *request = at->request;
        if (!at->suspended)
            continue;
        if (request->state == REQUEST_WAITING) {
            struct problem problem;
            bool may_have_happened = request->asking && request->method != METHOD_GET;
            problem_set(&problem, may_have_happened ? PROBLEM_SCHEDULER_UNKNOWN : PROBLEM_STOPPING, NULL, NULL);
            dispatch_refuse(request, &problem);
        } else {
            http_wake(request);
        }
    }
    http_run(http);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    loop_cancel(http->gateway->loop, http->sweep);
    loop_cancel(http->gateway->loop, http->again);
    also_close(http);
    if (http->daemon) {
        if (http->epoll_fd > 0)
            loop_remove_fd(http->gateway->loop, http->epoll_fd);
        end_suspended(http);
        loop_cancel(http->gateway->loop, http->again); /* the run above may have asked for another */
        MHD_stop_daemon(http->daemon);
    }
    if (http->no_memory)
        MHD_destroy_response(http->no_memory);
    pool_free(&http->pool);
    free(http);
}
