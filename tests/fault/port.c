/* Sends what a program connects to port 8080 of this machine to another port (LD_PRELOAD): an example that names the port runs as it is
 * written, beside whatever else listens there.
 *
 *   PORT_8080=32768
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int connect_fn(int fd, const struct sockaddr *address, socklen_t len);

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    connect_fn *next = (connect_fn *)dlsym(RTLD_NEXT, "connect");
    const char *port = getenv("PORT_8080");
    struct sockaddr_storage to = {0};
    if (!port || !address || len > sizeof to)
        return next(fd, address, len);
    memcpy(&to, address, len);
    in_port_t *at = to.ss_family == AF_INET    ? &((struct sockaddr_in *)&to)->sin_port
                    : to.ss_family == AF_INET6 ? &((struct sockaddr_in6 *)&to)->sin6_port
                                               : NULL;
    if (at && *at == htons(8080))
        *at = htons((uint16_t)strtoul(port, NULL, 10));
    return next(fd, (struct sockaddr *)&to, len);
}
