/* The text that Prometheus reads. */
#include "tests/unit/unit.h"

#include "gateway/metrics.h"

static void test_text(void **state)
{
    struct buf out = {0};
    struct metrics metrics = {.out = &out};
    const uint64_t bounds[] = {100, 500000, 1000000, 10000000}, counts[] = {1, 0, 2, 0, 4};
    (void)state;

    metrics_number(&metrics, "a_total", "counter", "What a is.", "of=\"x\"", METRIC_COUNT, 7);
    metrics_number(&metrics, "a_total", "counter", "What a is.", "of=\"y\"", METRIC_COUNT, 8);
    metrics_number(&metrics, "b_seconds", "gauge", "What b is.", "", METRIC_MS, 1500);
    metrics_times(&metrics, "c_seconds", "What c is.", "of=\"x\"", bounds, counts, 4, 2500000);
    metrics_times(&metrics, "d_seconds", "What d is.", "", bounds, counts, 4, 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.data, "# HELP a_total What a is.\n"
                                  "# TYPE a_total counter\n"
                                  "a_total{of=\"x\"} 7\n"
                                  "a_total{of=\"y\"} 8\n"
                                  "# HELP b_seconds What b is.\n"
                                  "# TYPE b_seconds gauge\n"
                                  "b_seconds 1.500000\n"
                                  "# HELP c_seconds What c is.\n"
                                  "# TYPE c_seconds histogram\n"
                                  "c_seconds_bucket{of=\"x\",le=\"0.0001\"} 1\n"
                                  "c_seconds_bucket{of=\"x\",le=\"0.5\"} 1\n"
                                  "c_seconds_bucket{of=\"x\",le=\"1.0\"} 3\n"
                                  "c_seconds_bucket{of=\"x\",le=\"10.0\"} 3\n"
                                  "c_seconds_bucket{of=\"x\",le=\"+Inf\"} 7\n"
                                  "c_seconds_sum{of=\"x\"} 2.500000\n"
                                  "c_seconds_count{of=\"x\"} 7\n"
                                  "# HELP d_seconds What d is.\n"
                                  "# TYPE d_seconds histogram\n"
                                  "d_seconds_bucket{le=\"0.0001\"} 1\n"
                                  "d_seconds_bucket{le=\"0.5\"} 1\n"
                                  "d_seconds_bucket{le=\"1.0\"} 3\n"
                                  "d_seconds_bucket{le=\"10.0\"} 3\n"
                                  "d_seconds_bucket{le=\"+Inf\"} 7\n"
                                  "d_seconds_sum 0.000000\n"
                                  "d_seconds_count 7\n");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
