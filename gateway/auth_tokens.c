#include "gateway/auth_tokens.h"

#include <stdlib.h>

#include "gateway/auth_file.h"
#include "proto/clock.h"
#include "proto/file.h"
#include "proto/ident.h"
#include "proto/log.h"
#include "proto/messages.h"
#include "proto/watch.h"

#define PLACES 256

struct place { /* of a verified token; one digest has one place, and whoever comes later takes it */
    uint8_t digest[IDENT_HASH];
    uint64_t until_ms; /* monotonic; 0: empty */
    struct jwt_token token;
};

struct tokens {
    char path[PATH_MAX];
    char audience[256];
    struct watch watch;
    struct jwt_keys keys;
    struct place places[PLACES];
    uint8_t content[IDENT_HASH]; /* of the file */
    uint64_t generation;         /* how often that was another one */
    bool stale;                  /* they could not be since the file changed: told once, and tried again */
};

static int keys_load(struct tokens *tokens, struct err *err)
{
    struct buf text = {0};
    struct err why = {0};
    uint8_t content[IDENT_HASH];
    int rc = file_read(tokens->path, &text, err);

    if (rc > 0)
        rc = err_set(err, ERR_NOT_FOUND, "%s: is not there (auth.jwt_keys)", tokens->path);
    else if (rc == 0 && jwt_keys_parse(buf_str(&text), &tokens->keys, &why) != 0)
        rc = err_set(err, why.code, "%s: %s", tokens->path, why.text);
    const struct str whole = buf_str(&text);
    ident_hash(content, &whole, 1);
    buf_free(&text);
    if (rc == 0 && memcmp(content, tokens->content, sizeof content) != 0) {
        memset(tokens->places, 0, sizeof tokens->places); /* what another key vouched for */
        memcpy(tokens->content, content, sizeof content);
        tokens->generation++;
    }
    return rc;
}

struct tokens *tokens_new(const char *path, const char *audience, struct err *err)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    char why[PATH_MAX + 128];

    if (!tokens) {
        err_set(err, ERR_NO_MEMORY, "no memory for the keys of tokens");
        return NULL;
    }
    str_copy(tokens->path, sizeof tokens->path, str_of(path));
    str_copy(tokens->audience, sizeof tokens->audience, str_of(audience));
    tokens->watch.path = tokens->path;
    watch_changed(&tokens->watch, clock_mono_ms());
    if (keys_load(tokens, err) != 0) {
        tokens_free(tokens);
        return NULL;
    }
    if (auth_file_tokens_exposed(tokens->path, why, sizeof why))
        log_warn("GTY-KEY-EXPOSED", "auth.jwt_keys: %s", why);
    return tokens;
}

void tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    jwt_keys_free(&tokens->keys);
    free(tokens);
}

static void keys_follow(struct tokens *tokens)
{
    struct err err = {0};

    if (!watch_changed(&tokens->watch, clock_mono_ms()))
        return;
    bool stale = keys_load(tokens, &err) != 0;
    if (stale)
        watch_again(&tokens->watch);
    if (stale && !tokens->stale)
        log_error("GTY-AUTH-TOKENS", "%s; the keys that were read before stay", err.text);
    tokens->stale = stale;
}

static struct place *place_of(struct tokens *tokens, const uint8_t digest[IDENT_HASH])
{
    return &tokens->places[digest[0] % PLACES];
}

static bool place_holds(const struct place *place, const uint8_t digest[IDENT_HASH])
{
    return place->until_ms > clock_mono_ms() && memcmp(place->digest, digest, IDENT_HASH) == 0 &&
           place->token.until_ms > clock_wall_ms();
}

bool tokens_known(struct tokens *tokens, struct str text)
{
    uint8_t digest[IDENT_HASH];

    ident_hash(digest, &text, 1);
    return place_holds(place_of(tokens, digest), digest);
}

uint64_t tokens_generation(struct tokens *tokens)
{
    keys_follow(tokens);
    return tokens->generation;
}

enum jwt_fault tokens_verify(struct tokens *tokens, struct str text, struct jwt_token *out)
{
    uint64_t now_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
    uint8_t digest[IDENT_HASH];

    keys_follow(tokens);
    if (text.len > JWT_MAX)
        return JWT_INVALID;
    ident_hash(digest, &text, 1);
    struct place *place = place_of(tokens, digest);
    if (place_holds(place, digest)) {
        *out = place->token;
        return JWT_FINE;
    }
    enum jwt_fault fault = jwt_verify(&tokens->keys, tokens->audience, text, wall_ms, out);
    if (fault == JWT_FINE) {
        memcpy(place->digest, digest, sizeof digest);
        place->until_ms = now_ms + TOKENS_FRESH_MS;
        place->token = *out;
    }
    return fault;
}
