/* Who is let in, and as what: API keys, signed tokens, trusted networks. It decides about credentials; admit.h about requests. */
#ifndef GANTRY_GATEWAY_AUTH_H
#define GANTRY_GATEWAY_AUTH_H

#include "gateway/actor.h"
#include "gateway/credential.h"
#include "proto/settings.h"

struct auth;

/* Reads keys, token keys and networks. NULL with err: one of them is damaged. */
struct auth *auth_new(const struct settings *settings, struct err *err);
void auth_free(struct auth *auth); /* takes NULL */

/* Whether anybody could be let in at all. */
bool auth_has_source(const struct auth *auth);
/* Whether credentials are asked for, decided once at the start: always, or because somebody else's machine can reach us. */
void auth_decide(struct auth *auth, bool beyond_loopback);
bool auth_is_on(const struct auth *auth);

/* Networks again, after the settings were read anew; bad ones leave the old and are told in the log. */
void auth_reload(struct auth *auth);
/* Writes down when keys were used; to be called as often. */
void auth_flush(struct auth *auth);
#define AUTH_FLUSH_MS 60000

enum auth_fault {
    AUTH_FINE,
    AUTH_MISSING, /* no credential, and none is not enough from there */
    AUTH_DIFFER,  /* more than one, which differ */
    AUTH_INVALID, /* unknown, revoked, forged */
    AUTH_EXPIRED,
    AUTH_EARLY,
    AUTH_AUDIENCE,
    AUTH_CLAIMS,
    AUTH_NO_MEMORY,
};

/* Fills actor, also where the answer is a fault (as nobody). auth NULL: everybody is let in. */
enum auth_fault auth_identify(struct auth *auth, const struct credentials *credentials, const char *surface,
                              const struct peer *peer, struct actor *actor);

/* Whether auth_identify would have to verify a signature. */
bool auth_is_costly(struct auth *auth, const struct credentials *credentials);

/* Whether who was let in would be still: for answers that go on for long. False for tokens once their keys were read anew: their bearers
 * come again. */
bool auth_holds(struct auth *auth, const struct actor *actor, const char *surface, const struct peer *peer);

#endif
