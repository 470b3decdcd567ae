#include "gateway/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/messages.h"

#define BACKLOG 1024

static bool address_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return false;
}

static int socket_listen(const struct addrinfo *at, unsigned *port)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char digits[8];
    int on = 1;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0 ||
        getnameinfo((struct sockaddr *)&bound, len, NULL, 0, digits, sizeof digits, NI_NUMERICSERV) != 0) {
        int kept = errno;
        close(fd);
        errno = kept;
        return -1;
    }
    unsigned number = 0;
    for (const char *digit = digits; *digit; digit++)
        number = number * 10 + (unsigned)(*digit - '0');
    *port = number;
    return fd;
}

static bool is_localhost(const char *host)
{
    return strcasecmp(host, "localhost") == 0;
}

int listen_open(const char *host, unsigned *port, bool guarded, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char digits[8];
    int fd = -1;

    snprintf(digits, sizeof digits, "%u", *port & 0xffffU);
    int cause = getaddrinfo(is_localhost(host) ? "127.0.0.1" : host, digits, &hints, &list);
    if (cause != 0)
        return err_set(err, ERR_INVALID, "host %s cannot be listened on: %s", host, gai_strerror(cause));
    if (!guarded && !address_loopback(list->ai_addr)) {
        err_set(err, ERR_FORBIDDEN,
                "host %s is reachable from other machines, and there is no key to ask callers for: make one (gantry key create), "
                "listen on 127.0.0.1, or say --insecure",
                host);
    } else {
        fd = socket_listen(list, port);
        if (fd < 0)
            err_set(err, ERR_IO, "port %u of %s cannot be listened on: %s", *port, host, strerror(errno));
    }
    freeaddrinfo(list);
    return fd;
}

int listen_also(const char *host, unsigned port, struct err *err)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct addrinfo at = {.ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&address, .ai_addrlen = sizeof address};
    int fd = is_localhost(host) ? socket_listen(&at, &port) : -1;

    if (is_localhost(host) && fd < 0 && errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
        err_set(err, ERR_IO, "port %u of [::1] (%s) cannot be listened on: %s", port, host, strerror(errno));
    return fd;
}

bool listen_is_loopback(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address_loopback((const struct sockaddr *)&address);
}

int listen_announce(const char *path, unsigned port, struct err *err)
{
    char temporary[4096];

    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
        return err_set(err, ERR_INVALID, "%s: too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %s", temporary, strerror(errno));
    bool written = dprintf(fd, "%u\n", port) > 0;
    if (close(fd) != 0 || !written || rename(temporary, path) != 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    return 0;
}
