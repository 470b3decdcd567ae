/* auth.trusted_networks: what who calls from an address may do without a credential. For clients that cannot send one. */
#ifndef GANTRY_GATEWAY_AUTH_NETWORKS_H
#define GANTRY_GATEWAY_AUTH_NETWORKS_H

#include "gateway/peer.h"
#include "gateway/role.h"

#define NETWORKS_MAX 128

struct network {
    struct peer address;
    unsigned prefix;
    const char *surface; /* its name; NULL: every surface */
    enum role role;
};

struct networks { /* zeroed: none */
    struct network rows[NETWORKS_MAX];
    unsigned count;
};

/* Reads `CIDR=role` and `surface:CIDR=role`, separated by commas. -1 with err, which shows what is wrong; out is as it was. */
int networks_parse(struct str text, struct networks *out, struct err *err);

/* Reads 10.0.0.0/8, fd00::/8 or a plain address into address and prefix; false when it is none, or has bits set behind its prefix. */
bool network_parse(struct str text, struct network *out);

/* The role of the longest prefix that holds peer, and among equals of the one that names the surface; ROLE_NONE if none does. */
enum role networks_role(const struct networks *networks, const char *surface, const struct peer *peer);

#endif
