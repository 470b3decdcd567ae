/* What a request shows to say who is calling: found in its headers or its address, and taken out of the latter before anybody logs it. */
#ifndef GANTRY_GATEWAY_CREDENTIAL_H
#define GANTRY_GATEWAY_CREDENTIAL_H

#include "gateway/uri.h"

struct credentials {      /* as they came; an empty one that is there has ptr set */
    struct str bearer;    /* the Authorization header, whole */
    struct str api_key;   /* X-API-Key */
    struct str parameter; /* ?api_key= */
    bool differ;          /* one of them was there twice, with other bytes */
};

enum credential {
    CREDENTIAL_NONE,
    CREDENTIAL_ONE,
    CREDENTIAL_MANY,    /* which differ */
    CREDENTIAL_FOREIGN, /* of a scheme we do not know */
};

/* Notes a value that was found. */
void credential_note(struct credentials *credentials, struct str *slot, struct str value);

/* Takes api_key out of the address: out of its parameters and its raw query, whose bytes (the caller's, behind uri->query) are moved up. */
void credential_cut(struct credentials *credentials, struct uri *uri);

/* The one credential of a request; borrowed. */
enum credential credential_find(const struct credentials *credentials, struct str *out);

#endif
