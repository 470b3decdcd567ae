#include "tests/unit/unit.h"

#include "worker/progress.h"

static struct progress progress;

static void feed(const char *text)
{
    progress_feed(&progress, text, strlen(text));
}

static void fresh(void)
{
    progress_init(&progress);
}

static void near(double wanted)
{
    assert_true(progress.percent > wanted - 0.001 && progress.percent < wanted + 0.001);
}

static void test_percent(void **state)
{
    (void)state;
    fresh();
    near(-1);
    feed("percent=42");
    near(-1);
    feed("\n");
    near(42);
    assert_true(progress.changed);
    progress.changed = false;
    feed("percent=42\n");
    assert_false(progress.changed);
    feed("percent=42.5%\n");
    near(42.5);
    feed("percent=1000\n");
    near(100);
    feed("percent= 7\r\n");
    near(7);
    feed("note=half way \xff\npercent=50\n");
    assert_string_equal(progress.note, "half way \xef\xbf\xbd");
    near(50);
}

static void test_nonsense(void **state)
{
    (void)state;
    static const char *const bad[] = {"percent=-1\n",  "percent=nan\n", "percent=0x10\n", "percent=\n",
                                      "percent=1e9\n", "percent=5 5\n", "percent\n",      "=5\n",
                                      "\n\n\n",        "PERCENT=5\n",   "percent=.5\n",   "percent=inf\n"};
    fresh();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        feed(bad[i]);
    near(-1);
    /* a line that is too long is no line; the next one is */
    for (int i = 0; i < 5000; i++)
        feed("x");
    feed("percent=3\npercent=4\n");
    near(4);
    progress_feed(&progress, "percent=9\0\n", 11);
    near(4);
}

/* As ffmpeg 5.1 writes it: out_time_ms is microseconds, too, and there is no percentage anywhere. */
static void test_ffmpeg(void **state)
{
    (void)state;
    static const char stderr_line[] = "  Duration: 00:00:10.00, start: 0.000000, bitrate: 1205 kb/s";
    static const char block[] =
        "frame=125\nfps=60.10\nstream_0_0_q=28.0\nbitrate= 500.1kbits/s\ntotal_size=262192\nout_time_us=5000000\n"
        "out_time_ms=5000000\nout_time=00:00:05.000000\ndup_frames=0\ndrop_frames=0\nspeed=2.41x\nprogress=continue\n";
    fresh();
    progress_stderr(&progress, stderr_line, strlen(stderr_line));
    assert_int_equal(progress.duration_us, 10000000);
    feed(block);
    near(50);
    assert_string_equal(progress.note, "frame 125, time 00:00:05, speed 2.41x");
    feed("out_time_us=N/A\nspeed=N/A\nprogress=continue\n");
    near(50);
    feed("out_time_us=20000000\nprogress=continue\n");
    near(100);
    fresh();
    feed("out_time_us=5000000\nprogress=continue\n");
    near(-1); /* no duration, no percentage */
    assert_string_equal(progress.note, "time 00:00:05");
    feed("out_time_us=-5000000\nprogress=continue\nprogress=end\n");
    near(100);
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint64_t us;
    } rows[] = {{"Duration: N/A, start: 0", 0},
                {"Duration: 01:02:03.45, x", 3723450000},
                {"Duration: 00:00:01.5", 1500000},
                {"Duration: 00:00", 0},
                {"Duration: ", 0},
                {"duration: 00:00:09.00", 0},
                {"Duration: 999999:00:00.0", 3599996400000000},
                {"Duration: -1:00:00", 0},
                {"Duration: 00:00:02", 2000000}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fresh();
        progress_stderr(&progress, rows[i].line, strlen(rows[i].line));
        assert_int_equal(progress.duration_us, rows[i].us);
    }
    /* of two inputs the longer one counts */
    fresh();
    progress_stderr(&progress, "Duration: 00:00:20.00", 21);
    progress_stderr(&progress, "Duration: 00:00:10.00", 21);
    assert_int_equal(progress.duration_us, 20000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_percent), cmocka_unit_test(test_nonsense),
                                       cmocka_unit_test(test_ffmpeg), cmocka_unit_test(test_duration)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
