/* Bearer tokens as a gateway takes them: the file of keys, followed, and what was verified a moment ago. */
#ifndef GANTRY_GATEWAY_AUTH_TOKENS_H
#define GANTRY_GATEWAY_AUTH_TOKENS_H

#include "gateway/auth_jwt.h"

struct tokens;

/* path, audience: the settings, copied. NULL with err, which names the file: it cannot be read or holds no keys. */
struct tokens *tokens_new(const char *path, const char *audience, struct err *err);
void tokens_free(struct tokens *tokens); /* takes NULL */

/* Whether this one was verified a moment ago: then it costs nothing to take. */
bool tokens_known(struct tokens *tokens, struct str text);
/* Another one than before: the keys have been read anew, and what they vouched for may be worth nothing. */
uint64_t tokens_generation(struct tokens *tokens);
/* jwt_verify by the file as it is now. A file that has become unreadable or damaged changes nothing, and is told in the log. */
enum jwt_fault tokens_verify(struct tokens *tokens, struct str text, struct jwt_token *out);
#define TOKENS_FRESH_MS 5000 /* how long a verified token is known again by its digest */

#endif
