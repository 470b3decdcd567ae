/* The plan of a recording cycle: who is recorded when, and for how long. */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include "scheduler/farms/record/plan.h"

#define MAX 64

/* At most `lanes` at once, within the total, no longer than wished. */
static void check(const struct plan_wish *wishes, const struct plan_slot *slots, uint32_t count, uint32_t lanes, uint32_t total)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_true(slots[i].seconds <= wishes[i].seconds);
        assert_true((uint64_t)slots[i].start + slots[i].seconds <= total);
        uint32_t busy = 0;
        for (uint32_t j = 0; j < count && slots[i].seconds; j++)
            busy += slots[j].seconds && slots[j].start <= slots[i].start && slots[i].start < slots[j].start + slots[j].seconds;
        assert_true(busy <= lanes);
    }
}

static uint64_t sum(const struct plan_slot *slots, uint32_t count)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < count; i++)
        all += slots[i].seconds;
    return all;
}

static void test_seed(void **unused)
{
    const struct plan_wish wishes[] = {{15, 1.0}, {20, 1.5}};
    struct plan_slot slots[2];
    (void)unused;
    plan_make(wishes, 2, 2, 60, slots); /* the seed's own: side by side */
    assert_true(slots[0].start == 0 && slots[0].seconds == 15 && slots[1].start == 0 && slots[1].seconds == 20);
    plan_make(wishes, 2, 1, 60, slots); /* one at a time: the heavier first */
    assert_true(slots[1].start == 0 && slots[1].seconds == 20 && slots[0].start == 20 && slots[0].seconds == 15);
    plan_make(wishes, 2, 9, 60, slots); /* more room than there are streams */
    assert_true(slots[0].start == 0 && slots[1].start == 0);
}

static void test_equal_keep_order(void **unused)
{
    const struct plan_wish wishes[] = {{10, 1}, {10, 1}, {10, 1}};
    struct plan_slot slots[3];
    (void)unused;
    plan_make(wishes, 3, 1, 30, slots);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(slots[i].start == 10 * i && slots[i].seconds == 10);
}

/* In the order of weights it does not fit, in another it does. */
static void test_packs(void **unused)
{
    const struct plan_wish wishes[] = {{10, 9}, {10, 8}, {20, 1}, {20, 1}};
    struct plan_slot slots[4];
    (void)unused;
    plan_make(wishes, 4, 2, 30, slots);
    check(wishes, slots, 4, 2, 30);
    assert_int_equal(sum(slots, 4), 60);
}

static void test_shared_by_weight(void **unused)
{
    const struct plan_wish wishes[] = {{100, 1}, {100, 3}, {100, 2}};
    struct plan_slot slots[3];
    (void)unused;
    plan_make(wishes, 3, 1, 60, slots);
    assert_true(slots[1].start == 0 && slots[1].seconds == 30);
    assert_true(slots[2].start == 30 && slots[2].seconds == 20);
    assert_true(slots[0].start == 50 && slots[0].seconds == 10);
}

/* Who needs less than his share leaves it to the others. */
static void test_rest_is_shared(void **unused)
{
    const struct plan_wish wishes[] = {{5, 10}, {100, 1}, {100, 1}};
    struct plan_slot slots[3];
    (void)unused;
    plan_make(wishes, 3, 1, 65, slots);
    assert_int_equal(slots[0].seconds, 5);
    assert_int_equal(slots[1].seconds, 30);
    assert_int_equal(slots[2].seconds, 30);
}

static void test_longer_than_the_cycle(void **unused)
{
    const struct plan_wish wish = {3600, 1};
    struct plan_slot slot;
    (void)unused;
    plan_make(&wish, 1, 4, 60, &slot);
    assert_true(slot.start == 0 && slot.seconds == 60);
}

static void test_does_not_fit(void **unused)
{
    const struct plan_wish wishes[] = {{10, 1}, {10, 5}, {10, 4}, {10, 2}};
    struct plan_slot slots[4];
    (void)unused;
    plan_make(wishes, 4, 1, 2, slots); /* two seconds for four: the lightest get none */
    check(wishes, slots, 4, 1, 2);
    assert_true(slots[1].seconds == 1 && slots[2].seconds == 1);
    assert_true(slots[0].seconds == 0 && slots[3].seconds == 0 && slots[0].start == 0);
    plan_make(NULL, 0, 1, 1, NULL);
}

/* What is due by weight, found by another way than the plan's: who would get more than he can have is served first, and who would get less
 * than a second has one. False: that many do not fit. */
static bool due_find(const struct plan_wish *wishes, uint32_t count, uint32_t lanes, uint32_t total, double *due)
{
    double room = (double)total * (lanes < count ? lanes : count), low = 0, high = 1e9;
    if (count > room)
        return false;
    for (int step = 0; step < 200; step++) {
        double level = (low + high) / 2, sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            double most = wishes[i].seconds < total ? wishes[i].seconds : total, share = level * wishes[i].weight;
            due[i] = share < 1 ? 1 : share > most ? most : share;
            sum += due[i];
        }
        if (sum <= room)
            low = level;
        else
            high = level;
    }
    return true;
}

/* (m + 1) / 2m of it: less a second for what is due in whole seconds, and one for the slot. */
static void check_due(const struct plan_wish *wishes, const struct plan_slot *slots, uint32_t count, uint32_t lanes,
                      uint32_t total)
{
    static double due[PLAN_STREAMS];
    double m = lanes < count ? lanes : count;
    if (!due_find(wishes, count, lanes, total, due))
        return;
    for (uint32_t i = 0; i < count; i++)
        assert_true(slots[i].seconds >= 1 && slots[i].seconds + 2 >= due[i] * (m + 1) / (2 * m));
}

/* 40 are due to each: two share a lane, rather than that the last has what two others have left. */
static void test_three_in_two_lanes(void **unused)
{
    const struct plan_wish wishes[] = {{100, 1}, {100, 1}, {100, 1}};
    struct plan_slot slots[3];
    (void)unused;
    plan_make(wishes, 3, 2, 60, slots);
    check(wishes, slots, 3, 2, 60);
    assert_true(slots[0].start == 0 && slots[0].seconds == 30);
    assert_true(slots[1].start == 0 && slots[1].seconds == 60);
    assert_true(slots[2].start == 30 && slots[2].seconds == 30);
}

static void test_eleven_in_ten_lanes(void **unused)
{
    struct plan_wish wishes[11];
    struct plan_slot slots[11];
    uint32_t halves = 0, wholes = 0;
    (void)unused;
    for (uint32_t i = 0; i < 11; i++)
        wishes[i] = (struct plan_wish){100, 1};
    plan_make(wishes, 11, 10, 60, slots);
    check(wishes, slots, 11, 10, 60);
    for (uint32_t i = 0; i < 11; i++) {
        halves += slots[i].seconds == 30;
        wholes += slots[i].seconds == 60;
    }
    assert_true(halves == 2 && wholes == 9);
}

/* Weights far apart: the light ones have their second, as long as there are seconds. */
static void test_a_second_each(void **unused)
{
    const struct plan_wish wishes[] = {{100, 1000}, {100, 0.001}, {100, 0.001}};
    struct plan_slot slots[3];
    (void)unused;
    plan_make(wishes, 3, 1, 3, slots);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(slots[i].start == i && slots[i].seconds == 1);
    plan_make(wishes, 3, 1, 60, slots);
    assert_true(slots[0].seconds == 58 && slots[1].seconds == 1 && slots[2].seconds == 1);
}

static void test_random(void **unused)
{
    struct plan_wish wishes[MAX];
    struct plan_slot slots[MAX];
    uint32_t seed = 7;
    (void)unused;
#define DICE(n) (seed = seed * 1664525u + 1013904223u, (seed >> 8) % (n))
    for (int round = 0; round < 3000; round++) {
        uint32_t count = 1 + DICE(MAX), lanes = 1 + DICE(8), total = 1 + DICE(120);
        for (uint32_t i = 0; i < count; i++)
            wishes[i] = (struct plan_wish){.seconds = 1 + DICE(90), .weight = 0.25 * (1 + DICE(20))};
        plan_make(wishes, count, lanes, total, slots);
        check(wishes, slots, count, lanes, total);
        check_due(wishes, slots, count, lanes, total);
        uint64_t asked = 0, room = (uint64_t)total * (lanes < count ? lanes : count);
        for (uint32_t i = 0; i < count; i++)
            asked += wishes[i].seconds;
        if (asked > 3 * room) /* with so much to be recorded little is idle */
            assert_true(10 * sum(slots, count) >= 7 * room);
    }
}

/* As many as there can be, over many lanes and hours. */
static void test_random_many(void **unused)
{
    static struct plan_wish wishes[PLAN_STREAMS];
    static struct plan_slot slots[PLAN_STREAMS];
    uint32_t seed = 11;
    (void)unused;
    for (int round = 0; round < 200; round++) {
        uint32_t count = 1 + DICE(PLAN_STREAMS), lanes = 1 + DICE(96), total = 60 + DICE(7200);
        for (uint32_t i = 0; i < count; i++)
            wishes[i] = (struct plan_wish){.seconds = 1 + DICE(9000), .weight = 0.01 * (1 + DICE(1000))};
        plan_make(wishes, count, lanes, total, slots);
        check(wishes, slots, count, lanes, total);
        check_due(wishes, slots, count, lanes, total);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_equal_keep_order),
        cmocka_unit_test(test_packs),
        cmocka_unit_test(test_shared_by_weight),
        cmocka_unit_test(test_rest_is_shared),
        cmocka_unit_test(test_longer_than_the_cycle),
        cmocka_unit_test(test_does_not_fit),
        cmocka_unit_test(test_three_in_two_lanes),
        cmocka_unit_test(test_eleven_in_ten_lanes),
        cmocka_unit_test(test_a_second_each),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
