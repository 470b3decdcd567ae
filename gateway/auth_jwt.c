#include "gateway/auth_jwt.h"

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <openssl/err.h>
#include <sodium.h>
#include <stdlib.h>

#include "gateway/json.h"
#include "proto/messages.h"

#define SECONDS_MAX 253402300799.0 /* the end of the year 9999 */

static bool is_base64url(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool jwt_shaped(struct str text)
{
    unsigned dots = 0;
    uint32_t part = 0;

    for (uint32_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '.') {
            if (part == 0 || ++dots > 2)
                return false;
            part = 0;
        } else if (!is_base64url(text.ptr[i])) {
            return false;
        } else {
            part++;
        }
    }
    return dots == 2 && part > 0;
}

/* ---- which key ---- */

struct header {
    enum jwt_method method;
    char kid[JWT_KID_MAX + 1];
};

static bool method_read(const json_t *root, enum jwt_method *method)
{
    const char *alg = json_string_value(json_object_get(root, "alg"));

    for (enum jwt_method at = JWT_METHOD_HS256; alg && at <= JWT_METHOD_ES256; at++) {
        if (strcmp(alg, jwt_method_name(at)) == 0) {
            *method = at;
            return true;
        }
    }
    return false;
}

static enum jwt_fault header_read(struct str text, struct header *out)
{
    unsigned char bytes[JWT_MAX];
    size_t len = 0;
    const char *dot = memchr(text.ptr, '.', text.len);
    enum jwt_fault fault = JWT_INVALID;
    struct err err = {0};

    *out = (struct header){0};
    if (sodium_base642bin(bytes, sizeof bytes, text.ptr, (size_t)(dot - text.ptr), NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return JWT_INVALID;
    json_t *root = json_parse((struct str){(const char *)bytes, (uint32_t)len}, &err);
    if (!root)
        return err.code == ERR_NO_MEMORY ? JWT_NO_MEMORY : JWT_INVALID;
    const json_t *kid = json_object_get(root, "kid");
    /* What crit names has to be understood, and nothing is. */
    if (method_read(root, &out->method) && !json_object_get(root, "crit") && (!kid || json_is_string(kid)) &&
        str_copy(out->kid, sizeof out->kid, (struct str){json_string_value(kid), (uint32_t)json_string_length(kid)}))
        fault = JWT_FINE;
    json_decref(root);
    return fault;
}

static bool known_kid(const struct jwt_keys *keys, const char *kid)
{
    for (unsigned i = 0; i < keys->count; i++) {
        if (strcmp(keys->rows[i].kid, kid) == 0)
            return true;
    }
    return false;
}

/* A token that names a key is verified with that one, or with those that have no name; one that names none with any. */
static bool key_fits(const struct jwt_keys *keys, const struct jwt_key *key, const struct header *header)
{
    if (key->method != header->method)
        return false;
    if (!header->kid[0])
        return true;
    return known_kid(keys, header->kid) ? strcmp(key->kid, header->kid) == 0 : !key->kid[0];
}

/* ---- claims ---- */

/* A time in seconds; false when it is there and none. */
static bool seconds_read(const json_t *claims, const char *name, double *out, bool *there)
{
    const json_t *claim = json_object_get(claims, name);

    *there = claim != NULL;
    *out = json_number_value(claim);
    return !claim || (json_is_number(claim) && *out >= 0 && *out <= SECONDS_MAX);
}

static bool audience_named(const json_t *aud, const char *audience)
{
    const char *text = json_string_value(aud);

    if (text)
        return strcmp(text, audience) == 0;
    for (size_t i = 0; i < json_array_size(aud); i++) {
        text = json_string_value(json_array_get(aud, i));
        if (text && strcmp(text, audience) == 0)
            return true;
    }
    return false;
}

/* Without an audience of ours, a token that is meant for anybody in particular is not meant for us. */
static bool audience_fits(const json_t *claims, const char *audience)
{
    const json_t *aud = json_object_get(claims, "aud");

    return audience[0] ? audience_named(aud, audience) : aud == NULL;
}

static bool person_read(const json_t *claims, struct jwt_token *out)
{
    const json_t *role = json_object_get(claims, "role"), *sub = json_object_get(claims, "sub");
    struct str subject = {json_string_value(sub), (uint32_t)json_string_length(sub)};

    out->role = ROLE_READONLY;
    if (role && (!json_is_string(role) || !role_parse(str_of(json_string_value(role)), &out->role)))
        return false;
    if (sub && (!json_is_string(sub) || (subject.len > 0 && strlen(subject.ptr) != subject.len)))
        return false;
    return str_copy(out->subject, sizeof out->subject, subject);
}

static enum jwt_fault claims_check(const json_t *claims, const char *audience, uint64_t now_ms, struct jwt_token *out)
{
    double exp, nbf, now = (double)now_ms / 1000;
    bool has_exp, has_nbf;

    *out = (struct jwt_token){0};
    if (!seconds_read(claims, "exp", &exp, &has_exp) || !seconds_read(claims, "nbf", &nbf, &has_nbf) || !has_exp)
        return JWT_CLAIMS;
    if (now >= exp + JWT_LEEWAY_S)
        return JWT_EXPIRED;
    if (has_nbf && now < nbf - JWT_LEEWAY_S)
        return JWT_EARLY;
    if (!audience_fits(claims, audience))
        return JWT_AUDIENCE;
    out->until_ms = (uint64_t)((exp + JWT_LEEWAY_S) * 1000);
    return person_read(claims, out) ? JWT_FINE : JWT_CLAIMS;
}

/* ---- the whole ---- */

static jwt_alg_t library_method(enum jwt_method method)
{
    return method == JWT_METHOD_RS256 ? JWT_ALG_RS256 : method == JWT_METHOD_ES256 ? JWT_ALG_ES256 : JWT_ALG_HS256;
}

/* OpenSSL says what went wrong in a queue, and libjwt only that something did. */
static bool openssl_starved(void)
{
    bool starved = false;
    unsigned long code;

    while ((code = ERR_get_error()) != 0)
        starved = starved || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    return starved;
}

/* The token as libjwt has verified it with this key; NULL when it does not hold. */
static jwt_t *signature_check(const struct jwt_key *key, const char *text, bool *starved)
{
    jwt_t *jwt = NULL;

    errno = 0;
    int rc = jwt_decode(&jwt, text, key->material, key->size);
    /* Where its own allocation fails it may say EINVAL, as for a forgery; the C library leaves word. */
    bool short_of = rc == ENOMEM || (rc != 0 && errno == ENOMEM);
    if (openssl_starved() || short_of)
        *starved = true;
    if (rc != 0)
        return NULL;
    if (jwt_get_alg(jwt) == library_method(key->method))
        return jwt;
    /* The header names this method, so nothing was verified: without memory for the key libjwt 1.10 answers success with an empty token. */
    *starved = true;
    jwt_free(jwt);
    return NULL;
}

/* The claims of a token whose signature holds, read anew: libjwt takes the last of two with one name, and another reader the first. */
static enum jwt_fault claims_read(struct str text, const char *audience, uint64_t now_ms, struct jwt_token *out)
{
    unsigned char bytes[JWT_MAX];
    size_t len = 0;
    struct err err = {0};
    const char *begin = (const char *)memchr(text.ptr, '.', text.len) + 1;
    const char *end = memchr(begin, '.', text.len - (size_t)(begin - text.ptr));

    if (sodium_base642bin(bytes, sizeof bytes, begin, (size_t)(end - begin), NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return JWT_INVALID;
    json_t *claims = json_parse((struct str){(const char *)bytes, (uint32_t)len}, &err);
    enum jwt_fault fault = claims                      ? claims_check(claims, audience, now_ms, out)
                           : err.code == ERR_NO_MEMORY ? JWT_NO_MEMORY
                                                       : JWT_CLAIMS;
    json_decref(claims);
    return fault;
}

enum jwt_fault jwt_verify(const struct jwt_keys *keys, const char *audience, struct str text, uint64_t now_ms,
                          struct jwt_token *out)
{
    char copy[JWT_MAX + 1];
    struct header header;
    bool starved = false;
    jwt_t *jwt = NULL;

    if (text.len > JWT_MAX || !jwt_shaped(text))
        return JWT_INVALID;
    enum jwt_fault fault = header_read(text, &header);
    if (fault != JWT_FINE)
        return fault;
    str_copy(copy, sizeof copy, text);
    for (unsigned i = 0; i < keys->count && !jwt; i++) {
        if (key_fits(keys, &keys->rows[i], &header))
            jwt = signature_check(&keys->rows[i], copy, &starved);
    }
    starved = starved || json_starved();
    if (jwt)
        jwt_free(jwt);
    if (!jwt || starved)
        return starved ? JWT_NO_MEMORY : JWT_INVALID;
    return claims_read(text, audience, now_ms, out);
}
