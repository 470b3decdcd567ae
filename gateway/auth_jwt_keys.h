/* The keys that bearer tokens are verified with: a JWKS (RFC 7517) or public keys in PEM.
 *
 * Each key stands for one algorithm, whatever a token says: an RSA key for RS256, one of P-256 for ES256, a secret for HS256. So the text of
 * a public key can never be taken for a secret.
 */
#ifndef GANTRY_GATEWAY_AUTH_JWT_KEYS_H
#define GANTRY_GATEWAY_AUTH_JWT_KEYS_H

#include "proto/str.h"

#define JWT_KEYS_MAX 32
#define JWT_KID_MAX 128

enum jwt_method { JWT_METHOD_HS256, JWT_METHOD_RS256, JWT_METHOD_ES256 };

struct jwt_key {
    enum jwt_method method;
    char kid[JWT_KID_MAX + 1]; /* "": it has none */
    unsigned char *material;   /* the secret's bytes, or the public key in PEM */
    int size;
};

struct jwt_keys { /* zeroed: none */
    struct jwt_key rows[JWT_KEYS_MAX];
    unsigned count;
};

void jwt_keys_free(struct jwt_keys *keys); /* leaves it empty */

/* Reads the file's text. Of a JWKS, keys of other kinds or for other uses are passed over; a key that is broken or too weak (RSA below 2048
 * bits, a secret below 256) is an error, and so is a text without any key for us. -1 with err; out is as it was. */
int jwt_keys_parse(struct str text, struct jwt_keys *out, struct err *err);

const char *jwt_method_name(enum jwt_method method); /* "HS256" */

#endif
