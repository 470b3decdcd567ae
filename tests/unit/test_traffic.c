/* Requests by route and status, in bounded memory. */
#include "tests/unit/unit.h"

#include "gateway/surfaces/surface.h"
#include "gateway/traffic.h"

static void test_by_route_and_status(void **state)
{
    struct traffic *traffic = traffic_new();
    const struct route *first = &surface_scheduler.routes[0], *second = &surface_scheduler.routes[1];
    (void)state;

    assert_non_null(traffic);
    assert_int_equal(traffic_count(traffic), 0);
    for (int i = 0; i < 3; i++)
        traffic_add(traffic, &surface_scheduler, first, 201, 50);
    traffic_add(traffic, &surface_scheduler, first, 409, 100000);
    traffic_add(traffic, &surface_scheduler, second, 201, 50);
    traffic_add(traffic, &surface_scheduler, NULL, 404, 50);
    assert_int_equal(traffic_count(traffic), 4);
    assert_ptr_equal(traffic_entry(traffic, 0)->route, first);
    assert_int_equal(traffic_entry(traffic, 0)->status, 201);
    assert_int_equal(traffic_entry(traffic, 0)->times.counts[0], 3);
    assert_int_equal(traffic_entry(traffic, 1)->status, 409);
    assert_int_equal(traffic_entry(traffic, 1)->times.sum_us, 100000);
    assert_ptr_equal(traffic_entry(traffic, 2)->route, second);
    assert_null(traffic_entry(traffic, 3)->route);
    traffic_free(traffic);
}

static void test_what_finds_no_room(void **state)
{
    struct traffic *traffic = traffic_new();
    uint64_t counted = 0;
    (void)state;

    for (unsigned status = 100; status < 100 + TRAFFIC_MOST + 20; status++)
        traffic_add(traffic, &surface_scheduler, NULL, status, 1);
    for (unsigned status = 100; status < 110; status++) /* those that are known stay */
        traffic_add(traffic, &surface_scheduler, NULL, status, 1);
    assert_int_equal(traffic_count(traffic), TRAFFIC_MOST + 1);
    assert_int_equal(traffic_entry(traffic, TRAFFIC_MOST)->status, 0);
    assert_int_equal(traffic_entry(traffic, TRAFFIC_MOST)->times.counts[0], 20);
    for (uint32_t i = 0; i < traffic_count(traffic); i++)
        counted += traffic_entry(traffic, i)->times.counts[0];
    assert_int_equal(counted, TRAFFIC_MOST + 30);
    traffic_free(traffic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_route_and_status), cmocka_unit_test(test_what_finds_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
