#include "gateway/auth_jwt_keys.h"

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>

#include "gateway/json.h"
#include "proto/messages.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define SECRET_MIN 32
#define SECRET_MAX 1024
#define P256_BYTES 32
#define PRIVATE_WORDS "a private key: put the public one here, and keep this one where tokens are signed"

const char *jwt_method_name(enum jwt_method method)
{
    static const char *const names[] = {"HS256", "RS256", "ES256"};
    return names[method];
}

void jwt_keys_free(struct jwt_keys *keys)
{
    for (unsigned i = 0; i < keys->count; i++) {
        sodium_memzero(keys->rows[i].material, (size_t)keys->rows[i].size);
        free(keys->rows[i].material);
    }
    keys->count = 0;
}

static int key_add(struct jwt_keys *keys, enum jwt_method method, struct str kid, const void *material, size_t size,
                   struct err *err)
{
    struct jwt_key *key = &keys->rows[keys->count];

    if (keys->count == JWT_KEYS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d keys", JWT_KEYS_MAX);
    if (!str_copy(key->kid, sizeof key->kid, kid))
        return err_set(err, ERR_INVALID, "a kid of more than %d bytes", JWT_KID_MAX);
    key->material = malloc(size);
    if (!key->material)
        return err_set(err, ERR_NO_MEMORY, "no memory for the keys of tokens");
    memcpy(key->material, material, size);
    key->method = method;
    key->size = (int)size;
    keys->count++;
    return 0;
}

/* ---- public keys, as OpenSSL has them ---- */

/* Which algorithm a key stands for; -1 with err when it is none of ours, or too weak. */
static int public_method(EVP_PKEY *pkey, enum jwt_method *method, struct err *err)
{
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(pkey);

    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *method = JWT_METHOD_RS256;
        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
            return err_set(err, ERR_INVALID, "an RSA key of %d bits: expected %d to %d", bits, RSA_BITS_MIN, RSA_BITS_MAX);
        return 0;
    }
    *method = JWT_METHOD_ES256;
    if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1 ||
        strcmp(group, SN_X9_62_prime256v1) != 0)
        return err_set(err, ERR_INVALID, "a public key that is neither RSA nor EC P-256");
    return 0;
}

static int public_add(struct jwt_keys *keys, EVP_PKEY *pkey, struct str kid, struct err *err)
{
    enum jwt_method method;
    char *pem = NULL;
    int rc = -1;

    if (public_method(pkey, &method, err) != 0)
        return -1;
    BIO *out = BIO_new(BIO_s_mem());
    long size = out && PEM_write_bio_PUBKEY(out, pkey) == 1 ? BIO_get_mem_data(out, &pem) : 0;
    if (size > 0)
        rc = key_add(keys, method, kid, pem, (size_t)size, err);
    else
        err_set(err, ERR_NO_MEMORY, "no memory for the keys of tokens");
    BIO_free(out);
    return rc;
}

/* ---- PEM ---- */

static EVP_PKEY *certificate_key(const unsigned char *data, long size)
{
    X509 *certificate = d2i_X509(NULL, &data, size);
    EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;

    X509_free(certificate);
    return pkey;
}

static int block_add(struct jwt_keys *keys, const char *name, const unsigned char *data, long size, struct err *err)
{
    const unsigned char *at = data;
    EVP_PKEY *pkey = NULL;

    if (strstr(name, "PRIVATE"))
        return err_set(err, ERR_INVALID, PRIVATE_WORDS);
    if (strcmp(name, PEM_STRING_PUBLIC) == 0)
        pkey = d2i_PUBKEY(NULL, &at, size);
    else if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0)
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, size);
    else if (strcmp(name, PEM_STRING_X509) == 0)
        pkey = certificate_key(data, size);
    if (!pkey)
        return err_set(err, ERR_INVALID, "\"%.40s\" is not a public key", name);
    int rc = public_add(keys, pkey, (struct str){NULL, 0}, err);
    EVP_PKEY_free(pkey);
    return rc;
}

static int pem_parse(struct str text, struct jwt_keys *out, struct err *err)
{
    BIO *in = BIO_new_mem_buf(text.ptr, (int)text.len);
    unsigned char *data;
    char *name, *header;
    long size;
    int rc = 0;

    if (!in)
        return err_set(err, ERR_NO_MEMORY, "no memory for the keys of tokens");
    while (rc == 0 && PEM_read_bio(in, &name, &header, &data, &size) == 1) {
        rc = block_add(out, name, data, size, err);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)size);
    }
    /* The end of the text is the one error that is none. */
    if (rc == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        rc = err_set(err, ERR_INVALID, "broken PEM");
    BIO_free(in);
    return rc;
}

/* ---- JWKS ---- */

/* Bytes of a member in base64url; 0 when it is absent or broken. */
static size_t member_bytes(const json_t *key, const char *name, unsigned char *out, size_t size)
{
    const json_t *member = json_object_get(key, name);
    size_t got = 0;

    if (!json_is_string(member) || sodium_base642bin(out, size, json_string_value(member), json_string_length(member), NULL, &got,
                                                     NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return 0;
    return got;
}

static EVP_PKEY *pkey_make(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (params && context && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return pkey;
}

static EVP_PKEY *rsa_make(const json_t *key)
{
    unsigned char n[RSA_BITS_MAX / 8 + 1], e[8];
    size_t n_len = member_bytes(key, "n", n, sizeof n), e_len = member_bytes(key, "e", e, sizeof e);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn(n, (int)n_len, NULL), *exponent = BN_bin2bn(e, (int)e_len, NULL);
    EVP_PKEY *pkey = NULL;

    if (build && modulus && exponent && BN_is_odd(modulus) && BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        pkey = pkey_make("RSA", build);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(build);
    return pkey;
}

static EVP_PKEY *ec_make(const json_t *key)
{
    unsigned char point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    OSSL_PARAM_BLD *build = NULL;
    EVP_PKEY *pkey = NULL;

    /* A point that is not on the curve is refused when it is read. */
    if (member_bytes(key, "x", point + 1, P256_BYTES) == P256_BYTES &&
        member_bytes(key, "y", point + 1 + P256_BYTES, P256_BYTES) == P256_BYTES && (build = OSSL_PARAM_BLD_new()) != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        pkey = pkey_make("EC", build);
    OSSL_PARAM_BLD_free(build);
    return pkey;
}

static int secret_add(struct jwt_keys *keys, const json_t *key, struct str kid, struct err *err)
{
    unsigned char secret[SECRET_MAX];
    size_t len = member_bytes(key, "k", secret, sizeof secret);
    int rc;

    if (len < SECRET_MIN)
        rc = err_set(err, ERR_INVALID, "a secret (k) that is not base64url of %d to %d bytes", SECRET_MIN, SECRET_MAX);
    else
        rc = key_add(keys, JWT_METHOD_HS256, kid, secret, len, err);
    sodium_memzero(secret, sizeof secret);
    return rc;
}

static bool text_is(const json_t *object, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, wanted) == 0;
}

/* Of another kind, use or algorithm than what is wanted; a member that is absent says nothing. */
static bool meant_for(const json_t *key, const char *kind, enum jwt_method method)
{
    return text_is(key, "kty", kind) && (!json_object_get(key, "use") || text_is(key, "use", "sig")) &&
           (!json_object_get(key, "alg") || text_is(key, "alg", jwt_method_name(method)));
}

static int member_add(struct jwt_keys *keys, const json_t *key, struct err *err)
{
    const json_t *kid = json_object_get(key, "kid");
    struct str name = {json_string_value(kid), (uint32_t)json_string_length(kid)};
    EVP_PKEY *pkey;
    int rc = -1;

    if (name.len > 0 && strlen(name.ptr) != name.len)
        return err_set(err, ERR_INVALID, "a kid that holds a NUL");
    if (meant_for(key, "oct", JWT_METHOD_HS256))
        return secret_add(keys, key, name, err);
    if (json_object_get(key, "d"))
        return err_set(err, ERR_INVALID, PRIVATE_WORDS);
    if (meant_for(key, "RSA", JWT_METHOD_RS256))
        pkey = rsa_make(key);
    else if (meant_for(key, "EC", JWT_METHOD_ES256) && text_is(key, "crv", "P-256"))
        pkey = ec_make(key);
    else
        return 0;
    if (pkey)
        rc = public_add(keys, pkey, name, err);
    else
        err_set(err, ERR_INVALID, "a key whose numbers are not those of a public key");
    EVP_PKEY_free(pkey);
    return rc;
}

static int jwks_parse(struct str text, struct jwt_keys *out, struct err *err)
{
    struct err why = {0};
    int rc = 0;
    json_t *root = json_parse(text, &why);
    const json_t *all = json_object_get(root, "keys");

    if (!root && why.code == ERR_NO_MEMORY)
        rc = err_set(err, ERR_NO_MEMORY, "no memory for the keys of tokens");
    else if (!root) /* where, and not what stands there: it may be a secret */
        rc = err_set(err, ERR_INVALID, "it is not JSON (%.*s)", (int)strcspn(why.text, ":"), why.text);
    else if (!json_is_array(all))
        rc = err_set(err, ERR_INVALID, "it has no list \"keys\"");
    for (size_t index = 0; rc == 0 && index < json_array_size(all); index++) {
        if (member_add(out, json_array_get(all, index), &why) != 0)
            rc = err_set(err, why.code, "key %zu: %s", index + 1, why.text);
    }
    json_decref(root);
    return rc;
}

int jwt_keys_parse(struct str text, struct jwt_keys *out, struct err *err)
{
    struct jwt_keys fresh = {0};
    struct str trimmed = str_trim(text, " \t\r\n");
    int rc;

    ERR_clear_error();
    if (trimmed.len > 0 && trimmed.ptr[0] == '{')
        rc = jwks_parse(trimmed, &fresh, err);
    else
        rc = pem_parse(trimmed, &fresh, err);
    ERR_clear_error();
    if (rc == 0 && fresh.count == 0)
        rc = err_set(err, ERR_INVALID, "it holds no key for RS256, ES256 or HS256");
    if (rc != 0) {
        jwt_keys_free(&fresh);
        return -1;
    }
    jwt_keys_free(out);
    *out = fresh;
    return 0;
}
