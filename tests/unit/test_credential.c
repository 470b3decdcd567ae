/* What a request shows: found once, and taken out of its address. */
#include "tests/unit/unit.h"

#include "gateway/credential.h"

static struct credentials credentials;
static struct uri uri;
static char target[256], scratch[256];
static struct str found;

static void address(const char *text)
{
    struct err err = {0};

    credentials = (struct credentials){0};
    snprintf(target, sizeof target, "%s", text);
    assert_int_equal(uri_parse(str_of(target), scratch, &uri, &err), 0);
    credential_cut(&credentials, &uri);
}

static void header(struct str *slot, const char *value)
{
    credential_note(&credentials, slot, str_of(value));
}

static void test_each_place(void **state)
{
    (void)state;
    address("/x");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_NONE);
    header(&credentials.bearer, "bEaReR  secret ");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_ONE);
    assert_true(str_is(found, "secret"));
    address("/x");
    header(&credentials.api_key, "secret");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_ONE);
    assert_true(str_is(found, "secret"));
    address("/x?api_key=sec%72et");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_ONE);
    assert_true(str_is(found, "secret"));
    /* The same one in each of them. */
    header(&credentials.api_key, "secret");
    header(&credentials.bearer, "Bearer secret");
    header(&credentials.bearer, "Bearer secret");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_ONE);
}

static void test_several(void **state)
{
    (void)state;
    address("/x?api_key=one");
    header(&credentials.api_key, "two");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_MANY);
    address("/x?api_key=one&api_key=two");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_MANY);
    address("/x?api_key=one&api_key=one");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_ONE);
    address("/x?api_key=");
    header(&credentials.bearer, "Bearer two");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_MANY);
    address("/x");
    header(&credentials.bearer, "Bearer one");
    header(&credentials.bearer, "Bearer two");
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_MANY);
}

static void test_what_is_no_credential_of_ours(void **state)
{
    static const char *const foreign[] = {"Basic YTpi", "Bearer", "Bearer ", "", "Bearersecret", "Digest x"};
    (void)state;

    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        address("/x");
        header(&credentials.bearer, foreign[i]);
        assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_FOREIGN);
    }
    address("/x");
    header(&credentials.api_key, ""); /* there, and nobody's */
    assert_int_equal(credential_find(&credentials, &found), CREDENTIAL_ONE);
    assert_int_equal(found.len, 0);
}

static void test_the_address_is_clean(void **state)
{
    static const struct {
        const char *given, *query;
        unsigned params;
    } rows[] = {
        {"/x?api_key=s", "", 0},        {"/x?api_key=s&a=1", "a=1", 1},
        {"/x?a=1&api_key=s", "a=1", 1}, {"/x?a=1&&api%5Fkey=s&b=%20&api_key&&c", "a=1&b=%20&c", 3},
        {"/x?%61pi_key=s", "", 0},      {"/x?my_api_key=s&api_keys=t", "my_api_key=s&api_keys=t", 2},
        {"/x?a=1&&b=2", "a=1&&b=2", 2}, /* as it was: it is part of an idempotency key */
    };
    struct str value;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        address(rows[i].given);
        if (!str_is(uri.query, rows[i].query))
            fail_msg("%s became %.*s", rows[i].given, (int)uri.query.len, uri.query.ptr);
        assert_int_equal(uri.param_count, rows[i].params);
        assert_int_equal(uri_param(&uri, "api_key", NULL), 0);
    }
    address("/x?a=1&api_key=s&b=2");
    assert_int_equal(uri_param(&uri, "b", &value), 1);
    assert_true(str_is(value, "2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_place),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_what_is_no_credential_of_ours),
        cmocka_unit_test(test_the_address_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
