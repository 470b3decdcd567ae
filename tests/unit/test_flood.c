/* How much one peer is heard of in a second; what a server does with it is shown by tests/scenario/test_hostile.py. */
#include "tests/unit/unit.h"

#include <string.h>

#include "proto/flood.h"

static struct bus_peer peer_of(uint8_t number)
{
    struct bus_peer peer = {.len = 5};

    memcpy(peer.id, "\0\1\2\3", 4);
    peer.id[4] = number;
    return peer;
}

static void test_a_second(void **unused)
{
    (void)unused;
    static struct flood flood;
    struct bus_peer peer = peer_of(1);

    assert_false(flood_over(&flood, &peer, 5000, 60, 100));
    assert_false(flood_over(&flood, &peer, 5500, 40, 100));
    assert_true(flood_over(&flood, &peer, 5999, 1, 100));
    assert_true(flood_over(&flood, &peer, 5999, 1, 100));
    assert_false(flood_over(&flood, &peer, 6000, 100, 100));
    assert_true(flood_over(&flood, &peer, 6001, 4000000000u, 100));
    assert_true(flood_over(&flood, &peer, 6002, 4000000000u, 100)); /* no sum begins anew at 2^32 */
}

static void test_peers_apart(void **unused)
{
    (void)unused;
    static struct flood flood;
    struct bus_peer one = peer_of(1), two = peer_of(2);

    assert_true(flood_over(&flood, &one, 1000, 200, 100));
    assert_false(flood_over(&flood, &two, 1000, 100, 100));
    assert_true(flood_over(&flood, &one, 1001, 1, 100));
}

/* Whoever shares a row with another begins anew; nobody is held to what another said. */
static void test_many_peers(void **unused)
{
    (void)unused;
    static struct flood flood;

    for (int turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < 256; i++) {
            struct bus_peer peer = peer_of((uint8_t)i);
            assert_false(flood_over(&flood, &peer, 1000 + (uint64_t)turn * 1000, 100, 100));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second),
        cmocka_unit_test(test_peers_apart),
        cmocka_unit_test(test_many_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
