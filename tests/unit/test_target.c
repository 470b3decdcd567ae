/* Where webhooks may be sent. */
#include "tests/unit/unit.h"

#include "gateway/target.h"

static bool allowed(const struct targets *targets, const char *address)
{
    struct peer peer;
    assert_true(peer_parse(str_of(address), &peer));
    return target_allowed(targets, &peer);
}

static void link_local_is_refused(void **state)
{
    static const char *const refused[] = {"169.254.169.254",
                                          "169.254.0.1",
                                          "::ffff:169.254.1.1",
                                          "fe80::1",
                                          "febf::1",
                                          "0.0.0.0",
                                          "0.1.2.3",
                                          "::",
                                          "::169.254.1.1",
                                          "64:ff9b::a9fe:a9fe",
                                          "2002:a9fe:1::1",
                                          "::ffff:0.0.0.0",
                                          "64:ff9b:1::a9fe:a9fe",
                                          "fd00:ec2::254",
                                          "fd20:ce::254",
                                          "168.63.129.16",
                                          "100.100.100.200",
                                          "::ffff:100.100.100.200",
                                          "192.0.0.192"};
    static const char *const fine[] = {
        "127.0.0.1",        "::1",           "10.0.0.1",       "192.0.2.1", "2001:db8::1", "fec0::1", "64:ff9b::102:304",
        "::ffff:127.0.0.1", "168.63.129.17", "100.100.100.201"};
    const struct targets none = {0};
    (void)state;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (allowed(&none, refused[i]))
            fail_msg("%s is allowed", refused[i]);
    }
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        if (!allowed(&none, fine[i]))
            fail_msg("%s is refused", fine[i]);
    }
    assert_false(target_allowed(&none, &(struct peer){0})); /* a socket that is none of the two */
}

static void networks_are_refused(void **state)
{
    struct targets targets = {0};
    struct err err;
    (void)state;

    assert_int_equal(targets_parse(STR_LIT(" 10.0.0.0/8, fd00::/8,127.0.0.1 "), &targets, &err), 0);
    assert_int_equal(targets.count, 3);
    assert_false(allowed(&targets, "10.1.2.3"));
    assert_false(allowed(&targets, "::ffff:10.1.2.3"));
    assert_false(allowed(&targets, "64:ff9b::a01:203"));
    assert_false(allowed(&targets, "fd12::1"));
    assert_false(allowed(&targets, "127.0.0.1"));
    assert_true(allowed(&targets, "127.0.0.2"));
    assert_true(allowed(&targets, "192.168.1.1"));
    static const char *const wrong[] = {"10.0.0.0/33", "nonsense", "10.1.2.3/8", "10.0.0.0/8=admin"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(targets_parse(str_of(wrong[i]), &targets, &err), -1);
    assert_int_equal(targets.count, 3); /* as it was */
}

static void addresses_are_looked_at(void **state)
{
    static const struct {
        const char *url;
        enum target_fault fault;
    } rows[] = {
        {"http://example.com/hook", TARGET_FINE},
        {"https://127.0.0.1:8443/x?y=z", TARGET_FINE},
        {"http://[2001:db8::1]/", TARGET_FINE},
        {"ftp://example.com/", TARGET_SCHEME},
        {"file:///etc/passwd", TARGET_MALFORMED},
        {"example.com/hook", TARGET_MALFORMED},
        {"", TARGET_MALFORMED},
        {"http://", TARGET_MALFORMED},
        {"http:///x", TARGET_MALFORMED},
        {"http:/x", TARGET_MALFORMED},
        {"http://a b/", TARGET_MALFORMED},
        {"http://a/\r\nX: y", TARGET_MALFORMED},
        {"http://user:pass@example.com/", TARGET_USER},
        {"http://169.254.169.254/latest", TARGET_ADDRESS},
        {"http://2852039166/", TARGET_ADDRESS},
        {"http://0xa9fea9fe/", TARGET_ADDRESS},
        {"http://0251.0376.0251.0376/", TARGET_ADDRESS},
        {"http://169.254.43518/", TARGET_ADDRESS},
        {"http://[::ffff:169.254.169.254]/", TARGET_ADDRESS},
        {"http://[fe80::1%25eth0]/", TARGET_ADDRESS},
        {"http://0/", TARGET_ADDRESS},
    };
    const struct targets none = {0};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (target_check(&none, str_of(rows[i].url)) != rows[i].fault)
            fail_msg("%s: %d", rows[i].url, (int)target_check(&none, str_of(rows[i].url)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(link_local_is_refused), cmocka_unit_test(networks_are_refused),
                                       cmocka_unit_test(addresses_are_looked_at)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
