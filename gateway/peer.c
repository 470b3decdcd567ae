#include "gateway/peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

static struct peer peer_v6(const struct in6_addr *address)
{
    struct peer peer = {.bits = 128};

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        peer.bits = 32;
        memcpy(peer.bytes, address->s6_addr + 12, 4);
    } else {
        memcpy(peer.bytes, address->s6_addr, 16);
    }
    return peer;
}

struct peer peer_of(const struct sockaddr *address)
{
    struct peer peer = {0};

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        peer.bits = 32;
        memcpy(peer.bytes, &v4->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        peer = peer_v6(&v6->sin6_addr);
    }
    return peer;
}

struct peer peer_of_socket(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0)
        return (struct peer){0};
    return peer_of((const struct sockaddr *)&address);
}

bool peer_parse(struct str text, struct peer *out)
{
    struct in6_addr v6;
    char copy[PEER_TEXT];

    *out = (struct peer){0};
    if (text.len == 0 || memchr(text.ptr, '\0', text.len) || !str_copy(copy, sizeof copy, text))
        return false;
    if (inet_pton(AF_INET, copy, out->bytes) == 1) {
        out->bits = 32;
        return true;
    }
    if (inet_pton(AF_INET6, copy, &v6) != 1)
        return false;
    *out = peer_v6(&v6);
    return true;
}

const char *peer_text(const struct peer *peer, char out[PEER_TEXT])
{
    if (peer->bits == 0 || !inet_ntop(peer->bits == 32 ? AF_INET : AF_INET6, peer->bytes, out, PEER_TEXT))
        snprintf(out, PEER_TEXT, "-");
    return out;
}

bool peer_within(const struct peer *peer, const struct peer *network, unsigned prefix)
{
    unsigned whole = prefix / 8, rest = prefix % 8;

    if (peer->bits == 0 || peer->bits != network->bits || prefix > peer->bits)
        return false;
    if (memcmp(peer->bytes, network->bytes, whole) != 0)
        return false;
    return rest == 0 || (peer->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}
