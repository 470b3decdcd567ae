/* What ffmpeg is told about a video, and what of it may stand. */
#include "tests/unit/unit.h"

#include "worker/video/hours.h"
#include "worker/video/recipe.h"

static struct probe probe, made;
static struct recipe recipe;
static struct wish wish;
static char line[16384], why[256];

static void film(const char *codec, const char *pixels, unsigned depth)
{
    probe = (struct probe){.duration = 100, .bitrate = 8000000, .size = 100000000, .count = 1};
    struct probe_stream *stream = &probe.streams[0];
    stream->depth = depth;
    stream->width = 1920;
    stream->height = 1080;
    stream->fps = 25;
    snprintf(stream->codec, sizeof(stream->codec), "%s", codec);
    snprintf(stream->pixels, sizeof(stream->pixels), "%s", pixels);
    wish = (struct wish){0};
}

static void add(enum probe_kind kind, const char *codec)
{
    struct probe_stream *stream = &probe.streams[probe.count];
    *stream = (struct probe_stream){.index = probe.count++, .kind = kind};
    snprintf(stream->codec, sizeof(stream->codec), "%s", codec);
}

/* The command line between blanks, made anew. */
static const char *told(void)
{
    recipe_clear(&recipe);
    assert_int_equal(recipe_make(&recipe, &probe, &wish, "/in/a b.mkv", "/out/t.mp4"), 0);
    strcpy(line, " ");
    for (unsigned i = 0; i < recipe.count; i++)
        strcat(strcat(line, recipe.argv[i]), " ");
    return line;
}

static void has(const char *words)
{
    if (!strstr(told(), words))
        fail_msg("'%s' is not in '%s'", words, line);
}

static void has_not(const char *words)
{
    if (strstr(told(), words))
        fail_msg("'%s' is in '%s'", words, line);
}

static void test_quality(void **state)
{
    (void)state;
    film("h264", "yuv420p", 8);
    has(" -c:v:0 libx265 -pix_fmt:v:0 yuv420p -preset medium -crf 22 ");
    wish.vr = true;
    has(" -preset slow -crf 20 ");
    wish = (struct wish){.engine = ENGINE_NVENC};
    has(" -c:v:0 hevc_nvenc -pix_fmt:v:0 nv12 -preset slow -rc vbr -cq 23 -b:v 0 ");
    has_not("x265-params");
    wish = (struct wish){.engine = ENGINE_QSV};
    has(" -c:v:0 hevc_qsv -pix_fmt:v:0 nv12 -preset slow -global_quality 23 ");
    wish = (struct wish){.engine = ENGINE_VPU};
    has(" -c:v:0 hevc_ni_logan ");
    wish = (struct wish){.av1 = true};
    has(" -c:v:0 libsvtav1 -pix_fmt:v:0 yuv420p -preset 7 -crf 30 ");
    has_not("hvc1");
    wish = (struct wish){.crf = 18, .preset = "fast"};
    has(" -preset fast -crf 18 ");
    wish = (struct wish){.engine = ENGINE_NVENC, .av1 = true};
    recipe_clear(&recipe);
    assert_int_equal(recipe_make(&recipe, &probe, &wish, "/a", "/b"), -1);
}

static void test_machine(void **state)
{
    (void)state;
    film("h264", "yuv420p", 8);
    has_not("-hwaccel");
    has_not("-threads");
    has_not(" -r:v:0 ");
    has(" -vsync vfr "); /* MP4 would get a constant rate */
    has(" -x265-params log-level=error ");
    wish.hardware_decode = true;
    wish.threads = 3;
    has(" -hwaccel auto -protocol_whitelist file -i file:/in/a b.mkv ");
    has(" -threads 3 ");
    has(":pools=3 ");
    wish.pools = "+,-";
    has(":pools=+,- ");
    wish.rate = 30;
    has_not(" -r:v:0 ");
    probe.streams[0].fps = 59.94;
    has(" -r:v:0 30 ");
    has_not(" -vsync ");
    wish.rate = 60;
    has_not(" -r:v:0 ");
    probe.streams[0].interlaced = true;
    has(" -filter:v:0 bwdif=mode=send_frame ");
}

static void test_colour(void **state)
{
    (void)state;
    film("hevc", "yuv420p10le", 10);
    struct probe_stream *stream = &probe.streams[0];
    strcpy(stream->primaries, "bt2020");
    strcpy(stream->transfer, "smpte2084");
    strcpy(stream->space, "bt2020nc");
    strcpy(stream->range, "tv");
    strcpy(stream->master, "G(1,2)B(3,4)R(5,6)WP(7,8)L(9,10)");
    stream->cll = 1000;
    stream->fall = 400;
    has(" -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv ");
    has(":hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:master-display=G(1,2)B(3,4)R(5,6)WP("
        "7,8)L(9,10)"
        ":max-cll=1000,400 ");
    has(" -pix_fmt:v:0 yuv420p10le ");
    strcpy(stream->transfer, "arib-std-b67");
    has(" -color_trc arib-std-b67 ");
    has_not("hdr10=1");
    wish.engine = ENGINE_NVENC;
    has(" -pix_fmt:v:0 p010le ");
    film("h264", "yuvj420p", 8);
    has(" -pix_fmt:v:0 yuv420p ");
    has(" -color_range pc ");
    film("h264", "rgb24", 8);
    has(" -pix_fmt:v:0 yuv420p ");
    film("h264", "yuv444p12le", 12);
    has(" -pix_fmt:v:0 yuv444p12le ");
    assert_null(recipe_refusal(&probe));
    probe.streams[0].dolby_vision = true;
    assert_string_equal(recipe_refusal(&probe), "Dolby Vision would be lost");
    probe.streams[0].dolby_vision = false;
    probe.streams[0].hdr10_plus = true;
    assert_string_equal(recipe_refusal(&probe), "HDR10+ would be lost");
}

static void expect_refusal(enum probe_kind kind, const char *codec, const char *words)
{
    film("h264", "yuv420p", 8);
    add(kind, codec);
    if (words)
        assert_string_equal(recipe_refusal(&probe), words);
    else
        assert_null(recipe_refusal(&probe));
}

static void test_streams_that_would_be_lost(void **state)
{
    (void)state;
    expect_refusal(PROBE_VIDEO, "h264", "a further video stream would be lost");
    expect_refusal(PROBE_AUDIO, "none", "audio of an unknown codec would be lost");
    expect_refusal(PROBE_AUDIO, "", "audio of an unknown codec would be lost");
    expect_refusal(PROBE_SUBTITLE, "none", "subtitles of an unknown codec would be lost");
    expect_refusal(PROBE_AUDIO, "aac", NULL);
    expect_refusal(PROBE_PICTURE, "png", NULL);
    expect_refusal(PROBE_ATTACHMENT, "none", NULL);
    expect_refusal(PROBE_DATA, "none", NULL);
    probe.more = 1;
    assert_string_equal(recipe_refusal(&probe), "some of its very many streams would be lost");
}

static void test_streams(void **state)
{
    (void)state;
    film("h264", "yuv420p", 8);
    add(PROBE_AUDIO, "aac");
    add(PROBE_DATA, "bin_data");
    add(PROBE_AUDIO, "ac3");
    add(PROBE_SUBTITLE, "subrip");
    add(PROBE_PICTURE, "png");
    has(" -map 0:0 -map 0:1 -map 0:3 -map 0:4 -map 0:5 ");
    has(" -c:a:0 copy -c:a:1 copy -c:s:0 mov_text -c:v:1 copy -disposition:v:1 attached_pic ");
    has(" -map_metadata 0 -map_chapters 0 ");
    has(" -tag:v:0 hvc1 ");
    has(" -strict unofficial -movflags +faststart -f mp4 -y file:/out/t.mp4 ");
    assert_string_equal(recipe.extension, "mp4");
    assert_int_equal(recipe.audio, 2);
    assert_int_equal(recipe.subtitles, 1);
    assert_int_equal(recipe.pictures, 1);
    assert_string_equal(recipe.left_out, "0 pictures, 1 data streams");
    static const struct {
        enum probe_kind kind;
        const char *codec;
    } mkv[] = {{PROBE_AUDIO, "flac"},   {PROBE_AUDIO, "pcm_alaw"}, {PROBE_AUDIO, "dts"}, {PROBE_SUBTITLE, "hdmv_pgs_subtitle"},
               {PROBE_SUBTITLE, "ass"}, {PROBE_ATTACHMENT, "ttf"}};
    for (size_t i = 0; i < sizeof(mkv) / sizeof(mkv[0]); i++) {
        film("h264", "yuv420p", 8);
        add(PROBE_SUBTITLE, "mov_text");
        add(PROBE_PICTURE, "png");
        add(mkv[i].kind, mkv[i].codec);
        has(" -c:s:0 srt ");
        has(" -f matroska ");
        has_not("movflags");
        has_not("attached_pic");
        assert_string_equal(recipe.extension, "mkv");
        assert_string_equal(recipe.left_out, "1 pictures, 0 data streams");
    }
    has(" -c:t copy ");
}

static void test_too_much(void **state)
{
    (void)state;
    film("h264", "yuv420p", 8);
    while (probe.count < PROBE_STREAMS)
        add(PROBE_AUDIO, "aac");
    told();
    assert_int_equal(recipe.audio, PROBE_STREAMS - 1);
}

static const char *fault(void)
{
    told();
    return recipe_fault(&recipe, &probe, &made, why, sizeof(why));
}

static void expect_fault(const char *words)
{
    const char *text = fault();
    if (!text || !strstr(text, words))
        fail_msg("'%s', not '%s'", text ? text : "none", words);
}

static void test_faults(void **state)
{
    (void)state;
    film("h264", "yuv420p", 8);
    add(PROBE_AUDIO, "aac");
    add(PROBE_SUBTITLE, "subrip");
    probe.chapters = 2;
    made = probe;
    strcpy(made.streams[0].codec, "hevc");
    made.bitrate = 6000000;
    assert_null(fault());
    made.bitrate = 6000001 + 1000;
    expect_fault("6000 at most are worth it");
    strcpy(probe.streams[0].codec, "av1");
    assert_null(fault());
    made.bitrate = 8001000;
    expect_fault("8000 at most");
    made.bitrate = 1000;
    made.duration = 101.1;
    expect_fault("lasts 101.10 s");
    made.duration = 99;
    assert_null(fault());
    made.chapters = 1;
    expect_fault("chapters are missing");
    made.chapters = 2;
    made.count = 2;
    expect_fault("0 of 1 subtitles");
    made.count = 3;
    strcpy(made.streams[0].codec, "h264");
    expect_fault("encoder libx265 made h264, not hevc");
    strcpy(made.error, "moov atom not found");
    expect_fault("cannot be read");
    made.error[0] = '\0';
    made.video = -1;
    expect_fault("no video stream");
}

/* What ffmpeg was told does not matter: what the source has is what has to be there. */
static void test_missing_streams(void **state)
{
    static const struct {
        enum probe_kind kind;
        const char *codec, *words;
    } all[] = {{PROBE_AUDIO, "aac", "0 of 1 audio"},
               {PROBE_SUBTITLE, "subrip", "0 of 1 subtitles"},
               {PROBE_PICTURE, "png", "0 of 1 pictures"},
               {PROBE_ATTACHMENT, "ttf", "0 of 1 attachments"}};
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        film("h264", "yuv420p", 8);
        made = probe;
        strcpy(made.streams[0].codec, "hevc");
        made.bitrate = 1000;
        add(all[i].kind, all[i].codec);
        told();
        recipe.audio = recipe.subtitles = 0;
        assert_non_null(recipe_fault(&recipe, &probe, &made, why, sizeof(why)));
        assert_non_null(strstr(why, all[i].words));
        made.streams[made.count++] = probe.streams[1];
        assert_null(recipe_fault(&recipe, &probe, &made, why, sizeof(why)));
    }
}

/* One container says what its film has, another what all of it has: like is held against like. */
static void test_rates(void **state)
{
    (void)state;
    film("h264", "yuv420p", 8);
    made = probe;
    strcpy(made.streams[0].codec, "hevc");
    probe.streams[0].bitrate = 4000000;
    made.bitrate = 5000000; /* of 8000000, with all that is copied */
    assert_null(fault());
    made.bitrate = 6100000;
    expect_fault("it has 6100 kbit/s, and 6000 at most are worth it (its source has 8000)");
    made.streams[0].bitrate = 3100000;
    expect_fault("it has 3100 kbit/s, and 3000 at most are worth it (its source has 4000)");
    made.streams[0].bitrate = 2900000;
    assert_null(fault());
    strcpy(probe.format, "matroska,webm"); /* whose tag may be of another file: of the one that it was made of */
    expect_fault("it has 6100 kbit/s, and 6000 at most are worth it (its source has 8000)");
    probe.format[0] = '\0';
    assert_null(fault());
    probe.streams[0].bitrate = 0;
    expect_fault("it has 6100 kbit/s, and 6000 at most");
    probe.streams[0].bitrate = 4000000; /* a tag that Matroska's film has from its source says nothing */
    made.streams[0].bitrate = 4000000;
    made.bitrate = 5000000;
    add(PROBE_AUDIO, "flac");
    made.streams[made.count++] = probe.streams[1];
    has(" -metadata:s:v:0 BPS= -metadata:s:v:0 BPS-eng= ");
    assert_null(fault());
}

static void test_hours(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(hours_hold("", 5));
    assert_true(hours_hold("22:00-06:00", 23 * 60));
    assert_true(hours_hold("22:00-06:00", 5 * 60 + 59));
    assert_false(hours_hold("22:00-06:00", 6 * 60));
    assert_false(hours_hold("22:00-06:00", 21 * 60 + 59));
    assert_true(hours_hold("01:00-02:00, 12:30-13:00", 12 * 60 + 30));
    assert_false(hours_hold("01:00-02:00, 12:30-13:00", 13 * 60));
    assert_true(hours_hold("00:00-24:00", 1439));
    assert_true(hours_hold("08:00-08:00", 0));
    static const char *const wrong[] = {"22-6", "25:00-06:00", "22:00-06:60", "22:00-06:00,", "22:00-06:00 and", "24:01-01:00",
                                        "x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (hours_check(wrong[i], &err) == 0)
            fail_msg("taken: %s", wrong[i]);
    assert_int_equal(hours_check("22:00-06:00,12:00-13:00", &err), 0);
    assert_int_equal(hours_check("", &err), 0);
}

static int tear_down(void **state)
{
    (void)state;
    recipe_clear(&recipe);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quality),
                                       cmocka_unit_test(test_machine),
                                       cmocka_unit_test(test_colour),
                                       cmocka_unit_test(test_streams),
                                       cmocka_unit_test(test_too_much),
                                       cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_streams_that_would_be_lost),
                                       cmocka_unit_test(test_missing_streams),
                                       cmocka_unit_test(test_rates),
                                       cmocka_unit_test(test_hours)};
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
