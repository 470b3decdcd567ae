/* Trusted networks: how they are written, and which one an address belongs to. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "gateway/auth_networks.h"
#include "proto/messages.h"

static struct networks networks;

static void take(const char *text)
{
    struct err err = {0};

    if (networks_parse(str_of(text), &networks, &err) != 0)
        fail_msg("%s", err.text);
}

static enum role role_of(const char *surface, const char *address)
{
    struct peer peer;

    assert_true(peer_parse(str_of(address), &peer));
    return networks_role(&networks, surface, &peer);
}

static void test_the_longest_prefix_wins(void **state)
{
    (void)state;
    take("10.0.0.0/8=readonly, 10.1.0.0/16=user,10.1.2.3=admin , 0.0.0.0/0=worker");
    assert_int_equal(role_of("scheduler", "10.200.0.1"), ROLE_READONLY);
    assert_int_equal(role_of("scheduler", "10.1.255.255"), ROLE_USER);
    assert_int_equal(role_of("scheduler", "10.1.2.3"), ROLE_ADMIN);
    assert_int_equal(role_of("scheduler", "11.0.0.0"), ROLE_WORKER);
    assert_int_equal(role_of("scheduler", "::1"), ROLE_NONE);
    take("10.1.2.128/25=user");
    assert_int_equal(role_of("scheduler", "10.1.2.127"), ROLE_NONE);
    assert_int_equal(role_of("scheduler", "10.1.2.128"), ROLE_USER);
    assert_int_equal(role_of("scheduler", "10.1.2.255"), ROLE_USER);
    assert_int_equal(role_of("scheduler", "10.1.3.128"), ROLE_NONE);
}

static void test_of_one_surface(void **state)
{
    (void)state;
    take("10.0.0.0/8=readonly,scheduler:10.0.0.0/8=user,scheduler:fd00::/8=admin,web:fd00:1::/32=readonly");
    assert_int_equal(role_of("scheduler", "10.0.0.1"), ROLE_USER);
    assert_int_equal(role_of("web", "10.0.0.1"), ROLE_READONLY);
    assert_int_equal(role_of("scheduler", "fd00:1::7"), ROLE_ADMIN);
    assert_int_equal(role_of("web", "fd00:1::7"), ROLE_READONLY);
    assert_int_equal(role_of("web", "fd00:2::7"), ROLE_NONE);
}

static void test_ipv6(void **state)
{
    (void)state;
    take("2001:db8::/33=user,::/0=readonly,::1=admin");
    assert_int_equal(role_of("web", "2001:db8:7fff::1"), ROLE_USER);
    assert_int_equal(role_of("web", "2001:db8:8000::1"), ROLE_READONLY);
    assert_int_equal(role_of("web", "::1"), ROLE_ADMIN);
    assert_int_equal(role_of("web", "127.0.0.1"), ROLE_NONE);
    /* As a socket for both shows an IPv4 client. */
    take("127.0.0.0/8=user");
    assert_int_equal(role_of("web", "::ffff:127.0.0.1"), ROLE_USER);
}

static void test_who_has_no_address(void **state)
{
    struct peer nobody = {0};
    char text[PEER_TEXT];
    (void)state;

    take("0.0.0.0/0=admin,::/0=admin");
    assert_int_equal(networks_role(&networks, "web", &nobody), ROLE_NONE);
    assert_string_equal(peer_text(&nobody, text), "-");
}

static void test_mistakes_are_refused_whole(void **state)
{
    static const char *const bad[] = {
        "10.0.0.0/8",
        "10.0.0.0/8=",
        "10.0.0.0/8=root",
        "10.0.0.0/8=any",
        "=admin",
        "/8=admin",
        "10.0.0.0/=admin",
        "10.0.0.0/33=admin",
        "10.0.0.0/-1=admin",
        "10.0.0.0/8x=admin",
        "10.0.0.0/0008=admin",
        "10.0.0.1/8=admin",
        "10.0.0/8=admin",
        "010.0.0.0/8=admin",
        "::1/129=admin",
        "fd00::1/8=admin",
        "nobody:10.0.0.0/8=user",
        "scheduler:=user",
        "scheduler=user",
        "farm.example=user",
        "10.0.0.0/8=user,10.0.0.0/8=admin",
        "::ffff:10.0.0.0/104=user",
        "10.0.0.0/8=user=admin",
        "10.0.0.0/8=user;",
    };
    struct err err = {0};
    (void)state;

    take("10.0.0.0/8=user");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err.text[0] = '\0';
        if (networks_parse(str_of(bad[i]), &networks, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.text[0] != '\0');
        assert_int_equal(networks.count, 1);
    }
    take(" , ,");
    assert_int_equal(networks.count, 0);
    take("");
    assert_int_equal(networks.count, 0);
}

static void test_no_more_than_there_is_room_for(void **state)
{
    static char text[NETWORKS_MAX * 24 + 64];
    struct err err = {0};
    size_t len = 0;
    (void)state;

    for (int i = 0; i < NETWORKS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "10.0.0.%d=user,", i);
    take(text);
    assert_int_equal(networks.count, NETWORKS_MAX);
    snprintf(text + len, sizeof text - len, "10.0.1.0=user");
    assert_int_equal(networks_parse(str_of(text), &networks, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_longest_prefix_wins),
        cmocka_unit_test(test_of_one_surface),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_who_has_no_address),
        cmocka_unit_test(test_mistakes_are_refused_whole),
        cmocka_unit_test(test_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
