/* Tokens that others signed: which are taken, and every way in which one may not be. */
#include "tests/unit/unit.h"

#include <jwt.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>

#include "gateway/auth_jwt.h"
#include "proto/buf.h"
#include "proto/messages.h"

#define NOW_S UINT64_C(1800000000)
#define NOW_MS (NOW_S * 1000)
#define LATER "\"exp\":1800000600"
#define SECRET "0123456789abcdef0123456789abcdef"

static char rsa_private[4096], rsa_public[2048], ec_private[1024], ec_public[1024], other_private[4096];

/* ---- keys and tokens ---- */

static void pem_of(EVP_PKEY *pkey, char *private, size_t private_size, char *public, size_t public_size)
{
    BIO *out = BIO_new(BIO_s_mem());
    int got;

    assert_int_equal(PEM_write_bio_PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL), 1);
    got = BIO_read(out, private, (int)private_size - 1);
    assert_true(got > 0);
    private[got] = '\0';
    if (public) {
        assert_int_equal(PEM_write_bio_PUBKEY(out, pkey), 1);
        got = BIO_read(out, public, (int)public_size - 1);
        assert_true(got > 0);
        public[got] = '\0';
    }
    BIO_free(out);
    EVP_PKEY_free(pkey);
}

static int make_keys(void **state)
{
    (void)state;
    assert_true(sodium_init() >= 0);
    pem_of(EVP_RSA_gen(2048), rsa_private, sizeof rsa_private, rsa_public, sizeof rsa_public);
    pem_of(EVP_RSA_gen(2048), other_private, sizeof other_private, NULL, 0);
    pem_of(EVP_EC_gen("P-256"), ec_private, sizeof ec_private, ec_public, sizeof ec_public);
    return 0;
}

static const char *base64(const void *bytes, size_t len, char *out, size_t size)
{
    return sodium_bin2base64(out, size, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* A token by hand: any header, any claims, signed with HMAC-SHA256 by this key, or with these bytes instead when key is NULL. */
static const char *token_by_hand(const char *header, const char *claims, const char *key, const char *signature)
{
    static char token[16384];
    static char head[4096], body[12288], mark[512];
    unsigned char sum[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state mac;

    base64(header, strlen(header), head, sizeof head);
    base64(claims, strlen(claims), body, sizeof body);
    snprintf(token, sizeof token, "%s.%s", head, body);
    if (key) {
        crypto_auth_hmacsha256_init(&mac, (const unsigned char *)key, strlen(key));
        crypto_auth_hmacsha256_update(&mac, (const unsigned char *)token, strlen(token));
        crypto_auth_hmacsha256_final(&mac, sum);
        signature = base64(sum, sizeof sum, mark, sizeof mark);
    }
    snprintf(token + strlen(token), sizeof token - strlen(token), ".%s", signature);
    return token;
}

static const char *token_hs(const char *claims)
{
    return token_by_hand("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", claims, SECRET, NULL);
}

/* A token as somebody with a private key makes it. */
static const char *token_signed(jwt_alg_t method, const char *key, const char *kid, const char *claims)
{
    static char token[8192];
    jwt_t *jwt;

    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_set_alg(jwt, method, (const unsigned char *)key, (int)strlen(key)), 0);
    if (kid)
        assert_int_equal(jwt_add_header(jwt, "kid", kid), 0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    char *text = jwt_encode_str(jwt);
    assert_non_null(text);
    snprintf(token, sizeof token, "%s", text);
    free(text);
    jwt_free(jwt);
    return token;
}

static void keys_of(struct jwt_keys *keys, const char *text)
{
    struct err err = {0};

    if (jwt_keys_parse(str_of(text), keys, &err) != 0)
        fail_msg("%s", err.text);
}

/* A JWKS of one secret. */
static const char *jwks_secret(const char *secret)
{
    static char text[4096], k[3072];

    base64(secret, strlen(secret), k, sizeof k);
    snprintf(text, sizeof text, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"%s\"}]}", k);
    return text;
}

static enum jwt_fault verify(const struct jwt_keys *keys, const char *text)
{
    struct jwt_token token;
    return jwt_verify(keys, "", str_of(text), NOW_MS, &token);
}

/* ---- what is taken ---- */

static void test_who_and_what(void **state)
{
    struct jwt_keys keys = {0};
    struct jwt_token token;
    (void)state;

    keys_of(&keys, jwks_secret(SECRET));
    const char *text = token_hs("{" LATER ",\"sub\":\"ada@example\",\"role\":\"user\",\"nbf\":1799999000.5}");
    assert_int_equal(jwt_verify(&keys, "", str_of(text), NOW_MS, &token), JWT_FINE);
    assert_string_equal(token.subject, "ada@example");
    assert_int_equal(token.role, ROLE_USER);
    assert_int_equal(token.until_ms, (UINT64_C(1800000600) + JWT_LEEWAY_S) * 1000);
    text = token_hs("{" LATER "}");
    assert_int_equal(jwt_verify(&keys, "", str_of(text), NOW_MS, &token), JWT_FINE);
    assert_string_equal(token.subject, "");
    assert_int_equal(token.role, ROLE_READONLY);
    jwt_keys_free(&keys);
}

static void test_public_keys_in_pem(void **state)
{
    struct jwt_keys keys = {0};
    char both[4096];
    (void)state;

    snprintf(both, sizeof both, "# who signs\n%s\n%s", rsa_public, ec_public);
    keys_of(&keys, both);
    assert_int_equal(keys.count, 2);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS256, rsa_private, NULL, "{" LATER "}")), JWT_FINE);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_ES256, ec_private, NULL, "{" LATER "}")), JWT_FINE);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS256, rsa_private, "a-name", "{" LATER "}")), JWT_FINE);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS256, other_private, NULL, "{" LATER "}")), JWT_INVALID);
    jwt_keys_free(&keys);
}

static void number_of(char *out, size_t size, const EVP_PKEY *pkey, const char *name, int width)
{
    BIGNUM *number = NULL;
    unsigned char bytes[1024];

    assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &number), 1);
    int len = width ? BN_bn2binpad(number, bytes, width) : BN_bn2bin(number, bytes);
    assert_true(len > 0);
    base64(bytes, (size_t)len, out, size);
    BN_free(number);
}

static EVP_PKEY *public_read(const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);

    BIO_free(in);
    assert_non_null(pkey);
    return pkey;
}

/* Both public keys and the secret, with names. */
static const char *jwks_of_all(void)
{
    static char text[8192];
    char n[1024], e[16], x[64], y[64], k[64];
    EVP_PKEY *rsa = public_read(rsa_public), *ec = public_read(ec_public);

    number_of(n, sizeof n, rsa, "n", 0);
    number_of(e, sizeof e, rsa, "e", 0);
    number_of(x, sizeof x, ec, "qx", 32);
    number_of(y, sizeof y, ec, "qy", 32);
    base64(SECRET, strlen(SECRET), k, sizeof k);
    snprintf(text, sizeof text,
             "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"},{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AQ\"},"
             "{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"sig\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"%s\"},"
             "{\"kty\":\"RSA\",\"kid\":\"r512\",\"alg\":\"RS512\",\"n\":\"%s\",\"e\":\"%s\"},"
             "{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"},"
             "{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"%s\"}],\"more\":1}",
             n, e, n, e, x, y, k);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    return text;
}

static void test_a_set_of_keys_by_name(void **state)
{
    struct jwt_keys keys = {0};
    (void)state;

    keys_of(&keys, jwks_of_all());
    assert_int_equal(keys.count, 3);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS256, rsa_private, "r", "{" LATER "}")), JWT_FINE);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_ES256, ec_private, "e", "{" LATER "}")), JWT_FINE);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_HS256, SECRET, "s", "{" LATER "}")), JWT_FINE);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS256, rsa_private, NULL, "{" LATER "}")), JWT_FINE);
    /* Another key's name, and one nobody has while every key has one. */
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS256, rsa_private, "e", "{" LATER "}")), JWT_INVALID);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS256, rsa_private, "x", "{" LATER "}")), JWT_INVALID);
    assert_int_equal(verify(&keys, token_signed(JWT_ALG_RS512, rsa_private, "r512", "{" LATER "}")), JWT_INVALID);
    jwt_keys_free(&keys);
}

/* ---- what is not ---- */

static void test_forgeries(void **state)
{
    struct jwt_keys rsa = {0}, secret = {0};
    char token[8192];
    (void)state;

    keys_of(&rsa, rsa_public);
    keys_of(&secret, jwks_secret(SECRET));
    static const char *const none[] = {"none", "None", "NONE", "nOnE", "", "HS384", "RS512", "PS256", "hs256"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        char header[64];
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", none[i]);
        assert_int_equal(verify(&secret, token_by_hand(header, "{" LATER "}", NULL, "")), JWT_INVALID);
        assert_int_equal(verify(&secret, token_by_hand(header, "{" LATER "}", NULL, "AAAA")), JWT_INVALID);
        assert_int_equal(verify(&secret, token_by_hand(header, "{" LATER "}", SECRET, NULL)), JWT_INVALID);
    }
    /* The public key is known to all: as a secret it must be good for nothing. */
    assert_int_equal(verify(&rsa, token_by_hand("{\"alg\":\"HS256\"}", "{" LATER "}", rsa_public, NULL)), JWT_INVALID);
    assert_int_equal(verify(&rsa, token_by_hand("{\"alg\":\"RS256\"}", "{" LATER "}", rsa_public, NULL)), JWT_INVALID);
    assert_int_equal(verify(&secret, token_by_hand("{\"alg\":\"HS256\"}", "{" LATER "}", "another secret", NULL)), JWT_INVALID);
    assert_int_equal(verify(&secret, token_by_hand("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", "{" LATER "}", SECRET, NULL)),
                     JWT_INVALID);
    assert_int_equal(verify(&secret, token_by_hand("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{" LATER "}", SECRET, NULL)),
                     JWT_INVALID);
    assert_int_equal(verify(&secret, token_by_hand("{\"alg\":\"HS256\",\"kid\":7}", "{" LATER "}", SECRET, NULL)), JWT_INVALID);
    assert_int_equal(verify(&secret, token_by_hand("[\"HS256\"]", "{" LATER "}", SECRET, NULL)), JWT_INVALID);
    assert_int_equal(verify(&secret, token_by_hand("{\"alg\":256}", "{" LATER "}", SECRET, NULL)), JWT_INVALID);
    assert_int_equal(verify(&secret, token_by_hand("{\"alg\":\"HS256\"}", "[1]", SECRET, NULL)), JWT_CLAIMS);
    /* Each character counts. (The last one of a part holds bits that mean nothing.) */
    snprintf(token, sizeof token, "%s", token_hs("{" LATER ",\"sub\":\"a\"}"));
    assert_int_equal(verify(&secret, token), JWT_FINE);
    for (size_t i = 0; token[i]; i++) {
        char kept = token[i];
        token[i] = kept == 'A' ? 'B' : 'A';
        if (kept != '.' && token[i + 1] != '.' && token[i + 1] != '\0')
            assert_int_equal(verify(&secret, token), JWT_INVALID);
        token[i] = kept;
    }
    jwt_keys_free(&rsa);
    jwt_keys_free(&secret);
}

static void test_garbage(void **state)
{
    struct jwt_keys keys = {0};
    static char huge[JWT_MAX + 3];
    (void)state;

    keys_of(&keys, jwks_secret(SECRET));
    static const char *const bad[] = {"",         ".",       "..",    "...",         "a.b",     "a.b.",     ".b.c",
                                      "a..c",     "a.b.c.d", "a.b.c", "e30.e30.e30", "a b.c.d", "a=.b=.c=", "\xff.\xff.\xff",
                                      "ey.ey.ey", "bearer"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(verify(&keys, bad[i]), JWT_INVALID);
    assert_int_equal(verify(&keys, "e30.e30.\n"), JWT_INVALID);
    memset(huge, 'A', JWT_MAX + 1);
    huge[10] = huge[20] = '.';
    assert_int_equal(verify(&keys, huge), JWT_INVALID);
    huge[JWT_MAX] = '\0';
    assert_int_equal(verify(&keys, huge), JWT_INVALID);
    /* Whole and signed, but larger than any may be. */
    char claims[9000] = "{" LATER ",\"sub\":\"a\",\"more\":\"";
    memset(claims + strlen(claims), 'x', 8000);
    strncat(claims, "\"}", 3);
    const char *token = token_hs(claims);
    assert_true(strlen(token) > JWT_MAX);
    assert_int_equal(verify(&keys, token), JWT_INVALID);
    jwt_keys_free(&keys);
}

static void test_times(void **state)
{
    static const struct {
        const char *claims;
        enum jwt_fault fault;
    } rows[] = {
        {"{\"exp\":1799999941}", JWT_FINE}, /* 59 s ago: clocks differ */
        {"{\"exp\":1799999940}", JWT_EXPIRED},
        {"{\"exp\":0}", JWT_EXPIRED},
        {"{" LATER ",\"nbf\":1800000060}", JWT_FINE},
        {"{" LATER ",\"nbf\":1800000061}", JWT_EARLY},
        {"{\"sub\":\"for ever\"}", JWT_CLAIMS},
        {"{\"exp\":\"1800000600\"}", JWT_CLAIMS},
        {"{\"exp\":null}", JWT_CLAIMS},
        {"{\"exp\":-1}", JWT_CLAIMS},
        {"{\"exp\":1e300}", JWT_CLAIMS},
        {"{" LATER ",\"nbf\":[]}", JWT_CLAIMS},
        {"{" LATER ",\"role\":\"root\"}", JWT_CLAIMS},
        {"{" LATER ",\"role\":[\"admin\"]}", JWT_CLAIMS},
        {"{" LATER ",\"sub\":7}", JWT_CLAIMS},
        {"{" LATER ",\"role\":\"readonly\",\"role\":\"admin\"}", JWT_CLAIMS}, /* which of them somebody meant nobody can say */
        {"{\"exp\":1," LATER "}", JWT_CLAIMS},
    };
    struct jwt_keys keys = {0};
    char claims[512];
    (void)state;

    keys_of(&keys, jwks_secret(SECRET));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (verify(&keys, token_hs(rows[i].claims)) != rows[i].fault)
            fail_msg("%s", rows[i].claims);
    }
    snprintf(claims, sizeof claims, "{" LATER ",\"sub\":\"%0256d\"}", 0);
    assert_int_equal(verify(&keys, token_hs(claims)), JWT_CLAIMS);
    jwt_keys_free(&keys);
}

static void test_audiences(void **state)
{
    static const struct {
        const char *claim, *ours;
        enum jwt_fault fault;
    } rows[] = {
        {"", "", JWT_FINE},
        {",\"aud\":\"farm\"", "farm", JWT_FINE},
        {",\"aud\":[\"other\",\"farm\"]", "farm", JWT_FINE},
        {",\"aud\":\"farm\"", "", JWT_AUDIENCE}, /* somebody is meant, and nobody said that it is us */
        {"", "farm", JWT_AUDIENCE},
        {",\"aud\":\"other\"", "farm", JWT_AUDIENCE},
        {",\"aud\":[]", "farm", JWT_AUDIENCE},
        {",\"aud\":[1,null]", "farm", JWT_AUDIENCE},
        {",\"aud\":{\"farm\":1}", "farm", JWT_AUDIENCE},
        {",\"aud\":\"farms\"", "farm", JWT_AUDIENCE},
    };
    struct jwt_keys keys = {0};
    struct jwt_token token;
    char claims[256];
    (void)state;

    keys_of(&keys, jwks_secret(SECRET));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(claims, sizeof claims, "{" LATER "%s}", rows[i].claim);
        if (jwt_verify(&keys, rows[i].ours, str_of(token_hs(claims)), NOW_MS, &token) != rows[i].fault)
            fail_msg("%s for %s", rows[i].claim, rows[i].ours);
    }
    jwt_keys_free(&keys);
}

/* ---- the file ---- */

static void test_keys_that_are_none(void **state)
{
    static const char *const bad[] = {
        "",
        "nothing",
        "{",
        "{}",
        "{\"keys\":7}",
        "{\"keys\":[]}",
        "{\"keys\":[7,null,{}]}",
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"}]}",
        "{\"keys\":[{\"kty\":\"oct\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AQ\",\"y\":\"AQ\"}]}",
        /* not on the curve */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n",
    };
    struct jwt_keys keys = {0};
    struct err err = {0};
    char small_private[2048], small_public[1024], p384_private[1024], p384_public[1024];
    (void)state;

    keys_of(&keys, jwks_secret(SECRET));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err.text[0] = '\0';
        if (jwt_keys_parse(str_of(bad[i]), &keys, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.text[0] != '\0');
        assert_int_equal(keys.count, 1); /* as it was */
    }
    /* What is said of a broken file shows nothing of it. */
    assert_int_equal(jwt_keys_parse(STR_LIT("{\"keys\":[{\"kty\":\"oct\",\"k\":\"" SECRET "\" oops"), &keys, &err), -1);
    assert_null(strstr(err.text, "01234"));
    assert_null(strstr(err.text, "oops"));
    pem_of(EVP_RSA_gen(1024), small_private, sizeof small_private, small_public, sizeof small_public);
    pem_of(EVP_EC_gen("P-384"), p384_private, sizeof p384_private, p384_public, sizeof p384_public);
    assert_int_equal(jwt_keys_parse(str_of(small_public), &keys, &err), -1);
    assert_non_null(strstr(err.text, "1024"));
    assert_int_equal(jwt_keys_parse(str_of(p384_public), &keys, &err), -1);
    assert_int_equal(jwt_keys_parse(str_of(rsa_private), &keys, &err), -1);
    assert_non_null(strstr(err.text, "private"));
    char with_private[8192];
    snprintf(with_private, sizeof with_private, "%s", jwks_of_all());
    char *member = strstr(with_private, "\"kid\":\"r\"");
    assert_non_null(member);
    memmove(member + 10, member, strlen(member) + 1);
    memcpy(member, "\"d\":\"AQ\", ", 10);
    assert_int_equal(jwt_keys_parse(str_of(with_private), &keys, &err), -1);
    assert_non_null(strstr(err.text, "private"));
    jwt_keys_free(&keys);
}

static void test_more_keys_than_there_may_be(void **state)
{
    struct jwt_keys keys = {0};
    struct buf text = {0};
    struct err err = {0};
    (void)state;

    buf_text(&text, "{\"keys\":[");
    for (int i = 0; i <= JWT_KEYS_MAX; i++)
        buf_printf(&text, "%s{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}", i ? "," : "");
    buf_text(&text, "]}");
    assert_int_equal(jwt_keys_parse(buf_str(&text), &keys, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_and_what),
        cmocka_unit_test(test_public_keys_in_pem),
        cmocka_unit_test(test_a_set_of_keys_by_name),
        cmocka_unit_test(test_forgeries),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_audiences),
        cmocka_unit_test(test_keys_that_are_none),
        cmocka_unit_test(test_more_keys_than_there_may_be),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
