/* Tokens and the keys they are verified with. The first byte says what follows it:
 *
 *   'k'  a file of keys, JWKS or PEM, and behind an empty line a token
 *   't'  a token, for a secret and a public key that nobody here has the other half of: nothing may pass
 *   's'  a header, a line's end and claims, which are then signed as they should be: the claims are judged
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/auth_jwt.h"

#define NOW_MS UINT64_C(1800000000000)
#define SECRET "an HMAC secret of fuzzed bytes.."

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char known[] =
    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"},"
    "{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void check(bool holds)
{
    if (!holds)
        abort();
}

static enum jwt_fault verify(const struct jwt_keys *keys, const char *audience, struct str text)
{
    struct jwt_token token;
    enum jwt_fault fault = jwt_verify(keys, audience, text, NOW_MS, &token);

    check(fault != JWT_FINE || (token.role >= ROLE_READONLY && token.role <= ROLE_ADMIN && token.until_ms > NOW_MS));
    return fault;
}

static void take_keys(struct str text)
{
    const char *end = text.len ? memmem(text.ptr, text.len, "\n\n", 2) : NULL;
    struct str file = {text.ptr, end ? (uint32_t)(end - text.ptr) : text.len};
    struct jwt_keys keys = {0};
    struct err err = {0};

    if (jwt_keys_parse(file, &keys, &err) != 0) {
        check(err.text[0] != '\0' && keys.count == 0);
        return;
    }
    check(keys.count > 0 && keys.count <= JWT_KEYS_MAX);
    if (end)
        verify(&keys, "", (struct str){end + 2, text.len - file.len - 2});
    jwt_keys_free(&keys);
}

static void take_token(struct str text)
{
    static struct jwt_keys keys;
    struct err err;

    if (keys.count == 0)
        check(jwt_keys_parse(STR_LIT(known), &keys, &err) == 0);
    check(verify(&keys, "farm", text) != JWT_FINE);
}

static size_t part_add(char *out, size_t size, struct str bytes)
{
    if (size < sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING))
        return 0;
    sodium_bin2base64(out, size, (const unsigned char *)bytes.ptr, bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return strlen(out);
}

static void take_claims(struct str text)
{
    static struct jwt_keys keys;
    static char token[3 * JWT_MAX];
    crypto_auth_hmacsha256_state mac;
    unsigned char sum[crypto_auth_hmacsha256_BYTES];
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;

    if (!end || text.len > JWT_MAX)
        return;
    if (keys.count == 0) {
        keys.rows[0] =
            (struct jwt_key){.method = JWT_METHOD_HS256, .material = (unsigned char *)SECRET, .size = sizeof SECRET - 1};
        keys.count = 1;
    }
    struct str header = {text.ptr, (uint32_t)(end - text.ptr)}, claims = {end + 1, text.len - header.len - 1};
    size_t len = part_add(token, sizeof token, header);
    token[len++] = '.';
    len += part_add(token + len, sizeof token - len, claims);
    crypto_auth_hmacsha256_init(&mac, (const unsigned char *)SECRET, sizeof SECRET - 1);
    crypto_auth_hmacsha256_update(&mac, (const unsigned char *)token, len);
    crypto_auth_hmacsha256_final(&mac, sum);
    token[len++] = '.';
    len += part_add(token + len, sizeof token - len, (struct str){(const char *)sum, sizeof sum});
    verify(&keys, "", (struct str){token, (uint32_t)len});
    verify(&keys, "farm", (struct str){token, (uint32_t)len});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > UINT32_MAX)
        return 0;
    struct str rest = {(const char *)data + 1, (uint32_t)size - 1};
    if (data[0] == 'k')
        take_keys(rest);
    else if (data[0] == 't')
        take_token(rest);
    else if (data[0] == 's')
        take_claims(rest);
    return 0;
}
