/* The machine at the other end of a connection: its address, as the socket has it and no header can change it. */
#ifndef GANTRY_GATEWAY_PEER_H
#define GANTRY_GATEWAY_PEER_H

#include "proto/str.h"

struct sockaddr;

struct peer {
    unsigned bits; /* of the address: 32 or 128; 0: it has none (a local socket) */
    uint8_t bytes[16];
};

/* An IPv4 address that comes mapped into IPv6 (a socket for both) is the IPv4 one. */
struct peer peer_of(const struct sockaddr *address);
struct peer peer_of_socket(int fd);
/* Reads an address in figures; false when text is none. */
bool peer_parse(struct str text, struct peer *out);

#define PEER_TEXT 48
/* As text; "-" when there is none. Answers out. */
const char *peer_text(const struct peer *peer, char out[PEER_TEXT]);

/* Whether the first `prefix` bits of both, of one kind, are the same. */
bool peer_within(const struct peer *peer, const struct peer *network, unsigned prefix);

#endif
