#include "gateway/hook_sign.h"

#include <sodium.h>
#include <stdio.h>

#define PREFIX "whsec_"
#define PREFIX_LEN (sizeof PREFIX - 1)
#define KEY_MIN 16
#define KEY_MAX 64
#define KEY_MADE 24

const char *hook_secret_make(char out[HOOK_SECRET_SIZE])
{
    unsigned char key[KEY_MADE];

    randombytes_buf(key, sizeof key);
    memcpy(out, PREFIX, PREFIX_LEN);
    sodium_bin2base64(out + PREFIX_LEN, HOOK_SECRET_SIZE - PREFIX_LEN, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof key);
    return out;
}

/* The bytes of the key; 0 when the secret is not valid. room: KEY_MAX bytes. */
static size_t key_of(struct str secret, unsigned char *room, const unsigned char **key)
{
    size_t len = 0;
    const char *end = NULL, *text = secret.ptr + PREFIX_LEN;

    *key = (const unsigned char *)secret.ptr;
    if (secret.len < PREFIX_LEN || memcmp(secret.ptr, PREFIX, PREFIX_LEN) != 0)
        return secret.len;
    *key = room;
    if (sodium_base642bin(room, KEY_MAX, text, secret.len - PREFIX_LEN, NULL, &len, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != secret.ptr + secret.len)
        return 0;
    return len >= KEY_MIN ? len : 0;
}

bool hook_secret_valid(struct str secret)
{
    unsigned char room[KEY_MAX];
    const unsigned char *key;
    bool valid = key_of(secret, room, &key) > 0;

    sodium_memzero(room, sizeof room);
    return valid;
}

const char *hook_sign(struct str secret, const char *id, uint64_t seconds, struct str body, char out[HOOK_SIGNATURE_SIZE])
{
    unsigned char room[KEY_MAX], mac[crypto_auth_hmacsha256_BYTES];
    const unsigned char *key;
    crypto_auth_hmacsha256_state state;
    size_t len = key_of(secret, room, &key);
    char head[256];

    out[0] = '\0';
    if (len == 0)
        return out;
    int head_len = snprintf(head, sizeof head, "%s.%llu.", id, (unsigned long long)seconds);
    crypto_auth_hmacsha256_init(&state, key, len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)head, (unsigned long long)head_len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body.ptr, body.len);
    crypto_auth_hmacsha256_final(&state, mac);
    memcpy(out, "v1,", 3);
    sodium_bin2base64(out + 3, HOOK_SIGNATURE_SIZE - 3, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(room, sizeof room);
    sodium_memzero(&state, sizeof state);
    return out;
}
