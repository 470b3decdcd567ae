/* Signatures of webhooks, against the example of the Standard Webhooks specification's libraries. */
#include "tests/unit/unit.h"

#include "gateway/hook_sign.h"

static void signatures_are_the_specifications(void **state)
{
    char out[HOOK_SIGNATURE_SIZE];
    (void)state;

    assert_string_equal(hook_sign(STR_LIT("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                  STR_LIT("{\"test\": 2432232314}"), out),
                        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_string_equal(hook_sign(STR_LIT("whsec_!"), "m", 1, STR_LIT("{}"), out), "");
    assert_true(strncmp(hook_sign(STR_LIT("plain"), "m", 1, STR_LIT("{}"), out), "v1,", 3) == 0);
}

static void secrets_are_checked(void **state)
{
    char made[HOOK_SECRET_SIZE], other[HOOK_SECRET_SIZE];
    (void)state;

    assert_true(hook_secret_valid(str_of(hook_secret_make(made))));
    assert_int_equal(strlen(made), 6 + 32);
    assert_string_not_equal(made, hook_secret_make(other));
    assert_true(hook_secret_valid(STR_LIT("any text")));
    assert_false(hook_secret_valid(STR_LIT("")));
    assert_false(hook_secret_valid(STR_LIT("whsec_")));
    assert_false(hook_secret_valid(STR_LIT("whsec_c2hvcnQ="))); /* 5 bytes */
    assert_false(hook_secret_valid(STR_LIT("whsec_not base64 at all")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(signatures_are_the_specifications),
                                       cmocka_unit_test(secrets_are_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
