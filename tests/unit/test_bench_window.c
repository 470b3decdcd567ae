/* When a measure begins to count, and that nothing is no figure (tests/bench/window.c, samples.c). */
#include "tests/unit/unit.h"

#include "tests/bench/bench.h"

static uint64_t now_us;

uint64_t __wrap_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void)
{
    return now_us;
}

int bench_fail(const char *what, const char *why)
{
    (void)what, (void)why;
    return -1;
}

void bench_put(struct bench *bench, const char *name, double value)
{
    json_object_set_new(bench->result, name, json_real(value));
}

/* How long it warms up, in ms, while the queue grows by so much each 10 ms up to so much. */
static uint64_t warm_ms(uint64_t grows, uint64_t most)
{
    struct bench bench = {.seconds = 1};
    struct window window;
    uint64_t began = now_us;
    uint64_t open = 0;

    window_open(&window, &bench);
    while (window_tick(&window) == PHASE_WARM) {
        now_us += 10000;
        open = open + grows < most ? open + grows : most;
        window_queue(&window, open);
    }
    return (now_us - began) / 1000;
}

static void test_without_a_queue(void **state)
{
    (void)state;
    assert_int_equal(warm_ms(0, 0), WARM_MS);
    assert_int_equal(warm_ms(1, 5), WARM_MS); /* a few are always under way */
}

static void test_a_queue_fills_before_it_counts(void **state)
{
    (void)state;
    assert_int_equal(warm_ms(100, OPEN_MOST), WARM_MS); /* full long before */
    assert_int_equal(warm_ms(10, OPEN_MOST), 2000);
    assert_int_equal(warm_ms(1, 300), 3000 + WARM_MS); /* it stopped growing there */
}

static void test_the_slowest_growth_has_an_end(void **state)
{
    struct bench bench = {.seconds = 1};
    struct window window;
    uint64_t began = now_us;

    (void)state;
    window_open(&window, &bench);
    for (uint64_t open = OPEN_MOST / 100 + 1; window_tick(&window) == PHASE_WARM; open += OPEN_MOST / 100 + 1) {
        window_queue(&window, open);
        now_us += WARM_MS * 1000;
    }
    assert_in_range((now_us - began) / 1000, WARM_MOST_MS / 2, WARM_MOST_MS);
}

static void test_nothing_is_no_figure(void **state)
{
    struct bench bench = {.seconds = 1, .result = json_object()};
    struct samples samples = {0};
    struct window window;

    (void)state;
    window_open(&window, &bench);
    while (window_tick(&window) != PHASE_OVER)
        now_us += 100000;
    assert_int_equal(window_report(&window, 0), -1);
    assert_int_equal(window_report(&window, 1), 0);
    assert_int_equal(samples_report(&samples, &bench, "life"), -1);
    assert_null(json_object_get(bench.result, "life_p50_us"));
    samples_add(&samples, 7);
    assert_int_equal(samples_report(&samples, &bench, "life"), 0);
    assert_true(json_real_value(json_object_get(bench.result, "life_p50_us")) == 7);
    samples_free(&samples);
    json_decref(bench.result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_queue), cmocka_unit_test(test_a_queue_fills_before_it_counts),
        cmocka_unit_test(test_the_slowest_growth_has_an_end), cmocka_unit_test(test_nothing_is_no_figure)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
