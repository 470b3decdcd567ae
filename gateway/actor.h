/* Who is asking: set once a request has been let in, for limits, scopes of idempotency keys, owners and logs. */
#ifndef GANTRY_GATEWAY_ACTOR_H
#define GANTRY_GATEWAY_ACTOR_H

#include "gateway/auth_jwt.h"
#include "gateway/auth_keys.h"
#include "gateway/peer.h"
#include "proto/ident.h"

enum actor_kind {
    ACTOR_NOBODY,  /* nobody was asked for (OPTIONS, /healthz), or nobody is let in */
    ACTOR_OPEN,    /* no credential is asked for on this farm */
    ACTOR_NETWORK, /* without a credential, from an address of auth.trusted_networks */
    ACTOR_KEY,     /* an API key */
    ACTOR_TOKEN,   /* a JWT */
};

struct actor {
    enum actor_kind kind;
    enum role role;
    char name[JWT_SUBJECT + 1];   /* of the key, or the token's subject; "" where there is none */
    char key_id[AUTH_KEY_ID + 1]; /* of a key */
    uint32_t rate;                /* requests a minute of its own; 0: none */
    uint64_t until_ms;            /* wall time its credential ends; 0: never */
    uint64_t generation;          /* of a token: that of the keys that vouched for it */
    bool scoped; /* scope stands for its credential: never the secret, and the same for a token that was renewed */
    uint8_t scope[IDENT_HASH];
};

#endif
