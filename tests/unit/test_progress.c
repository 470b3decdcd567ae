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

/* Of an input of 20 s ffmpeg has written 2 s. */
static void test_ffmpeg_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        bool quiet;
        double percent; /* -1 is unknown */
    } rows[] = {
        {"-i in out", false, 10},
        {"-i in -t 5 out", false, 40},
        {"-t 5 -i in out", false, 40},
        {"-i in -t 00:00:05.000 out", false, 40},
        {"-i in -to 00:04 out", false, 50},
        {"-i in -t 500ms out", false, 100},
        {"-i in -t 60 out", false, 10},
        {"-ss 10 -i in out", false, 20},
        {"-i in -ss 10 out", false, 20},
        {"-ss 10 -to 14 -i in out", false, 50},
        {"-ss 10 -i in -to 4 out", false, 50},
        {"-ss 00:00:10.000 -i in -t 20 out", false, 20},
        {"-ss 30 -i in out", false, -1},
        {"-t 3 -i one -i two out", false, 10},
        {"-i in -t soon out", false, 10},
        {"-i in -t -5 out", false, 10},
        {"-i in -t 1:2:3:4 out", false, 10},
        {"-i in -t 99999999999999999999 out", false, 10},
        {"-i in -t", false, 10},
        {"-loop 1 -i in -t 40 out", false, 5},
        {"-stream_loop -1 -i in out", false, -1},
        {"-v error -i in out", true, -1},
        {"-v error -i in -t 4 out", true, 50},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char words[200], *argv[20], *rest = words;
        int count = 0;
        snprintf(words, sizeof(words), "ffmpeg %s", rows[i].arguments);
        while ((argv[count] = strsep(&rest, " ")))
            count++;
        fresh();
        progress_arguments(&progress, argv);
        if (!rows[i].quiet)
            progress_stderr(&progress, "Duration: 00:00:20.00", 21);
        feed("out_time_us=2000000\nprogress=continue\n");
        if (!(progress.percent > rows[i].percent - 0.001 && progress.percent < rows[i].percent + 0.001))
            fail_msg("%s: %f", rows[i].arguments, progress.percent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_percent), cmocka_unit_test(test_nonsense),
                                       cmocka_unit_test(test_ffmpeg), cmocka_unit_test(test_duration),
                                       cmocka_unit_test(test_ffmpeg_arguments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
