#include "gateway/auth.h"

#include <stdlib.h>

#include "gateway/auth_list.h"
#include "gateway/auth_networks.h"
#include "gateway/auth_tokens.h"
#include "proto/clock.h"
#include "proto/log.h"
#include "proto/messages.h"

struct auth {
    const struct settings *settings;
    struct auth_list *list;
    struct tokens *tokens; /* NULL: none are taken */
    struct networks networks;
    bool on;
};

static int networks_read(struct auth *auth, struct err *err)
{
    struct err why = {0};

    if (networks_parse(str_of(settings_text(auth->settings, SET_AUTH_NETWORKS)), &auth->networks, &why) == 0)
        return 0;
    return err_set(err, why.code, "auth.trusted_networks: %s", why.text);
}

struct auth *auth_new(const struct settings *settings, struct err *err)
{
    const char *path = settings_text(settings, SET_AUTH_JWT_KEYS);
    struct auth *auth = calloc(1, sizeof *auth);

    if (!auth) {
        err_set(err, ERR_NO_MEMORY, "no memory for the list of keys");
        return NULL;
    }
    auth->settings = settings;
    auth->list = auth_list_new(settings, err);
    if (!auth->list || networks_read(auth, err) != 0)
        goto error;
    auth->tokens = path[0] ? tokens_new(path, settings_text(settings, SET_AUTH_JWT_AUDIENCE), err) : NULL;
    if (path[0] && !auth->tokens)
        goto error;
    return auth;
error:
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    auth_list_free(auth->list);
    tokens_free(auth->tokens);
    free(auth);
}

bool auth_has_source(const struct auth *auth)
{
    return auth_list_count(auth->list) > 0 || auth->tokens || auth->networks.count > 0;
}

void auth_decide(struct auth *auth, bool beyond_loopback)
{
    bool always = strcmp(settings_text(auth->settings, SET_AUTH_REQUIRED), "always") == 0;
    bool insecure = settings_bool(auth->settings, SET_HTTP_INSECURE);

    auth->on = always || (beyond_loopback && !insecure);
    if (!auth->on && beyond_loopback)
        log_warn("GTY-AUTH-OFF", "insecure: whoever reaches this port may do everything");
    else if (!auth->on && auth_has_source(auth))
        log_warn("GTY-AUTH-OFF",
                 "there are keys, tokens or networks, and nobody is asked for them on loopback: whoever reaches this "
                 "port, also through a proxy, may do everything; auth.required = always asks");
    else if (auth->on && !auth_has_source(auth))
        log_warn("GTY-AUTH-NONE", "credentials are asked for, and there are none yet: gantry key create makes one");
    else if (auth->on)
        log_info("GTY-AUTH-ON", "keys=%u tokens=%d networks=%u", auth_list_count(auth->list), auth->tokens != NULL,
                 auth->networks.count);
}

bool auth_is_on(const struct auth *auth)
{
    return auth->on;
}

void auth_reload(struct auth *auth)
{
    struct err err = {0};

    if (networks_read(auth, &err) != 0)
        log_error("GTY-AUTH-NETWORKS", "%s; the networks that were read before stay", err.text);
}

void auth_flush(struct auth *auth)
{
    auth_list_look(auth->list);
    auth_list_flush(auth->list);
}

/* ---- who is it ---- */

static void scope_make(struct actor *actor, const char *kind, struct str of)
{
    const struct str parts[] = {str_of(kind), of};

    ident_hash(actor->scope, parts, 2);
    actor->scoped = true;
}

static enum auth_fault by_key(struct auth *auth, struct str text, struct actor *actor)
{
    struct auth_key *key = auth_list_match(auth->list, text);

    if (!key)
        return AUTH_INVALID;
    if (key->expires_ms && key->expires_ms <= clock_wall_ms()) {
        log_debug("GTY-AUTH-EXPIRED", "key=%s name=%s", key->id, key->name);
        return AUTH_EXPIRED;
    }
    auth_list_used(auth->list, key);
    *actor = (struct actor){.kind = ACTOR_KEY, .role = key->role, .rate = key->rate, .until_ms = key->expires_ms};
    str_copy(actor->name, sizeof actor->name, str_of(key->name));
    str_copy(actor->key_id, sizeof actor->key_id, str_of(key->id));
    scope_make(actor, "key", str_of(key->id));
    return AUTH_FINE;
}

/* What of a token is signed: a signature can be written in several ways. */
static struct str token_signed(struct str text)
{
    while (text.len > 0 && text.ptr[text.len - 1] != '.')
        text.len--;
    return text;
}

static enum auth_fault by_token(struct auth *auth, struct str text, struct actor *actor)
{
    static const enum auth_fault faults[] = {
        [JWT_FINE] = AUTH_FINE,         [JWT_INVALID] = AUTH_INVALID, [JWT_EXPIRED] = AUTH_EXPIRED,     [JWT_EARLY] = AUTH_EARLY,
        [JWT_AUDIENCE] = AUTH_AUDIENCE, [JWT_CLAIMS] = AUTH_CLAIMS,   [JWT_NO_MEMORY] = AUTH_NO_MEMORY,
    };
    struct jwt_token token;

    if (!auth->tokens)
        return AUTH_INVALID;
    enum jwt_fault fault = tokens_verify(auth->tokens, text, &token);
    if (fault != JWT_FINE)
        return faults[fault];
    *actor = (struct actor){
        .kind = ACTOR_TOKEN, .role = token.role, .until_ms = token.until_ms, .generation = tokens_generation(auth->tokens)};
    str_copy(actor->name, sizeof actor->name, str_of(token.subject));
    if (token.subject[0])
        scope_make(actor, "subject", str_of(token.subject));
    else
        scope_make(actor, "token", token_signed(text));
    return AUTH_FINE;
}

bool auth_is_costly(struct auth *auth, const struct credentials *credentials)
{
    struct str text;

    return auth && auth->on && auth->tokens && credential_find(credentials, &text) == CREDENTIAL_ONE && !auth_key_shaped(text) &&
           !tokens_known(auth->tokens, text);
}

enum auth_fault auth_identify(struct auth *auth, const struct credentials *credentials, const char *surface,
                              const struct peer *peer, struct actor *actor)
{
    struct str text;

    *actor = (struct actor){.kind = ACTOR_OPEN, .role = ROLE_ADMIN};
    if (!auth || !auth->on)
        return AUTH_FINE;
    *actor = (struct actor){0};
    switch (credential_find(credentials, &text)) {
    case CREDENTIAL_ONE:
        return auth_key_shaped(text) ? by_key(auth, text, actor) : by_token(auth, text, actor);
    case CREDENTIAL_MANY:
        return AUTH_DIFFER;
    case CREDENTIAL_FOREIGN:
        return AUTH_INVALID;
    case CREDENTIAL_NONE:
        break;
    }
    enum role role = networks_role(&auth->networks, surface, peer);
    if (role == ROLE_NONE)
        return AUTH_MISSING;
    *actor = (struct actor){.kind = ACTOR_NETWORK, .role = role};
    return AUTH_FINE;
}

bool auth_holds(struct auth *auth, const struct actor *actor, const char *surface, const struct peer *peer)
{
    if (actor->until_ms && actor->until_ms <= clock_wall_ms())
        return false;
    switch (actor->kind) {
    case ACTOR_KEY:
        return auth_list_holds(auth->list, actor->key_id);
    case ACTOR_TOKEN:
        return actor->generation == tokens_generation(auth->tokens);
    case ACTOR_NETWORK:
        return networks_role(&auth->networks, surface, peer) == actor->role;
    default:
        return true;
    }
}
