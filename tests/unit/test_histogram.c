/* Buckets, and what a STATS_ANSWER makes of them. */
#include "tests/unit/unit.h"

#include "proto/stats.h"

static void test_buckets(void **state)
{
    struct histogram times = HISTOGRAM(histogram_duration);
    (void)state;

    histogram_add(&times, 0);
    histogram_add(&times, 100000); /* an upper end belongs to its bucket */
    histogram_add(&times, 100001);
    histogram_add(&times, UINT64_C(3600000001));
    assert_int_equal(times.counts[0], 2);
    assert_int_equal(times.counts[1], 1);
    assert_int_equal(times.counts[histogram_duration.count], 1);
    assert_int_equal(times.sum_us, UINT64_C(3600200002));
    histogram_add(&times, UINT64_MAX); /* a worker's word */
    assert_int_equal(times.sum_us, INT64_MAX);
    histogram_add(&times, 5);
    assert_int_equal(times.sum_us, INT64_MAX);
}

static void test_bounds_grow(void **state)
{
    const struct histogram_scale *scales[] = {&histogram_latency, &histogram_duration};
    (void)state;

    for (int s = 0; s < 2; s++) {
        assert_true(scales[s]->count > 0 && scales[s]->count <= HISTOGRAM_BOUNDS);
        for (uint32_t i = 1; i < scales[s]->count; i++)
            assert_true(scales[s]->bounds[i] > scales[s]->bounds[i - 1]);
    }
}

static void test_answer_goes_over_the_bus(void **state)
{
    struct stats stats = {0};
    struct histogram times = HISTOGRAM(histogram_latency);
    struct buf frame = {0};
    struct err err = {0};
    struct msg msg;
    struct arena *arena = arena_new(1 << 20);
    (void)state;

    histogram_add(&times, 777);
    stats_count(&stats, "first", 3);
    stats_count(&stats, "huge", UINT64_MAX);
    stats_process(&stats);
    stats_histogram(&stats, "times", &times);
    struct msg_stats_answer answer = stats_answer(&stats);
    if (msg_encode_stats_answer(&frame, &answer, 1, (struct str){0}, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(msg_decode(arena, buf_str(&frame), &msg, &err), 0);
    const struct msg_stats_answer *read = &msg.u.stats_answer;
    assert_int_equal(read->counts.items[0].value, 3);
    assert_int_equal(read->counts.items[1].value, INT64_MAX);
    assert_int_equal(read->histograms.items[0].bounds.count, histogram_latency.count);
    assert_int_equal(read->histograms.items[0].counts.count, histogram_latency.count + 1);
    assert_int_equal(read->histograms.items[0].sum, 777);
    buf_free(&frame);
    arena_free(arena);
}

static uint64_t count_of(const struct stats *stats, const char *name)
{
    for (uint32_t i = 0; i < stats->count_count; i++) {
        if (str_is(stats->counts[i].name, name))
            return stats->counts[i].value;
    }
    fail_msg("%s is not counted", name);
    return 0;
}

static void test_process(void **state)
{
    struct stats before = {0}, after = {0};
    (void)state;

    stats_process(&before);
    assert_true(count_of(&before, "process_memory_bytes") > 100000);
    assert_true(count_of(&before, "process_fds") >= 3);
    assert_true(count_of(&before, "process_fds_max") >= count_of(&before, "process_fds"));
    assert_true(count_of(&before, "process_started_ms") > UINT64_C(1600000000000));
    int fd = dup(STDIN_FILENO);
    stats_process(&after);
    close(fd);
    assert_int_equal(count_of(&after, "process_fds"), count_of(&before, "process_fds") + 1);
    assert_true(count_of(&after, "process_cpu_us") >= count_of(&before, "process_cpu_us"));
    assert_int_equal(count_of(&after, "process_started_ms"), count_of(&before, "process_started_ms"));
}

static void test_too_many_are_left_out(void **state)
{
    struct stats stats = {0};
    struct histogram times = HISTOGRAM(histogram_latency);
    (void)state;

    for (int i = 0; i < STATS_COUNTS + 5; i++)
        stats_count(&stats, "one", 1);
    for (int i = 0; i < STATS_HISTOGRAMS + 5; i++)
        stats_histogram(&stats, "one", &times);
    struct msg_stats_answer answer = stats_answer(&stats);
    assert_int_equal(answer.counts.count, STATS_COUNTS);
    assert_int_equal(answer.histograms.count, STATS_HISTOGRAMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_bounds_grow),
        cmocka_unit_test(test_answer_goes_over_the_bus),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_too_many_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
