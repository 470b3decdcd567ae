/* What an answer of another process, of whatever version, becomes. */
#include "tests/unit/unit.h"

#include "gateway/stats.h"

static void test_fill(void **state)
{
    static struct stats_part part;
    uint64_t bounds[HISTOGRAM_BOUNDS + 4] = {10, 20}, counts[HISTOGRAM_BOUNDS + 5] = {1, 2, 3}, value;
    struct rec_count count = {.name = STR_LIT("runs"), .value = 7};
    struct rec_histogram histograms[] = {
        {.name = STR_LIT("uneven"), .bounds = {bounds, 2}, .counts = {counts, 2}},
        {.name = STR_LIT("large"), .bounds = {bounds, HISTOGRAM_BOUNDS + 1}, .counts = {counts, HISTOGRAM_BOUNDS + 2}},
        {.name = STR_LIT("good"), .bounds = {bounds, 2}, .counts = {counts, 3}, .sum = 99},
    };
    const struct msg_stats_answer answer = {.counts = {&count, 1}, .histograms = {histograms, 3}};
    (void)state;

    stats_part_fill(&part, &answer);
    assert_true(part.answers);
    assert_true(stats_number(&part, "runs", &value));
    assert_int_equal(value, 7);
    assert_false(stats_number(&part, "walks", &value));
    assert_int_equal(value, 0);
    assert_null(stats_times(&part, "uneven"));
    assert_null(stats_times(&part, "large"));
    assert_int_equal(stats_times(&part, "good")->counts[2], 3);
    assert_int_equal(stats_times(&part, "good")->sum_us, 99);
}

static void test_too_many(void **state)
{
    static struct stats_part part;
    static struct rec_count counts[256];
    (void)state;

    for (int i = 0; i < 256; i++)
        counts[i] = (struct rec_count){.name = STR_LIT("x"), .value = 1};
    const struct msg_stats_answer answer = {.counts = {counts, 256}};
    stats_part_fill(&part, &answer);
    assert_int_equal(part.number_count, STATS_COUNTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fill), cmocka_unit_test(test_too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
