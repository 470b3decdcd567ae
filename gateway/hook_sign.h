/* Signatures of webhooks, as the Standard Webhooks specification has them: `v1,` and base64 of HMAC-SHA256 over "id.timestamp.body". */
#ifndef GANTRY_GATEWAY_HOOK_SIGN_H
#define GANTRY_GATEWAY_HOOK_SIGN_H

#include <stdint.h>

#include "proto/str.h"

#define HOOK_SECRET_SIZE 64 /* of a generated one, with its NUL */
#define HOOK_SIGNATURE_SIZE 64

/* "whsec_" and base64 of 24 random bytes. Answers out. */
const char *hook_secret_make(char out[HOOK_SECRET_SIZE]);
/* A secret is `whsec_` and base64 of 16 to 64 bytes, which are the key; any other text is the key itself. */
bool hook_secret_valid(struct str secret);

/* Answers out; "" when the secret is not valid. */
const char *hook_sign(struct str secret, const char *id, uint64_t seconds, struct str body, char out[HOOK_SIGNATURE_SIZE]);

#endif
