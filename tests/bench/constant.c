/* libmicrohttpd answering a constant: what no gateway built on it can be faster than. Its options are the gateway's (gateway/http.c), and
 * so is the way it is run: its epoll descriptor is waited for, then everything that is ready is handled. */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define ANSWER_BYTES 420 /* as the gateway's answer to a trigger */

static volatile sig_atomic_t ended;

static void on_term(int number)
{
    (void)number;
    ended = 1;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *data, size_t *size, void **context)
{
    struct MHD_Response *constant = cls;
    (void)url, (void)method, (void)version, (void)data;

    if (!*context) {
        *context = constant; /* headers are there */
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, 201, constant);
}

static int listener_open(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return -1;
    *port = ntohs(address.sin_port);
    return fd;
}

int constant_serve(struct bench *bench)
{
    static char body[ANSWER_BYTES];
    unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_ERROR_LOG;
    unsigned port = 0;
    MHD_UNSIGNED_LONG_LONG timeout;
    (void)bench;

    memset(body, ' ', sizeof body);
    body[0] = '{';
    body[sizeof body - 1] = '}';
    signal(SIGTERM, on_term);
    int listener = listener_open(&port);
    if (listener < 0)
        return bench_fail("a port", strerror(errno));
    struct MHD_Response *constant = MHD_create_response_from_buffer(sizeof body, body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(constant, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json; charset=utf-8");
    struct MHD_Daemon *daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_access, constant,            //
                                                 MHD_OPTION_LISTEN_SOCKET, listener,                   //
                                                 MHD_OPTION_CONNECTION_LIMIT, 4096U,                   //
                                                 MHD_OPTION_CONNECTION_TIMEOUT, 75U,                   //
                                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32 << 10, //
                                                 MHD_OPTION_END);
    const union MHD_DaemonInfo *info = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return bench_fail("libmicrohttpd", "it does not start");
    printf("%u\n", port);
    fflush(stdout);
    while (!ended) {
        struct pollfd ready = {.fd = info->epoll_fd, .events = POLLIN};
        poll(&ready, 1, 250);
        do {
            MHD_run(daemon);
        } while (MHD_get_timeout(daemon, &timeout) == MHD_YES && timeout == 0);
    }
    MHD_stop_daemon(daemon);
    MHD_destroy_response(constant);
    return 0;
}
