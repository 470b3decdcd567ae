/* What is known of a video, as a line of JSON and back; whether it is for VR. */
#include "tests/unit/unit.h"

#include "worker/video/probe.h"
#include "worker/video/vr.h"

static struct probe probe, again;
static struct buf line;
static struct err err;
static uint64_t number;

static void fill(void)
{
    probe = (struct probe){.size = 1234567,
                           .mtime_ms = -5,
                           .hashed = true,
                           .duration = 12.25,
                           .bitrate = 1000,
                           .chapters = 3,
                           .video = 1,
                           .count = 2,
                           .more = 7};
    snprintf(probe.format, sizeof(probe.format), "mov,mp4");
    for (int i = 0; i < PROBE_HASH; i++)
        probe.hash[i] = (unsigned char)(i * 17);
    probe.streams[0] = (struct probe_stream){.kind = PROBE_AUDIO,
                                             .codec = "aac",
                                             .language = "eng",
                                             .title = "Ton \"eins\" 声",
                                             .standard = true,
                                             .channels = 6,
                                             .sample_rate = 48000};
    probe.streams[1] = (struct probe_stream){.index = 1,
                                             .codec = "hevc",
                                             .profile = "Main 10",
                                             .width = 3840,
                                             .height = 1920,
                                             .depth = 10,
                                             .fps = 23.976,
                                             .variable = true,
                                             .rotation = -90,
                                             .pixels = "yuv420p10le",
                                             .transfer = "smpte2084",
                                             .master = "G(1,2)",
                                             .cll = 1000,
                                             .fall = 400};
    number = 42;
}

static void test_round_trip(void **state)
{
    (void)state;
    fill();
    buf_reset(&line);
    assert_int_equal(probe_write(&probe, 42, &line), 0);
    number = 0;
    assert_int_equal(probe_parse(buf_str(&line), &again, &number, &err), 0);
    assert_int_equal(number, 42);
    assert_memory_equal(&again, &probe, sizeof(probe));
    assert_true(probe_is_pq(&again));
    assert_int_equal(probe_video_bitrate(&again), 1000);
    assert_int_equal(probe_count(&again, PROBE_AUDIO), 1);
}

static void test_broken_file(void **state)
{
    (void)state;
    probe = (struct probe){.video = -1, .error = "moov atom not found"};
    buf_reset(&line);
    assert_int_equal(probe_write(&probe, 0, &line), 0);
    assert_int_equal(probe_parse(buf_str(&line), &again, &number, &err), 0);
    assert_string_equal(again.error, "moov atom not found");
    assert_null(probe_film(&again));
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "{}",
        "[]",
        "{\"number\":-1,\"error\":\"x\"}",
        "{\"number\":1}", /* neither an error nor a film */
        "{\"number\":1,\"number\":1,\"error\":\"x\"}",
        "{\"number\":1,\"error\":\"x\",\"hash\":\"zz\"}",
        "{\"number\":1,\"error\":5}",
        "{\"number\":1,\"error\":\"x\",\"size\":-1}",
        "{\"number\":1,\"streams\":[{\"kind\":\"film\"}]}",
        "{\"number\":1,\"streams\":[{\"kind\":\"video\",\"film\":true,\"width\":-1}]}",
        "{\"number\":1,\"streams\":[{\"kind\":\"video\",\"film\":true,\"codec\":\"0123456789012345678901234567890123456789\"}]}",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (probe_parse(str_of(lines[i]), &again, &number, &err) == 0)
            fail_msg("taken: %s", lines[i]);
    struct buf many = {0};
    buf_text(&many, "{\"number\":1,\"streams\":[{\"kind\":\"video\",\"film\":true}");
    for (int i = 0; i < PROBE_STREAMS; i++)
        buf_text(&many, ",{\"kind\":\"data\"}");
    buf_text(&many, "]}");
    assert_int_equal(probe_parse(buf_str(&many), &again, &number, &err), -1);
    buf_free(&many);
}

static void test_vr(void **state)
{
    static const struct {
        const char *path;
        unsigned width, height;
        bool spherical, vr;
    } rows[] = {
        {"a.mp4", 1920, 1080, false, false},      {"a.mp4", 1920, 1080, true, true},
        {"a.mp4", 3840, 1920, false, true},       {"a.mp4", 3838, 1919, false, false},
        {"a.mp4", 4096, 4096, false, true},       {"a.mp4", 3840, 2160, false, false},
        {"a_VR.mp4", 1920, 1080, false, true},    {"a.180.x.mp4", 1920, 1080, false, true},
        {"a-sbs-b.mp4", 1920, 1080, false, true}, {"a.1080p.mp4", 1920, 1080, false, false},
        {"vrij.mp4", 1920, 1080, false, false},   {"VR/a.mp4", 1920, 1080, false, false},
        {"360", 1920, 1080, false, true},         {"b [TB].mkv", 1920, 1080, false, true},
        {"a.tb", 1920, 1080, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        probe = (struct probe){.count = 1};
        probe.streams[0] =
            (struct probe_stream){.width = rows[i].width, .height = rows[i].height, .spherical = rows[i].spherical};
        if (vr_is(VR_DEFAULT, &probe, rows[i].path) != rows[i].vr)
            fail_msg("%s %ux%u", rows[i].path, rows[i].width, rows[i].height);
    }
    assert_false(vr_is("", &probe, "a_VR.mp4"));
    assert_true(vr_is(" dome , VR", &probe, "the.Dome.mp4"));
    assert_false(vr_is("VR", &probe, "dome.mp4"));
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&line);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_broken_file),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_vr)};
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
