/* Bearer tokens that somebody else signed (JWT, RFC 7519).
 *
 * The header only says which key to try; the key says which algorithm that is (RFC 8725). Nothing else of a token is believed before its
 * signature holds.
 */
#ifndef GANTRY_GATEWAY_AUTH_JWT_H
#define GANTRY_GATEWAY_AUTH_JWT_H

#include "gateway/auth_jwt_keys.h"
#include "gateway/role.h"

#define JWT_MAX 8192    /* bytes */
#define JWT_SUBJECT 255 /* bytes of a subject */
#define JWT_LEEWAY_S 60 /* how far clocks may be apart */

struct jwt_token {
    enum role role;
    char subject[JWT_SUBJECT + 1]; /* "": it names none */
    uint64_t until_ms;             /* wall time at which it is over, with the leeway */
};

enum jwt_fault {
    JWT_FINE,
    JWT_INVALID, /* no token, none of ours, forged */
    JWT_EXPIRED,
    JWT_EARLY,    /* nbf is yet to come */
    JWT_AUDIENCE, /* for somebody else, or for nobody though there is an audience to name */
    JWT_CLAIMS,   /* signed, but without exp or with a claim of the wrong kind */
    JWT_NO_MEMORY,
};

/* Whether text has a token's shape: three parts of base64url. */
bool jwt_shaped(struct str text);

/* Verifies text at wall time now_ms. audience: "" when none is ours. */
enum jwt_fault jwt_verify(const struct jwt_keys *keys, const char *audience, struct str text, uint64_t now_ms,
                          struct jwt_token *out);

#endif
