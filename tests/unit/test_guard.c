/* Which Host and Origin a request may have. */
#include "tests/unit/unit.h"

#include "gateway/guard.h"

static const struct guard local = {
    .bound = "127.0.0.1", .names = "farm.example, Other.Example,", .origins = "https://app.example,http://x:1"};
static const struct guard any = {.bound = "0.0.0.0", .names = "", .origins = ""};

static bool host(const struct guard *guard, const char *text, const char *address)
{
    return guard_host(guard, str_of(text), str_of(address));
}

static void test_knows_our_names(void **state)
{
    static const char *const good[] = {"localhost",  "LocalHost:8080", "127.0.0.1",       "127.0.0.1:1",  "[::1]",
                                       "[::1]:8080", "farm.example",   "FARM.example:80", "other.example"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "localhost:",
                                      "localhost:80a",
                                      "localhost:123456",
                                      "[::1",
                                      "[::1]x",
                                      "127.0.0.1.nip.io",
                                      ":80",
                                      "farm.example.",
                                      "farm",
                                      "localhost@evil",
                                      "0.0.0.0",
                                      "192.168.0.1",
                                      "localhost, evil"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!host(&local, good[i], ""))
            fail_msg("refused: %s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool taken = host(&local, bad[i], "192.168.0.1");
        /* "localhost:" has an empty port, which RFC 3986 allows. */
        if (taken != (strcmp(bad[i], "localhost:") == 0))
            fail_msg("wrong: %s", bad[i]);
    }
}

static void test_knows_the_address_it_was_reached_at(void **state)
{
    (void)state;
    assert_true(host(&any, "192.0.2.7:8080", "192.0.2.7"));
    assert_true(host(&any, "[2001:db8::1]", "2001:db8::1"));
    assert_false(host(&any, "192.0.2.8", "192.0.2.7"));
    assert_false(host(&any, "evil.example", "192.0.2.7"));
    assert_false(host(&any, "evil.example", ""));
    assert_false(host(&any, "0.0.0.0", "192.0.2.7"));
}

static void test_tells_origins_apart(void **state)
{
    struct str here = STR_LIT("localhost:8080");
    (void)state;
    assert_int_equal(guard_origin(&local, (struct str){NULL, 0}, here), ORIGIN_NONE);
    assert_int_equal(guard_origin(&local, STR_LIT("http://localhost:8080"), here), ORIGIN_SAME);
    assert_int_equal(guard_origin(&local, STR_LIT("https://localhost:8080"), here), ORIGIN_SAME);
    assert_int_equal(guard_origin(&local, STR_LIT("https://app.example"), here), ORIGIN_LISTED);
    assert_int_equal(guard_origin(&local, STR_LIT("http://x:1"), here), ORIGIN_LISTED);
    assert_int_equal(guard_origin(&local, STR_LIT("http://app.example"), here), ORIGIN_FOREIGN);
    assert_int_equal(guard_origin(&local, STR_LIT("http://localhost:3000"), here), ORIGIN_FOREIGN);
    assert_int_equal(guard_origin(&local, STR_LIT("null"), here), ORIGIN_FOREIGN);
    assert_int_equal(guard_origin(&local, STR_LIT("localhost:8080"), here), ORIGIN_FOREIGN);
    assert_int_equal(guard_origin(&any, STR_LIT("http://"), here), ORIGIN_FOREIGN);
    assert_int_equal(guard_origin(&any, STR_LIT("http://a"), (struct str){NULL, 0}), ORIGIN_FOREIGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knows_our_names),
        cmocka_unit_test(test_knows_the_address_it_was_reached_at),
        cmocka_unit_test(test_tells_origins_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
